//! `control.db`: what was deployed.

use super::Error;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use std::path::Path;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS releases (
    component TEXT NOT NULL,
    number INTEGER NOT NULL,
    module TEXT NOT NULL,
    digest TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (component, number)
) STRICT, WITHOUT ROWID;
";

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It serves.
    Live,
    /// It was refused before it touched anything.
    Rejected,
    /// Another took its place.
    Retired,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Retired => "retired",
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "live" => Self::Live,
            "rejected" => Self::Rejected,
            _ => Self::Retired,
        }
    }
}

/// What is recorded of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its number, from 1 for each component.
    pub release: u64,
    /// Its component's version; empty where it did not come to tell.
    pub version: String,
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
    /// Where it stands.
    pub state: State,
    /// The stable name of why it was refused, with a page in `docs/errors/`; empty where it was not.
    pub code: String,
    /// Why it stands there.
    pub reason: String,
}

/// The record of what was deployed.
pub(super) struct Control {
    connection: Connection,
}

impl Control {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection })
    }

    /// The number of the release with these bytes, or the number that a new one gets.
    pub(super) fn number(&self, component: &str, digest: &str) -> Result<u64, Error> {
        let latest: Option<(i64, String)> = self
            .connection
            .query_row(
                "SELECT number, digest FROM releases WHERE component = ?1 ORDER BY number DESC LIMIT 1",
                [component],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        Ok(match latest {
            Some((number, known)) if known == digest => number.cast_unsigned(),
            Some((number, _)) => number.cast_unsigned() + 1,
            None => 1,
        })
    }

    /// Records where a release stands. One that goes live retires the others.
    pub(super) fn record(&mut self, component: &str, module: &str, record: &Record) -> Result<(), Error> {
        let recorded_at_us = jiff::Timestamp::now().as_microsecond();
        let transaction = self.connection.transaction()?;
        if record.state == State::Live {
            transaction.execute(
                "UPDATE releases SET state = 'retired', reason = ?3, recorded_at = ?4
                 WHERE component = ?1 AND number <> ?2 AND state = 'live'",
                params![
                    component,
                    record.release.cast_signed(),
                    format!("release {} took its place", record.release),
                    recorded_at_us
                ],
            )?;
        }
        transaction.execute(
            "INSERT OR REPLACE INTO releases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                component,
                record.release.cast_signed(),
                module,
                record.digest,
                record.version,
                record.state.name(),
                record.code,
                record.reason,
                recorded_at_us
            ],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// The components that have a live release, with their modules.
    pub(super) fn live_components(&self) -> Result<Vec<(String, String)>, Error> {
        let mut statement = self.connection.prepare("SELECT component, module FROM releases WHERE state = 'live'")?;
        let components = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(components.collect::<Result<_, _>>()?)
    }

    /// The releases of a component, newest first.
    pub(super) fn releases(&self, component: &str) -> Result<Vec<Record>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT number, version, digest, state, code, reason FROM releases WHERE component = ?1 ORDER BY number DESC",
        )?;
        let records = statement.query_map([component], |row| {
            Ok(Record {
                release: row.get::<_, i64>(0)?.cast_unsigned(),
                version: row.get(1)?,
                digest: row.get(2)?,
                state: State::parse(&row.get::<_, String>(3)?),
                code: row.get(4)?,
                reason: row.get(5)?,
            })
        })?;
        Ok(records.collect::<Result<_, _>>()?)
    }
}
