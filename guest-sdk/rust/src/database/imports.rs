//! The host's side of the contract.

use super::Statement;
use crate::bindings::laterna::plugin::sql;
use crate::store::SqlError;
use crate::value::{Cell, Value};

/// The component's read store.
#[derive(Default)]
pub(crate) struct Database;

impl Database {
    pub(crate) fn prepare(&self, sql: &str) -> Result<Statement, SqlError> {
        let prepared = sql::prepare(sql).map_err(SqlError)?;
        Ok(Statement { handle: prepared.statement, columns: prepared.columns.len() })
    }

    pub(crate) fn execute(&self, statement: Statement, cells: &[Cell<'_>]) -> Result<u64, SqlError> {
        sql::execute(statement.handle, cells).map_err(SqlError)
    }

    pub(crate) fn execute_many(&self, statement: Statement, cells: &[Cell<'_>]) -> Result<u64, SqlError> {
        sql::execute_many(statement.handle, cells).map_err(SqlError)
    }

    pub(crate) fn query(&self, statement: Statement, cells: &[Cell<'_>]) -> Result<Vec<Value>, SqlError> {
        sql::query(statement.handle, cells).map_err(SqlError)
    }
}
