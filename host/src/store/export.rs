//! One moment of a store, copied into a file of its own: what the component made, and nothing of Laterna's.
//!
//! The tables, indexes and views are made anew from their own SQL, and the rows go over in the order of their keys. So nothing is in
//! the file that is not in the read model at that moment: no table of Laterna's, no page that holds what was deleted.

use super::authorizer::is_laternas;
use super::connection::{self, Guarded};
use super::meter::GRAIN;
use super::query::quoted;
use super::snapshot::Store;
use super::{Error, schema};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::limits::Limit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What of a path cannot stand in a `file:` address as it is.
const NOT_IN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// The moment that is about to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The position up to which the read model is the fold of the log.
    pub position: u64,
    /// Bytes of the store at that moment, Laterna's tables and free pages among them. The copy may come out a little larger, where
    /// SQLite packs its rows less tightly.
    pub bytes: u64,
}

/// Copies one moment of a store into a new file. `begun` hears which one before anything is copied, and `go_on` is asked all the
/// while; what either of them fails with ends it. While it goes on, the store's write-ahead log cannot begin anew. Whoever calls
/// removes the file where this fails. Blocks.
///
/// # Errors
/// What `begun` or `go_on` answer, or that the store cannot be read or the file not be written.
pub fn export<E: From<Error> + Send + 'static>(
    store: &Store,
    file: &Path,
    begun: impl FnOnce(Moment) -> Result<(), E>,
    mut go_on: impl FnMut() -> Result<(), E> + Send + 'static,
) -> Result<(), E> {
    let mut copy = open(file, store.path())?;
    let ended = Arc::new(Mutex::new(None));
    let why = Arc::clone(&ended);
    let interrupt = move || {
        let ended = go_on().err();
        let ends = ended.is_some();
        *why.lock().unwrap_or_else(PoisonError::into_inner) = ended;
        ends
    };
    copy.connection.progress_handler(GRAIN, Some(interrupt)).map_err(Error::from)?;
    let position = store.begin(&copy)?;
    begun(Moment { position, bytes: size(&copy)? })?;
    copy_all(&copy).map_err(|error| {
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.unwrap_or_else(|| error.into())
    })
}

/// A new file, with the store beside it as `source`, which can only be read.
fn open(file: &Path, source: &Path) -> Result<Guarded, Error> {
    let copy = connection::open_writable(file)?;
    // Where it is torn it is of no use, so nothing is kept to roll it back, and nothing is waited for.
    copy.connection
        .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;")?;
    copy.connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    let source = percent_encode(source.as_os_str().as_bytes(), NOT_IN_ADDRESS);
    copy.connection.execute("ATTACH ?1 AS source", [format!("file:{source}?mode=ro")])?;
    Ok(copy)
}

fn size(copy: &Guarded) -> Result<u64, Error> {
    let pragma =
        |name: &str| copy.connection.query_one(&format!("PRAGMA source.{name}"), [], |row| row.get::<_, i64>(0));
    Ok(pragma("page_count")?.cast_unsigned() * pragma("page_size")?.cast_unsigned())
}

fn copy_all(copy: &Guarded) -> Result<(), Error> {
    // With its indexes there, a table goes over together with them, each in its own order. Otherwise they would be sorted, in files
    // that nobody counts.
    for kind in ["table", "index"] {
        make(copy, kind)?;
    }
    for table in names(copy, "table")? {
        copy.connection.execute(&transfer(copy, &table)?, [])?;
    }
    make(copy, "view")?;
    copy.connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Makes what the component made of this kind, in the order in which it did.
fn make(copy: &Guarded, kind: &str) -> Result<(), Error> {
    for sql in made(copy, kind, "sql")? {
        schema::run_ddl(copy, &sql)?;
    }
    Ok(())
}

fn names(copy: &Guarded, kind: &str) -> Result<Vec<String>, Error> {
    made(copy, kind, "name")
}

/// What stands in this column about what the component made of this kind. Indexes of keys have no SQL, and come with their tables.
fn made(copy: &Guarded, kind: &str, column: &str) -> Result<Vec<String>, Error> {
    let sql = format!(
        "SELECT tbl_name, {column} FROM source.sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY rowid"
    );
    let mut statement = copy.connection.prepare(&sql)?;
    let rows = statement.query_map([kind], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().filter(|(table, _)| !is_laternas(table)).map(|(_, value)| value).collect())
}

/// How a table's rows go over.
fn transfer(copy: &Guarded, table: &str) -> Result<String, Error> {
    let sql = "SELECT name, hidden FROM pragma_table_xinfo(?1) ORDER BY cid";
    let mut statement = copy.connection.prepare(sql)?;
    let columns = statement.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let table = quoted(table);
    if columns.iter().all(|(_, hidden)| *hidden == 0) {
        // SQLite knows this form, and moves the records as they are.
        return Ok(format!("INSERT INTO main.{table} SELECT * FROM source.{table}"));
    }
    let stored: Vec<String> = columns.iter().filter(|(_, hidden)| *hidden == 0).map(|(name, _)| quoted(name)).collect();
    let stored = stored.join(", ");
    // By the table itself, and so by its key, although an index may hold all that is asked for.
    Ok(format!("INSERT INTO main.{table} ({stored}) SELECT {stored} FROM source.{table} NOT INDEXED"))
}

#[cfg(test)]
mod tests;
