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

type Files = BTreeMap<PathBuf, Stamp>;

/// A crate, with its files as they were when it was built.
struct Watched {
    folder: PathBuf,
    /// What cargo made it from, which may lie anywhere.
    sources: Vec<PathBuf>,
    seen: Files,
}

/// Builds, and goes on doing so until the process is ended.
pub fn watch(order: &Order) -> Result<(), Failure> {
    let watched = |folder: &PathBuf| Watched { folder: folder.clone(), sources: Vec::new(), seen: Files::new() };
    let mut watched: Vec<Watched> = order.crates.iter().map(watched).collect();
    for crate_ in &mut watched {
        crate_.build(order);
    }
    println!("watching; each save builds, Ctrl-C ends it");
    loop {
        std::thread::sleep(PAUSE);
        for crate_ in &mut watched {
            if crate_.look() != crate_.seen {
                crate_.build(order);
            }
        }
    }
}

impl Watched {
    /// Its sources, and whatever lies in `src`: a file that is missing must be seen when it comes.
    fn look(&self) -> Files {
        let mut files = files_of(&self.folder.join("src"));
        files.push(self.folder.join("Cargo.toml"));
        files.extend(self.sources.iter().cloned());
        files.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
    }

    fn build(&mut self, order: &Order) {
        let (begun, begun_at) = (Instant::now(), SystemTime::now());
        // What is saved while it builds is built next.
        self.seen = self.look();
        match order.build_one(&self.folder, true) {
            Ok(Built { file, sources }) => {
                self.sources = sources;
                for (path, stamp) in self.look() {
                    // Of one that was not known before, and was written since, half may have been read.
                    let stamp = stamp.filter(|(written, _)| *written < begun_at);
                    self.seen.entry(path).or_insert(stamp);
                }
                println!("built {} in {:.1} s", file.display(), begun.elapsed().as_secs_f64());
            }
            Err(failure) => println!("{failure}; waiting for the next save"),
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// All files in a folder, and in those within, but for what editors keep beside a file.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_editors = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        name.starts_with('.') || name.ends_with('~') || name.ends_with(".swp")
    };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| !is_editors(path));
    paths.flat_map(|path| if path.is_dir() { files_of(&path) } else { vec![path] }).collect()
}
