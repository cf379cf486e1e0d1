//! Two read models compared row by row, exactly, in memory that does not grow with them.
//!
//! It knows nothing of releases: which of two stores serves and which is to replace it, or that one is built anew from the log of
//! the other, is known by who asks.
//!
//! In reading order:
//! * `merge`: the tables of both sides, walked side by side in the order of their keys
//! * `cursor`: one side's rows of a table, one at a time, with their digest
//! * `order`: the order of keys, which is SQLite's
//! * `sample`: some of the differences, within limits

mod cursor;
mod merge;
mod order;
mod sample;
#[cfg(test)]
pub(super) mod tests;

use super::{Error, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Counts of rows that the one who asked may be behind.
const INBOX: usize = 16;

/// How often it is asked whether to go on while no row comes, because SQLite sorts.
const QUIET: Duration = Duration::from_millis(100);

/// What a comparison may show of the rows that differ.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Rows at most for each table, and there for each of added, removed and changed.
    pub rows: usize,
    /// Bytes of a text or blob at most. Of a longer one a part is shown, with an ellipsis and how long the whole is.
    pub cell_bytes: usize,
    /// Bytes of all samples as JSON at most. A list of samples ends with the first one for which there is no room.
    pub bytes: usize,
}

/// How two read models compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// All tables of either side, by name. Views follow from them and are no part of it.
    pub tables: Vec<TableComparison>,
}

/// How a table compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableComparison {
    /// Its name.
    pub table: String,
    /// The columns of its key, in order: after, or before where it is only there.
    pub key: Vec<String>,
    /// What it held before; `None` where it was not there.
    pub before: Option<Content>,
    /// What it holds after; `None` where it is not there.
    pub after: Option<Content>,
    /// Rows whose key is only there after.
    pub added: u64,
    /// Rows whose key was only there before.
    pub removed: u64,
    /// Rows of one key that differ in a column that both sides have. Keys are the same where they are so to SQLite: 1 and 1.0
    /// are the same key, and a row that has the other one changed.
    pub changed: u64,
    /// Whether rows can be matched: where both sides have the table, the names and the order of the key's columns are the same. If
    /// not, no row is told to be added, removed or changed.
    pub comparable: bool,
    /// Columns that were only there before, in order; none where the table itself is on one side only.
    pub columns_only_before: Vec<String>,
    /// Columns that are only there after, in order; none where the table itself is on one side only.
    pub columns_only_after: Vec<String>,
    /// Some of the rows that differ, in the order of the key.
    pub samples: SampleRows,
}

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// How many rows.
    pub rows: u64,
    /// The BLAKE3 hash of the names of the columns and of all cells in the order of the key, in hex. Equal exactly where these
    /// are; in which order the columns were declared, or the rows written, is no part of it.
    pub digest: String,
}

/// Some of the rows that differ, as objects by column. Blobs are in base64, and numbers that JSON does not have are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleRows {
    /// Rows that were added.
    pub added: Vec<Map<String, Value>>,
    /// Rows that were removed.
    pub removed: Vec<Map<String, Value>>,
    /// Rows that changed.
    pub changed: Vec<ChangedRow>,
}

/// A row that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedRow {
    /// Its key, as it is after.
    pub key: Map<String, Value>,
    /// The columns in which it differs, of those that both sides have.
    pub columns: BTreeMap<String, ChangedCell>,
}

/// A cell that changed. Of long ones the part is shown where they begin to differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedCell {
    /// What it was before.
    pub before: Value,
    /// What it is after.
    pub after: Value,
}

impl Comparison {
    /// Whether both sides hold exactly the same: tables, columns, keys and all cells.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.tables.iter().all(|table| table.comparable && table.before == table.after)
    }
}

/// Compares two read models. `go_on` is told how many rows of both were looked at so far: for every thousand of them, after each
/// table, and now and then while SQLite sorts a table whose key has another order than that of its bytes.
///
/// # Errors
/// What `go_on` answers, at which the comparison ends at once, or that a store cannot be read. The snapshots stay usable.
pub fn compare<E: From<Error>>(
    before: &mut Snapshot,
    after: &mut Snapshot,
    samples: &Samples,
    go_on: &mut dyn FnMut(u64) -> Result<(), E>,
) -> Result<Comparison, E> {
    let meters = [before.meter()?, after.meter()?];
    // On a thread of its own, since only from outside can a sort of SQLite's be ended that takes long.
    let compared = thread::scope(|scope| {
        let (tell, told) = sync_channel(INBOX);
        // It fails only where nobody listens any more, and then nobody sees how it ends.
        let mut tell = move |rows| tell.send(rows).map_err(|_| Error::Closed);
        let comparing = thread::Builder::new()
            .name("compare".into())
            .spawn_scoped(scope, move || merge::tables(before, after, samples, &mut tell))
            .map_err(Error::Thread)?;
        let watched = watch(&told, go_on);
        if watched.is_err() {
            meters.iter().for_each(|meter| meter.allow_time(Some(Duration::ZERO)));
        }
        drop(told);
        let compared = comparing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        watched.and_then(|()| compared.map_err(E::from))
    });
    meters.iter().for_each(|meter| meter.allow_time(None));
    compared
}

/// Asks whether to go on until the comparison is through.
fn watch<E>(told: &Receiver<u64>, go_on: &mut dyn FnMut(u64) -> Result<(), E>) -> Result<(), E> {
    let mut rows = 0;
    loop {
        match told.recv_timeout(QUIET) {
            Ok(more) => rows = more,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        go_on(rows)?;
    }
}
