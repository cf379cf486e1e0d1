//! rusqlite in the place of the host.

use super::Statement;
use crate::bindings::laterna::plugin::sql;
use crate::store::SqlError;
use crate::value::{Cell, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql, params_from_iter};
use std::cell::RefCell;
use std::rc::Rc;

/// A connection, with the texts of the statements that were prepared.
pub(crate) struct Database {
    connection: Rc<Connection>,
    prepared: RefCell<Vec<(Rc<str>, usize)>>,
}

impl Database {
    pub(crate) fn new(connection: Rc<Connection>) -> Self {
        Self { connection, prepared: RefCell::default() }
    }

    pub(crate) fn prepare(&self, sql: &str) -> Result<Statement, SqlError> {
        let prepared = self.connection.prepare_cached(sql).map_err(told)?;
        let columns = prepared.column_count();
        let mut known = self.prepared.borrow_mut();
        known.push((sql.into(), prepared.parameter_count()));
        Ok(Statement { handle: known.len() as u32 - 1, columns })
    }

    pub(crate) fn execute(&self, statement: Statement, cells: &[Cell<'_>]) -> Result<u64, SqlError> {
        let (mut prepared, _) = self.find(statement)?;
        run(&mut prepared, cells)
    }

    pub(crate) fn execute_many(&self, statement: Statement, cells: &[Cell<'_>]) -> Result<u64, SqlError> {
        let (mut prepared, parameters) = self.find(statement)?;
        if parameters == 0 || !cells.len().is_multiple_of(parameters) {
            return Err(misuse(format!("{} cells are not rows of {parameters} parameters", cells.len())));
        }
        cells.chunks_exact(parameters).map(|row| run(&mut prepared, row)).sum()
    }

    pub(crate) fn query(&self, statement: Statement, cells: &[Cell<'_>]) -> Result<Vec<Value>, SqlError> {
        let (mut prepared, _) = self.find(statement)?;
        let mut rows = prepared.query(params_from_iter(cells.iter().map(Bound))).map_err(told)?;
        let mut answered = Vec::new();
        while let Some(row) = rows.next().map_err(told)? {
            for column in 0..statement.columns {
                answered.push(match row.get_ref(column).map_err(told)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(integer) => Value::Integer(integer),
                    ValueRef::Real(real) => Value::Real(real),
                    ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
                });
            }
        }
        Ok(answered)
    }

    fn find(&self, statement: Statement) -> Result<(CachedStatement<'_>, usize), SqlError> {
        let known = self.prepared.borrow().get(statement.handle as usize).cloned();
        let (sql, parameters) = known.ok_or_else(|| misuse("the statement was not prepared here".to_owned()))?;
        Ok((self.connection.prepare_cached(&sql).map_err(told)?, parameters))
    }
}

fn run(prepared: &mut CachedStatement<'_>, cells: &[Cell<'_>]) -> Result<u64, SqlError> {
    let cells = params_from_iter(cells.iter().map(Bound));
    if prepared.column_count() == 0 {
        return Ok(prepared.execute(cells).map_err(told)? as u64);
    }
    // One that answers rows, such as INSERT … RETURNING, is run to its end.
    let mut rows = prepared.query(cells).map_err(told)?;
    while rows.next().map_err(told)?.is_some() {}
    Ok(0)
}

struct Bound<'a>(&'a Cell<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Integer(integer) => ValueRef::Integer(*integer),
            Cell::Real(real) => ValueRef::Real(*real),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

fn told(error: rusqlite::Error) -> SqlError {
    let code = error.sqlite_error().map_or(rusqlite::ffi::SQLITE_ERROR, |error| error.extended_code);
    let message = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        other => other.to_string(),
    };
    SqlError(sql::Error { code, message })
}

fn misuse(message: String) -> SqlError {
    SqlError(sql::Error { code: rusqlite::ffi::SQLITE_RANGE, message })
}
