//! `control.db`: what was deployed, each step of it, and which files were taken.

use super::Error;
use super::machine::State;
use super::plan::Plan;
use super::upcasters::Feeds;
use super::verify::Difference;
use crate::plugin::manifest::Beginning;
use crate::plugin::{self, Policy};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The number of this format, in `user_version`.
const FORMAT: i64 = 5;

const TABLES: &str = "
CREATE TABLE starts (boot TEXT NOT NULL, recorded_at INTEGER NOT NULL) STRICT;
CREATE TABLE counted (steps INTEGER NOT NULL) STRICT;
INSERT INTO counted VALUES (0);
CREATE TABLE components (
    name TEXT PRIMARY KEY,
    module TEXT NOT NULL,
    paused TEXT NOT NULL,
    removed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE releases (
    component TEXT NOT NULL,
    number INTEGER NOT NULL,
    module TEXT NOT NULL,
    digest TEXT NOT NULL,
    limits TEXT NOT NULL,
    upcasters TEXT NOT NULL,
    uploaded INTEGER NOT NULL,
    version TEXT NOT NULL,
    boot TEXT NOT NULL,
    state TEXT NOT NULL,
    policy TEXT NOT NULL,
    begins TEXT NOT NULL,
    plan TEXT NOT NULL,
    difference TEXT NOT NULL,
    proof TEXT NOT NULL,
    PRIMARY KEY (component, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE steps (
    component TEXT NOT NULL,
    number INTEGER NOT NULL,
    step INTEGER NOT NULL,
    id INTEGER NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    position INTEGER,
    internal_to TEXT,
    figures TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (component, number, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE discarded (
    component TEXT NOT NULL,
    number INTEGER NOT NULL,
    sequence TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (component, number, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE files (path TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// What a release may use: fixed with it, whatever the host's settings become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// What its component may use.
    #[serde(flatten)]
    pub plugin: plugin::Limits,
    /// Pages of 4 KiB that its store may have.
    pub store_pages: u32,
    /// Events that may be set aside.
    pub parked_events: u64,
}

/// The policy of a release: fixed with it, whatever the host's settings become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// What becomes of it once it could serve.
    pub policy: Policy,
    /// Who says so.
    #[serde(rename = "policy_by")]
    pub by: By,
}

/// Who says what the policy of a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Its component's manifest.
    Manifest,
    /// The host's configuration.
    Operator,
}

/// What of a component is to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Paused {
    /// Nothing: everything folds.
    #[default]
    Nothing,
    /// Builds: what serves goes on.
    Builds,
    /// Everything; queries are answered as of where it stands.
    Everything,
}

/// What is recorded of a component besides its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) name: String,
    /// Of its newest release.
    pub(super) module: String,
    pub(super) paused: Paused,
    /// It was withdrawn by its operator.
    pub(super) removed: bool,
}

/// What is recorded of a release.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Its number, from 1 for each component.
    pub release: u64,
    /// Its component's version; empty where it did not come to tell.
    pub version: String,
    /// The module whose folder it lay in; empty for none.
    pub module: String,
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
    /// What it may use.
    pub limits: Limits,
    /// The upcasters that feed it.
    pub upcasters: Vec<Feeds>,
    /// What becomes of it once it could serve.
    #[serde(flatten)]
    pub ruling: Ruling,
    /// To what of the history it reacts if it is the first one of a process manager, where its deployment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins: Option<Beginning>,
    /// What was to be expected of it before it was built; `None` where it was not checked yet.
    #[serde(skip)]
    pub plan: Option<Arc<Plan>>,
    /// What it changes for readers; `None` where it was not compared. Kept for as long as the release is.
    #[serde(skip)]
    pub difference: Option<Arc<Difference>>,
    /// What it was, beside the log folded once more, when that was looked at last; `None` where it never was. Kept as long.
    #[serde(skip)]
    pub proof: Option<Arc<Difference>>,
    /// Where it stands.
    pub state: State,
    /// The stable name of what went wrong, with a page in `docs/errors/`; empty where nothing did.
    pub code: String,
    /// Why it stands there.
    pub reason: String,
    /// The module inside which alone the reason may be read, where it tells of an internal event.
    #[serde(skip)]
    pub internal_to: Option<String>,
    /// The sequences of which an operator gave up what is left out.
    #[serde(skip)]
    pub discarded: BTreeSet<String>,
    /// Each step that it took, oldest first.
    pub steps: Vec<Step>,
    /// It came over HTTP, and is put into the folder once it is checked.
    #[serde(skip)]
    pub(super) uploaded: bool,
    /// The start of the machine in which its build began.
    #[serde(skip)]
    pub(super) boot: String,
}

/// A step of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number among the steps of all releases of the host, in the order in which they were taken.
    pub id: u64,
    /// Where it led.
    pub state: State,
    /// As of a [`Record`].
    pub code: String,
    /// Why.
    pub reason: String,
    /// As of a [`Record`].
    #[serde(skip)]
    pub internal_to: Option<String>,
    /// The checkpoint at which it was taken, where there was a store.
    pub position: Option<u64>,
    /// What was measured, by name: counts, seconds, positions.
    pub figures: Figures,
    /// When.
    #[serde(rename = "at", serialize_with = "plugin::as_rfc3339")]
    pub at_us: i64,
}

impl Record {
    /// A release of which nothing is known yet but what it is to be made of.
    pub(super) fn received(release: u64, module: String, digest: String, limits: Limits) -> Self {
        Self {
            release,
            version: String::new(),
            module,
            digest,
            limits,
            upcasters: Vec::new(),
            // Its component says once it is checked.
            ruling: Ruling { policy: Policy::Auto, by: By::Manifest },
            begins: None,
            plan: None,
            difference: None,
            proof: None,
            state: State::Received,
            code: String::new(),
            reason: String::new(),
            internal_to: None,
            discarded: BTreeSet::new(),
            steps: Vec::new(),
            uploaded: false,
            boot: String::new(),
        }
    }

    /// The step by which it ceased to serve, if it did.
    #[must_use]
    pub fn displaced(&self) -> Option<&Step> {
        let live = self.steps.iter().rposition(|step| step.state == State::Live)?;
        self.steps.get(live + 1)
    }

    /// Its operator let it serve after it was held.
    #[must_use]
    pub fn is_promoted(&self) -> bool {
        self.state == State::Verifying && self.steps.iter().any(|step| step.state == State::Held)
    }
}

/// What was measured at a step, by name.
pub type Figures = serde_json::Map<String, serde_json::Value>;

/// The record of what was deployed.
pub(super) struct Control {
    connection: Connection,
}

impl Control {
    /// Opens the record, or makes it. `boot` names the start of the machine.
    pub(super) fn open(path: &Path, boot: &str) -> Result<Self, Error> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        let transaction = connection.transaction()?;
        let format: i64 = transaction.query_one("PRAGMA user_version", [], |row| row.get(0))?;
        if format < FORMAT {
            // What an older version left follows from the log and the folder: it is made anew.
            for table in ["starts", "components", "releases", "steps", "discarded", "files", "counted"] {
                transaction.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
            }
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
        } else if format != FORMAT {
            return Err(Error::Format { found: format, known: FORMAT });
        }
        // A commit that writes: it makes durable what a killed host left behind in the write-ahead log, before anyone relies on it.
        transaction.execute("DELETE FROM starts", [])?;
        transaction.execute("INSERT INTO starts VALUES (?1, ?2)", params![boot, now_us()])?;
        transaction.commit()?;
        Ok(Self { connection })
    }

    /// Records, all or nothing, what `write` says.
    pub(super) fn write<T>(&mut self, write: impl FnOnce(&Writing<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let writing = Writing { transaction: self.connection.transaction()? };
        let written = write(&writing)?;
        writing.transaction.commit()?;
        Ok(written)
    }

    /// The components, by name.
    pub(super) fn components(&self) -> Result<Vec<Component>, Error> {
        let mut statement =
            self.connection.prepare("SELECT name, module, paused, removed FROM components ORDER BY 1")?;
        let mut rows = statement.query([])?;
        let mut components = Vec::new();
        while let Some(row) = rows.next()? {
            components.push(Component {
                name: row.get(0)?,
                module: row.get(1)?,
                paused: serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
                removed: row.get(3)?,
            });
        }
        Ok(components)
    }

    /// The releases of a component, newest first.
    pub(super) fn releases(&self, component: &str) -> Result<Vec<Record>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT number, version, module, digest, limits, state, uploaded, boot, upcasters, policy, plan, difference, proof, begins FROM releases
             WHERE component = ?1 ORDER BY number DESC",
        )?;
        let mut rows = statement.query([component])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let steps = self.steps(component, number)?;
            let last = steps.last();
            records.push(Record {
                release: number.cast_unsigned(),
                version: row.get(1)?,
                module: row.get(2)?,
                digest: row.get(3)?,
                limits: serde_json::from_str(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
                state: state(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
                code: last.map(|step| step.code.clone()).unwrap_or_default(),
                reason: last.map(|step| step.reason.clone()).unwrap_or_default(),
                internal_to: last.and_then(|step| step.internal_to.clone()),
                upcasters: serde_json::from_str(row.get_ref(8)?.as_str().map_err(rusqlite::Error::from)?)?,
                ruling: serde_json::from_str(row.get_ref(9)?.as_str().map_err(rusqlite::Error::from)?)?,
                plan: serde_json::from_str::<Option<Plan>>(row.get_ref(10)?.as_str().map_err(rusqlite::Error::from)?)?
                    .map(Arc::new),
                difference: serde_json::from_str::<Option<Difference>>(
                    row.get_ref(11)?.as_str().map_err(rusqlite::Error::from)?,
                )?
                .map(Arc::new),
                proof: serde_json::from_str::<Option<Difference>>(
                    row.get_ref(12)?.as_str().map_err(rusqlite::Error::from)?,
                )?
                .map(Arc::new),
                begins: serde_json::from_str(row.get_ref(13)?.as_str().map_err(rusqlite::Error::from)?)?,
                discarded: self.discarded(component, number)?,
                uploaded: row.get(6)?,
                boot: row.get(7)?,
                steps,
            });
        }
        Ok(records)
    }

    fn steps(&self, component: &str, number: i64) -> Result<Vec<Step>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT state, code, reason, position, figures, recorded_at, internal_to, id FROM steps WHERE component = ?1 AND number = ?2 ORDER BY step",
        )?;
        let mut rows = statement.query(params![component, number])?;
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            steps.push(Step {
                id: row.get::<_, i64>(7)?.cast_unsigned(),
                state: state(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
                code: row.get(1)?,
                reason: row.get(2)?,
                position: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                figures: serde_json::from_str(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
                at_us: row.get(5)?,
                internal_to: row.get(6)?,
            });
        }
        Ok(steps)
    }

    fn discarded(&self, component: &str, number: i64) -> Result<BTreeSet<String>, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT sequence FROM discarded WHERE component = ?1 AND number = ?2")?;
        let rows = statement.query_map(params![component, number], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The number of the newest step of all, also of those that are forgotten: none comes twice.
    pub(super) fn newest_step(&self) -> Result<u64, Error> {
        let newest: i64 = self.connection.query_one("SELECT steps FROM counted", [], |row| row.get(0))?;
        Ok(newest.cast_unsigned())
    }

    /// The digest of the bytes that were taken last from a file of the folder.
    pub(super) fn digest_of(&self, file: &str) -> Result<Option<String>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT digest FROM files WHERE path = ?1")?;
        Ok(statement.query_row([file], |row| row.get(0)).optional()?)
    }
}

/// What is recorded in one transaction.
pub(super) struct Writing<'c> {
    transaction: Transaction<'c>,
}

impl Writing<'_> {
    pub(super) fn component(&self, component: &Component) -> Result<(), Error> {
        self.transaction.execute(
            "INSERT OR REPLACE INTO components VALUES (?1, ?2, ?3, ?4)",
            params![component.name, component.module, serde_json::to_string(&component.paused)?, component.removed],
        )?;
        Ok(())
    }

    /// So many steps were taken.
    pub(super) fn newest_step(&self, step: u64) -> Result<(), Error> {
        self.transaction.execute("UPDATE counted SET steps = ?1", [step.cast_signed()])?;
        Ok(())
    }

    /// A release as it stands now, with its steps.
    pub(super) fn release(&self, component: &str, record: &Record) -> Result<(), Error> {
        let number = record.release.cast_signed();
        self.transaction.execute(
            "INSERT OR REPLACE INTO releases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                component,
                number,
                record.module,
                record.digest,
                serde_json::to_string(&record.limits)?,
                serde_json::to_string(&record.upcasters)?,
                record.uploaded,
                record.version,
                record.boot,
                record.state.name(),
                serde_json::to_string(&record.ruling)?,
                serde_json::to_string(&record.begins)?,
                serde_json::to_string(&record.plan.as_deref())?,
                serde_json::to_string(&record.difference.as_deref())?,
                serde_json::to_string(&record.proof.as_deref())?
            ],
        )?;
        for (index, step) in (1_i64..).zip(&record.steps) {
            self.transaction.execute(
                "INSERT OR IGNORE INTO steps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    component,
                    number,
                    index,
                    step.id.cast_signed(),
                    step.state.name(),
                    step.code,
                    step.reason,
                    step.position.map(u64::cast_signed),
                    step.internal_to,
                    serde_json::to_string(&step.figures)?,
                    step.at_us
                ],
            )?;
        }
        for sequence in &record.discarded {
            self.transaction.execute(
                "INSERT OR IGNORE INTO discarded VALUES (?1, ?2, ?3, ?4)",
                params![component, number, sequence, now_us()],
            )?;
        }
        Ok(())
    }

    /// The bytes of this digest were taken from a file of the folder.
    pub(super) fn file(&self, path: &str, digest: &str) -> Result<(), Error> {
        self.transaction.execute("INSERT OR REPLACE INTO files VALUES (?1, ?2)", params![path, digest])?;
        Ok(())
    }

    /// Nothing of this component and of its file is remembered any longer.
    pub(super) fn forget_component(&self, component: &str, file: &str) -> Result<(), Error> {
        for table in ["steps", "releases", "discarded"] {
            self.transaction.execute(&format!("DELETE FROM {table} WHERE component = ?1"), [component])?;
        }
        self.transaction.execute("DELETE FROM components WHERE name = ?1", [component])?;
        self.forget_file(file)
    }

    /// A file is not remembered any longer: whatever is dropped there is taken.
    pub(super) fn forget_file(&self, path: &str) -> Result<(), Error> {
        self.transaction.execute("DELETE FROM files WHERE path = ?1", [path])?;
        Ok(())
    }
}

fn state(name: &str) -> Result<State, Error> {
    State::parse(name).ok_or_else(|| Error::State(name.to_owned()))
}

pub(super) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
