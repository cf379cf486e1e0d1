//! Read stores: the SQLite file that holds one release's read model and its checkpoint.
//!
//! A store knows nothing of the log, of WebAssembly or of HTTP. What is in it is always the fold of the log up to its
//! checkpoint, because both commit in one transaction ([`Session`]), and it is read in snapshots that carry theirs
//! ([`Store::read`]).
//!
//! In reading order:
//! * `schema`: what a read model may hold, and making a store from a component's DDL
//! * `authorizer`: what a component's SQL may do
//! * `meter`: how much it may do; `functions`: what of SQLite would do too much at once
//! * [`session`]: the one writer, with its kept statements
//! * [`snapshot`]: the many readers; `changes`: which tables were written when
//! * [`export`]: one moment as a file of its own
//! * [`parked`]: what a read model leaves out
//! * `query`: a read as rows of cells, bounded
//! * [`cells`]: cells as JSON
//! * [`compare`]: two read models compared, row by row
//! * `files`: a store's files on the disk

mod authorizer;
pub mod cells;
mod changes;
pub mod compare;
mod connection;
pub mod export;
mod files;
mod functions;
mod meter;
pub mod parked;
mod query;
mod schema;
pub mod session;
pub mod snapshot;

pub use changes::Tables;
pub use files::remove;
pub use query::{Arguments, Bounds, ReadError, Rows, Sink, Words, quoted};
pub use schema::{Asked, Column, Index, Relation, RelationKind, SchemaError, check_schema};
pub use session::{Fault, Metered, Prepared, Session};
pub use snapshot::{Durability, Progress, Snapshot, Store};

use std::path::PathBuf;
use std::time::Duration;

/// The store is out of order. What it says against a component's SQL is a [`Fault`] or a [`SchemaError`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite could not read or write: a full or broken disk, say, or the store's quota is used up.
    #[error("the read store: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file cannot be made.
    #[error("the read store {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The component's schema is not one that a read model may have.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A thread cannot be started.
    #[error("no thread for the read store: {0}")]
    Thread(std::io::Error),
    /// The store was closed.
    #[error("the read store is closed")]
    Closed,
}

/// The limits of a read store.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Pages of 4 KiB that the file may have.
    pub pages: u32,
    /// Distinct statements that a session keeps prepared; the oldest make room.
    pub kept_statements: usize,
    /// Readers at once; beyond it they wait for a place.
    pub readers: usize,
    /// Time that the SQL of a batch may take; beyond it nobody is convicted, and the projection halts.
    pub batch: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pages: 16 << 20, kept_statements: 256, readers: 8, batch: Duration::from_secs(60) }
    }
}
