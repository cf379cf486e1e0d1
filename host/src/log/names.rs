//! The dictionary: types, categories, modules, sources and media types stand in the log as numbers.

use super::Error;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;

/// The number of the empty name, which is never stored: no module, this host, JSON.
pub(super) const EMPTY: i64 = 0;

/// Names kept in memory; beyond it they are forgotten, and read again from the table.
const CACHED: usize = 65_536;

/// The writer's side: finds a name's number, or gives it one.
#[derive(Default)]
pub(super) struct Numbers(HashMap<String, i64>);

impl Numbers {
    pub(super) fn number_of(&mut self, connection: &Connection, name: &str) -> Result<i64, Error> {
        if name.is_empty() {
            return Ok(EMPTY);
        }
        if let Some(number) = self.0.get(name) {
            return Ok(*number);
        }
        let number = match find(connection, name)? {
            Some(number) => number,
            None => connection
                .prepare_cached("INSERT INTO names (name) VALUES (?1) RETURNING id")?
                .query_one([name], |row| row.get(0))?,
        };
        if self.0.len() >= CACHED {
            self.0.clear();
        }
        self.0.insert(name.to_owned(), number);
        Ok(number)
    }

    /// To be called when what was written is rolled back.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// The reader's side: finds the names of numbers.
#[derive(Default)]
pub(super) struct Names {
    /// By number: they are given out from 1 upwards, those that recur early.
    early: Vec<Option<Box<str>>>,
    /// Those with large numbers, for as long as a row is looked at.
    late: HashMap<usize, Box<str>>,
}

impl Names {
    /// Makes sure that [`get`](Self::get) knows these numbers.
    pub(super) fn load(&mut self, connection: &Connection, numbers: [i64; 4]) -> Result<(), Error> {
        if self.late.len() > CACHED {
            self.late.clear();
        }
        for number in numbers {
            let index = usize::try_from(number).unwrap_or_default();
            let known = self.early.get(index).is_some_and(Option::is_some) || self.late.contains_key(&index);
            if number == EMPTY || known {
                continue;
            }
            let name: String = connection
                .prepare_cached("SELECT name FROM names WHERE id = ?1")?
                .query_one([number], |row| row.get(0))?;
            if index < CACHED {
                self.early.resize(self.early.len().max(index + 1), None);
                self.early[index] = Some(name.into());
            } else {
                self.late.insert(index, name.into());
            }
        }
        Ok(())
    }

    /// The name of a number that was loaded.
    pub(super) fn get(&self, number: i64) -> &str {
        let index = usize::try_from(number).unwrap_or_default();
        let early = self.early.get(index).and_then(Option::as_deref);
        early.or_else(|| self.late.get(&index).map(AsRef::as_ref)).unwrap_or_default()
    }
}

/// The number of a name, if it has one.
pub(super) fn find(connection: &Connection, name: &str) -> Result<Option<i64>, Error> {
    if name.is_empty() {
        return Ok(Some(EMPTY));
    }
    let mut statement = connection.prepare_cached("SELECT id FROM names WHERE name = ?1")?;
    Ok(statement.query_one([name], |row| row.get(0)).optional()?)
}
