//! What the component says of itself: JSON that the tests write over the spaces below.

use laterna_sdk::prelude::*;
use serde::Deserialize;
use std::hint::black_box;

/// The tests look for this.
const MARK: [u8; 32] = *b"what this component says of self";

/// The mark, then room for JSON.
static SAYS: [u8; 8192] = {
    let mut room = [b' '; 8192];
    let mut index = 0;
    while index < MARK.len() {
        room[index] = MARK[index];
        index += 1;
    }
    room
};

#[derive(Deserialize)]
pub struct Says {
    name: String,
    #[serde(default = "version")]
    version: String,
    /// Types. Without any it consumes every event.
    #[serde(default)]
    consumes: Vec<String>,
    /// Types in the version that it handles.
    #[serde(default)]
    versions: Vec<(String, u32)>,
    /// It sets aside what it cannot apply.
    #[serde(default)]
    parks: bool,
    /// The pointer into the data that tells sequences apart, or `correlation`; by stream without it.
    #[serde(default)]
    sequence: String,
    /// Only its own module may query it.
    #[serde(default)]
    internal: bool,
    /// `hold` or `hold-if-different`; its releases serve at once without it.
    #[serde(default)]
    policy: String,
    #[serde(default = "schema")]
    schema: String,
    #[serde(default)]
    queries: Vec<Query>,
    /// What it does while it is asked what it is.
    #[serde(default)]
    pub deed: String,
}

#[derive(Deserialize)]
struct Query {
    name: String,
    /// Without it the query is computed.
    sql: Option<String>,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(rename = "type")]
    of_type: String,
    default: Option<i64>,
}

fn version() -> String {
    "1.0.0".to_owned()
}

fn schema() -> String {
    "CREATE TABLE seen (position INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;
     CREATE TABLE counts (type TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE notes (position INTEGER, line INTEGER, note TEXT NOT NULL, PRIMARY KEY (position, line)) STRICT, WITHOUT ROWID;
     CREATE TABLE ones (id INTEGER PRIMARY KEY CHECK (id = 1)) STRICT;
     CREATE TABLE heap (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
        .to_owned()
}

impl Says {
    pub fn read() -> Self {
        // The compiler must not know what stands there.
        let room: &[u8] = black_box(&SAYS);
        serde_json::from_slice(&room[MARK.len()..]).expect("a test wrote what this component says of itself")
    }

    pub fn manifest(self) -> Manifest {
        let mut manifest = Manifest::new(&self.name, &self.version).describe("Misbehaves.").schema(&self.schema);
        for event_type in &self.consumes {
            manifest = manifest.consume_type(event_type, "to do something about it");
        }
        for (event_type, version) in &self.versions {
            manifest = manifest.consume_version(event_type, *version, "in this version");
        }
        if self.parks {
            manifest = manifest.park();
        }
        manifest = match self.sequence.as_str() {
            "" => manifest,
            "correlation" => manifest.sequence_by_correlation(),
            pointer => manifest.sequence_by_data(pointer),
        };
        manifest = match self.policy.as_str() {
            "" => manifest,
            "hold" => manifest.hold(),
            _ => manifest.hold_if_different(),
        };
        if self.internal {
            manifest = manifest.internal();
        }
        for query in self.queries {
            manifest = manifest.query(query.named());
        }
        manifest
    }
}

impl Query {
    fn named(self) -> NamedQuery {
        let mut query = match &self.sql {
            Some(sql) => NamedQuery::sql(&self.name, sql),
            None => NamedQuery::computed(&self.name),
        };
        for Parameter { name, of_type, default } in self.parameters {
            let of_type = match of_type.as_str() {
                "integer" => ParameterType::Integer,
                "real" => ParameterType::Real,
                "boolean" => ParameterType::Boolean,
                _ => ParameterType::Text,
            };
            query = match default {
                Some(default) => query.optional(&name, of_type, default, "whatever"),
                None => query.required(&name, of_type, "whatever"),
            };
        }
        query
    }
}
