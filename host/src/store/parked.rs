//! What a read model leaves out: events that its component could not apply, each with the later ones of its sequence.
//!
//! They are kept as identities and reasons, not as content: that stands in the log.

use super::{Error, Session, Snapshot};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// Laterna's tables for what is set aside. A sequence has a row from its first event that failed on; the events are listed one by one,
/// within bounds.
pub(super) const TABLES: &str = "
CREATE TABLE laterna_sequences (
    sequence TEXT PRIMARY KEY,
    position INTEGER NOT NULL UNIQUE,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    stream TEXT NOT NULL,
    module TEXT NOT NULL,
    internal INTEGER NOT NULL,
    events INTEGER NOT NULL,
    internal_events INTEGER NOT NULL,
    last_position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE laterna_parked (
    position INTEGER PRIMARY KEY,
    sequence TEXT NOT NULL
) STRICT;
CREATE INDEX laterna_parked_by_sequence ON laterna_parked (sequence);
";

/// Events that are listed of a sequence that was given up.
const LISTED: i64 = 100;

/// An event that is to be set aside.
#[derive(Debug, Clone)]
pub struct Aside<'a> {
    /// The sequence that it belongs to.
    pub sequence: &'a str,
    /// Its position.
    pub position: u64,
    /// It is readable only inside its module.
    pub internal: bool,
    /// Its sequence was discarded: it is counted, and only the first ones are listed.
    pub discarded: bool,
    /// Why it cannot be applied; `None`: it follows on one that could not.
    pub fault: Option<Fault<'a>>,
}

/// Why the first event of a sequence could not be applied.
#[derive(Debug, Clone)]
pub struct Fault<'a> {
    /// The stable name of what went wrong.
    pub code: &'a str,
    /// What went wrong.
    pub reason: &'a str,
    /// Its id.
    pub event_id: &'a str,
    /// Its type.
    pub event_type: &'a str,
    /// Its stream.
    pub stream: &'a str,
    /// Its module; empty for none.
    pub module: &'a str,
}

/// A sequence of which a read model leaves events out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// What its events have in common: their stream, say.
    pub sequence: String,
    /// The position of the event that could not be applied.
    pub position: u64,
    /// The stable name of what went wrong.
    pub code: String,
    /// What went wrong.
    pub reason: String,
    /// The event's id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Its stream.
    pub stream: String,
    /// Its module; empty for none.
    pub module: String,
    /// It is readable only inside its module.
    pub internal: bool,
    /// How many events are left out, that one included.
    pub events: u64,
    /// How many of them are readable only inside their module.
    pub internal_events: u64,
    /// The position of the last one of them.
    pub last_position: u64,
}

impl Session {
    /// Sets an event aside, in the transaction that is open.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_aside(&mut self, aside: &Aside<'_>) -> Result<(), Error> {
        let connection = self.connection();
        let Aside { sequence, position, internal, discarded, fault } = aside;
        let position = position.cast_signed();
        match fault {
            Some(fault) => connection
                .prepare_cached("INSERT INTO laterna_sequences VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?9, ?2)")?
                .execute(params![
                    sequence,
                    position,
                    fault.code,
                    fault.reason,
                    fault.event_id,
                    fault.event_type,
                    fault.stream,
                    fault.module,
                    internal
                ])?,
            None => connection
                .prepare_cached(
                    "UPDATE laterna_sequences SET events = events + 1, internal_events = internal_events + ?3, last_position = ?2 \
                     WHERE sequence = ?1",
                )?
                .execute(params![sequence, position, internal])?,
        };
        // Of a sequence that was given up the first ones are listed; all others are, too.
        let most = if *discarded { LISTED } else { i64::MAX };
        connection
            .prepare_cached(
                "INSERT INTO laterna_parked SELECT ?1, sequence FROM laterna_sequences WHERE sequence = ?2 AND events <= ?3",
            )?
            .execute(params![position, sequence, most])?;
        Ok(())
    }

    /// The sequences of which events are left out, each with how many.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn sequences(&self) -> Result<Vec<(String, u64)>, Error> {
        counts(self.connection())
    }
}

impl Snapshot {
    /// A sequence of which events are left out, if it is one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn parked_sequence(&self, sequence: &str) -> Result<Option<Sequence>, Error> {
        let mut statement = self
            .connection()?
            .prepare_cached(&format!("SELECT {COLUMNS} FROM laterna_sequences WHERE sequence = ?1"))?;
        Ok(statement.query_one([sequence], read).optional()?)
    }

    /// Sequences whose first event at fault stands behind `after`, in the order of these events, `limit` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn parked(&self, after: u64, limit: usize) -> Result<Vec<Sequence>, Error> {
        let mut statement = self.connection()?.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM laterna_sequences WHERE position > ?1 ORDER BY position LIMIT ?2"
        ))?;
        let rows = statement.query_map(params![after.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The positions of the events of a sequence that are listed, the first `limit` of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn parked_positions(&self, sequence: &str, limit: usize) -> Result<Vec<u64>, Error> {
        let mut statement = self
            .connection()?
            .prepare_cached("SELECT position FROM laterna_parked WHERE sequence = ?1 ORDER BY position LIMIT ?2")?;
        let rows = statement.query_map(params![sequence, limit as i64], |row| row.get::<_, i64>(0))?;
        rows.map(|position| Ok(position?.cast_unsigned())).collect()
    }
}

const COLUMNS: &str = "sequence, position, code, reason, event_id, event_type, stream, module, internal, events, last_position, internal_events";

fn read(row: &Row<'_>) -> Result<Sequence, rusqlite::Error> {
    Ok(Sequence {
        sequence: row.get(0)?,
        position: row.get::<_, i64>(1)?.cast_unsigned(),
        code: row.get(2)?,
        reason: row.get(3)?,
        event_id: row.get(4)?,
        event_type: row.get(5)?,
        stream: row.get(6)?,
        module: row.get(7)?,
        internal: row.get(8)?,
        events: row.get::<_, i64>(9)?.cast_unsigned(),
        last_position: row.get::<_, i64>(10)?.cast_unsigned(),
        internal_events: row.get::<_, i64>(11)?.cast_unsigned(),
    })
}

fn counts(connection: &Connection) -> Result<Vec<(String, u64)>, Error> {
    let mut statement = connection.prepare_cached("SELECT sequence, events FROM laterna_sequences")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
