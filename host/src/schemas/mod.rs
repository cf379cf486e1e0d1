//! What the data of events must look like: JSON Schema and Avro files in a folder, by module, type and version, taken as they change.
//!
//! It knows nothing of HTTP, releases or components, and of the log only what an event is made of: whoever takes events in asks
//! [`Registry::check`]. An event that there is no schema for fits; where there should be one and cannot be, nothing gets in unchecked.
//!
//! In reading order:
//! * `files`: what lies in the folder, and what it is for by where it lies
//! * `violation`: where data does not fit
//! * `schema`: one file's content, compiled; by its format
//!   * `json`: JSON Schema
//!   * `avro`: Avro
//! * `registry`: what is in force, as one value that never changes
//! * `admission`: an event that is to come to the log, looked over
//! * `load`: looks at the folder, and says what is in force from now on

mod admission;
mod avro;
mod files;
mod json;
mod load;
mod registry;
mod schema;
mod violation;

pub use files::{Format, Key};
pub use registry::{Entry, Problem, Registry};
pub use schema::Schema;
pub use violation::{Fault, Violation};

use crate::watch::Watch;
use load::Folder;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// How the folder is looked at.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes that a file may have.
    pub file_bytes: usize,
    /// Files that the folder may have.
    pub files: usize,
    /// Time without a change after which a file is taken, or counts as removed.
    pub settle: Duration,
    /// Time after which the folder is looked at, whether or not the system told of a change.
    pub rescan: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let (settle, rescan) = (Duration::from_millis(100), Duration::from_secs(2));
        Self { file_bytes: 1 << 20, files: 10_000, settle, rescan }
    }
}

/// The schemas cannot be read at all. What is wrong with one of them is a [`Problem`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read.
    #[error("the schemas' folder {path} cannot be read: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody knows what should be in force.
    #[error("the schemas' folder {path} has more than {files} schemas: remove some, or raise `schema_files`")]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many it may have.
        files: usize,
    },
    /// The thread that watches could not be started.
    #[error("the schemas' folder could not be watched: {0}")]
    Thread(std::io::Error),
}

/// Where one finds what is in force. Cheap to clone.
#[derive(Clone, Default)]
pub struct InForce {
    /// Exchanged as a whole, and never held for longer than that.
    registry: Arc<RwLock<Arc<Registry>>>,
}

impl InForce {
    /// What is in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The schemas in force.
pub struct Schemas {
    current: InForce,
    /// `None` once it was stopped.
    watch: Mutex<Option<Watch>>,
}

impl Schemas {
    /// Takes what lies in the folder, and from now on what changes there.
    ///
    /// # Errors
    /// The folder cannot be read, or has more files than it may.
    pub fn open(folder: PathBuf, options: &Options) -> Result<Self, Error> {
        let current = InForce::default();
        let mut folder = Folder::new(folder, options.clone(), Arc::clone(&current.registry));
        folder.load()?;
        let watch = Watch::start("schemas", folder).map_err(Error::Thread)?;
        Ok(Self { current, watch: Mutex::new(Some(watch)) })
    }

    /// What is in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Registry> {
        self.current.current()
    }

    /// Where one finds what is in force, for those who look it up themselves.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.current.clone()
    }

    /// Takes no more changes.
    pub fn stop(&self) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watch) = watch {
            watch.stop();
        }
    }
}
