//! `laterna build --watch`: builds a crate anew whenever one of its files was saved.

use super::build::{Built, Order};
use super::connect::{Client, segment};
use super::{Failure, show};
use crate::data_dir::DataDir;
use crate::plugin::{Engine, Limits};
use crate::release;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often the files are looked at. They are few, and looking costs less than being told.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the host is waited for, until the next save is looked for again.
const PATIENCE: Duration = Duration::from_secs(10);

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
                println!("{}", outcome(&order.out, &file).unwrap_or_else(|failure| failure.to_string()));
            }
            Err(failure) => println!("{failure}; waiting for the next save"),
        }
    }
}

/// What becomes of a component: where it goes into the drop folder of a host that runs, that host says so.
fn outcome(out: &Path, file: &Path) -> Result<String, Failure> {
    let limits = Limits::default();
    let bytes = release::read(file, &limits)?;
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let engine = Engine::new(None).map_err(|error| format!("{error:#}"))?;
    if let Err(error) = release::check(&engine, &name, &bytes, &limits) {
        return Err(format!("it is refused ({}): {error}", error.code()).into());
    }
    let out = out.canonicalize()?;
    let data = out.parent().filter(|_| out.ends_with("components"));
    let data = data.filter(|data| data.join("log.db").is_file()).and_then(|data| DataDir::open(data).ok());
    let Some(client) = data.and_then(|data| Client::local(&data)) else {
        return Ok("it is in order; no host takes it from here".to_owned());
    };
    let digest = blake3::hash(&bytes).to_hex().to_string();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        std::thread::sleep(PAUSE);
        let Ok(projection) = client.get(&format!("/projections/{}", segment(&name))) else { continue };
        let releases = projection.body["releases"].as_array().cloned().unwrap_or_default();
        let Some(found) = releases.iter().find(|release| release["digest"] == digest.as_str()) else { continue };
        let (number, state) = (show::cell(&found["release"]), show::cell(&found["state"]));
        match state.as_str() {
            "received" | "checked" | "building" | "verifying" | "returning" | "warm" | "retired" => {}
            "live" => return Ok(format!("release {number} of `{name}` serves")),
            "held" => {
                let reason = show::cell(&found["reason"]);
                return Ok(format!(
                    "release {number} of `{name}` is held: {reason}; `laterna diff {name}` shows what it changes"
                ));
            }
            _ => {
                return Err(format!("release {number} of `{name}` is {state}: {}", show::cell(&found["reason"])).into());
            }
        }
    }
    Ok(format!("it is being built; `laterna status {name}` shows how far it is"))
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
