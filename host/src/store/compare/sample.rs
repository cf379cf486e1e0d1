//! Some of the rows that differ, within limits.

use super::super::{Error, cells};
use super::{ChangedCell, Samples};
use rusqlite::Row;
use rusqlite::types::{Value as Cell, ValueRef};
use serde::Serialize;
use serde_json::{Map, Value};

/// A list of samples that is being filled.
pub(super) struct Sampled<T> {
    pub(super) items: Vec<T>,
    /// How many more it takes.
    room: usize,
}

impl<T: Serialize> Sampled<T> {
    pub(super) fn new(samples: &Samples) -> Self {
        Self { items: Vec::new(), room: samples.rows }
    }

    /// Adds a sample, if there is room for it; if not, for none after it either.
    pub(super) fn add(
        &mut self,
        bytes_left: &mut usize,
        make: impl FnOnce() -> Result<T, rusqlite::Error>,
    ) -> Result<(), Error> {
        if self.room == 0 {
            return Ok(());
        }
        let item = make()?;
        let size = serde_json::to_string(&item).map_or(usize::MAX, |json| json.len());
        match bytes_left.checked_sub(size) {
            Some(left) => {
                *bytes_left = left;
                self.room -= 1;
                self.items.push(item);
            }
            None => self.room = 0,
        }
        Ok(())
    }
}

/// Some cells of a row as an object, by name and place.
pub(super) fn object<'n>(
    row: &Row<'_>,
    columns: impl Iterator<Item = (&'n String, usize)>,
    cell_bytes: usize,
) -> Result<Map<String, Value>, rusqlite::Error> {
    columns.map(|(name, place)| Ok((name.clone(), shown(row.get_ref(place)?, 0, cell_bytes)))).collect()
}

/// A cell that changed.
pub(super) fn changed(before: ValueRef<'_>, after: ValueRef<'_>, cell_bytes: usize) -> ChangedCell {
    let from = differs_from(before, after, cell_bytes);
    ChangedCell { before: shown(before, from, cell_bytes), after: shown(after, from, cell_bytes) }
}

/// From which byte on to show two long cells so that one sees how they differ: from the first one, if that does.
fn differs_from(before: ValueRef<'_>, after: ValueRef<'_>, cell_bytes: usize) -> usize {
    let ((ValueRef::Text(before), ValueRef::Text(after)) | (ValueRef::Blob(before), ValueRef::Blob(after))) =
        (before, after)
    else {
        return 0;
    };
    let common = before.iter().zip(after).take_while(|(before, after)| before == after).count();
    common.saturating_sub(cell_bytes / 2)
}

/// A cell as JSON: of a long text or blob the part from a byte on.
fn shown(cell: ValueRef<'_>, from: usize, cell_bytes: usize) -> Value {
    let (part, whole) = match cell {
        ValueRef::Null => return cells::to_json(Cell::Null),
        ValueRef::Integer(integer) => return cells::to_json(Cell::Integer(integer)),
        ValueRef::Real(real) => return cells::to_json(Cell::Real(real)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) if bytes.len() <= cell_bytes => (bytes, bytes),
        ValueRef::Text(bytes) => {
            (between(bytes, at_character(bytes, from), at_character(bytes, from + cell_bytes)), bytes)
        }
        ValueRef::Blob(bytes) => (between(bytes, from, from + cell_bytes), bytes),
    };
    let json = match cell {
        ValueRef::Text(_) => cells::to_json(Cell::Text(String::from_utf8_lossy(part).into_owned())),
        _ => cells::to_json(Cell::Blob(part.to_vec())),
    };
    match json {
        Value::String(text) if part.len() < whole.len() => cut(&text, from, part, whole).into(),
        json => json,
    }
}

/// A part with ellipses where something is left out, and the length of the whole.
fn cut(text: &str, from: usize, part: &[u8], whole: &[u8]) -> String {
    let left_out = |is: bool| if is { "…" } else { "" };
    let behind = from + part.len() < whole.len();
    format!("{}{text}{} ({} bytes)", left_out(from > 0), left_out(behind), whole.len())
}

fn between(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.get(from.min(bytes.len())..to.min(bytes.len())).unwrap_or_default()
}

/// The last place up to `place` where a character of UTF-8 begins, if these are some.
fn at_character(bytes: &[u8], place: usize) -> usize {
    let begins = |place: &usize| bytes.get(*place).is_none_or(|byte| byte & 0xC0 != 0x80);
    (place.saturating_sub(3)..=place).rev().find(begins).unwrap_or(place)
}
