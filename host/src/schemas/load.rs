//! Looks at the folder, and says what is in force from now on.
//!
//! A file is taken when it has not changed for a while; until then, what was in force from it before stays in force. So does it where the
//! file turns out to be broken, or where another file claims the same events. A file that is gone counts as removed after the same while:
//! many an editor removes a file before it writes it anew.

use super::files::{self, Format, Found, Key};
use super::registry::{Entry, Problem, Registry};
use super::schema::Schema;
use super::{Error, Options};
use crate::watch::{Stamp, Watched};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The one who looks, and remembers what it saw.
pub(super) struct Folder {
    path: PathBuf,
    options: Options,
    /// By their paths within the folder.
    known: BTreeMap<String, Known>,
    /// What is wrong with the folder itself.
    out_of_order: Option<String>,
    current: Arc<RwLock<Arc<Registry>>>,
    /// Something was taken, or is gone, that is not shown yet.
    changed: bool,
}

/// What is known of a file.
struct Known {
    format: Format,
    key: Result<Key, String>,
    stamp: Stamp,
    /// Since when it has not changed, or has been gone.
    since: Instant,
    taken: bool,
    is_gone: bool,
    /// The last content that could be used.
    schema: Option<Arc<Schema>>,
    /// What is wrong with the content that was taken last.
    fault: Option<String>,
}

impl Folder {
    pub(super) fn new(path: PathBuf, options: Options, current: Arc<RwLock<Arc<Registry>>>) -> Self {
        Self { path, options, known: BTreeMap::new(), out_of_order: None, current, changed: false }
    }

    /// Takes everything as it lies: nobody knows for how long it has lain there.
    ///
    /// # Errors
    /// What is in the folder cannot be said.
    pub(super) fn load(&mut self) -> Result<(), Error> {
        let found = files::list(&self.path, self.options.files);
        let found = found.map_err(|source| Error::Folder { path: self.path.clone(), source })?;
        if found.len() > self.options.files {
            return Err(Error::TooMany { path: self.path.clone(), files: self.options.files });
        }
        self.take(found, Duration::ZERO);
        self.show();
        Ok(())
    }

    /// Looks once. Where that cannot be done as a whole, everything stays as it is.
    fn look_again(&mut self) {
        let most = self.options.files;
        let out_of_order = match files::list(&self.path, most) {
            Ok(found) if found.len() > most => Some(format!(
                "there are more than {most} schemas, and no change is taken: remove some, or raise `schema_files`"
            )),
            Ok(found) => {
                self.take(found, self.options.settle);
                None
            }
            Err(error) => Some(format!("the folder cannot be read, and what is in force stays: {error}")),
        };
        self.changed |= self.out_of_order != out_of_order;
        self.out_of_order = out_of_order;
        if self.changed {
            self.show();
        }
    }

    /// Takes the files that have settled, and forgets those that have been gone for as long.
    fn take(&mut self, found: Vec<Found>, settle: Duration) {
        let there: BTreeSet<String> = found.iter().map(|found| found.file.clone()).collect();
        for (_, known) in self.known.iter_mut().filter(|(file, known)| !known.is_gone && !there.contains(*file)) {
            (known.is_gone, known.since) = (true, Instant::now());
        }
        let before = self.known.len();
        self.known.retain(|file, known| !known.is_gone || known.since.elapsed() < settle || there.contains(file));
        self.changed |= self.known.len() != before;
        for Found { path, file, format, key } in found {
            // One that vanished in between is looked for next time.
            let Ok(stamp) = Stamp::of(&path) else { continue };
            let known = self.known.entry(file).or_insert_with(|| Known::new(format, key, stamp.clone()));
            if known.stamp != stamp || known.is_gone {
                (known.stamp, known.since, known.taken, known.is_gone) = (stamp.clone(), Instant::now(), false, false);
            }
            if known.taken || known.since.elapsed() < settle {
                continue;
            }
            let read = read(&path, self.options.file_bytes);
            // It changed while it was read: it is not written yet.
            if Stamp::of(&path).ok().as_ref() != Some(&stamp) {
                continue;
            }
            known.taken = true;
            self.changed = true;
            match read.and_then(|text| known.key.clone().and_then(|_| Schema::read(format, &text))) {
                Ok(schema) => (known.schema, known.fault) = (Some(Arc::new(schema)), None),
                Err(reason) => known.fault = Some(reason),
            }
        }
    }

    /// Exchanges what is in force, and tells of what is newly wrong.
    fn show(&mut self) {
        self.changed = false;
        let before = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let mut problems: Vec<Problem> = Vec::new();
        let mut of_keys: BTreeMap<&Key, Vec<(&String, &Known)>> = BTreeMap::new();
        problems.extend(self.out_of_order.iter().map(|reason| Problem { file: String::new(), reason: reason.clone() }));
        for (file, known) in self.known.iter().filter(|(_, known)| known.has_been_taken()) {
            if let Some(reason) = &known.fault {
                problems.push(Problem { file: file.clone(), reason: reason.clone() });
            }
            if let Ok(key) = &known.key {
                of_keys.entry(key).or_default().push((file, known));
            }
        }
        let mut entries = Vec::with_capacity(of_keys.len());
        for (key, files) in of_keys {
            let entry = match files.as_slice() {
                [(file, known)] => known.entry(file),
                files => {
                    let names: Vec<&str> = files.iter().map(|(file, _)| file.as_str()).collect();
                    let reason = format!("{} are for the same events: remove all but one", names.join(" and "));
                    let twice = names.iter().map(|file| Problem { file: (*file).to_owned(), reason: reason.clone() });
                    problems.extend(twice);
                    let in_force = before.entry(key).filter(|entry| names.contains(&entry.file.as_str()));
                    let (file, known) = files[0];
                    in_force.cloned().unwrap_or_else(|| Entry::broken(file, known.format, &reason))
                }
            };
            entries.push((key.clone(), entry));
        }
        problems.sort();
        for Problem { file, reason } in
            problems.iter().filter(|problem| before.problems().binary_search(problem).is_err())
        {
            tracing::warn!(file, reason, "a schema cannot be used");
        }
        let registry = Arc::new(Registry::new(entries, problems));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = registry;
    }
}

impl Watched for Folder {
    fn folders(&self) -> Vec<PathBuf> {
        files::folders(&self.path)
    }

    fn look(&mut self) -> bool {
        self.look_again();
        true
    }

    fn pause(&self) -> Duration {
        let waits = self.known.values().any(|known| !known.taken || known.is_gone);
        let pause = if waits { self.options.settle.min(self.options.rescan) } else { self.options.rescan };
        pause.max(Duration::from_millis(1))
    }
}

impl Known {
    fn new(format: Format, key: Result<Key, String>, stamp: Stamp) -> Self {
        let since = Instant::now();
        Self { format, key, stamp, since, taken: false, is_gone: false, schema: None, fault: None }
    }

    /// It was taken at some time: one that is being changed is what it was before.
    fn has_been_taken(&self) -> bool {
        self.schema.is_some() || self.fault.is_some()
    }

    fn entry(&self, file: &str) -> Entry {
        match (&self.schema, &self.fault) {
            (Some(schema), _) => Entry::in_force(file, self.format, schema),
            (None, reason) => Entry::broken(file, self.format, reason.as_deref().unwrap_or_default()),
        }
    }
}

fn read(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Option<Vec<u8>>> {
        // A pipe would be waited for.
        if !path.metadata()?.is_file() {
            return Ok(None);
        }
        let mut text = Vec::new();
        File::open(path)?.take(most as u64 + 1).read_to_end(&mut text)?;
        Ok(Some(text))
    };
    match read() {
        Ok(Some(text)) if text.len() > most => {
            Err(format!("it has more than {most} bytes: make it smaller, or raise `schema_bytes`"))
        }
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err("it is not a file".to_owned()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}
