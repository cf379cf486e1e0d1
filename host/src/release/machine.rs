//! The life of a release: what it can come to, and by what.

use serde::Serialize;

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its bytes are kept, and nobody has looked at them yet.
    Received,
    /// It is a component that may be deployed.
    Checked,
    /// It folds the log into its own store, alongside the one that serves.
    Building,
    /// Its store is complete and durable; it waits to stand where the one that serves stands.
    Verifying,
    /// Its store is complete and durable, and was compared with the one that serves; it waits for its operator.
    Held,
    /// It serves.
    Live,
    /// It served before the one that serves now, and follows it, ready to come back.
    Warm,
    /// It was warm, and waits to stand where the one that serves stands, to serve again.
    Returning,
    /// Nobody needs it any more; its store is gone.
    Retired,
    /// It was refused before it touched anything.
    Rejected,
    /// It could not be built; its store is gone.
    Failed,
}

/// What happens to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It compiles, it says what it is, and its schema and queries are in order.
    Passed,
    /// One of these is not so.
    Refused,
    /// Its store is made, and the log is being folded into it.
    Started,
    /// Its store has been at the head of the log, and is durable.
    CaughtUp,
    /// What was built did not survive: it begins again.
    Lost,
    /// It must not serve before its operator says so.
    Held,
    /// Its operator lets it serve.
    Promoted,
    /// It cannot go on: it trapped at an event, the disk is full, its store cannot be made.
    Broke,
    /// Another one is to be built instead, or none.
    Superseded,
    /// It is an upcaster: there is nothing to build.
    InForce,
    /// Readers were moved to it.
    CutOver,
    /// Readers were moved from it to another one.
    Displaced,
    /// It is to serve again.
    Recalled,
    /// The operator withdraws the component, and its store is kept.
    Withdrawn,
    /// Its store is not kept any longer.
    Expired,
}

impl State {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Received,
        Self::Checked,
        Self::Building,
        Self::Verifying,
        Self::Held,
        Self::Live,
        Self::Warm,
        Self::Returning,
        Self::Retired,
        Self::Rejected,
        Self::Failed,
    ];

    /// Where a release stands after this has happened to it; `None` where it cannot happen.
    #[must_use]
    pub fn after(self, event: Event) -> Option<Self> {
        use Event as E;
        Some(match (self, event) {
            (Self::Received, E::Passed) => Self::Checked,
            (Self::Received, E::Refused) => Self::Rejected,
            (Self::Checked, E::Started) => Self::Building,
            (Self::Building, E::CaughtUp) => Self::Verifying,
            (Self::Building, E::Lost) => Self::Received,
            (Self::Checked, E::InForce) => Self::Live,
            // One that is held may be compared again.
            (Self::Verifying | Self::Held, E::Held) => Self::Held,
            (Self::Held, E::Promoted) => Self::Verifying,
            (Self::Verifying | Self::Returning, E::CutOver) => Self::Live,
            (Self::Live, E::Displaced | E::Withdrawn) => Self::Warm,
            (Self::Warm, E::Recalled) => Self::Returning,
            // It goes back to where it came from: its store is as good as before.
            (Self::Returning, E::Superseded | E::Broke) => Self::Warm,
            (candidate, E::Broke) if candidate.is_candidate() => Self::Failed,
            (candidate, E::Superseded) if candidate.is_candidate() => Self::Retired,
            (Self::Live | Self::Warm | Self::Returning, E::Expired) => Self::Retired,
            _ => return None,
        })
    }

    /// It is on its way to serve.
    #[must_use]
    pub fn is_candidate(self) -> bool {
        matches!(self, Self::Received | Self::Checked | Self::Building | Self::Verifying | Self::Held)
    }

    /// It has a store that folds.
    #[must_use]
    pub fn has_store(self) -> bool {
        matches!(self, Self::Building | Self::Verifying | Self::Held | Self::Live | Self::Warm | Self::Returning)
    }

    /// Its bytes are kept: it runs, will run, or may be built again.
    #[must_use]
    pub fn is_needed(self) -> bool {
        self.is_candidate() || self.has_store() || self == Self::Failed
    }

    /// Its stable name, as it is recorded and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Checked => "checked",
            Self::Building => "building",
            Self::Verifying => "verifying",
            Self::Held => "held",
            Self::Live => "live",
            Self::Warm => "warm",
            Self::Returning => "returning",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_end() {
        let ended = [State::Retired, State::Rejected, State::Failed];
        let events = [
            Event::Passed,
            Event::Refused,
            Event::Started,
            Event::CaughtUp,
            Event::Lost,
            Event::Held,
            Event::Promoted,
            Event::Broke,
            Event::Superseded,
            Event::InForce,
            Event::CutOver,
            Event::Displaced,
            Event::Recalled,
            Event::Withdrawn,
            Event::Expired,
        ];
        for state in ended {
            assert!(events.iter().all(|event| state.after(*event).is_none()), "{state:?}");
        }
        // Only what was sealed can come to serve.
        for state in State::ALL {
            let serves = state.after(Event::CutOver).is_some();
            assert_eq!(serves, matches!(state, State::Verifying | State::Returning), "{state:?}");
        }
    }

    #[test]
    fn every_name_is_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.name()), Some(*state));
        }
    }
}
