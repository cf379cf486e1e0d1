//! Opening a store's file: every connection has its authorizer, its meter and its limits from the first moment.

use super::authorizer::Pen;
use super::functions;
use super::meter::{GRAIN, Meter};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// SQLite's own limits, low enough that no single step of its machine can take long.
const SQLITE_LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, 4 << 20),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 10),
    (Limit::SQLITE_LIMIT_COLUMN, 256),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 128),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 64),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 64),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 128),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 1_024),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Statements that a reader keeps prepared; what was asked longest ago makes room.
const KEPT: usize = 128;

/// A connection with who may hold its pen and what its statements may use.
pub(super) struct Guarded {
    pub(super) connection: Connection,
    pub(super) pen: Pen,
    pub(super) meter: Meter,
}

pub(super) fn open_writable(path: &Path) -> Result<Guarded, rusqlite::Error> {
    guard(Connection::open(path)?)
}

pub(super) fn open_read_only(path: &Path) -> Result<Guarded, rusqlite::Error> {
    let store =
        guard(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)?;
    store.connection.set_prepared_statement_cache_capacity(KEPT);
    Ok(store)
}

/// A store that nobody keeps, to try a schema in.
pub(super) fn open_scratch() -> Result<Guarded, rusqlite::Error> {
    guard(Connection::open_in_memory()?)
}

fn guard(mut connection: Connection) -> Result<Guarded, rusqlite::Error> {
    let (pen, meter) = (Pen::new(), Meter::new());
    for (limit, value) in SQLITE_LIMITS {
        connection.set_limit(*limit, *value)?;
    }
    // A foreign key would be checked at the commit, so its verdict would depend on the size of a batch.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // One plan for a statement, whatever is bound to it: none is prepared anew, and the steps follow from the content alone.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    functions::bound(&connection)?;
    let judge = pen.clone();
    connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| judge.judge(&context)))?;
    let ticker = meter.clone();
    connection.progress_handler(GRAIN, Some(move || ticker.tick()))?;
    Ok(Guarded { connection, pen, meter })
}
