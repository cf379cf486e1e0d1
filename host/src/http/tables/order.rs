//! In which order rows come, and where a page begins: behind a row, which stays the same place however many come before it.

use super::super::parameters::{Parameters, unfit};
use super::super::problem::{Code, Problem};
use super::{column, names};
use crate::store::{Relation, RelationKind, quoted};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rusqlite::types::Value as Cell;
use serde::{Deserialize, Serialize};

/// Where a page begins.
pub(super) enum Place {
    /// At the first row.
    Start,
    /// Behind so many rows.
    Offset(u64),
    /// Behind the row that a cursor names.
    Behind(String),
}

impl Place {
    /// Takes `after` or `offset` from the URL.
    pub(super) fn take(parameters: &mut Parameters) -> Result<Self, Problem> {
        let offset = parameters.take_as::<u64>("offset", "a number, from 0")?;
        match (parameters.take("after")?, offset) {
            (None, None) => Ok(Self::Start),
            (None, Some(offset)) => Ok(Self::Offset(offset)),
            (Some(cursor), None) => Ok(Self::Behind(cursor)),
            (Some(_), Some(_)) => {
                let detail = "`after` and `offset` contradict each other: a page begins behind a row, or behind so many. Leave one out.";
                Err(Problem::new(Code::BadParameter, detail).with("parameter", "offset"))
            }
        }
    }
}

/// An order of rows.
pub(super) struct Order {
    /// As it stands in SQL.
    table: String,
    terms: Vec<Term>,
    /// No two rows are the same in it.
    is_total: bool,
}

struct Term {
    column: String,
    descends: bool,
}

/// A row's place in an order, as it goes out: opaque to whoever brings it back.
#[derive(Serialize, Deserialize)]
struct Cursor {
    by: String,
    at: Vec<Mark>,
}

/// A cell, exactly.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    Null,
    Integer(i64),
    /// Its bits.
    Real(u64),
    Text(String),
    Blob(Vec<u8>),
}

impl Order {
    /// The order asked for, then by the key, so that pages follow on each other.
    pub(super) fn of(relation: &Relation, order: &str) -> Result<Self, Problem> {
        let mut terms: Vec<Term> = Vec::new();
        for term in &names(relation, "order", order)? {
            let (name, descends) = match term.rsplit_once('.') {
                Some((name, "asc")) => (name, false),
                Some((name, "desc")) => (name, true),
                _ => (term.as_str(), false),
            };
            let name = &column(relation, name)?.name;
            if terms.iter().all(|term| term.column != *name) {
                terms.push(Term { column: name.clone(), descends });
            }
        }
        for name in &relation.key {
            if terms.iter().all(|term| term.column != *name) {
                terms.push(Term { column: name.clone(), descends: false });
            }
        }
        Ok(Self { table: quoted(&relation.name), terms, is_total: relation.kind == RelationKind::Table })
    }

    /// Its `ORDER BY`.
    pub(super) fn sql(&self) -> String {
        if self.terms.is_empty() {
            return String::new();
        }
        let terms = self.terms.iter().map(|Term { column, descends }| {
            let direction = if *descends { " DESC" } else { "" };
            format!("{}{direction}", self.column(column))
        });
        format!(" ORDER BY {}", terms.collect::<Vec<_>>().join(", "))
    }

    /// What must be read of a row so that a page can begin behind it.
    pub(super) fn cursor_columns(&self) -> Vec<String> {
        if self.is_total { self.terms.iter().map(|term| self.column(&term.column)).collect() } else { Vec::new() }
    }

    /// The cursor of the row with these cells; `None` where rows cannot be told apart.
    pub(super) fn cursor(&self, cells: &[Cell]) -> Option<String> {
        if !self.is_total {
            return None;
        }
        let at = cells.iter().map(|cell| match cell {
            Cell::Null => Mark::Null,
            Cell::Integer(integer) => Mark::Integer(*integer),
            Cell::Real(real) => Mark::Real(real.to_bits()),
            Cell::Text(text) => Mark::Text(text.clone()),
            Cell::Blob(blob) => Mark::Blob(blob.clone()),
        });
        let cursor = Cursor { by: self.sql(), at: at.collect() };
        Some(BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).ok()?))
    }

    /// The condition for rows behind the one that a cursor names, and what stands in place of its parameters.
    pub(super) fn behind(&self, cursor: &str) -> Result<(String, Vec<Cell>), Problem> {
        let cells = self.cells(cursor).ok_or_else(|| {
            unfit("after", cursor, "what `next` of the page before says, with the same `order`; begin again without it")
        })?;
        let (mut steps, mut arguments) = (Vec::new(), Vec::new());
        // Behind it is what differs in one term in the right direction, and is the same in all terms before.
        for (place, (term, cell)) in self.terms.iter().zip(&cells).enumerate() {
            let name = self.column(&term.column);
            // Null comes before everything.
            let beyond = match (cell, term.descends) {
                (Cell::Null, false) => format!("{name} IS NOT NULL"),
                (Cell::Null, true) => continue,
                (_, false) => format!("{name} > ?"),
                (_, true) => format!("({name} < ? OR {name} IS NULL)"),
            };
            let same = self.terms[..place].iter().map(|term| format!("{} IS ?", self.column(&term.column)));
            steps.push(same.chain([beyond]).collect::<Vec<_>>().join(" AND "));
            arguments.extend(cells[..place].iter().cloned());
            arguments.extend((*cell != Cell::Null).then(|| cell.clone()));
        }
        let behind = if steps.is_empty() { "FALSE".to_owned() } else { steps.join(" OR ") };
        // Said once more of the first term alone, since an index can be entered by that.
        match (self.terms.first(), cells.first()) {
            (Some(term), Some(cell)) if !term.descends && *cell != Cell::Null && cells.len() > 1 => {
                arguments.insert(0, cell.clone());
                Ok((format!("({} >= ? AND ({behind}))", self.column(&term.column)), arguments))
            }
            _ => Ok((format!("({behind})"), arguments)),
        }
    }

    /// A column of the table, and not what is shown under the same name.
    fn column(&self, name: &str) -> String {
        format!("{}.{}", self.table, quoted(name))
    }

    fn cells(&self, cursor: &str) -> Option<Vec<Cell>> {
        let Cursor { by, at } = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let cells = at.into_iter().map(|mark| match mark {
            Mark::Null => Cell::Null,
            Mark::Integer(integer) => Cell::Integer(integer),
            Mark::Real(bits) => Cell::Real(f64::from_bits(bits)),
            Mark::Text(text) => Cell::Text(text),
            Mark::Blob(blob) => Cell::Blob(blob),
        });
        (self.is_total && by == self.sql() && cells.len() == self.terms.len()).then(|| cells.collect())
    }
}
