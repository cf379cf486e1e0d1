//! The log's tables.

use super::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use uuid::Uuid;

/// Counts up with each change of the tables.
const FORMAT: i64 = 1;

/// Marks the file as a log: "Lalg".
const APPLICATION_ID: i64 = 0x4c61_6c67;

/// `position` is the rowid, so the table itself is the log in order.
///
/// The indexes by type and by category carry the position behind the name's number: each is the list of positions of that
/// type in order, so reading a few types costs what they hold, not what the log holds.
const TABLES: &str = "
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    id TEXT NOT NULL,
    stream TEXT NOT NULL,
    revision INTEGER NOT NULL,
    type INTEGER NOT NULL,
    category INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    module INTEGER NOT NULL,
    internal INTEGER NOT NULL,
    occurred_at TEXT,
    recorded_at INTEGER NOT NULL,
    correlation_id TEXT,
    causation_id TEXT,
    content_type INTEGER NOT NULL,
    data BLOB NOT NULL,
    metadata BLOB
) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (id, source);
CREATE UNIQUE INDEX events_by_stream ON events (stream, revision);
CREATE INDEX events_by_type ON events (type);
CREATE INDEX events_by_category ON events (category);
CREATE TABLE closed_streams (
    stream TEXT PRIMARY KEY,
    closed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What tells this log from all others, wherever its file is moved.
const IDENTITY: &str = "
CREATE TABLE IF NOT EXISTS identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL
) STRICT;
";

/// Opens the log for writing, or makes it.
///
/// `synchronous=FULL`: in WAL mode a commit is then on the disk before it becomes visible, which is what an acknowledgement
/// promises.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    keep_plans(&connection)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -65536;
         PRAGMA journal_size_limit = 67108864;
         BEGIN IMMEDIATE;",
    )?;
    let empty: bool = connection.query_one("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if empty {
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    } else {
        check_format(&connection, path)?;
    }
    connection.execute_batch(IDENTITY)?;
    connection.execute("INSERT OR IGNORE INTO identity VALUES (1, ?1)", [Uuid::now_v7().to_string()])?;
    // Written anew even where it stands, since a commit syncs only if it wrote. A writer that was killed may have left a
    // commit in the WAL that is not on the disk yet; nobody may see it, or be told that it is a repeat, before it is.
    connection.pragma_update(None, "user_version", FORMAT)?;
    connection.execute_batch("COMMIT")?;
    Ok(connection)
}

/// What tells this log from all others.
pub(super) fn identity(connection: &Connection) -> Result<String, Error> {
    Ok(connection.query_one("SELECT id FROM identity", [], |row| row.get(0))?)
}

/// Makes sure that a commit that failed does not come back.
///
/// Where it was the sync that failed, the commit stands whole in the WAL, and the next one to open the log would take it for
/// one that succeeded. A commit that changes nothing, written over its beginning, breaks its chain of checksums.
pub(super) fn overwrite_failed_commit(connection: &Connection) -> Result<(), Error> {
    Ok(connection.pragma_update(None, "user_version", FORMAT)?)
}

/// Opens the log for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    keep_plans(&connection)?;
    check_format(&connection, path)?;
    Ok(connection)
}

/// Keeps a prepared statement as it is whatever is bound to it. Otherwise SQLite prepares some anew at each run, to plan with the
/// values: the one for a stream's last revision was the dearest part of an append.
fn keep_plans(connection: &Connection) -> Result<(), Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn check_format(connection: &Connection, path: &Path) -> Result<(), Error> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if application != APPLICATION_ID || format != FORMAT {
        return Err(Error::Format { path: path.to_owned(), found: format, known: FORMAT });
    }
    Ok(())
}
