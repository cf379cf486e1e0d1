//! What is measured in one run: arms that take turns, whose results are compared before a ratio is told.

use super::ratio::{Ratio, take_turns};
use super::reactions::{self, Process};
use super::{Error, append, compare, native, rebuild, workload};
use crate::log::{Log, Options};
use crate::plugin::{Engine, Limits, Plugin};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Events in a transaction, where reactions are measured in batches.
const BATCH: usize = 100;

/// The tables of the standard workload.
const TABLES: &[&str] = &["orders", "customers", "products"];

/// One measurement: an arm beside its reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// How many times as fast as its reference.
    pub ratio: Ratio,
    /// Seconds of the arm, round by round.
    pub seconds: Vec<f64>,
    /// Seconds of the reference, round by round.
    pub reference_seconds: Vec<f64>,
}

/// Rebuilds of the standard workload, beside the native loop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rebuilds {
    /// Events in the log.
    pub events: usize,
    /// By a component that uses typed tables.
    pub tables: Measured,
    /// By one that runs an SQL statement for each change.
    pub plain_sql: Measured,
}

/// Durable appends of the standard workload, beside SQLite's own group commit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Appends {
    /// Events that were appended.
    pub events: usize,
    /// Callers that appended at once.
    pub writers: usize,
    /// Events in a group commit, on average.
    pub events_per_group: f64,
    /// One event at a time from each writer.
    #[serde(flatten)]
    pub durable: Measured,
}

/// Reactions with many instances, beside those with few.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reactions {
    /// Events in a round.
    pub events: usize,
    /// Instances of the reference.
    pub few: u64,
    /// Instances of the other one.
    pub many: u64,
    /// One instance for each customer (`loyalty`), the events one by one.
    pub one_by_one: Measured,
    /// The same, in transactions of a hundred events.
    pub in_batches: Measured,
    /// Fifty names by which an instance is found (`festival-cleanup`), as many names as there are customers; one by one.
    pub associations: Measured,
    /// One timer for each instance, set anew by each event (`order-payment`); one by one.
    pub timers: Measured,
}

/// Where the process managers lie that are measured.
#[derive(Debug, Clone)]
pub struct Processes {
    /// The one with an instance for each customer.
    pub loyalty: PathBuf,
    /// The one with fifty names for each instance.
    pub festival_cleanup: PathBuf,
    /// The one with a timer for each instance.
    pub order_payment: PathBuf,
}

/// Where the components of the two styles lie.
#[derive(Debug, Clone)]
pub struct Components {
    /// The one with typed tables.
    pub tables: PathBuf,
    /// The one with plain SQL.
    pub plain_sql: PathBuf,
}

/// Rebuilds a log of so many events, in the folder `scratch`.
///
/// # Errors
/// An arm fails, or they do not come to the same tables.
pub fn rebuilds(
    scratch: &Path,
    runtime: &Runtime,
    components: &Components,
    events: usize,
    rounds: usize,
) -> Result<Rebuilds, Error> {
    let log_file = scratch.join(format!("log-{events}.db"));
    let log = Log::open(&log_file, &Options::default())?;
    runtime.block_on(workload::write(&log, events))?;
    let engine = engine()?;
    let (tables, plain_sql) = (load(&engine, &components.tables)?, load(&engine, &components.plain_sql)?);
    let [native_store, tables_store, plain_sql_store] =
        ["native", "tables", "plain-sql"].map(|name| scratch.join(format!("{name}.db")));
    let times = take_turns(
        rounds,
        &mut [
            &mut || native::rebuild(&log_file, &native_store),
            &mut || runtime.block_on(rebuild::rebuild(&log, &tables, &tables_store)),
            &mut || runtime.block_on(rebuild::rebuild(&log, &plain_sql, &plain_sql_store)),
        ],
    )?;
    log.close();
    compare::same_tables(&native_store, &tables_store, TABLES)?;
    compare::same_tables(&native_store, &plain_sql_store, TABLES)?;
    Ok(Rebuilds { events, tables: measured(&times[0], &times[1])?, plain_sql: measured(&times[0], &times[2])? })
}

/// Appends so many events from [`append::WRITERS`] at once, in the folder `scratch`.
///
/// # Errors
/// An arm fails, or they do not come to the same number of events.
pub fn appends(scratch: &Path, runtime: &Runtime, events: usize, rounds: usize) -> Result<Appends, Error> {
    let (reference, ours) = (scratch.join("sqlite.db"), scratch.join("laterna-log.db"));
    let append = || runtime.block_on(append::laterna(&ours, events));
    // The first one warms up, and says how large the groups are.
    let groups = std::cell::Cell::new(append()?.groups);
    let rows = append::Rows::of(&ours)?;
    let times = take_turns(
        rounds,
        &mut [&mut || append::sqlite(&reference, &rows, groups.get()), &mut || {
            let appended = append()?;
            groups.set(appended.groups);
            Ok::<_, Error>(appended.took)
        }],
    )?;
    compare::same_number(&reference, &ours, "events")?;
    let events_per_group = events as f64 / groups.get() as f64;
    let durable = measured(&times[0], &times[1])?;
    Ok(Appends { events, writers: append::WRITERS, events_per_group, durable })
}

/// Lets `events` come to process managers with `few` and with `many` instances, in the folder `scratch`.
///
/// # Errors
/// A store cannot be written, or a component cannot apply an event.
pub fn reactions(
    scratch: &Path,
    processes: &Processes,
    (few, many): (u64, u64),
    events: usize,
    rounds: usize,
) -> Result<Reactions, Error> {
    let engine = engine()?;
    let beside = |component: &Path, event, batch| {
        let plugin = load(&engine, component)?;
        let mut reference = Process::fill(&plugin, &scratch.join("few.db"), few, event)?;
        let mut arm = Process::fill(&plugin, &scratch.join("many.db"), many, event)?;
        // The first turn of each warms up.
        reference.react(events, batch)?;
        arm.react(events, batch)?;
        let times =
            take_turns(rounds, &mut [&mut || reference.react(events, batch), &mut || arm.react(events, batch)])?;
        measured(&times[0], &times[1])
    };
    Ok(Reactions {
        events,
        few,
        many,
        one_by_one: beside(&processes.loyalty, reactions::purchase, 1)?,
        in_batches: beside(&processes.loyalty, reactions::purchase, BATCH)?,
        associations: beside(&processes.festival_cleanup, reactions::team, 1)?,
        timers: beside(&processes.order_payment, reactions::order, 1)?,
    })
}

fn engine() -> Result<Engine, Error> {
    Engine::new(None).map_err(|error| Error::Component(format!("{error:#}")))
}

fn load(engine: &Engine, path: &Path) -> Result<Plugin, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    Plugin::load(engine, &bytes, &Limits::default()).map_err(|error| Error::Component(error.to_string()))
}

fn measured(reference: &[Duration], arm: &[Duration]) -> Result<Measured, Error> {
    let ratio = Ratio::of(reference, arm).ok_or(Error::NoRounds)?;
    let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).collect();
    Ok(Measured { ratio, seconds: seconds(arm), reference_seconds: seconds(reference) })
}
