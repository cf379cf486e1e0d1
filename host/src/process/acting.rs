//! Doing what was decided, from where on it is a release's own to do.

use super::clockwork::Clockwork;
use super::outbox::Outbox;
use crate::clock::Clock;
use crate::log::Log;
use crate::schemas::InForce;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The position behind which the effects of events are still to be done; those up to it are done, or are another release's, or nobody's.
/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Acting {
    behind: Arc<AtomicU64>,
}

impl Acting {
    /// Whatever is decided about events behind this position is to be done.
    #[must_use]
    pub fn behind(position: u64) -> Self {
        Self { behind: Arc::new(AtomicU64::new(position)) }
    }

    /// Nothing is done: for a store that only shows what would be.
    #[must_use]
    pub fn never() -> Self {
        Self::behind(u64::MAX)
    }

    /// The position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.behind.load(Ordering::Acquire)
    }

    /// Up to this position nothing is left to be done.
    pub fn move_to(&self, position: u64) {
        self.behind.store(position, Ordering::Release);
    }
}

impl Default for Acting {
    fn default() -> Self {
        Self::never()
    }
}

/// What it takes to do something.
pub struct Means {
    /// Where effects and timers are appended.
    pub log: Log,
    /// By which timers are due.
    pub clock: Clock,
    /// What effects are checked against.
    pub schemas: InForce,
    /// The limits.
    pub options: Options,
    /// Where it is done.
    pub runtime: Handle,
}

/// Limits of what processes do.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many events may lead to an effect, one by another.
    pub causation_depth: usize,
    /// Bytes of an effect's payload and metadata.
    pub event_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { causation_depth: 50, event_bytes: 1 << 20 }
    }
}

/// Whether something goes on that is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It does.
    GoingOn,
    /// It failed, and is tried again; standard error says why.
    Failing,
    /// It rests until its component goes on.
    Resting,
}

/// Whether it failed when it was tried last. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<AtomicBool>);

impl Health {
    pub(super) fn is_failing(&self, failing: bool) {
        self.0.store(failing, Ordering::Relaxed);
    }

    fn status(&self) -> Status {
        if self.0.load(Ordering::Relaxed) { Status::Failing } else { Status::GoingOn }
    }
}

/// A process that does what it decides. It ends with this.
pub struct Actor {
    done: watch::Receiver<u64>,
    effects: Health,
    timers: Health,
    _stop: DropGuard,
}

impl Means {
    /// Does what the process of this name and module decides, and has decided, in its store.
    #[must_use]
    pub fn act(self: &Arc<Self>, process: &str, module: &str, store: &Store, acting: &Acting) -> Actor {
        let (done, watched) = watch::channel(0);
        let stop = CancellationToken::new();
        let (process, module) = (process.to_owned(), module.to_owned());
        let outbox = Outbox {
            process: process.clone(),
            module: module.clone(),
            store: store.clone(),
            acting: acting.clone(),
            means: Arc::clone(self),
            done,
            health: Health::default(),
        };
        let clockwork = Clockwork {
            process,
            module,
            store: store.clone(),
            means: Arc::clone(self),
            health: Health::default(),
            stuck: BTreeSet::new(),
        };
        let (effects, timers) = (outbox.health.clone(), clockwork.health.clone());
        self.runtime.spawn(outbox.run(stop.clone()));
        self.runtime.spawn(clockwork.run(stop.clone()));
        Actor { done: watched, effects, timers, _stop: stop.drop_guard() }
    }
}

impl Actor {
    /// Watches up to which position everything is done that was decided.
    #[must_use]
    pub fn watch_done(&self) -> watch::Receiver<u64> {
        self.done.clone()
    }

    /// Whether effects are done.
    #[must_use]
    pub fn effects(&self) -> Status {
        self.effects.status()
    }

    /// Whether timers fire.
    #[must_use]
    pub fn timers(&self) -> Status {
        self.timers.status()
    }
}
