//! Measuring: what Laterna does beside what one would write without it, on the workload `orders`.
//!
//! A figure is a ratio of two arms that take turns in one run on one machine ([`Ratio`]): 0.9 means 0.9 times as fast as the
//! reference. Nothing serves with what is in here, and nothing else in the host knows of it.
//!
//! In reading order:
//! * [`ratio`]: arms that take turns
//! * [`workload`]: the events
//! * [`native`]: the reference of a rebuild, a hand-written loop
//! * [`rebuild`]: a rebuild by Laterna
//! * [`compare`]: both must have come to the same tables
//! * [`append`]: durable appends, beside SQLite's own
//! * [`reactions`]: process managers with few instances and with many
//! * [`suite`]: all of it, as `laterna bench` and `cargo bench` run it

pub mod append;
pub mod compare;
pub mod native;
pub mod ratio;
pub mod reactions;
pub mod rebuild;
pub mod suite;
pub mod workload;

pub use ratio::Ratio;

use crate::{log, projector, store};
use std::path::{Path, PathBuf};

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite, where it is used directly.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The log is out of order.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The log refused an event.
    #[error("the log refused an event: {0}")]
    Refused(#[from] log::Refusal),
    /// An event is not as the workload makes them.
    #[error("an event is not of the workload: {0}")]
    Event(String),
    /// The read store is out of order.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The projection did not start.
    #[error(transparent)]
    Start(#[from] projector::Error),
    /// A component cannot be run.
    #[error("a component of the workload cannot be run: {0}")]
    Component(String),
    /// Nothing was asked to be measured.
    #[error("no round was measured: ask for one at least")]
    NoRounds,
    /// The projection stopped.
    #[error("the projection stopped: {0}")]
    Stopped(String),
    /// The two arms did not come to the same, so that their times say nothing.
    #[error("the results differ: {0}")]
    Differ(String),
    /// A file cannot be read or removed.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Removes a database of an earlier run, with what SQLite keeps beside it.
fn remove(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File { path: path.to_owned(), source });
            }
            _ => {}
        }
    }
    Ok(())
}
