//! Read models as files: a moment of what serves is copied, shared by all who ask for it, and kept for a while, within a quota.

use super::releases::Component;
use super::serving::{Parts, Serving};
use crate::plugin::Visibility;
use crate::store::export::{Moment, export};
use crate::store::{self, Store};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What the smallest file counts of the quota, so that it bounds their number, too.
const LEAST_BYTES: u64 = 1 << 20;

/// What snapshots may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time that one is kept after it was last asked for.
    pub age: Duration,
    /// Bytes of all that there are.
    pub bytes: u64,
    /// Copied at once; beyond it, others wait for a place.
    pub builds: usize,
    /// Time that one may take, waiting for its place included.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { age: Duration::from_secs(600), bytes: 8 << 30, builds: 1, time: Duration::from_secs(600) }
    }
}

/// Why there is no snapshot.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// There could never be room for it.
    TooLarge {
        /// Bytes that it takes.
        bytes: u64,
        /// Bytes of all that there may be.
        limit: u64,
    },
    /// What is being copied and downloaded leaves no room for it.
    NoRoom {
        /// Bytes that it takes.
        bytes: u64,
        /// Bytes of all that there may be.
        limit: u64,
    },
    /// It took longer than it may.
    TooSlow(Duration),
    /// The store was written too much meanwhile: its write-ahead log grew by more than so many bytes.
    WalGrew(u64),
    /// The host is being stopped.
    Stopped,
    /// It cannot be copied here.
    Failed(Arc<store::Error>),
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// A read model of one moment, as a file. It is removed when the last one has let go of it: who keeps it, and who downloads it.
pub struct SnapshotFile {
    /// The component's name.
    pub component: String,
    /// The module that it belonged to.
    pub module: String,
    /// For whom it is.
    pub visibility: Visibility,
    /// The release.
    pub release: u64,
    /// The position up to which it is the fold of the log.
    pub position: u64,
    /// What no other file has.
    pub id: Uuid,
    /// How many bytes it has.
    pub bytes: u64,
    file: TempFile,
    room: Room,
}

impl SnapshotFile {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.0
    }
}

/// A file that goes when this goes out of scope.
struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Err(error) = store::remove(&self.0) {
            tracing::warn!(%error, "a snapshot that nobody needs could not be removed");
        }
    }
}

/// Bytes of the quota, given back when this goes out of scope.
struct Room {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Room {
    /// Counts what it came to.
    fn set(&mut self, bytes: u64) {
        let bytes = bytes.max(LEAST_BYTES);
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A copy that goes on for as long as somebody waits for it: the last one who lets go of it drops it.
type Build = Shared<BoxFuture<'static, Result<Arc<SnapshotFile>, Refusal>>>;

/// The same, for who does not wait for it.
type WeakBuild = WeakShared<BoxFuture<'static, Result<Arc<SnapshotFile>, Refusal>>>;

/// The position of a copy, once it has begun.
type Begun = Arc<OnceLock<u64>>;

/// A file that is kept.
struct Kept {
    file: Arc<SnapshotFile>,
    asked: Instant,
}

/// A copy that is on its way.
struct UnderWay {
    component: String,
    release: u64,
    begun: Begun,
    build: WeakBuild,
}

/// What there is, and what is on its way.
#[derive(Default)]
struct Shelf {
    kept: Vec<Kept>,
    under_way: Vec<UnderWay>,
    used: Arc<AtomicU64>,
}

/// What was found of a moment.
enum Found {
    Kept(Arc<SnapshotFile>),
    UnderWay(Build),
}

/// Snapshots of read models.
pub struct Snapshots {
    parts: Arc<Parts>,
    places: Arc<Semaphore>,
    shelf: Arc<Mutex<Shelf>>,
    stop: CancellationToken,
}

impl Snapshots {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        let places = Arc::new(Semaphore::new(parts.config.snapshots.builds));
        Self { parts, places, shelf: Arc::default(), stop: CancellationToken::new() }
    }

    /// The newest one that is kept of a component and is as wanted; it is kept on from now.
    #[must_use]
    pub fn kept(&self, component: &str, wanted: impl Fn(&SnapshotFile) -> bool) -> Option<Arc<SnapshotFile>> {
        let age = self.parts.config.snapshots.age;
        lock(&self.shelf).take(age, |file| file.component == component && wanted(file))
    }

    /// A snapshot of what serves, as of now or later. Waits until it is copied; all who ask for the same moment wait for the same.
    ///
    /// # Errors
    /// As of [`Refusal`].
    pub async fn of(&self, component: &Component, live: &Arc<Serving>) -> Result<Arc<SnapshotFile>, Refusal> {
        match self.find(component, live) {
            Found::Kept(file) => Ok(file),
            Found::UnderWay(build) => build.await,
        }
    }

    fn find(&self, component: &Component, live: &Arc<Serving>) -> Found {
        let Component { name, module, .. } = component;
        // What readers were told by now must be in it.
        let position = live.store.progress().applied;
        let mut shelf = lock(&self.shelf);
        let is_it =
            |file: &SnapshotFile| file.component == *name && file.release == live.release && file.position >= position;
        if let Some(kept) = shelf.take(self.parts.config.snapshots.age, is_it) {
            return Found::Kept(kept);
        }
        shelf.under_way.retain(|under_way| under_way.build.upgrade().is_some());
        // One that waits for its place begins later, so it is late enough: no more than one of a release waits.
        let fits = |under_way: &&UnderWay| {
            under_way.component == *name
                && under_way.release == live.release
                && under_way.begun.get().is_none_or(|begun| *begun >= position)
        };
        if let Some(build) = shelf.under_way.iter().find(fits).and_then(|under_way| under_way.build.upgrade()) {
            return Found::UnderWay(build);
        }
        let begun = Begun::default();
        let copy = Copy {
            component: name.clone(),
            module: module.clone(),
            live: Arc::clone(live),
            begun: Arc::clone(&begun),
            parts: Arc::clone(&self.parts),
            shelf: Arc::clone(&self.shelf),
            unwanted: self.stop.child_token(),
        };
        let build = copy.within_its_time(Arc::clone(&self.places)).boxed().shared();
        if let Some(weak) = build.downgrade() {
            shelf.under_way.push(UnderWay { component: name.clone(), release: live.release, begun, build: weak });
        }
        Found::UnderWay(build)
    }

    /// Keeps nothing of this component any longer.
    pub(super) fn forget(&self, component: &str) {
        // Files are removed once the lock is free again.
        let _gone: Vec<Kept> = lock(&self.shelf).kept.extract_if(.., |kept| kept.file.component == component).collect();
    }

    /// Ends what is being copied, and keeps nothing any longer.
    pub(super) fn stop(&self) {
        self.stop.cancel();
        // Files are removed once the lock is free again.
        let _gone = std::mem::take(&mut lock(&self.shelf).kept);
    }
}

impl Shelf {
    /// The newest one that is as wanted, and was asked for within this time.
    fn take(&mut self, age: Duration, wanted: impl Fn(&SnapshotFile) -> bool) -> Option<Arc<SnapshotFile>> {
        let now = Instant::now();
        let found = self.kept.iter_mut().rev().find(|kept| kept.asked + age > now && wanted(&kept.file))?;
        found.asked = now;
        Some(Arc::clone(&found.file))
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes so many bytes of the quota. Those that nobody downloads make room, the one first that was not asked for the longest.
fn reserve(shelf: &Mutex<Shelf>, bytes: u64, limit: u64) -> Result<Room, Refusal> {
    if bytes > limit {
        return Err(Refusal::TooLarge { bytes, limit });
    }
    let mut shelf = lock(shelf);
    let used = Arc::clone(&shelf.used);
    // Whoever takes one takes it from the shelf, which is locked.
    let at_rest = |kept: &Kept| Arc::strong_count(&kept.file) == 1;
    let held: u64 = shelf.kept.iter().filter(|kept| at_rest(kept)).map(|kept| kept.file.room.bytes).sum();
    let is_room = |freed: u64| used.load(Ordering::Relaxed).saturating_sub(freed) + bytes <= limit;
    if !is_room(held) {
        return Err(Refusal::NoRoom { bytes, limit });
    }
    while !is_room(0) {
        let oldest = shelf.kept.iter().enumerate().filter(|(_, kept)| at_rest(kept)).min_by_key(|(_, kept)| kept.asked);
        let Some(oldest) = oldest.map(|(place, _)| place) else { return Err(Refusal::NoRoom { bytes, limit }) };
        drop(shelf.kept.remove(oldest));
    }
    used.fetch_add(bytes, Ordering::Relaxed);
    Ok(Room { used, bytes })
}

/// Lets go of a file once it was not asked for long enough.
async fn expire(shelf: Weak<Mutex<Shelf>>, id: Uuid, age: Duration) {
    while let Some(until) = rest_until(&shelf, id, age) {
        sleep_until(until).await;
    }
}

/// Until when a file is kept as things stand; `None` where it is gone, as it is from here on if its time is over.
fn rest_until(shelf: &Weak<Mutex<Shelf>>, id: Uuid, age: Duration) -> Option<Instant> {
    let shelf = shelf.upgrade()?;
    let mut locked = lock(&shelf);
    let place = locked.kept.iter().position(|kept| kept.file.id == id)?;
    let until = locked.kept[place].asked + age;
    if until > Instant::now() {
        return Some(until);
    }
    let gone = locked.kept.remove(place);
    // Its file is removed once the lock is free again.
    drop(locked);
    drop(gone);
    None
}

/// What it takes to copy what serves.
struct Copy {
    component: String,
    module: String,
    live: Arc<Serving>,
    begun: Begun,
    parts: Arc<Parts>,
    shelf: Arc<Mutex<Shelf>>,
    unwanted: CancellationToken,
}

impl Copy {
    async fn within_its_time(self, places: Arc<Semaphore>) -> Result<Arc<SnapshotFile>, Refusal> {
        let most = self.parts.config.snapshots.time;
        timeout(most, self.run(places)).await.unwrap_or(Err(Refusal::TooSlow(most)))
    }

    async fn run(self, places: Arc<Semaphore>) -> Result<Arc<SnapshotFile>, Refusal> {
        // Where nobody waits any more this is dropped, and the thread hears of it.
        let _wanted = self.unwanted.clone().drop_guard();
        let (shelf, age) = (Arc::clone(&self.shelf), self.parts.config.snapshots.age);
        let place = places.acquire_owned().await.map_err(|_| Refusal::Stopped)?;
        let copying = spawn_blocking(move || {
            // It has its place until the thread has ended, however it ends.
            let _place = place;
            self.copy()
        });
        let file = Arc::new(copying.await.map_err(|_| store::Error::Closed)??);
        lock(&shelf).kept.push(Kept { file: Arc::clone(&file), asked: Instant::now() });
        tokio::spawn(expire(Arc::downgrade(&shelf), file.id, age));
        Ok(file)
    }

    /// Blocks.
    fn copy(self) -> Result<SnapshotFile, Refusal> {
        let Self { component, module, live, begun, parts, shelf, unwanted } = self;
        let id = Uuid::now_v7();
        let file = TempFile(parts.data.scratch().join(format!("{component}-{}-{id}.db", live.release)));
        let (mut room, mut position) = (None, 0);
        let hear = |moment: Moment| {
            position = moment.position;
            let _ = begun.set(position);
            // Laid out anew it may take a little more than there.
            let bytes = (moment.bytes + moment.bytes / 8).max(LEAST_BYTES);
            room = Some(reserve(&shelf, bytes, parts.config.snapshots.bytes)?);
            Ok(())
        };
        export(&live.store, &file.0, hear, watch(&live.store, parts.config.verify.wal_bytes, unwanted))?;
        let Some(mut room) = room else { return Err(store::Error::Closed.into()) };
        let written = std::fs::metadata(&file.0);
        let bytes = written.map_err(|source| store::Error::File { path: file.0.clone(), source })?.len();
        room.set(bytes);
        let visibility = live.plugin.manifest().visibility;
        Ok(SnapshotFile { component, module, visibility, release: live.release, position, id, bytes, file, room })
    }
}

/// Whether a copy may go on.
fn watch(store: &Store, wal_bytes: u64, unwanted: CancellationToken) -> impl FnMut() -> Result<(), Refusal> + use<> {
    let (store, allowed) = (store.clone(), store.wal_bytes() + wal_bytes);
    move || {
        if unwanted.is_cancelled() {
            return Err(Refusal::Stopped);
        }
        if store.wal_bytes() > allowed {
            return Err(Refusal::WalGrew(wal_bytes));
        }
        Ok(())
    }
}
