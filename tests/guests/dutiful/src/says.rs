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
    /// Written into its effects; orders may be for the bearer of one tag only.
    #[serde(default)]
    pub tag: String,
    #[serde(default = "consumes")]
    consumes: Vec<String>,
    #[serde(default = "produces")]
    produces: Vec<String>,
    /// `start` or `now`.
    #[serde(default)]
    begins: String,
    /// It sets aside what it cannot react to.
    #[serde(default)]
    parks: bool,
    /// `hold` or `hold-if-different`; its releases serve at once without it.
    #[serde(default)]
    policy: String,
}

fn version() -> String {
    "1.0.0".to_owned()
}

fn consumes() -> Vec<String> {
    vec!["Told".to_owned()]
}

fn produces() -> Vec<String> {
    ["Done", "Echoed", "Checked"].map(str::to_owned).to_vec()
}

impl Says {
    pub fn read() -> Self {
        // The compiler must not know what stands there.
        let room: &[u8] = black_box(&SAYS);
        serde_json::from_slice(&room[MARK.len()..]).expect("a test wrote what this component says of itself")
    }

    pub fn manifest(self) -> ProcessManifest {
        let mut manifest = ProcessManifest::new(&self.name, &self.version).describe("Does what it is told.");
        for event_type in &self.consumes {
            manifest = manifest.consume_type(event_type, "it says what to do");
        }
        for event_type in &self.produces {
            manifest = manifest.produce(event_type, "it was told to");
        }
        manifest = match self.begins.as_str() {
            "start" => manifest.from_start(),
            "now" => manifest.from_now(),
            _ => manifest,
        };
        if self.parks {
            manifest = manifest.park();
        }
        match self.policy.as_str() {
            "" => manifest,
            "hold" => manifest.hold(),
            _ => manifest.hold_if_different(),
        }
    }
}
