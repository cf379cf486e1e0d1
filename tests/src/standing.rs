//! How a component's releases stand, as the host tells it.

use crate::{Answer, BREATH, Client, PATIENCE};
use serde_json::Value;
use std::time::Instant;

/// A component's releases at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The number of the one that serves.
    pub live: Option<u64>,
    /// The number of the one that runs besides, ready to come back; of several, the one that served last.
    pub warm: Option<u64>,
    /// What rests: `nothing`, `builds` or `everything`.
    pub paused: String,
    /// Its file does not lie in the drop folder.
    pub file_gone: bool,
    /// All of them, oldest first.
    pub releases: Vec<Release>,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its number.
    pub number: u64,
    /// Where it stands.
    pub state: String,
    /// What becomes of it once it could serve: `auto`, `hold` or `hold-if-different`.
    pub policy: String,
    /// Who says so: `manifest` or `operator`.
    pub policy_by: String,
    /// The states that it came through, with the one in which it is.
    pub steps: Vec<String>,
}

impl Standing {
    /// Reads it out of an answer about a component with all its releases.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let shown = answer.ok();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let number = |value: &Value| value["release"].as_u64();
        let release = |release: &Value| Release {
            number: number(release).expect("a number"),
            state: text(&release["state"]),
            policy: text(&release["policy"]),
            policy_by: text(&release["policy_by"]),
            steps: release["steps"].as_array().expect("steps").iter().map(|step| text(&step["state"])).collect(),
        };
        Self {
            live: number(&shown["live"]),
            warm: number(&shown["warm"]),
            paused: text(&shown["paused"]),
            file_gone: shown["file_gone"].as_bool().expect("true or false"),
            releases: shown["releases"].as_array().expect("releases").iter().rev().map(release).collect(),
        }
    }
}

impl Client {
    /// Waits until a component's releases stand as wanted.
    pub fn wait_until(&self, component: &str, wanted: impl Fn(&Standing) -> bool) -> Standing {
        let begun = Instant::now();
        loop {
            let standing = Standing::of(&self.get(&format!("/projections/{component}")));
            if wanted(&standing) {
                return standing;
            }
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}; in the end they stand so: {standing:#?}");
            std::thread::sleep(BREATH);
        }
    }
}
