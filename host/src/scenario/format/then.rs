//! What must hold, as it is written.

use super::{Code, Visibility};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// By table or view: exactly these rows, as many, in the order of the key.
    #[serde(default)]
    pub tables: BTreeMap<String, Vec<Row>>,
    /// Questions and their answers.
    #[serde(default)]
    pub queries: Vec<Query>,
    /// The projection halts, and what else is expected is as before that event.
    #[serde(default)]
    pub halts: Option<Halts>,
    /// Exactly these sequences are left out, in the order of the events that could not be applied; none where it is left out.
    #[serde(default)]
    pub parked: Vec<Parked>,
    /// Of a process manager: exactly these effects came to the log, in its order, since the step before.
    #[serde(default)]
    pub effects: Option<Vec<Effect>>,
    /// Of a process manager: exactly these timers wait, in any order.
    #[serde(default)]
    pub timers: Option<Vec<Timer>>,
    /// Of a process manager: exactly these instances are there, in any order.
    #[serde(default)]
    pub instances: Option<Vec<Instance>>,
}

impl Then {
    /// Whether it holds whatever happens.
    #[must_use]
    pub fn expects_nothing(&self) -> bool {
        let Self { tables, queries, halts, parked, effects, timers, instances } = self;
        let of_process = effects.is_some() || timers.is_some() || instances.is_some();
        tables.is_empty() && queries.is_empty() && halts.is_none() && parked.is_empty() && !of_process
    }
}

/// An effect of a process manager. A member of it, or of its data, that is not named is not looked at.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// The instance that decided it.
    #[serde(default)]
    pub instance: Option<String>,
    /// The members of its data that matter; what is no object is all of it.
    #[serde(default, deserialize_with = "said")]
    pub data: Option<Value>,
    /// Who may read it.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// It was refused, and why, by its stable name. Where this is left out, it must not have been.
    #[serde(default)]
    pub refused: Option<Code>,
}

/// A timer that waits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    /// Whose it is.
    pub instance: String,
    /// Its name.
    pub timer: String,
    /// When it is due, in RFC 3339. Not looked at where the order is open.
    #[serde(default)]
    pub due_at: Option<String>,
}

/// An instance.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// What it is called.
    pub key: String,
    /// The members of its state that matter; what is no object is all of it.
    #[serde(default, deserialize_with = "said")]
    pub state: Option<Value>,
}

/// A row: a value for each column that matters. One that is not named is not looked at. Booleans are 1 and 0, blobs are base64.
pub type Row = Map<String, Value>;

/// A question and its answer: one of `rows`, `answer` and `refused`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["rows"] }, { "required": ["answer"] }, { "required": ["refused"] }]))]
pub struct Query {
    /// The query's name.
    pub query: String,
    /// Its parameters.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// Of a query that SQL answers: exactly these rows, in its order. A column that is not named is not looked at.
    #[serde(default)]
    pub rows: Option<Vec<Row>>,
    /// Of a query that the component's code answers: exactly this JSON.
    #[serde(default, deserialize_with = "said")]
    pub answer: Option<Value>,
    /// It is not answered: part of the reason.
    #[serde(default)]
    pub refused: Option<String>,
}

/// That the projection halts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Halts {
    /// The position of the event that it cannot apply.
    #[schemars(range(min = 1))]
    pub at: u64,
    /// Part of the reason.
    #[serde(default)]
    pub because: Option<String>,
}

/// That the later events of a sequence are left out, from one that could not be applied on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parked {
    /// The sequence: a stream, unless the component says otherwise.
    pub sequence: String,
    /// The position of the event that cannot be applied. Not looked at where the order is open.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub at: Option<u64>,
    /// How many events are left out, that one included. Not looked at where the order is open.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub events: Option<u64>,
    /// Part of the reason.
    #[serde(default)]
    pub because: Option<String>,
}

/// Tells an answer that is `null` from none.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// In the schema: it expects something.
pub(super) fn something() -> Value {
    json!({ "type": "object", "anyOf": [
        { "properties": { "tables": { "minProperties": 1 } }, "required": ["tables"] },
        { "properties": { "queries": { "minItems": 1 } }, "required": ["queries"] },
        { "properties": { "halts": { "type": "object" } }, "required": ["halts"] },
        { "properties": { "parked": { "minItems": 1 } }, "required": ["parked"] },
        { "required": ["effects"] },
        { "required": ["timers"] },
        { "required": ["instances"] },
    ] })
}
