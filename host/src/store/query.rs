//! A question in SQL, answered within bounds.

use super::Error;
use super::authorizer::Author;
use super::connection::Guarded;
use super::session::{Fault, fault};
use rusqlite::types::Value;
use std::time::Duration;

/// What an answer may take.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Rows at most.
    pub rows: usize,
    /// Bytes of cells at most.
    pub bytes: usize,
    /// Time at most.
    pub time: Duration,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Vec<Value>>,
}

/// Why a question is not answered.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite or the authorizer refuses it.
    #[error("{0}")]
    Sql(String),
    /// The answer has more rows than one may have.
    #[error("the answer has more than {0} rows")]
    TooManyRows(usize),
    /// The answer has more bytes than one may have.
    #[error("the answer has more than {0} bytes")]
    TooManyBytes(usize),
    /// It took more time than a question may.
    #[error("the answer took longer than {0:?}")]
    OutOfTime(Duration),
    /// The store is out of order.
    #[error(transparent)]
    Store(#[from] Error),
}

pub(super) fn run(store: &Guarded, sql: &str, arguments: &[(&str, Value)], bounds: &Bounds) -> Result<Rows, ReadError> {
    let read_error = |error| match fault(error) {
        Fault::Machine(error) => ReadError::Store(error),
        Fault::OutOfSteps | Fault::OutOfTime => ReadError::OutOfTime(bounds.time),
        other => ReadError::Sql(other.to_string()),
    };
    store.pen.hand_to(Author::Question);
    let statement = store.connection.prepare_cached(sql);
    store.pen.hand_to(Author::Host);
    let mut statement = statement.map_err(read_error)?;
    for (name, value) in arguments {
        if let Some(index) = statement.parameter_index(&format!(":{name}")).map_err(read_error)? {
            statement.raw_bind_parameter(index, value).map_err(read_error)?;
        }
    }
    store.meter.allow_time(Some(bounds.time));
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut answer = Rows { columns, rows: Vec::new() };
    let mut bytes = 0;
    let mut rows = statement.raw_query();
    let outcome = loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break Ok(answer),
            Err(error) => break Err(read_error(error)),
        };
        if answer.rows.len() == bounds.rows {
            break Err(ReadError::TooManyRows(bounds.rows));
        }
        let cells: Result<Vec<Value>, _> = (0..answer.columns.len()).map(|column| row.get(column)).collect();
        let cells = match cells {
            Ok(cells) => cells,
            Err(error) => break Err(read_error(error)),
        };
        bytes += cells.iter().map(size).sum::<usize>();
        if bytes > bounds.bytes {
            break Err(ReadError::TooManyBytes(bounds.bytes));
        }
        answer.rows.push(cells);
    };
    store.meter.allow_time(None);
    outcome
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 8,
    }
}

/// A name as it stands in SQL, whatever it holds.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
