//! Timers that are due, appended to the log: so whoever reads it again finds them at their places.

use super::acting::{Health, Means};
use super::facts::{TIMER_FIRED, TimerFired};
use super::outbox::led_to_by;
use super::{AGAIN, Error, ids, ledger::Timer, streams};
use crate::failpoint;
use crate::log::{self, Alternative, Entered, Entry, NewEvent, Refusal, StoredEvent};
use crate::plugin::rfc3339;
use crate::store::{self, Snapshot, Store};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Timers that are appended in one request.
pub(crate) const CHUNK: usize = 500;

/// That a timer `t` waits for a yes: it was due before its release served.
pub(super) const HELD: &str = "EXISTS (
    SELECT 1 FROM laterna_overdue h
    WHERE (h.instance, h.name, h.set_by, h.occurrence) = (t.instance, t.name, t.set_by, t.occurrence))";

/// Lets the timers of a process fire.
pub(super) struct Clockwork {
    pub(super) process: String,
    pub(super) module: String,
    pub(super) store: Store,
    pub(super) means: Arc<Means>,
    pub(super) health: Health,
    /// Those that are due and cannot fire: they did already, and their instances could not be told, or cannot be. Each is said once.
    pub(super) stuck: BTreeSet<Due>,
}

/// A timer that is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    instance: String,
    name: String,
    timer: Timer,
}

impl Clockwork {
    /// Lets timers fire until it is stopped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let step = async {
                match self.step().await {
                    Ok(()) => self.health.is_failing(false),
                    Err(error) => {
                        self.health.is_failing(true);
                        tracing::error!(process = self.process, %error, "timers do not fire for now");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            };
            stop.run_until_cancelled(step).await;
        }
    }

    /// Lets those fire that are due, or waits until one may be.
    async fn step(&mut self) -> Result<(), Error> {
        let mut progress = self.store.watch_progress();
        // What stands in the log already may call a timer off.
        self.reaches(self.means.log.head()).await;
        let now_us = self.means.clock.now_us();
        let applied = progress.borrow_and_update().applied;
        let most = CHUNK + self.stuck.len();
        let mut due = self.store.read(move |snapshot| due(snapshot.by_hand()?, now_us, most)).await?;
        due.retain(|due| !self.stuck.contains(due));
        if due.is_empty() {
            let next = self.store.read(move |snapshot| next(snapshot.by_hand()?, now_us)).await?;
            self.health.is_failing(false);
            tokio::select! {
                () = sleep_until(&self.means, next) => {}
                changed = progress.changed() => if changed.is_err() { std::future::pending::<()>().await },
            }
            return Ok(());
        }
        let set_by = self.means.log.read(move |reader| {
            let set_by = |due: Due| Ok((reader.event_at(due.timer.set_by)?, due));
            due.into_iter().map(set_by).collect::<Result<Vec<_>, log::Error>>()
        });
        let due: Vec<(Option<StoredEvent>, Due)> = set_by.await?;
        let entries = due.iter().map(|(set_by, due)| due.entry(&self.process, &self.module, set_by.as_ref(), now_us));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let mut last = 0;
        failpoint::pass("timers-enter");
        let all = self.means.log.append_each(entries).await?;
        failpoint::pass("timers-entered");
        for (entered, (_, due)) in all.into_iter().zip(due) {
            match entered {
                Entered::Stored { position } | Entered::Refused { position, .. } => last = last.max(position),
                Entered::Known(place) if place.position <= applied => {
                    let (position, Due { instance, name, .. }) = (place.position, &due);
                    tracing::warn!(
                        process = self.process,
                        instance,
                        timer = name,
                        position,
                        "a timer fired, and still waits: the event is set aside"
                    );
                    self.stuck.insert(due);
                }
                Entered::Known(place) => last = last.max(place.position),
                Entered::Lost { refusal, .. } => {
                    let (process, Due { instance, name, .. }) = (&self.process, &due);
                    tracing::error!(process, instance, timer = name, reason = %refusal, "a timer cannot fire");
                    self.stuck.insert(due);
                }
            }
        }
        self.reaches(last).await;
        Ok(())
    }

    /// Waits until what stands up to a position is folded.
    async fn reaches(&self, position: u64) {
        if self.store.watch_progress().wait_for(|progress| progress.applied >= position).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Due {
    /// The position of the event that it was set by.
    pub(crate) fn set_by(&self) -> u64 {
        self.timer.set_by
    }

    /// What the log takes for it where it fires at this moment, with the event that it was set by.
    pub(crate) fn entry(
        &self,
        process: &str,
        module: &str,
        set_by: Option<&StoredEvent>,
        now_us: i64,
    ) -> Result<Entry, Error> {
        let Self { instance, name, timer } = self;
        let fired = TimerFired {
            process: process.to_owned(),
            instance: instance.clone(),
            timer: name.clone(),
            set_by: timer.set_by,
            due_at: rfc3339(timer.due_us),
            occurrence: timer.occurrence,
            missed: timer.missed(now_us),
        };
        let stream = streams::of_instance(process, instance);
        let event = NewEvent {
            id: Some(ids::timer(process, timer.set_by, timer.due_us, name, instance)),
            module: module.to_owned(),
            internal: true,
            ..NewEvent::json(TIMER_FIRED, serde_json::to_vec(&fired)?)
        };
        let event = match set_by {
            Some(set_by) => led_to_by(set_by, event),
            None => event,
        };
        let (told, again) = (stream.clone(), event.clone());
        // Nothing speaks against it but that its stream is closed, and that against the alternative, too.
        let otherwise = Box::new(move |_: &Refusal| Alternative { stream: told, event: again });
        Ok(Entry { stream, expected: log::Expected::Any, event, fault: None, otherwise })
    }
}

async fn sleep_until(means: &Means, due_us: Option<i64>) {
    match due_us {
        Some(due_us) => means.clock.sleep_until(due_us).await,
        None => std::future::pending().await,
    }
}

/// Timers that were due before their release serves, and not to the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Overdue {
    /// How many.
    pub count: u64,
    /// Some of them, in the order of their instances.
    pub samples: Vec<OverdueTimer>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverdueTimer {
    /// The instance.
    pub instance: String,
    /// The timer's name.
    pub timer: String,
    /// The position of the event that it was set by.
    pub set_by: u64,
    /// When it was due, in RFC 3339.
    pub due_at: String,
}

/// The timers in a snapshot that are due at a moment, were set by events up to a position, and do not wait in the store of who served before
/// as well; those that wait there for a yes wait for it here, too.
///
/// # Errors
/// A store cannot be read.
pub fn overdue(
    snapshot: &Snapshot,
    before: Option<&Store>,
    behind: u64,
    now_us: i64,
    samples: usize,
) -> Result<Overdue, store::Error> {
    let mut overdue = Overdue::default();
    each_overdue(snapshot.by_hand()?, before, behind, now_us, &mut |due| {
        overdue.count += 1;
        if overdue.samples.len() < samples {
            overdue.samples.push(OverdueTimer {
                instance: due.instance.clone(),
                timer: due.name.clone(),
                set_by: due.timer.set_by,
                due_at: rfc3339(due.timer.due_us),
            });
        }
        Ok(())
    })?;
    Ok(overdue)
}

/// Has the [`overdue`] timers of a store wait for a yes; answers how many. Nobody may fold into it meanwhile.
///
/// # Errors
/// A store cannot be read or written.
pub fn hold_overdue(store: &Store, before: Option<&Store>, behind: u64, now_us: i64) -> Result<u64, store::Error> {
    let mut held = 0;
    store.amend(|connection| {
        connection.execute("DELETE FROM laterna_overdue", [])?;
        let mut statement = connection.prepare("INSERT INTO laterna_overdue VALUES (?1, ?2, ?3, ?4)")?;
        each_overdue(connection, before, behind, now_us, &mut |Due { instance, name, timer }| {
            held += 1;
            let (set_by, occurrence) = (timer.set_by.cast_signed(), timer.occurrence.cast_signed());
            statement.execute(params![instance, name, set_by, occurrence]).map(drop)
        })
    })?;
    Ok(held)
}

/// The yes: lets timers fire that wait for it; answers how many. Nobody may fold into the store meanwhile.
///
/// # Errors
/// The store cannot be written.
pub fn let_fire(store: &Store) -> Result<usize, store::Error> {
    let mut let_go = 0;
    store.amend(|connection| {
        // Those that were called off or set anew meanwhile do not wait any more.
        let waiting = format!("SELECT count(*) FROM timers t WHERE {HELD}");
        let_go = connection.query_one(&waiting, [], |row| row.get::<_, i64>(0))?.cast_unsigned() as usize;
        connection.execute("DELETE FROM laterna_overdue", [])?;
        Ok(())
    })?;
    Ok(let_go)
}

/// Shows each overdue timer, one by one: there may be many.
fn each_overdue(
    connection: &rusqlite::Connection,
    before: Option<&Store>,
    behind: u64,
    now_us: i64,
    each: &mut dyn FnMut(&Due) -> Result<(), rusqlite::Error>,
) -> Result<(), store::Error> {
    let mut show = |before: Option<&rusqlite::Connection>| -> Result<(), store::Error> {
        let mut statement = connection.prepare(&format!(
            "SELECT {TIMER} FROM timers t WHERE due_at <= ?1 AND set_by <= ?2 ORDER BY instance, name"
        ))?;
        let same = format!(
            "SELECT 1 FROM timers t WHERE instance = ?1 AND name = ?2 AND set_by = ?3 AND due_at = ?4 AND NOT {HELD}"
        );
        let mut waits = before.map(|before| before.prepare(&same)).transpose()?;
        let mut rows = statement.query(params![now_us, behind.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let due = timer(row)?;
            let Due { instance, name, timer: Timer { set_by, due_us, .. } } = &due;
            let known = match &mut waits {
                Some(waits) => waits.exists(params![instance, name, set_by.cast_signed(), due_us])?,
                None => false,
            };
            if !known {
                each(&due)?;
            }
        }
        Ok(())
    };
    match before {
        Some(before) => before.read_here(|before| show(Some(before.by_hand()?))),
        None => show(None),
    }
}

/// Columns of a timer, as [`timer`] takes them.
const TIMER: &str = "instance, name, due_at, set_by, occurrence, every_us";

fn timer(row: &rusqlite::Row<'_>) -> Result<Due, rusqlite::Error> {
    let timer = Timer {
        due_us: row.get(2)?,
        set_by: row.get::<_, i64>(3)?.cast_unsigned(),
        occurrence: row.get::<_, i64>(4)?.cast_unsigned(),
        every_us: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
    };
    Ok(Due { instance: row.get(0)?, name: row.get(1)?, timer })
}

/// Timers that are due at a moment, the earliest first.
pub(crate) fn due(connection: &rusqlite::Connection, now_us: i64, most: usize) -> Result<Vec<Due>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {TIMER} FROM timers t WHERE due_at <= ?1 AND NOT {HELD} ORDER BY due_at LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![now_us, i64::try_from(most).unwrap_or(i64::MAX)], timer)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next one is due behind a moment.
pub(crate) fn next(connection: &rusqlite::Connection, behind_us: i64) -> Result<Option<i64>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT due_at FROM timers t WHERE due_at > ?1 AND NOT {HELD} ORDER BY due_at LIMIT 1"
    ))?;
    Ok(statement.query_row([behind_us], |row| row.get(0)).optional()?)
}
