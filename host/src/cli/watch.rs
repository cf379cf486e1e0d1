//! `laterna build --watch`: builds a crate anew whenever one of its files was saved.

use super::Failure;
use super::build::{Built, Order};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often the files are looked at. They are few, and looking costs less than being told.
const PAUSE: Duration = Duration::from_millis(50);

/// When a file was written, and its size; `None`: it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// A crate, with the files that it was built from as they were when it was.
struct Watched {
    folder: PathBuf,
    files: BTreeMap<PathBuf, Stamp>,
}

/// Builds, and goes on doing so until the process is ended.
pub fn watch(order: &Order) -> Result<(), Failure> {
    let watched = order.crates.iter().map(|folder| Watched { folder: folder.clone(), files: BTreeMap::new() });
    let mut watched: Vec<Watched> = watched.collect();
    for crate_ in &mut watched {
        crate_.build(order);
    }
    println!("watching; each save builds, Ctrl-C ends it");
    loop {
        std::thread::sleep(PAUSE);
        for crate_ in &mut watched {
            if crate_.has_changed() {
                crate_.build(order);
            }
        }
    }
}

impl Watched {
    fn has_changed(&self) -> bool {
        self.files.iter().any(|(path, known)| stamp(path) != *known)
    }

    /// What is saved while it builds is built next: the files are looked at before.
    fn build(&mut self, order: &Order) {
        let begun = Instant::now();
        let before = |files: Vec<PathBuf>, known: &BTreeMap<PathBuf, Stamp>, at: SystemTime| {
            let stamp_before = |path: PathBuf| {
                // One that was not known before, and is newer than the build, may have been read half.
                let now = stamp(&path).filter(|(written, _)| *written <= at);
                let stamp = known.get(&path).copied().unwrap_or(now);
                (path, stamp)
            };
            files.into_iter().map(stamp_before).collect()
        };
        let at = SystemTime::now();
        let known: BTreeMap<_, _> = self.files.keys().map(|path| (path.clone(), stamp(path))).collect();
        match order.build_one(&self.folder, true) {
            Ok(Built { file, mut sources }) => {
                sources.push(self.folder.join("Cargo.toml"));
                self.files = before(sources, &known, at);
                println!("built {} in {:.1} s", file.display(), begun.elapsed().as_secs_f64());
            }
            Err(failure) => {
                // What it is made of is known from the last time, or guessed.
                let mut sources: Vec<PathBuf> = known.keys().cloned().collect();
                sources.extend(files_of(&self.folder.join("src")));
                sources.push(self.folder.join("Cargo.toml"));
                self.files = before(sources, &known, at);
                println!("{failure}; waiting for the next save");
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// All files in a folder, and in those within.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.flat_map(|path| if path.is_dir() { files_of(&path) } else { vec![path] }).collect()
}
