//! Looking into a data directory whose host is gone.

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::Path;

/// A table's rows as SQLite holds them, in the order of its key.
pub type Rows = Vec<Vec<Value>>;

/// The position and the id of every event of a log, in order.
pub fn events(log: &Path) -> Vec<(u64, String)> {
    let log = open(log);
    let mut events = log.prepare("SELECT position, id FROM events ORDER BY position").expect("a log");
    let events = events.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))).expect("events");
    events.collect::<Result<_, _>>().expect("events")
}

/// The checkpoint of a read store.
pub fn checkpoint(store: &Path) -> u64 {
    let position: i64 =
        open(store).query_one("SELECT position FROM laterna_checkpoint", [], |row| row.get(0)).expect("a store");
    position.cast_unsigned()
}

/// How many releases of a component were refused, as a host has recorded it.
pub fn refused(control: &Path, component: &str) -> usize {
    let sql = "SELECT count(*) FROM releases WHERE component = ?1 AND state = 'rejected'";
    let refused: i64 = open(control).query_one(sql, [component], |row| row.get(0)).expect("a record of releases");
    usize::try_from(refused).expect("a count")
}

/// Everything in a read store that its component made: each table's rows.
pub fn contents(store: &Path) -> BTreeMap<String, Rows> {
    let store = open(store);
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'laterna%' ORDER BY name";
    let mut tables = store.prepare(tables).expect("a store");
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).expect("tables");
    let contents = |name: String| {
        let mut rows = store.prepare(&format!("SELECT * FROM \"{name}\" ORDER BY 1, 2")).expect("a table");
        let columns = rows.column_count();
        let rows = rows.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).expect("rows");
        let rows = rows.collect::<Result<_, _>>().expect("rows");
        (name, rows)
    };
    tables.map(|name| contents(name.expect("a name"))).collect()
}

/// The SQL of what a read store's component made: tables, indexes, views.
pub fn schema(store: &Path) -> Vec<String> {
    let store = open(store);
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'laterna%' ORDER BY name";
    let mut schema = store.prepare(sql).expect("a store");
    let schema = schema.query_map([], |row| row.get(0)).expect("the schema");
    schema.collect::<Result<_, _>>().expect("the schema")
}

/// Cuts a log off behind a position, as if nothing had come after it.
pub fn truncate_log(log: &Path, position: u64) {
    let log = Connection::open(log).expect("a log");
    log.execute("DELETE FROM events WHERE position > ?1", [position.cast_signed()]).expect("the rest is deleted");
}

/// Copies the files of a SQLite database, the write-ahead log with them.
pub fn copy_database(from: &Path, into: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| std::path::PathBuf::from(format!("{}{suffix}", path.display()));
        if name(from).exists() {
            std::fs::copy(name(from), name(into)).expect("the file is copied");
        }
    }
}

fn open(database: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    Connection::open_with_flags(database, flags).unwrap_or_else(|error| panic!("{}: {error}", database.display()))
}
