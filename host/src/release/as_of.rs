//! What a read model was as of a position: a scratch that is folded up to there, and kept for as long as it is asked for.

use super::control::Record;
use super::releases::Component;
use super::scratch::Scratch;
use super::serving::{Parts, Serving};
use crate::log::{Filter, Log};
use crate::plugin::Plugin;
use crate::projector::{self, Halt, consumed};
use crate::store::{Progress, Store};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

/// Positions among which events are counted at once: so long a reader of the log is taken, and so often the time is looked at.
const COUNTED_POSITIONS: u64 = 100_000;

/// What answers as of a position may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Events that may be folded for one.
    pub events: u64,
    /// Time that folding for one may take.
    pub time: Duration,
    /// Stores that are kept for those who ask again.
    pub stores: usize,
    /// Folds that go on at once; beyond it, others wait for a place.
    pub builds: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 1_000_000, time: Duration::from_secs(30), stores: 8, builds: 2 }
    }
}

/// Why there is no answer as of a position.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// More events had to be folded than may be.
    TooFar {
        /// So many at least.
        events: u64,
        /// So many may be.
        limit: u64,
    },
    /// It took longer than it may, or than who asks would wait.
    TooSlow {
        /// The position that it came to; `None` where it had not begun.
        reached: Option<u64>,
    },
    /// The component halts before it gets there.
    Halted {
        /// The position that it comes to.
        reached: u64,
        /// Why not further.
        halt: Halt,
    },
    /// It cannot be folded here; the host's standard error says why.
    Failed,
}

/// A read model of a release as of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    component: String,
    release: u64,
    position: u64,
}

/// A fold that goes on for as long as somebody waits for it: the last one who lets go of it drops it.
type Build = Shared<BoxFuture<'static, Result<Store, Refusal>>>;

/// The same, for who does not wait for it.
type WeakBuild = WeakShared<BoxFuture<'static, Result<Store, Refusal>>>;

/// How far a fold is, once it has begun.
type Reached = Arc<OnceLock<watch::Receiver<Progress>>>;

/// What there is, and what is on its way.
#[derive(Default)]
struct Shelf {
    /// The one that was asked for last stands last.
    finished: Vec<(Key, Store)>,
    under_way: Vec<(Key, Reached, WeakBuild)>,
}

/// What was found for a key.
enum Found {
    Finished(Store),
    UnderWay(Build, Reached),
}

/// Read models as of positions.
pub(super) struct AsOf {
    parts: Arc<Parts>,
    places: Arc<Semaphore>,
    shelf: Arc<Mutex<Shelf>>,
}

impl AsOf {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        let places = Arc::new(Semaphore::new(parts.config.as_of.builds));
        Self { parts, places, shelf: Arc::default() }
    }

    /// Keeps the finished ones of these components and releases only.
    pub(super) fn forget_unless(&self, is_kept: impl Fn(&str, u64) -> bool) {
        let keys: Vec<Key> = lock(&self.shelf).finished.iter().map(|(key, _)| key.clone()).collect();
        let (_, gone): (Vec<Key>, Vec<Key>) = keys.into_iter().partition(|key| is_kept(&key.component, key.release));
        if gone.is_empty() {
            return;
        }
        // Their files are removed once the lock is free again.
        let _gone: Vec<(Key, Store)> =
            lock(&self.shelf).finished.extract_if(.., |(key, _)| gone.contains(key)).collect();
    }

    /// The store of a release folded up to this position; waits for it until `deadline`.
    ///
    /// # Errors
    /// As of [`Refusal`].
    pub(super) async fn store(
        &self,
        component: &Component,
        live: &Serving,
        position: u64,
        deadline: Instant,
    ) -> Result<Store, Refusal> {
        if let Some(halted) = halts_before(live, position) {
            return Err(halted);
        }
        let record = component.release(live.release).cloned().ok_or(Refusal::Failed)?;
        // What was given up meanwhile counts no longer.
        let record = Record { discarded: live.terms.discarded.all(), ..record };
        let key = Key { component: component.name.clone(), release: live.release, position };
        let (build, reached) = match self.find(key, record, live.plugin.clone()) {
            Found::Finished(store) => return Ok(store),
            Found::UnderWay(build, reached) => (build, reached),
        };
        timeout_at(deadline, build).await.unwrap_or_else(|_| Err(too_slow(&reached)))
    }

    /// What there is for this key, or a fold that is shared by all who ask for it.
    fn find(&self, key: Key, record: Record, plugin: Plugin) -> Found {
        let mut shelf = lock(&self.shelf);
        if let Some(store) = shelf.take(&key) {
            shelf.finished.push((key, store.clone()));
            return Found::Finished(store);
        }
        shelf.under_way.retain(|(.., build)| build.upgrade().is_some());
        let known = shelf.under_way.iter().find(|(known, ..)| *known == key);
        if let Some((_, reached, build)) = known
            && let Some(build) = build.upgrade()
        {
            return Found::UnderWay(build, Arc::clone(reached));
        }
        let fold = self.fold(key.clone(), record, plugin);
        let reached = Arc::clone(&fold.reached);
        let (kept, room, finished) = (Arc::clone(&self.shelf), self.parts.config.as_of.stores, key.clone());
        let build = async move {
            let store = fold.within_its_time().await?;
            let no_room = lock(&kept).put(finished, store.clone(), room);
            // Their files are removed now that the lock is free again.
            drop(no_room);
            Ok(store)
        };
        let build = build.boxed().shared();
        if let Some(weak) = build.downgrade() {
            shelf.under_way.push((key, Arc::clone(&reached), weak));
        }
        Found::UnderWay(build, reached)
    }

    fn fold(&self, key: Key, record: Record, plugin: Plugin) -> Fold {
        let (parts, places) = (Arc::clone(&self.parts), Arc::clone(&self.places));
        Fold { parts, places, key, record, plugin, reached: Reached::default() }
    }

    /// A store folded up to this position by the terms of a release that is not there, for the one who asks.
    ///
    /// # Errors
    /// As of [`Refusal`].
    pub(super) async fn rehearse(&self, record: Record, plugin: Plugin, position: u64) -> Result<Store, Refusal> {
        let key = Key { component: plugin.manifest().name.clone(), release: record.release, position };
        self.fold(key, record, plugin).within_its_time().await
    }
}

impl Shelf {
    fn take(&mut self, key: &Key) -> Option<Store> {
        let index = self.finished.iter().position(|(known, _)| known == key)?;
        Some(self.finished.remove(index).1)
    }

    /// Puts a finished one in; answers those that have to make room.
    fn put(&mut self, key: Key, store: Store, room: usize) -> Vec<(Key, Store)> {
        self.finished.push((key, store));
        let beyond = self.finished.len().saturating_sub(room);
        self.finished.drain(..beyond).collect()
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is known that a release cannot come so far: what ended it at an event ends each fold of it there.
fn halts_before(live: &Serving, position: u64) -> Option<Refusal> {
    match live.running.state() {
        projector::State::Halted(halt) if !matches!(halt, Halt::Machine { .. }) => {
            let reached = live.store.progress().applied;
            (reached < position).then_some(Refusal::Halted { reached, halt })
        }
        _ => None,
    }
}

fn too_slow(reached: &Reached) -> Refusal {
    Refusal::TooSlow { reached: reached.get().map(|progress| progress.borrow().applied) }
}

/// What is said on standard error alone: it may name a file.
fn failed(key: &Key, error: &dyn Display) -> Refusal {
    let Key { component, release, position } = key;
    tracing::error!(component, release, position, %error, "it could not be folded up to a position");
    Refusal::Failed
}

/// What it takes to fold a release up to a position.
struct Fold {
    parts: Arc<Parts>,
    places: Arc<Semaphore>,
    key: Key,
    record: Record,
    plugin: Plugin,
    reached: Reached,
}

impl Fold {
    async fn within_its_time(self) -> Result<Store, Refusal> {
        let (deadline, reached) = (Instant::now() + self.parts.config.as_of.time, Arc::clone(&self.reached));
        timeout_at(deadline, self.run()).await.unwrap_or_else(|_| Err(too_slow(&reached)))
    }

    async fn run(self) -> Result<Store, Refusal> {
        let Self { parts, places, key, record, plugin, reached } = self;
        let limit = parts.config.as_of.events;
        let filter = consumed(plugin.manifest(), &record.module);
        let counted = count(&parts.log, &filter, key.position, limit).await;
        let events = counted.map_err(|error| failed(&key, &error))?;
        if events > limit {
            return Err(Refusal::TooFar { events, limit });
        }
        let place = places.acquire_owned().await.map_err(|error| failed(&key, &error))?;
        let starting = (Arc::clone(&parts), key.position, Handle::current());
        let started = spawn_blocking(move || {
            let (parts, position, runtime) = starting;
            // It stands there once and for all, so nobody has to go on saying so.
            let (_, behind) = watch::channel(Progress { written: position, applied: position });
            let scratch = Scratch::start(&parts, &record, plugin, Some(behind))?;
            Ok::<_, super::RejectError>(Folding { scratch, place: Some(place), runtime })
        });
        let started = started.await.map_err(|error| failed(&key, &error))?;
        let folding = started.map_err(|error| failed(&key, &error))?;
        let _ = reached.set(folding.scratch.serving.store.watch_progress());
        folding.up_to(key.position).await
    }
}

/// How many events up to this position a filter wants, but no more than one beyond the limit.
async fn count(log: &Log, filter: &Filter, position: u64, limit: u64) -> Result<u64, crate::log::Error> {
    let (mut events, mut after) = (0, 0);
    // There are no more events than positions.
    while position > limit && after < position && events <= limit {
        let (up_to, at_most) = (position.min(after.saturating_add(COUNTED_POSITIONS)), limit + 1 - events);
        let filter = filter.clone();
        events += log.read(move |reader| reader.count(after, up_to, &filter, at_most)).await?;
        after = up_to;
    }
    Ok(events)
}

/// A fold that goes on. It has its place until its thread has ended, however it ends.
struct Folding {
    scratch: Scratch,
    place: Option<OwnedSemaphorePermit>,
    runtime: Handle,
}

impl Folding {
    /// Waits until it stands there, and stops it: what stays is its store, which nobody writes any more.
    async fn up_to(self, position: u64) -> Result<Store, Refusal> {
        let Serving { store, running, .. } = &self.scratch.serving;
        let (mut progress, mut state) = (store.watch_progress(), running.watch_state());
        tokio::select! {
            biased;
            _ = progress.wait_for(|progress| progress.applied >= position) => {}
            _ = state.wait_for(|state| !state.is_folding()) => {}
        }
        let reached = store.progress().applied;
        if reached != position {
            return Err(match running.state() {
                projector::State::Halted(halt) => Refusal::Halted { reached, halt },
                _ => Refusal::Failed,
            });
        }
        running.begin_stop();
        // It waits for more than it may fold, so it ends at once.
        let _ = state.wait_for(|state| !state.is_folding()).await;
        Ok(store.clone())
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        let running = &self.scratch.serving.running;
        running.begin_stop();
        let (mut state, place) = (running.watch_state(), self.place.take());
        self.runtime.spawn(async move {
            // Its batch under way has to end first.
            let _ = state.wait_for(|state| !state.is_folding()).await;
            drop(place);
        });
    }
}
