//! What a release is to change, before anything is built of it.
//!
//! Bytes are *weighed* on a thread of their own, which checks them and counts the events that they are to fold; the steward, who
//! knows what serves, then drafts the plan at once. It is recorded with each release, and answered on demand for bytes that nobody
//! deploys; then nothing else happens.
//!
//! In reading order:
//! * this page: what a plan says
//! * `weigh`: bytes checked, events counted
//! * `manifests`: how two manifests differ, in words
//! * `measured`: how fast builds were
//! * `draft`: the plan, made of what is known
//! * `rehearse`: what a process manager would have done about the history
//! * `told`: what of it is for whom

mod draft;
mod manifests;
mod measured;
mod rehearse;
mod told;
mod weigh;

pub(super) use draft::Wanted;
pub use measured::{FOLDED, FOLDED_PUBLIC};
pub(super) use rehearse::rehearse;
pub use told::Listener;
pub(super) use weigh::{Weighed, weigh};

use super::control::{Limits, Ruling};
use super::surface::SurfaceDifference;
use super::upcasters::Feeds;
use crate::plugin::manifest::{Beginning, Product, Step, Subscription};
use crate::plugin::{OnFailure, Sequence, Visibility};
use crate::process::Replay;
use serde::{Deserialize, Serialize};

/// What is to be expected of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its component's name.
    pub name: String,
    /// The module whose folder it lies in; empty for none.
    pub module: String,
    /// Its component's version.
    pub version: String,
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
    /// The release that serves, if one does.
    pub against: Option<Against>,
    /// Its bytes are those of the release that serves.
    pub same_bytes: bool,
    /// A read model is built; otherwise it is an upcaster, or there is a release of these bytes already.
    pub builds: bool,
    /// What may be used by it, and is fixed with it.
    pub limits: Limits,
    /// What it is, and what that changes.
    #[serde(flatten)]
    pub change: Change,
    /// The release that is on its way, and makes room for it.
    pub supersedes: Option<u64>,
    /// The releases that are retired once it serves.
    pub retires: Vec<Retirement>,
    /// What happens with it, in words.
    pub then: String,
}

/// What a release changes, by what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// A read model is built.
    Projection(Box<Projection>),
    /// So it is, and what was decided is done from a position on.
    ProcessManager(Box<ProcessManager>),
    /// What it feeds is rebuilt.
    Upcaster(Upcaster),
}

impl Change {
    /// What becomes of a read model, where one is built.
    #[must_use]
    pub fn projection(&self) -> Option<&Projection> {
        match self {
            Self::Projection(projection) => Some(projection),
            Self::ProcessManager(process) => Some(&process.projection),
            Self::Upcaster(_) => None,
        }
    }
}

/// The release that serves while a plan is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// Its number.
    pub release: u64,
    /// Its component's version.
    pub version: String,
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
    /// The module whose folder it lay in; empty for none.
    pub module: String,
    /// Who may query it.
    pub visibility: Visibility,
}

/// What the release of a projection changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Who may query it.
    pub visibility: Visibility,
    /// What readers can ask.
    pub surface: SurfaceDifference,
    /// What it consumes.
    pub subscriptions: SubscriptionDifference,
    /// What else of its manifest and its limits is not as before, in words.
    pub settings: Vec<String>,
    /// What it has to fold; `None` where that could not be counted.
    pub events: Option<Events>,
    /// The build that its time is estimated by; `None` where none was measured that tells, or nothing is built.
    pub measured: Option<Measured>,
    /// What becomes of events that it cannot apply.
    pub parking: Parking,
    /// What feeds it.
    pub upcasters: UpcasterDifference,
    /// What becomes of it once it could serve, and who says so.
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// What the release of a process manager changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessManager {
    /// Its read model.
    #[serde(flatten)]
    pub projection: Projection,
    /// What it appends that was not named before.
    pub produces_newly: Vec<Product>,
    /// What it appends no longer.
    pub produces_no_longer: Vec<Product>,
    /// To what of the history it reacts, where it is the first one.
    pub begins: Option<Beginning>,
    /// The position behind which it acts at the earliest: what follows from events before was another release's to do. `None` where it is
    /// the first one.
    pub acts_behind: Option<u64>,
    /// What it would have done until now, beside what was done; `None` where that was not asked, or nothing is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Why that is not known, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_replayed: Option<String>,
}

/// What the release of an upcaster changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcaster {
    /// What it brings further.
    pub steps: Vec<Step>,
    /// The components that are rebuilt with it.
    pub feeds: Vec<String>,
}

/// How what a component consumes changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubscriptionDifference {
    /// Before, every event was consumed; `None` where there was no release before.
    pub every_event_before: Option<bool>,
    /// From now on, every event is consumed.
    pub every_event: bool,
    /// What was not named before.
    pub added: Vec<Subscription>,
    /// What is not named any more.
    pub removed: Vec<Subscription>,
    /// The types of which another version is handled.
    pub changed: Vec<VersionChange>,
}

/// A type of which another version is handled; `None` is whatever comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionChange {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version until now.
    pub before: Option<u32>,
    /// The version from now on.
    pub after: Option<u32>,
    /// Why it is consumed.
    pub why: String,
}

/// The events that a release has to fold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// How many there are.
    #[serde(flatten)]
    pub all: Count,
    /// How many of them are public.
    pub public: Count,
    /// The head of the log, up to which they were counted.
    pub head: u64,
}

/// How many there are of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// So many were counted.
    pub count: u64,
    /// There are more: it was counted no further.
    pub at_least: bool,
}

/// A build that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its component's name.
    pub component: String,
    /// The module that it belongs to.
    pub module: String,
    /// Its number.
    pub release: u64,
    /// The events that it folded.
    pub folded: u64,
    /// Those of them that are public.
    pub folded_public: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// How long a build is to take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// How long, in seconds.
    pub seconds: f64,
    /// Events in a second.
    pub rate: f64,
    /// The build that it is estimated by.
    pub from: String,
}

/// What becomes of events that a release cannot apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parking {
    /// Whether they end it, or are set aside.
    pub on_failure: OnFailure,
    /// Which events are set aside together.
    pub sequence: Sequence,
    /// How many may be set aside.
    pub parked_events: u64,
}

/// How the upcasters that feed a component change, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpcasterDifference {
    /// Those that will feed it.
    pub feeding: Vec<Feeds>,
    /// Those among them that did not until now.
    pub added: Vec<String>,
    /// Those that do not any more.
    pub removed: Vec<String>,
    /// Those that are others under the same name.
    pub changed: Vec<String>,
}

/// A release that is retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retirement {
    /// Its number.
    pub release: u64,
    /// Why.
    pub reason: String,
}
