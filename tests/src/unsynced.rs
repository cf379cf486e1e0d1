//! A disk whose power can be cut: a SQLite VFS that remembers what the disk was not yet told to keep.
//!
//! From the first [`Disk::watch`] on it is the process's default VFS, so that what is tested needs no seam. SQLite goes on
//! using real files through the system's VFS; beside that, for each file of a watched folder, it keeps the bytes as of the
//! last sync, and what was done to the file since then.
//!
//! What it models:
//! * A write or a truncation is certain to last once its file was synced. Until then any part of it may last: all, none,
//!   or some of its 512-byte sectors, whatever became of those before and after it. Bytes beside the written ones are
//!   never harmed, which is what SQLite takes for granted ("powersafe overwrite").
//! * A file is certain to be found once it was synced, and a deletion is certain once the folder was synced: at SQLite's
//!   request, or, as the unix VFS does it, by the first sync of a new journal or WAL. Until then, either may have happened.
//! * A killed process leaves everything in its files, but no more of it is certain to last than before.
//!
//! What it doesn't: disks that lie about a sync, writes that a failed sync loses for good, bits that rot, memory-mapped
//! writes (not offered to SQLite), and files that are changed past SQLite. The `-shm` file is not of the disk: SQLite builds
//! it anew. The real disk is never synced, since nothing here hangs on it.

mod vfs;

use rusqlite::ffi;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString, c_int};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

/// What a disk writes as a whole, or not at all.
const SECTOR: usize = 512;

/// The folders that are watched.
static WATCHED: Mutex<Vec<Weak<Folder>>> = Mutex::new(Vec::new());

/// A folder as a disk sees it. Watched until every clone of this is gone and SQLite has closed the folder's files.
#[derive(Clone)]
pub struct Disk(Arc<Folder>);

/// What is called in the thread that makes the change, while the change waits.
type Witness = Box<dyn FnOnce(&Disk) + Send>;

struct Folder {
    path: PathBuf,
    /// One lock for all files of the folder, so that an image shows one instant.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<OsString, Entry>,
    instants: u64,
    witness: Option<(u64, Witness)>,
    /// So many of the next syncs fail.
    failing_syncs: u64,
}

/// What a name in the folder may lead to after a power loss.
#[derive(Clone, Default)]
struct Entry {
    /// What it leads to for running processes.
    now: Option<File>,
    /// What it led to when the folder was last synced, unless it is certain by now to lead elsewhere.
    before: Option<File>,
}

#[derive(Clone, Default)]
struct File {
    /// The bytes as of the last sync.
    synced: Vec<u8>,
    /// What was done since then.
    unsynced: Vec<Change>,
    /// Certain to be found under its name.
    entered: bool,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

impl Disk {
    /// Watches what SQLite does to the files of this folder. Those that it opened before are not seen.
    ///
    /// # Panics
    /// There is no such folder.
    #[must_use]
    pub fn watch(folder: &Path) -> Self {
        Self::with(folder, BTreeMap::new())
    }

    fn with(folder: &Path, entries: BTreeMap<OsString, Entry>) -> Self {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(vfs::register);
        let path = folder.canonicalize().expect("the watched folder exists");
        let folder = Arc::new(Folder { path, state: Mutex::new(State { entries, ..State::default() }) });
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|folder| folder.strong_count() > 0);
        watched.push(Arc::downgrade(&folder));
        Self(folder)
    }

    /// The disk that a file is on, and its name there, if its folder is watched.
    fn of(file: &Path) -> Option<(Self, OsString)> {
        let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = watched.iter().filter_map(Weak::upgrade).find(|folder| file.parent() == Some(&folder.path))?;
        Some((Self(folder), file.file_name()?.to_owned()))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How many instants have passed: there is one before and one after each write, truncation, sync and deletion.
    #[must_use]
    pub fn instants(&self) -> u64 {
        self.state().instants
    }

    /// Calls `witness` once so many instants have passed, in the thread that changes the disk, which stands still for as
    /// long. There is one witness at a time.
    pub fn at_instant(&self, instant: u64, witness: impl FnOnce(&Self) + Send + 'static) {
        self.state().witness = Some((instant, Box::new(witness)));
    }

    /// Lets so many of the next syncs fail. What they were to sync may last or not, as before.
    pub fn fail_syncs(&self, syncs: u64) {
        self.state().failing_syncs = syncs;
    }

    /// Writes into an empty folder what is found there after a power loss at this instant, one of the many that are
    /// possible. All of it is certain to last.
    ///
    /// # Panics
    /// The folder cannot be written.
    pub fn power_loss(&self, into: &Path, rng: &mut fastrand::Rng) -> Self {
        let mut left = BTreeMap::new();
        for (name, Entry { now, before }) in &self.state().entries {
            let certain = now.as_ref().is_some_and(|file| file.entered);
            let file = if certain || rng.bool() { now } else { before };
            if let Some(file) = file {
                left.insert(name.clone(), Entry { now: Some(file.after_power_loss(rng)), before: None });
            }
        }
        Self::write(into, left)
    }

    /// Writes into an empty folder what is found there after the process was killed at this instant. What was not synced
    /// is still not certain to last.
    ///
    /// # Panics
    /// The folder cannot be written.
    pub fn kill(&self, into: &Path) -> Self {
        let left = self.state().entries.clone();
        Self::write(into, left)
    }

    fn write(into: &Path, entries: BTreeMap<OsString, Entry>) -> Self {
        for (name, entry) in &entries {
            if let Some(file) = &entry.now {
                std::fs::write(into.join(name), file.current()).expect("an image can be written");
            }
        }
        Self::with(into, entries)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_instant(&self) {
        let witness = {
            let mut state = self.state();
            state.instants += 1;
            let instants = state.instants;
            state.witness.take_if(|(instant, _)| *instant <= instants)
        };
        // Without the lock: the witness may ask the disk for images.
        if let Some((_, witness)) = witness {
            witness(self);
        }
    }

    /// What the next sync answers.
    fn sync(&self) -> c_int {
        let mut state = self.state();
        let fails = state.failing_syncs > 0;
        state.failing_syncs = state.failing_syncs.saturating_sub(1);
        if fails { ffi::SQLITE_IOERR_FSYNC } else { ffi::SQLITE_OK }
    }

    /// Makes a change to the real files, and notes it if it worked.
    fn change(&self, real: impl FnOnce() -> c_int, note: impl FnOnce(&mut State)) -> c_int {
        self.pass_instant();
        let code = real();
        if code == ffi::SQLITE_OK {
            note(&mut self.state());
        }
        self.pass_instant();
        code
    }
}

impl State {
    fn knows(&self, name: &OsStr) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.now.is_some())
    }

    /// Notes that a file was opened; `found` are its bytes, if it was there and not known yet.
    fn opened(&mut self, name: &OsStr, found: Option<Vec<u8>>) {
        let entry = self.entries.entry(name.to_owned()).or_default();
        entry.now.get_or_insert_with(|| {
            let entered = found.is_some();
            File { synced: found.unwrap_or_default(), unsynced: Vec::new(), entered }
        });
    }

    fn changed(&mut self, name: &OsStr, change: Change) {
        if let Some(file) = self.entries.get_mut(name).and_then(|entry| entry.now.as_mut()) {
            file.unsynced.push(change);
        }
    }

    fn synced(&mut self, name: &OsStr) {
        if let Some(Entry { now: Some(file), before }) = self.entries.get_mut(name) {
            file.unsynced.drain(..).for_each(|change| change.apply(&mut file.synced));
            file.entered = true;
            *before = None;
        }
    }

    fn deleted(&mut self, name: &OsStr) {
        if let Some(entry) = self.entries.get_mut(name)
            && let Some(file) = entry.now.take()
            && file.entered
        {
            entry.before = Some(file);
        }
    }

    fn folder_synced(&mut self) {
        for entry in self.entries.values_mut() {
            entry.before = None;
            if let Some(file) = &mut entry.now {
                file.entered = true;
            }
        }
    }
}

impl File {
    /// The bytes that running processes read.
    fn current(&self) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        self.unsynced.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    }

    /// What may be left of it. The disk was busy writing back when the power went: it had come to some change, and of
    /// those up to there it had done some, most, or all.
    fn after_power_loss(&self, rng: &mut fastrand::Rng) -> Self {
        let reached = if rng.bool() { self.unsynced.len() } else { rng.usize(..=self.unsynced.len()) };
        let chance = *rng.choice(&[0.2, 0.5, 0.9, 1.0]).unwrap_or(&1.0);
        let mut synced = self.synced.clone();
        for change in &self.unsynced[..reached] {
            if rng.f64() < chance {
                change.apply(&mut synced);
            } else if rng.bool() {
                change.apply_torn(&mut synced, rng);
            }
        }
        Self { synced, unsynced: Vec::new(), entered: true }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write_at(file, *at, bytes),
            Self::Truncate { len } => file.resize(*len, 0),
        }
    }

    /// Writes some sectors only. A truncation is never torn.
    fn apply_torn(&self, file: &mut Vec<u8>, rng: &mut fastrand::Rng) {
        let Self::Write { at, bytes } = self else { return };
        let (mut at, mut bytes) = (*at, &bytes[..]);
        while !bytes.is_empty() {
            let (sector, rest) = bytes.split_at(bytes.len().min(SECTOR - at % SECTOR));
            if rng.bool() {
                write_at(file, at, sector);
            }
            (at, bytes) = (at + sector.len(), rest);
        }
    }
}

fn write_at(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    file.resize(file.len().max(end), 0);
    file[at..end].copy_from_slice(bytes);
}
