//! Cells of SQLite as JSON, and back.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::types::Value as Cell;
use serde_json::{Map, Value};

/// A cell as JSON: integers exact to 64 bits, blobs in base64, numbers that JSON does not have as null.
#[must_use]
pub fn to_json(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(integer) => integer.into(),
        Cell::Real(real) => real.into(),
        Cell::Text(text) => text.into(),
        Cell::Blob(blob) => BASE64_STANDARD.encode(blob).into(),
    }
}

/// A row as an object, its columns in order.
#[must_use]
pub fn row(columns: &[String], cells: Vec<Cell>) -> Value {
    Value::Object(columns.iter().cloned().zip(cells.into_iter().map(to_json)).collect::<Map<_, _>>())
}

/// A text from a URL as a cell of a column's type.
///
/// # Errors
/// What it should be, where it is not.
pub fn from_text(of_type: &str, text: &str) -> Result<Cell, &'static str> {
    match of_type.to_ascii_uppercase().as_str() {
        "INT" | "INTEGER" => text.parse().map(Cell::Integer).map_err(|_| "an integer"),
        "REAL" => text.parse().map(Cell::Real).map_err(|_| "a number"),
        "BLOB" => BASE64_STANDARD.decode(text).map(Cell::Blob).map_err(|_| "base64"),
        _ => Ok(Cell::Text(text.to_owned())),
    }
}
