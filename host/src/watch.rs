//! A folder that is looked at again whenever something changes in it, or may have.
//!
//! What lies there is found by looking, again and again; what the system says of changes only makes that happen at once. So nothing
//! depends on a file system that tells of every change, and a folder may be deleted and made again. Knows nothing of what lies there.

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is watched.
pub trait Watched: Send + 'static {
    /// The folders whose changes make it worth a look.
    fn folders(&self) -> Vec<PathBuf>;

    /// Looks, and does what is to be done; answers whether there is anybody for whom to look again.
    fn look(&mut self) -> bool;

    /// How long until there may be something to see that nobody tells of.
    fn pause(&self) -> Duration;
}

/// The one who watches. Its thread ends when this is told to stop, or when there is nobody any more for whom to look.
pub struct Watch {
    wake: SyncSender<Wake>,
    thread: JoinHandle<()>,
}

#[derive(PartialEq, Eq)]
enum Wake {
    Look,
    Stop,
}

/// Changes with the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified_ns: (i64, i64),
}

impl Stamp {
    /// The file as it is now.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            modified_ns: (found.mtime(), found.mtime_nsec()),
        })
    }
}

impl Watch {
    /// Watches from now on, on a thread of this name.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(name: &str, watched: impl Watched) -> io::Result<Self> {
        // One wake that waits is enough, whatever came since.
        let (wake, wakes) = sync_channel(1);
        let told = wake.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || watch(watched, &told, &wakes))?;
        Ok(Self { wake, thread })
    }

    /// Stops watching, and waits for that.
    pub fn stop(self) {
        let _ = self.wake.send(Wake::Stop);
        // One that panicked has said so on standard error.
        let _ = self.thread.join();
    }
}

fn watch(mut watched: impl Watched, wake: &SyncSender<Wake>, wakes: &Receiver<Wake>) {
    let woken = wake.clone();
    let watcher = notify::recommended_watcher(move |told: notify::Result<notify::Event>| {
        // Looking is told of, too, and would never end.
        let is_looking = |event: &notify::Event| {
            event.kind.is_access() && event.kind != EventKind::Access(AccessKind::Close(AccessMode::Write))
        };
        if !told.as_ref().is_ok_and(is_looking) {
            let _ = woken.try_send(Wake::Look);
        }
    });
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let mut watcher = watcher
        .inspect_err(|error| tracing::warn!(folder = name, %error, "changes are not told; it is looked at instead"))
        .ok();
    let mut known = BTreeMap::new();
    loop {
        if let Some(watcher) = &mut watcher {
            rewatch(watcher, &mut known, &watched.folders());
        }
        if !watched.look() {
            return;
        }
        match wakes.recv_timeout(watched.pause()) {
            Ok(Wake::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Watches the folders that are new, or were made again: each by what it is, not by its name.
fn rewatch(watcher: &mut RecommendedWatcher, watched: &mut BTreeMap<PathBuf, (u64, u64)>, folders: &[PathBuf]) {
    let there: BTreeSet<&PathBuf> = folders.iter().collect();
    watched.retain(|path, _| there.contains(path));
    for folder in folders {
        let Ok(found) = fs::metadata(folder) else { continue };
        let identity = (found.dev(), found.ino());
        if watched.get(folder) != Some(&identity) {
            let _ = watcher.unwatch(folder);
            // Where it cannot be watched, it is looked at from time to time.
            if watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() {
                watched.insert(folder.clone(), identity);
            }
        }
    }
}
