//! Whether two stores hold the same.

use super::Error;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Rows};
use std::path::Path;

/// Compares the content of these tables, row by row in the order of their first column, which must be a key.
///
/// # Errors
/// The first difference; or a file cannot be read.
pub fn same_tables(one: &Path, other: &Path, tables: &[&str]) -> Result<(), Error> {
    let open = |path| Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let (one, other) = (open(one)?, open(other)?);
    for table in tables {
        let sql = format!("SELECT * FROM {table} ORDER BY 1");
        let (mut one, mut other) = (one.prepare(&sql)?, other.prepare(&sql)?);
        let columns = one.column_count();
        let (mut one, mut other) = (one.query([])?, other.query([])?);
        loop {
            match (next(&mut one, columns)?, next(&mut other, columns)?) {
                (None, None) => break,
                (one, other) if one == other => {}
                (one, other) => return Err(Error::Differ(format!("table {table}: {one:?} and {other:?}"))),
            }
        }
    }
    Ok(())
}

fn next(rows: &mut Rows<'_>, columns: usize) -> Result<Option<Vec<Value>>, Error> {
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some((0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?))
}

/// Compares how many rows a table has in each.
///
/// # Errors
/// The numbers differ; or a file cannot be read.
pub fn same_number(one: &Path, other: &Path, table: &str) -> Result<(), Error> {
    let count = |path| -> Result<i64, Error> {
        let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(store.query_one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
    };
    let (one, other) = (count(one)?, count(other)?);
    if one == other { Ok(()) } else { Err(Error::Differ(format!("{one} and {other} rows in {table}"))) }
}
