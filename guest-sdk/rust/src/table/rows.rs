//! The touched rows of one table, kept for a batch.

use super::key::Key;
use super::row::Row;
use crate::database::{Database, Statement};
use crate::value::Cell;
use crate::{Error, Result, SqlError};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Rows that cross to the host in one call.
const ROWS_AT_ONCE: usize = 512;

/// Bytes of a row: well below what a host takes, so that it is refused where it is put, and not where it is written.
const ROW_BYTES: usize = 1 << 20;

/// What a kept row takes besides its content, about.
const KEPT_BYTES: usize = 128;

/// One row as this batch knows it.
enum State<R> {
    /// The store has it like this.
    Read(R),
    /// The store does not have it.
    Absent,
    /// To be written like this, and the batch fails where the store has one with this key.
    Inserted(R),
    /// To be written like this.
    Written(R),
    /// To be removed.
    Removed(R),
}

struct Kept<R> {
    state: State<R>,
    bytes: usize,
}

pub(super) struct Rows<R> {
    /// Where each row is kept. What is written, is written in the order of the keys.
    places: BTreeMap<Key, usize>,
    kept: Vec<Kept<R>>,
    /// The places of those that are to be written.
    pending: Vec<usize>,
    bytes: usize,
    /// Where keys are encoded.
    scratch: Vec<u8>,
    get: Option<Statement>,
    insert: Option<Statement>,
    put: Option<Statement>,
    remove: Option<Statement>,
    /// By the kinds of the bounds.
    scans: BTreeMap<[&'static str; 2], Statement>,
}

impl<R: Row> Rows<R> {
    pub(super) fn new() -> Self {
        Self {
            places: BTreeMap::new(),
            kept: Vec::new(),
            pending: Vec::new(),
            bytes: 0,
            scratch: Vec::new(),
            get: None,
            insert: None,
            put: None,
            remove: None,
            scans: BTreeMap::new(),
        }
    }

    /// About how many bytes are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&mut self, database: &Database, key: R::Key<'_>) -> Result<Option<&R>> {
        let place = self.find(database, key)?;
        Ok(self.kept[place].row())
    }

    pub(super) fn put(&mut self, mut row: R) -> Result<()> {
        let place = self.make_room(&mut row)?;
        let state = match self.kept[place].state {
            State::Inserted(_) => State::Inserted(row),
            _ => State::Written(row),
        };
        self.set(place, state);
        Ok(())
    }

    /// Whether the store has a row with its key, it says itself when the row is written: nothing is read for it.
    pub(super) fn insert(&mut self, mut row: R) -> Result<()> {
        let place = self.make_room(&mut row)?;
        let state = match self.kept[place].state {
            State::Absent => State::Inserted(row),
            // The store may have it still; that it is to be removed is known.
            State::Removed(_) => State::Written(row),
            State::Read(_) | State::Written(_) | State::Inserted(_) => {
                let table = R::TABLE;
                return Err(Error::new(format_args!("table `{table}` has a row with this key already")));
            }
        };
        self.set(place, state);
        Ok(())
    }

    /// Answers whether the row is there. After an error it may be half changed: the batch must fail.
    pub(super) fn update(&mut self, database: &Database, key: R::Key<'_>, change: impl FnOnce(&mut R)) -> Result<bool> {
        let place = self.find(database, key)?;
        if self.kept[place].row().is_none() {
            return Ok(false);
        }
        self.change(place, key, change)?;
        Ok(true)
    }

    /// As [`update`](Self::update), of a row that is made where it is not there.
    pub(super) fn upsert(
        &mut self,
        database: &Database,
        key: R::Key<'_>,
        make: impl FnOnce() -> R,
        change: impl FnOnce(&mut R),
    ) -> Result<()> {
        let place = self.find(database, key)?;
        if self.kept[place].row().is_none() {
            self.set(place, State::Written(make()));
        }
        self.change(place, key, change)
    }

    pub(super) fn remove(&mut self, database: &Database, key: R::Key<'_>) -> Result<Option<R>> {
        let place = self.find(database, key)?;
        if let State::Inserted(_) = self.kept[place].state {
            // It will not be written, so it is now that the store must say whether it could have been.
            self.write(database)?;
            self.note_written();
        }
        let row = self.kept[place].row().cloned();
        if let Some(row) = &row {
            self.set(place, State::Removed(row.clone()));
        }
        Ok(row)
    }

    /// Whether something is still to be written.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The rows in this range as the store has them.
    pub(super) fn scan<'k>(
        &mut self,
        database: &Database,
        from: Bound<R::Key<'k>>,
        to: Bound<R::Key<'k>>,
    ) -> Result<Vec<R>> {
        let from = match from {
            Bound::Included(key) => Some((key, ">=")),
            Bound::Excluded(key) => Some((key, ">")),
            Bound::Unbounded => None,
        };
        let to = match to {
            Bound::Included(key) => Some((key, "<=")),
            Bound::Excluded(key) => Some((key, "<")),
            Bound::Unbounded => None,
        };
        let kinds = [from, to].map(|bound| bound.map_or("", |(_, compared)| compared));
        let mut cells = Vec::new();
        [from, to].into_iter().flatten().for_each(|(key, _)| R::push_key(key, &mut cells));
        let statement = match self.scans.get(&kinds) {
            Some(statement) => *statement,
            None => {
                let statement = database.prepare(&scan_sql::<R>(kinds))?;
                self.scans.insert(kinds, statement);
                statement
            }
        };
        let mut cells = database.query(statement, &cells)?.into_iter();
        let mut rows = Vec::with_capacity(cells.len() / R::COLUMNS.len());
        while cells.len() > 0 {
            rows.push(R::from_cells(&mut cells)?);
        }
        Ok(rows)
    }

    /// Writes what is to be written, in the order of the keys where there is much of it.
    pub(super) fn write(&mut self, database: &Database) -> Result<(), SqlError> {
        // Looking for a few among many would cost more than their order is worth.
        let are_few = self.pending.len() * 8 < self.kept.len();
        let order: Vec<usize> = if are_few { self.pending.clone() } else { self.places.values().copied().collect() };
        let in_order = || order.iter().map(|place| &self.kept[*place].state);
        let removed = in_order().filter_map(|state| if let State::Removed(row) = state { Some(row) } else { None });
        let inserted = in_order().filter_map(|state| if let State::Inserted(row) = state { Some(row) } else { None });
        let written = in_order().filter_map(|state| if let State::Written(row) = state { Some(row) } else { None });
        run(database, &mut self.remove, R::REMOVE, removed, |row, cells| R::push_key(row.key(), cells))?;
        run(database, &mut self.insert, R::INSERT, inserted, R::push_cells)?;
        run(database, &mut self.put, R::PUT, written, R::push_cells)
    }

    /// What was to be written is as in the store.
    pub(super) fn note_written(&mut self) {
        for place in self.pending.drain(..) {
            let kept = &mut self.kept[place];
            kept.state = match std::mem::replace(&mut kept.state, State::Absent) {
                State::Read(row) | State::Written(row) | State::Inserted(row) => State::Read(row),
                State::Absent | State::Removed(_) => State::Absent,
            };
        }
    }

    /// Forgets what is kept: the store may have it otherwise by now.
    pub(super) fn forget(&mut self) {
        self.places.clear();
        self.kept.clear();
        self.pending.clear();
        self.bytes = 0;
    }

    /// The row's place, read from the store where this batch did not touch it yet.
    fn find(&mut self, database: &Database, key: R::Key<'_>) -> Result<usize> {
        let kept_by = Key::of::<R>(key, &mut self.scratch);
        if let Some(place) = self.places.get(&kept_by) {
            return Ok(*place);
        }
        let get = prepared(database, &mut self.get, R::GET)?;
        let mut cells = Vec::with_capacity(4);
        R::push_key(key, &mut cells);
        let mut cells = database.query(get, &cells)?.into_iter();
        if cells.len() == 0 {
            return Ok(self.keep(kept_by, State::Absent, 0));
        }
        let mut row = R::from_key_and_cells(key, &mut cells)?;
        let bytes = settle(&mut row)?;
        Ok(self.keep(kept_by, State::Read(row), bytes))
    }

    /// The place of a row that is about to be kept; what the store has is not asked.
    fn make_room(&mut self, row: &mut R) -> Result<usize> {
        let bytes = settle(row)?;
        let key = Key::of::<R>(row.key(), &mut self.scratch);
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.keep(key, State::Absent, 0),
        };
        self.resize(place, bytes);
        Ok(place)
    }

    fn keep(&mut self, key: Key, state: State<R>, bytes: usize) -> usize {
        self.bytes += KEPT_BYTES + key.bytes() + bytes;
        self.places.insert(key, self.kept.len());
        self.kept.push(Kept { state, bytes });
        self.kept.len() - 1
    }

    fn change(&mut self, place: usize, key: R::Key<'_>, change: impl FnOnce(&mut R)) -> Result<()> {
        let state = &mut self.kept[place].state;
        let (State::Read(row) | State::Written(row) | State::Inserted(row)) = state else { return Ok(()) };
        change(row);
        let bytes = settle(row)?;
        if !row.has_key(key) {
            let table = R::TABLE;
            return Err(Error::new(format_args!(
                "a change of a row of `{table}` changed its key: remove it, and put another"
            )));
        }
        if let State::Read(_) = state
            && let State::Read(row) = std::mem::replace(state, State::Absent)
        {
            self.set(place, State::Written(row));
        }
        self.resize(place, bytes);
        Ok(())
    }

    fn set(&mut self, place: usize, state: State<R>) {
        if !self.kept[place].is_pending() {
            self.pending.push(place);
        }
        self.kept[place].state = state;
    }

    fn resize(&mut self, place: usize, bytes: usize) {
        let kept = &mut self.kept[place];
        self.bytes = self.bytes - kept.bytes + bytes;
        kept.bytes = bytes;
    }
}

impl<R> Kept<R> {
    fn row(&self) -> Option<&R> {
        match &self.state {
            State::Read(row) | State::Written(row) | State::Inserted(row) => Some(row),
            State::Absent | State::Removed(_) => None,
        }
    }

    fn is_pending(&self) -> bool {
        matches!(self.state, State::Written(_) | State::Inserted(_) | State::Removed(_))
    }
}

/// Makes a row what it will be once it was stored and read again; answers its bytes.
fn settle<R: Row>(row: &mut R) -> Result<usize> {
    let bytes = row.settle()?;
    if bytes > ROW_BYTES {
        let table = R::TABLE;
        return Err(Error::new(format_args!("a row of table `{table}` has {bytes} bytes; {ROW_BYTES} are allowed")));
    }
    Ok(bytes)
}

fn prepared(database: &Database, known: &mut Option<Statement>, sql: &str) -> Result<Statement, SqlError> {
    match known {
        Some(statement) => Ok(*statement),
        None => Ok(*known.insert(database.prepare(sql)?)),
    }
}

/// All columns of the rows between bounds of these kinds, in the order of the key.
fn scan_sql<R: Row>(kinds: [&str; 2]) -> String {
    let [select, key, order] = R::SCAN;
    let columns = key.split(',').count();
    let (mut conditions, mut place) = (Vec::new(), 0);
    for compared in kinds.into_iter().filter(|compared| !compared.is_empty()) {
        let places: Vec<String> = (0..columns).map(|column| format!("?{}", place + column + 1)).collect();
        conditions.push(format!("{key} {compared} ({})", places.join(", ")));
        place += columns;
    }
    let condition = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!("{select}{condition}{order}")
}

/// Runs a statement for each row, many in one call.
fn run<'r, R: 'r>(
    database: &Database,
    known: &mut Option<Statement>,
    sql: &str,
    rows: impl Iterator<Item = &'r R>,
    push: impl Fn(&'r R, &mut Vec<Cell<'r>>),
) -> Result<(), SqlError> {
    let mut rows = rows.peekable();
    let mut cells = Vec::new();
    while rows.peek().is_some() {
        let statement = prepared(database, known, sql)?;
        cells.clear();
        rows.by_ref().take(ROWS_AT_ONCE).for_each(|row| push(row, &mut cells));
        database.execute_many(statement, &cells)?;
    }
    Ok(())
}
