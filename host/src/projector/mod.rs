//! Folding: for each projection one thread reads the log ahead, one folds its batches into a read store.
//!
//! Here the log, the components and the stores meet: the log's events become a component's batches, and a component's SQL runs in
//! the store's session. The projector knows nothing of files in a folder, of releases or of HTTP.
//!
//! In reading order:
//! * `window`: pieces of the log that are read once for all who stand close together
//! * `feed`: the log, filtered, as batches ahead of the one who folds
//! * `pace`: how far one may fold for now
//! * [`parking`]: which events are set aside
//! * `fold`: a batch and its checkpoint in one transaction; a failing one narrowed down to its event
//! * `database`: a store's session as a component sees it
//! * `replay`: events that stand in no log, folded here and now
//! * `tally`: how much was folded, in how much time
//! * `running`: the threads of one projection, and how it stands

mod database;
mod feed;
mod fold;
mod pace;
pub mod parking;
mod replay;
mod running;
mod tally;
mod window;

pub use fold::{HIDDEN, Halt};
pub use pace::Held;
pub use parking::Discarded;
pub use replay::replay;
pub use running::{Error, Running, State};
pub use tally::Covered;

use crate::log::{Filter, Log, Sight, Which};
use crate::plugin::{Batch, Manifest, Selector, Upcasting};
use crate::process::{Acting, streams};
use std::sync::Arc;
use tokio::runtime::Handle;
use window::Window;

/// What every projection folds from. Cheap to clone.
#[derive(Clone)]
pub struct Projector {
    log: Log,
    options: Options,
    window: Arc<Window>,
    runtime: Handle,
}

impl Projector {
    /// Folds from this log. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(log: &Log, options: &Options) -> Self {
        let window = Window::new(window::Limits {
            bytes: options.window_bytes,
            piece_events: options.batch_events,
            piece_bytes: options.batch_bytes,
        });
        Self { log: log.clone(), options: options.clone(), window: Arc::new(window), runtime: Handle::current() }
    }
}

/// What a release folds by, besides its component: fixed with it, but for what an operator gives up.
#[derive(Clone)]
pub struct Terms {
    /// The module that it belongs to; empty for none.
    pub module: String,
    /// How older versions of events come to the one that the component handles.
    pub upcasting: Upcasting,
    /// Events that may be set aside; beyond it the projection halts.
    pub parked_events: u64,
    /// The sequences that were given up.
    pub discarded: Discarded,
    /// From where on what a process manager decides is to be done.
    pub acting: Acting,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            module: String::new(),
            upcasting: Upcasting::default(),
            parked_events: 1_000,
            discarded: Discarded::default(),
            acting: Acting::never(),
        }
    }
}

/// How the log is fed to a projection.
#[derive(Debug, Clone)]
pub struct Options {
    /// Events in a batch at most.
    pub batch_events: usize,
    /// Bytes in a batch at most, give or take one event.
    pub batch_bytes: usize,
    /// Batches that are read ahead of the one that is folded.
    pub ahead: usize,
    /// Bytes of the log that are kept for projections and builds that stand close together.
    pub window_bytes: usize,
    /// Positions without an event for the component after which its checkpoint is written all the same.
    pub checkpoint_positions: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_events: 10_000,
            batch_bytes: 8 << 20,
            ahead: 2,
            window_bytes: 64 << 20,
            checkpoint_positions: 10_000,
        }
    }
}

impl Options {
    fn has_room(&self, batch: &Batch) -> bool {
        batch.len() < self.batch_events && batch.bytes() < self.batch_bytes
    }
}

/// What of the log a component of this module consumes.
#[must_use]
pub fn consumed(manifest: &Manifest, module: &str) -> Filter {
    let (mut types, mut categories) = (Vec::new(), Vec::new());
    for subscription in &manifest.consumes {
        match &subscription.what {
            Selector::Type(name) => types.push(name.clone()),
            Selector::Category(name) => categories.push(name.clone()),
        }
    }
    if manifest.process.is_some() {
        categories.push(streams::of(&manifest.name));
    }
    let which = if manifest.consumes.is_empty() { Which::All } else { Which::AnyOf { types, categories } };
    Filter { which, sight: Sight::Inside(module.to_owned()) }
}
