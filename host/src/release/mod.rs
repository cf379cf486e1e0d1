//! Components in the drop folder become releases that serve.
//!
//! A *release* is one deployment of a component: its bytes, its manifest, its limits and its own read store, numbered from 1 for
//! each component. What is recorded in `control.db` survives; what runs is shown by [`Releases`].
//!
//! In reading order:
//! * [`machine`]: the life of a release: what it can come to, and by what
//! * `folder`: the files in the drop folder, watched
//! * [`component`]: a file's bytes, checked as a whole: component, manifest and schema
//! * `control`: what was deployed and each step of it, on the disk
//! * [`serving`]: a release that runs
//! * [`surface`]: what readers can ask of a release, and how that changes
//! * [`plan`]: what a release is to change, before anything is built of it
//! * [`verify`]: what it changes, row by row
//! * `scratch`: a release's component folded once more, beside what serves
//! * [`as_of`]: what a read model was as of a position
//! * [`snapshots`]: what serves, copied into files that are kept for a while
//! * [`proof`]: whether a read model is the fold of the log; `night`: each day
//! * `steward`: the one thread that takes every step: it records it, shows it, and acts upon it. It knows
//!   * `offer`: what becomes of a file that is dropped or uploaded
//!   * `build`: how a release comes to where it can take over
//!   * `review`: whether it may
//!   * `cutover`: the moment when it does
//!   * `process`: from where on a process manager acts
//!   * `retire`: what is kept of those that served
//!   * `order`: what operators ask
//!   * [`upcasters`]: which are in force, and which releases they feed
//!   * `start`: what is taken up again when the host is started
//! * [`releases`]: what readers see, and what operators ask

pub mod as_of;
mod build;
pub mod component;
mod control;
mod cutover;
mod folder;
pub mod machine;
mod night;
mod offer;
mod order;
pub mod plan;
mod process;
pub mod proof;
pub mod releases;
mod retire;
mod review;
mod scratch;
pub mod serving;
pub mod snapshots;
mod start;
mod steward;
pub mod surface;
pub mod upcasters;
pub mod verify;

pub use as_of::Limits as AsOfLimits;
pub use component::{Checked, RejectError, check, read};
pub use control::{By, Limits, Paused, Record, Ruling, Step};
pub use folder::Options as FolderOptions;
pub use machine::State;
pub use plan::{FOLDED, FOLDED_PUBLIC, Listener, Plan};
pub use process::Fired;
pub use releases::{Ask, Component, Drops, InForce, Releases, Taken};
pub use retire::Warm;
pub use serving::Serving;
pub use snapshots::Limits as SnapshotLimits;
pub use surface::SurfaceDifference;
pub use upcasters::Feeds;
pub use verify::{Difference, Options as VerifyOptions};

/// The releases cannot be managed, or what was asked of them cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `control.db` cannot be read or written.
    #[error("control.db: {0}")]
    Control(#[from] rusqlite::Error),
    /// `control.db` holds what this version does not understand.
    #[error("control.db: {0}")]
    Record(#[from] serde_json::Error),
    /// `control.db` was written by another version.
    #[error(
        "control.db is of format {found}, and this version knows {known}: use the version of Laterna that wrote it, or a newer one"
    )]
    Format {
        /// The format of the file.
        found: i64,
        /// The format of this version.
        known: i64,
    },
    /// `control.db` names a state that this version does not know.
    #[error("control.db: a release is `{0}`, and this version knows no such state")]
    State(String),
    /// A step that cannot be taken: a fault of Laterna's own.
    #[error("release {release} of `{component}` is {state:?}, and {event:?} cannot happen to it")]
    Impossible {
        /// The component.
        component: String,
        /// The release.
        release: u64,
        /// Where it stands.
        state: State,
        /// What was to happen.
        event: machine::Event,
    },
    /// A release's bytes cannot be kept.
    #[error("the component's bytes cannot be kept: {0}")]
    Keep(std::io::Error),
    /// A read store is out of order.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// There is no such component.
    #[error("there is no component `{0}`")]
    NotFound(String),
    /// The component is not in a state in which this can be done; the text says what to do.
    #[error("{0}")]
    Unfit(String),
    /// The host is being stopped.
    #[error("the host is being stopped")]
    Closed,
}
