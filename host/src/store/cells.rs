//! Cells of SQLite as JSON and as text.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::types::{Value as Cell, ValueRef};
use serde_json::{Map, Value};
use std::borrow::Cow;

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

/// What is said of a text that is none.
pub const NOT_UTF8: &str = "a cell holds a text that is not UTF-8: ask for `hex()` of it";

/// Writes a cell as JSON: the same as [`to_json`] makes of it.
///
/// # Errors
/// It is a text that is not UTF-8.
pub fn write_json(cell: ValueRef<'_>, body: &mut Vec<u8>) -> Result<(), String> {
    let written = match cell {
        ValueRef::Null => serde_json::to_writer(body, &()),
        ValueRef::Integer(integer) => serde_json::to_writer(body, &integer),
        ValueRef::Real(real) => serde_json::to_writer(body, &real),
        ValueRef::Text(text) => serde_json::to_writer(body, std::str::from_utf8(text).map_err(|_| NOT_UTF8)?),
        ValueRef::Blob(blob) => serde_json::to_writer(body, &BASE64_STANDARD.encode(blob)),
    };
    written.map_err(|error| error.to_string())
}

/// A cell as text: nothing for null and for numbers that JSON does not have, base64 for a blob.
///
/// # Errors
/// It is a text that is not UTF-8.
pub fn text(cell: ValueRef<'_>) -> Result<Cow<'_, str>, String> {
    Ok(match cell {
        ValueRef::Null => "".into(),
        ValueRef::Integer(integer) => integer.to_string().into(),
        ValueRef::Real(real) if !real.is_finite() => "".into(),
        ValueRef::Real(real) => serde_json::Value::from(real).to_string().into(),
        ValueRef::Text(text) => std::str::from_utf8(text).map_err(|_| NOT_UTF8)?.into(),
        ValueRef::Blob(blob) => BASE64_STANDARD.encode(blob).into(),
    })
}
