//! What a process manager's store says of its instances, read for who looks in.

use super::clockwork::HELD;
use rusqlite::{Connection, Error, OptionalExtension, Row, params};
use serde::Serialize;

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its state: JSON.
    pub state: String,
    /// The position of the event that it began with.
    pub began_position: u64,
    /// When that was recorded, in microseconds since 1970.
    pub began_us: i64,
    /// The position of the event by which it changed last.
    pub changed_position: u64,
    /// When that was recorded, in microseconds since 1970.
    pub changed_us: i64,
}

/// A timer that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The instance.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// When it is due, in microseconds since 1970.
    pub due_us: i64,
    /// The position of the event that it was set by.
    pub set_by: u64,
    /// Counts up each time that one with an interval is due.
    pub occurrence: u64,
    /// The time from one occurrence to the next, in microseconds.
    pub every_us: Option<u64>,
    /// It was due before its release came to serve, and waits for a yes.
    pub held: bool,
}

/// What an instance did about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The event's position.
    pub position: u64,
    /// What became of the instance: `unchanged`, `became` or `ended`.
    pub outcome: String,
    /// What it did: a JSON array.
    pub actions: String,
}

/// An effect in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Put {
    /// The position of the event that led to it.
    pub position: u64,
    /// The instance.
    pub instance: String,
    /// Its place among the effects.
    pub ordinal: usize,
}

/// Rows, and whether there are more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// There are more.
    pub more: bool,
}

/// How many rows there are, as far as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// There are more.
    pub more: bool,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Instances.
    Instances,
    /// Timers.
    Timers,
    /// Timers that wait for a yes.
    Overdue,
    /// Effects in the outbox of events behind this position.
    Outbox {
        /// The position.
        behind: u64,
    },
}

/// What timers are read from, with the column `held`: what may stand behind `FROM`.
#[must_use]
pub fn timers_with_held() -> String {
    format!("(SELECT t.instance, t.name, t.due_at, t.set_by, t.occurrence, t.every_us, {HELD} AS held FROM timers t)")
}

/// The instance that is called so.
///
/// # Errors
/// The store cannot be read.
pub fn instance(connection: &Connection, key: &str) -> Result<Option<Instance>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT state, began_position, began_at, changed_position, changed_at FROM instances WHERE key = ?1",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Instance {
            state: row.get(0)?,
            began_position: unsigned(row, 1)?,
            began_us: row.get(2)?,
            changed_position: unsigned(row, 3)?,
            changed_us: row.get(4)?,
        })
    };
    statement.query_row([key], read).optional()
}

/// The names that an instance is found by besides its key, in their order.
///
/// # Errors
/// The store cannot be read.
pub fn associations(connection: &Connection, key: &str, limit: usize) -> Result<Cut<String>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT name FROM associations WHERE instance = ?1 ORDER BY name LIMIT ?2")?;
    cut(statement.query_map(params![key, one_more(limit)], |row| row.get(0))?, limit)
}

/// The timers of an instance, the next that is due first.
///
/// # Errors
/// The store cannot be read.
pub fn timers(connection: &Connection, key: &str, limit: usize) -> Result<Cut<Waiting>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT * FROM {} WHERE instance = ?1 ORDER BY due_at, name LIMIT ?2",
        timers_with_held()
    ))?;
    cut(statement.query_map(params![key, one_more(limit)], waiting)?, limit)
}

/// Of all timers those that are due next; of those that wait for a yes, or of the others.
///
/// # Errors
/// The store cannot be read.
pub fn next_timers(connection: &Connection, held: bool, limit: usize) -> Result<Vec<Waiting>, Error> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT * FROM {} WHERE held = ?1 ORDER BY due_at LIMIT ?2", timers_with_held()))?;
    statement.query_map(params![held, limit.cast_signed()], waiting)?.collect()
}

/// What an instance decided about events before a position, newest first: about so many bytes of it, and one at least.
///
/// # Errors
/// The store cannot be read.
pub fn decisions(
    connection: &Connection,
    key: &str,
    before: u64,
    limit: usize,
    bytes: usize,
) -> Result<Cut<Decision>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT position, outcome, actions FROM decisions WHERE instance = ?1 AND position < ?2 ORDER BY position DESC",
    )?;
    let mut found = statement.query(params![key, i64::try_from(before).unwrap_or(i64::MAX)])?;
    let (mut rows, mut held) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        if rows.len() == limit || held >= bytes {
            return Ok(Cut { rows, more: true });
        }
        let decision = Decision { position: unsigned(row, 0)?, outcome: row.get(1)?, actions: row.get(2)? };
        held += decision.actions.len();
        rows.push(decision);
    }
    Ok(Cut { rows, more: false })
}

/// The effects in the outbox of events behind a position, in their order; of one instance where it is said which.
///
/// # Errors
/// The store cannot be read.
pub fn outbox(connection: &Connection, key: Option<&str>, behind: u64, limit: usize) -> Result<Cut<Put>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT position, instance, ordinal FROM laterna_outbox
         WHERE position > ?1 AND (?2 IS NULL OR instance = ?2) ORDER BY position, instance, ordinal LIMIT ?3",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Put { position: unsigned(row, 0)?, instance: row.get(1)?, ordinal: unsigned(row, 2)? as usize })
    };
    let behind = i64::try_from(behind).unwrap_or(i64::MAX);
    cut(statement.query_map(params![behind, key, one_more(limit)], read)?, limit)
}

/// Counts as far as that.
///
/// # Errors
/// The store cannot be read.
pub fn count(connection: &Connection, what: What, limit: u64) -> Result<Counted, Error> {
    let (rows, behind) = match what {
        What::Instances => ("SELECT 1 FROM instances WHERE ?1 IS NOT NULL", 0),
        What::Timers => ("SELECT 1 FROM timers WHERE ?1 IS NOT NULL", 0),
        // Those that were called off or set anew meanwhile do not wait any more.
        What::Overdue => (
            "SELECT 1 FROM laterna_overdue h JOIN timers t
             ON (h.instance, h.name, h.set_by, h.occurrence) = (t.instance, t.name, t.set_by, t.occurrence)
             WHERE ?1 IS NOT NULL",
            0,
        ),
        What::Outbox { behind } => ("SELECT 1 FROM laterna_outbox WHERE position > ?1", behind),
    };
    let mut statement = connection.prepare_cached(&format!("SELECT count(*) FROM ({rows} LIMIT ?2)"))?;
    let (behind, limit) = (i64::try_from(behind).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
    let counted: i64 = statement.query_row(params![behind, limit.saturating_add(1)], |row| row.get(0))?;
    Ok(Counted { count: counted.min(limit).cast_unsigned(), more: counted > limit })
}

fn waiting(row: &Row<'_>) -> Result<Waiting, Error> {
    Ok(Waiting {
        instance: row.get(0)?,
        name: row.get(1)?,
        due_us: row.get(2)?,
        set_by: unsigned(row, 3)?,
        occurrence: unsigned(row, 4)?,
        every_us: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        held: row.get(6)?,
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, Error> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn cut<T>(rows: impl Iterator<Item = Result<T, Error>>, limit: usize) -> Result<Cut<T>, Error> {
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok(Cut { rows, more })
}
