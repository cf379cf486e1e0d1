//! `control.db`: what was deployed.

use super::Error;
use crate::plugin::Limits;
use rusqlite::{Connection, params};
use serde::Serialize;
use std::path::Path;

const TABLES: &str = "
CREATE TABLE releases (
    component TEXT NOT NULL,
    number INTEGER NOT NULL,
    module TEXT NOT NULL,
    digest TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    limits TEXT NOT NULL,
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
    /// What its component may use: fixed with it, whatever the host's settings become.
    pub limits: Limits,
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
        let empty: bool = connection.query_one("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
        if empty {
            connection.execute_batch(TABLES)?;
        }
        Ok(Self { connection })
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
            "INSERT OR REPLACE INTO releases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                component,
                record.release.cast_signed(),
                module,
                record.digest,
                record.version,
                record.state.name(),
                record.code,
                serde_json::to_string(&record.limits)?,
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
            "SELECT number, version, digest, state, code, limits, reason FROM releases WHERE component = ?1 ORDER BY number DESC",
        )?;
        let mut rows = statement.query([component])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(Record {
                release: row.get::<_, i64>(0)?.cast_unsigned(),
                version: row.get(1)?,
                digest: row.get(2)?,
                state: State::parse(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?),
                code: row.get(4)?,
                limits: serde_json::from_str(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
                reason: row.get(6)?,
            });
        }
        Ok(records)
    }
}
