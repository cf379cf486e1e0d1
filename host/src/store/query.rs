//! A question in SQL, answered within bounds.

use super::Error;
use super::authorizer::Author;
use super::connection::Guarded;
use super::session::{Fault, fault};
use rusqlite::Statement;
use rusqlite::types::{Value, ValueRef};
use smallvec::SmallVec;
use std::collections::BTreeSet;
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

/// What is put in place of a question's parameters.
#[derive(Debug, Clone, Copy)]
pub enum Arguments<'a> {
    /// By name, without the `:` before it.
    Named(&'a [(String, Value)]),
    /// By place.
    Placed(&'a [Value]),
}

/// Takes an answer as it comes. What it cannot take it refuses in words for who asked.
pub trait Sink {
    /// The names of the columns, once, before the rows.
    ///
    /// # Errors
    /// They cannot be told apart, say.
    fn columns(&mut self, names: &[&str]) -> Result<(), String>;

    /// A row, with a cell for each column.
    ///
    /// # Errors
    /// A cell cannot be written.
    fn row(&mut self, cells: &[ValueRef<'_>]) -> Result<(), String>;

    /// Bytes that it holds by now.
    fn bytes(&self) -> usize;
}

/// An answer whose cells are kept as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Sink for Rows {
    fn columns(&mut self, names: &[&str]) -> Result<(), String> {
        self.columns = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, cells: &[ValueRef<'_>]) -> Result<(), String> {
        let row = cells.iter().map(|cell| Value::try_from(*cell)).collect::<Result<Vec<_>, _>>();
        self.rows.push(row.map_err(|error| error.to_string())?);
        self.bytes += cells.iter().map(size).sum::<usize>();
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
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

/// Whose words a question is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Anybody's: they read the read model alone.
    Anybody,
    /// Laterna's own: they read what it keeps beside the read model, too.
    Own,
}

/// Stands before every question of anybody's. Statements are kept by their text, and Laterna's own, which may do everything, never begin so: nobody
/// comes by one of them by asking in its words.
const ASKED: &str = "/* asked */ ";

pub(super) fn run(
    store: &Guarded,
    words_are: Words,
    sql: &str,
    arguments: Arguments<'_>,
    bounds: &Bounds,
    sink: &mut impl Sink,
) -> Result<(), ReadError> {
    let read_error = |error| match fault(error) {
        Fault::Machine(error) => ReadError::Store(error),
        Fault::OutOfSteps | Fault::OutOfTime => ReadError::OutOfTime(bounds.time),
        other => ReadError::Sql(words(&other)),
    };
    if sql.contains('\0') {
        return Err(ReadError::Sql("the SQL holds a zero byte, at which SQLite would end it".to_owned()));
    }
    let statement = match words_are {
        Words::Anybody => {
            store.pen.hand_to(Author::Question);
            let statement = store.connection.prepare_cached(&[ASKED, sql].concat());
            store.pen.hand_to(Author::Host);
            statement
        }
        Words::Own => store.connection.prepare_cached(sql),
    };
    let mut statement = statement.map_err(read_error)?;
    if statement.column_count() == 0 || !statement.readonly() {
        return Err(ReadError::Sql("it does not read: write a SELECT".to_owned()));
    }
    bind(&mut statement, arguments, read_error)?;
    sink.columns(&statement.column_names().collect::<Vec<_>>()).map_err(ReadError::Sql)?;
    store.meter.allow_time(Some(bounds.time));
    let answered = write(&mut statement, bounds, sink, read_error);
    store.meter.allow_time(None);
    answered
}

/// What is wrong with a question, and what to ask instead.
fn words(fault: &Fault) -> String {
    let Fault::Sql { code, message } = fault else { return fault.to_string() };
    if *code == rusqlite::ffi::SQLITE_AUTH || message.starts_with("not authorized") {
        return format!(
            "{message}: a question only reads the read model's tables and views, with functions whose answer hangs on nothing \
             else, so none of times or chance"
        );
    }
    message.clone()
}

/// The tables that a question reads.
pub(super) fn tables(store: &Guarded, sql: &str) -> Result<BTreeSet<String>, ReadError> {
    store.pen.hand_to(Author::Question);
    // One that is kept would not be looked at again.
    let prepared = store.connection.prepare(sql);
    store.pen.hand_to(Author::Host);
    prepared.map_err(|error| match fault(error) {
        Fault::Machine(error) => ReadError::Store(error),
        other => ReadError::Sql(words(&other)),
    })?;
    Ok(store.pen.take_touched().read)
}

/// Binds every parameter anew: the statement is kept, with what was bound to it before.
fn bind(
    statement: &mut Statement<'_>,
    arguments: Arguments<'_>,
    read_error: impl Fn(rusqlite::Error) -> ReadError,
) -> Result<(), ReadError> {
    let takes = statement.parameter_count();
    match arguments {
        Arguments::Placed(values) => {
            if values.len() != takes {
                let names = (1..=takes).map(|index| statement.parameter_name(index).unwrap_or("?"));
                let names =
                    if takes == 0 { String::new() } else { format!(" ({})", names.collect::<Vec<_>>().join(", ")) };
                return Err(ReadError::Sql(format!(
                    "parameters that it takes: {takes}{names}; that are given: {}",
                    values.len()
                )));
            }
            for (index, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, value).map_err(&read_error)?;
            }
        }
        Arguments::Named(values) => {
            let mut used = 0;
            for index in 1..=takes {
                let name = statement.parameter_name(index).unwrap_or("?");
                let Some((_, value)) = values.iter().find(|(known, _)| known == &name[1..]) else {
                    return Err(ReadError::Sql(format!(
                        "it takes the parameter `{name}`, which is not given by its name"
                    )));
                };
                used += 1;
                statement.raw_bind_parameter(index, value).map_err(&read_error)?;
            }
            if used < values.len() {
                let takes = |name: &str| {
                    (1..=takes).any(|index| statement.parameter_name(index).is_some_and(|taken| &taken[1..] == name))
                };
                if let Some((unused, _)) = values.iter().find(|(name, _)| !takes(name)) {
                    return Err(ReadError::Sql(format!("a parameter `{unused}` is given, which it does not take")));
                }
            }
        }
    }
    Ok(())
}

fn write(
    statement: &mut Statement<'_>,
    bounds: &Bounds,
    sink: &mut impl Sink,
    read_error: impl Fn(rusqlite::Error) -> ReadError,
) -> Result<(), ReadError> {
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut left = bounds.rows;
    while let Some(row) = rows.next().map_err(&read_error)? {
        if left == 0 {
            return Err(ReadError::TooManyRows(bounds.rows));
        }
        left -= 1;
        let cells: SmallVec<[ValueRef<'_>; 16]> =
            (0..columns).map(|column| row.get_ref(column)).collect::<Result<_, _>>().map_err(&read_error)?;
        sink.row(&cells).map_err(ReadError::Sql)?;
        if sink.bytes() > bounds.bytes {
            return Err(ReadError::TooManyBytes(bounds.bytes));
        }
    }
    Ok(())
}

/// About the bytes that a cell takes.
pub(super) fn size(cell: &ValueRef<'_>) -> usize {
    match cell {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
    }
}

/// A name as it stands in SQL, whatever it holds.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
