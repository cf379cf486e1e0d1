//! The drop folder: `components/<name>.wasm` and `components/<module>/<name>.wasm`, watched.

use super::component::{self, RejectError};
use crate::plugin::{self, is_whole};
use crate::watch::{Stamp, Watch, Watched};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// When a file counts as written.
#[derive(Debug, Clone)]
pub struct Options {
    /// Time without a change after which a file is taken.
    pub settle: Duration,
    /// Time without a change after which a file is taken that has less than its beginning announces.
    pub incomplete: Duration,
    /// Time after which the folder is looked at, whether or not the system told of a change.
    pub rescan: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { settle: Duration::from_millis(100), incomplete: Duration::from_secs(10), rescan: Duration::from_secs(2) }
    }
}

/// A component's file. The operator binds its name and module by where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dropped {
    pub(super) name: String,
    /// Empty for a file that lies in no module's folder.
    pub(super) module: String,
    path: PathBuf,
}

/// What the one who watches has seen.
pub(super) enum Seen {
    /// A file has settled: these are its bytes, or why they cannot be had.
    File(Dropped, Result<Vec<u8>, RejectError>),
    /// These are the components' files that are there, each as of [`file_of`].
    All(BTreeSet<String>),
}

/// The path of a component's file within the folder.
pub(super) fn file_of(module: &str, name: &str) -> String {
    if module.is_empty() { format!("{name}.wasm") } else { format!("{module}/{name}.wasm") }
}

/// Puts a component into the folder, in one piece.
pub(super) fn put(components: &Path, module: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = if module.is_empty() { components.to_owned() } else { components.join(module) };
    fs::create_dir_all(&folder)?;
    // Hidden, so that it is not taken for a component.
    let half = folder.join(format!(".{name}.half"));
    fs::write(&half, bytes)?;
    fs::File::open(&half)?.sync_all()?;
    fs::rename(&half, folder.join(format!("{name}.wasm")))
}

/// What is known of a file.
struct Known {
    stamp: Stamp,
    /// Since when it has not changed.
    since: Instant,
    /// It was read, and has less than its beginning announces.
    is_half: bool,
    taken: bool,
}

impl Known {
    fn new(stamp: Stamp) -> Self {
        Self { stamp, since: Instant::now(), is_half: false, taken: false }
    }
}

/// Looks at the folder, and remembers what it saw.
pub(super) struct Folder {
    components: PathBuf,
    options: Options,
    limits: plugin::Limits,
    known: BTreeMap<PathBuf, Known>,
    all: Option<BTreeSet<String>>,
    is_gone: bool,
    #[cfg(test)]
    looks: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Folder {
    pub(super) fn new(components: PathBuf, options: Options, limits: plugin::Limits) -> Self {
        Self {
            components,
            options,
            limits,
            known: BTreeMap::new(),
            all: None,
            is_gone: false,
            #[cfg(test)]
            looks: std::sync::Arc::default(),
        }
    }

    /// Looks once; answers what is new. At a start everything counts as written: nobody knows for how long it has lain there.
    pub(super) fn look(&mut self, at_start: bool) -> Vec<Seen> {
        #[cfg(test)]
        self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let files = self.files();
        let mut seen = Vec::new();
        let (known, there) =
            (std::mem::take(&mut self.known), |path: &PathBuf| files.iter().any(|file| file.path == *path));
        let (known, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = known.into_iter().partition(|(path, _)| there(path));
        self.known = known;
        // One that was refused beside a file of the same name may be meant now.
        for path in gone.keys() {
            let of_this_name = self.known.iter_mut().filter(|(other, _)| other.file_name() == path.file_name());
            of_this_name.for_each(|(_, known)| known.taken = false);
        }
        for file in &files {
            // One that vanished in between is looked for next time.
            let Ok(stamp) = Stamp::of(&file.path) else { continue };
            let known = self.known.entry(file.path.clone()).or_insert_with(|| Known::new(stamp.clone()));
            if known.stamp != stamp {
                *known = Known::new(stamp.clone());
            }
            let patience = if known.is_half { self.options.incomplete } else { self.options.settle };
            if known.taken || (!at_start && known.since.elapsed() < patience) {
                continue;
            }
            let bytes = component::read(&file.path, &self.limits);
            let is_half = bytes.as_deref().is_ok_and(|bytes| !is_whole(bytes));
            if is_half && !known.is_half && !at_start {
                known.is_half = true;
                continue;
            }
            // It changed while it was read: it is not written yet.
            if Stamp::of(&file.path).ok().as_ref() != Some(&stamp) {
                continue;
            }
            known.taken = true;
            seen.push(Seen::File(file.clone(), bytes));
        }
        let all: BTreeSet<String> = files.iter().map(|file| file_of(&file.module, &file.name)).collect();
        if self.all.as_ref() != Some(&all) {
            self.all = Some(all.clone());
            seen.push(Seen::All(all));
        }
        seen
    }

    /// How long until a file may have settled, or until the folder is looked at anyway.
    fn pause(&self) -> Duration {
        let waits = self.known.values().any(|known| !known.taken);
        let pause = if waits { self.options.settle.min(self.options.rescan) } else { self.options.rescan };
        pause.max(Duration::from_millis(1))
    }

    /// The components' files, by name.
    fn files(&mut self) -> Vec<Dropped> {
        let found = list(&self.components);
        match &found {
            Err(error) if !self.is_gone => {
                tracing::warn!(%error, "the drop folder cannot be read; what serves goes on, and the folder is looked for");
            }
            Ok(_) if self.is_gone => tracing::info!("the drop folder is back"),
            _ => {}
        }
        self.is_gone = found.is_err();
        found.unwrap_or_default()
    }

    /// The folder and those of its modules.
    fn folders(&self) -> Vec<PathBuf> {
        let modules = entries(&self.components).unwrap_or_default().into_iter();
        let modules = modules.filter(|(path, is_folder)| *is_folder && name_of(path).is_some()).map(|(path, _)| path);
        std::iter::once(self.components.clone()).chain(modules).collect()
    }
}

/// Watches the folder from now on; `tell` is called on a thread of its own, and answers whether anybody still listens.
pub(super) fn watch(folder: Folder, tell: impl FnMut(Seen) -> bool + Send + 'static) -> io::Result<Watch> {
    Watch::start("drop-folder", Told { folder, tell })
}

/// The folder, and who is told of what is seen in it.
struct Told<T> {
    folder: Folder,
    tell: T,
}

impl<T: FnMut(Seen) -> bool + Send + 'static> Watched for Told<T> {
    fn folders(&self) -> Vec<PathBuf> {
        self.folder.folders()
    }

    fn look(&mut self) -> bool {
        self.folder.look(false).into_iter().all(&mut self.tell)
    }

    fn pause(&self) -> Duration {
        self.folder.pause()
    }
}

/// Lists the components, by name.
fn list(components: &Path) -> io::Result<Vec<Dropped>> {
    let mut dropped = Vec::new();
    for (path, is_folder) in entries(components)? {
        // A folder that is called like a component is taken for one, and refused as one: somebody meant it so.
        if is_folder && component(path.clone(), "").is_none() {
            let Some(module) = name_of(&path) else { continue };
            // A module's folder that vanishes meanwhile has nothing in it.
            let inside = entries(&path).unwrap_or_default();
            dropped.extend(inside.into_iter().filter_map(|(path, _)| component(path, &module)));
        } else {
            dropped.extend(component(path, ""));
        }
    }
    dropped.sort();
    Ok(dropped)
}

fn component(path: PathBuf, module: &str) -> Option<Dropped> {
    let is_wasm = path.extension().is_some_and(|extension| extension == "wasm");
    let name = path.file_stem()?.to_string_lossy().into_owned();
    // Editors and copying tools write hidden files first.
    (is_wasm && !name.starts_with('.')).then(|| Dropped { name, module: module.to_owned(), path })
}

fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    fs::read_dir(folder)?
        .map(|entry| {
            let path = entry?.path();
            let is_folder = path.is_dir();
            Ok((path, is_folder))
        })
        .collect()
}

/// The name of a module's folder; `None` for a hidden one.
fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    (!name.starts_with('.')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::channel;

    #[test]
    fn it_is_looked_at_when_something_happens_and_not_all_the_time() {
        let components = tempfile::tempdir().expect("a folder");
        let settle = Duration::from_millis(50);
        let options = Options { settle, rescan: Duration::from_secs(3_600), ..Options::default() };
        let folder = Folder::new(components.path().to_owned(), options, plugin::Limits::default());
        let looks = Arc::clone(&folder.looks);
        let (tell, told) = channel();
        let watch = watch(folder, move |seen| tell.send(seen).is_ok()).expect("a thread");
        // It is told of each file without anybody asking,
        for name in ["one", "two", "three"] {
            fs::write(components.path().join(format!("{name}.wasm")), "text").expect("a file");
            let file = loop {
                if let Seen::File(file, _) = told.recv_timeout(Duration::from_secs(60)).expect("it is seen") {
                    break file;
                }
            };
            assert_eq!(file.name, name);
        }
        watch.stop();
        // and looked only then: that it looks is no reason to look.
        let looks = looks.load(Ordering::Relaxed);
        assert!(looks < 60, "{looks} looks for three files");
    }
}
