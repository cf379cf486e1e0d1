//! Folding: one thread reads the log ahead, one folds its batches into a read store.
//!
//! Here the log, the components and the stores meet: the log's events become a component's batches, and a component's SQL runs in
//! the store's session. The projector knows nothing of files in a folder, of releases or of HTTP.
//!
//! In reading order:
//! * `feed`: the log, filtered, as batches ahead of the one who folds
//! * `fold`: a batch and its checkpoint in one transaction; a failing one narrowed down to its event
//! * `database`: a store's session as a component sees it
//! * `running`: the threads of one projection, and how it stands

mod database;
mod feed;
mod fold;
mod running;

pub use fold::Halt;
pub use running::{Error, Running, State};

use crate::log::Filter;
use crate::plugin::{Manifest, Selector};

/// How the log is fed to a projection.
#[derive(Debug, Clone)]
pub struct Options {
    /// Events in a batch at most.
    pub batch_events: usize,
    /// Bytes in a batch at most, give or take one event.
    pub batch_bytes: usize,
    /// Batches that are read ahead of the one that is folded.
    pub ahead: usize,
    /// Positions without an event for the component after which its checkpoint is written all the same.
    pub checkpoint_positions: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch_events: 10_000, batch_bytes: 8 << 20, ahead: 2, checkpoint_positions: 10_000 }
    }
}

/// What of the log a component consumes.
#[must_use]
pub fn consumed(manifest: &Manifest) -> Filter {
    if manifest.consumes.is_empty() {
        return Filter::All;
    }
    let (mut types, mut categories) = (Vec::new(), Vec::new());
    for subscription in &manifest.consumes {
        match &subscription.what {
            Selector::Type(name) => types.push(name.clone()),
            Selector::Category(name) => categories.push(name.clone()),
        }
    }
    Filter::AnyOf { types, categories }
}
