//! The instances that a batch touches: each is read once, changed in memory, and written once at the end.

use super::decision::Deadline;
use rusqlite::{CachedStatement, Connection, Error, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tables of a process manager's store besides its read model: what is not done yet, and timers that wait for a yes.
const OWN_TABLES: &str = "
CREATE TABLE IF NOT EXISTS laterna_outbox (
    position INTEGER NOT NULL,
    instance TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (position, instance, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS laterna_overdue (
    instance TEXT NOT NULL,
    name TEXT NOT NULL,
    set_by INTEGER NOT NULL,
    occurrence INTEGER NOT NULL,
    PRIMARY KEY (instance, name)
) STRICT, WITHOUT ROWID;
";

/// Makes what a process manager's store holds besides its read model.
pub(super) fn prepare(connection: &Connection) -> Result<(), Error> {
    connection.execute_batch(OWN_TABLES)
}

/// What a batch has made of its instances so far.
pub(super) struct Ledger<'c> {
    connection: &'c Connection,
    instances: BTreeMap<String, Kept<Instance>>,
    /// The instances that are found by each name, besides the one that is called so.
    found: BTreeMap<String, BTreeSet<String>>,
    /// Associations, by name and instance: whether each is there.
    associations: BTreeMap<(String, String), Kept<()>>,
    /// By instance and name.
    timers: BTreeMap<(String, String), Kept<Timer>>,
    decisions: Vec<Decided>,
    outbox: Vec<(u64, String, usize)>,
    /// Bytes of states and actions that are held, about.
    bytes: usize,
}

/// Bytes beyond which a ledger is written before its batch ends.
const LARGE: usize = 64 << 20;

/// Something that a row of the store holds, as it stands now.
struct Kept<T> {
    now: Option<T>,
    /// There is a row of it.
    stored: bool,
    changed: bool,
}

/// An instance.
#[derive(Clone)]
pub(super) struct Instance {
    pub(super) state: Arc<str>,
    began: Moment,
    changed: Moment,
}

/// An event's place, and when it was recorded.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) position: u64,
    pub(super) recorded_at_us: i64,
}

/// A deadline that has not come yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) due_us: i64,
    pub(super) set_by: u64,
    pub(super) occurrence: u64,
    pub(super) every_us: Option<u64>,
}

struct Decided {
    instance: String,
    position: u64,
    outcome: &'static str,
    actions: String,
}

impl<T> Kept<T> {
    fn loaded(now: Option<T>) -> Self {
        Self { stored: now.is_some(), now, changed: false }
    }

    fn set(&mut self, now: Option<T>) {
        (self.now, self.changed) = (now, true);
    }

    /// What is to be written: `Some(None)` removes the row.
    fn change(&self) -> Option<Option<&T>> {
        (self.changed && (self.stored || self.now.is_some())).then_some(self.now.as_ref())
    }
}

impl<'c> Ledger<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            instances: BTreeMap::new(),
            found: BTreeMap::new(),
            associations: BTreeMap::new(),
            timers: BTreeMap::new(),
            decisions: Vec::new(),
            outbox: Vec::new(),
            bytes: 0,
        }
    }

    /// It holds so much that it is better written.
    pub(super) fn is_large(&self) -> bool {
        self.bytes > LARGE
    }

    /// The instance that is called so, if there is one.
    pub(super) fn instance(&mut self, key: &str) -> Result<Option<&Instance>, Error> {
        if !self.instances.contains_key(key) {
            let read =
                "SELECT state, began_position, began_at, changed_position, changed_at FROM instances WHERE key = ?1";
            let loaded = self.prepare(read)?.query_row([key], |row| {
                let moment = |position: usize| -> Result<Moment, Error> {
                    Ok(Moment {
                        position: row.get::<_, i64>(position)?.cast_unsigned(),
                        recorded_at_us: row.get(position + 1)?,
                    })
                };
                Ok(Instance { state: row.get(0)?, began: moment(1)?, changed: moment(3)? })
            });
            let loaded: Option<Instance> = loaded.optional()?;
            self.bytes += loaded.as_ref().map_or(0, |instance| instance.state.len());
            self.instances.insert(key.to_owned(), Kept::loaded(loaded));
        }
        Ok(self.instances.get(key).and_then(|kept| kept.now.as_ref()))
    }

    /// The instances that are found by a name, in the order of their keys; of more than `limit` at least one more.
    pub(super) fn found(&mut self, name: &str, limit: usize) -> Result<BTreeSet<String>, Error> {
        self.load_found(name)?;
        // A copy, and so no more of it than is looked at.
        let found = self.found.get(name).into_iter().flatten();
        let mut found: BTreeSet<String> = found.take(limit.saturating_add(1)).cloned().collect();
        if self.instance(name)?.is_some() {
            found.insert(name.to_owned());
        }
        Ok(found)
    }

    fn load_found(&mut self, name: &str) -> Result<(), Error> {
        if !self.found.contains_key(name) {
            let mut statement = self.prepare("SELECT instance FROM associations WHERE name = ?1")?;
            let instances = statement.query_map([name], |row| row.get::<_, String>(0))?;
            let instances = instances.collect::<Result<BTreeSet<_>, _>>()?;
            for instance in &instances {
                self.associations.insert((name.to_owned(), instance.clone()), Kept::loaded(Some(())));
            }
            self.found.insert(name.to_owned(), instances);
        }
        Ok(())
    }

    /// Keeps an instance's state.
    pub(super) fn keep(&mut self, key: &str, state: String, at: Moment) -> Result<(), Error> {
        self.bytes += state.len();
        let began = self.instance(key)?.map_or(at, |instance| instance.began);
        if let Some(kept) = self.instances.get_mut(key) {
            kept.set(Some(Instance { state: state.into(), began, changed: at }));
        }
        Ok(())
    }

    /// Forgets an instance, with all that it is found by and all its timers.
    pub(super) fn end(&mut self, key: &str) -> Result<(), Error> {
        self.instance(key)?;
        if let Some(kept) = self.instances.get_mut(key) {
            kept.set(None);
        }
        let mut names: BTreeSet<String> = self.names("SELECT name FROM associations WHERE instance = ?1", key)?;
        names.extend(self.associations.keys().filter(|(_, instance)| instance == key).map(|(name, _)| name.clone()));
        names.iter().try_for_each(|name| self.dissociate(key, name))?;
        let mut timers = self.names("SELECT name FROM timers WHERE instance = ?1", key)?;
        timers.extend(self.timers.keys().filter(|(instance, _)| instance == key).map(|(_, name)| name.clone()));
        timers.iter().try_for_each(|name| self.cancel(key, name))
    }

    pub(super) fn associate(&mut self, key: &str, name: &str) -> Result<(), Error> {
        self.set_associated(key, name, true)
    }

    pub(super) fn dissociate(&mut self, key: &str, name: &str) -> Result<(), Error> {
        self.set_associated(key, name, false)
    }

    fn set_associated(&mut self, key: &str, name: &str, is: bool) -> Result<(), Error> {
        self.load_found(name)?;
        let Some(found) = self.found.get_mut(name) else { return Ok(()) };
        let changed = if is { found.insert(key.to_owned()) } else { found.remove(key) };
        if changed {
            let association = (name.to_owned(), key.to_owned());
            self.associations.entry(association).or_insert_with(|| Kept::loaded(None)).set(is.then_some(()));
        }
        Ok(())
    }

    /// A timer of an instance, if it waits.
    pub(super) fn timer(&mut self, key: &str, name: &str) -> Result<Option<&Timer>, Error> {
        let timer = (key.to_owned(), name.to_owned());
        if !self.timers.contains_key(&timer) {
            let read = "SELECT due_at, set_by, occurrence, every_us FROM timers WHERE instance = ?1 AND name = ?2";
            let loaded = self.prepare(read)?.query_row([key, name], |row| {
                Ok(Timer {
                    due_us: row.get(0)?,
                    set_by: row.get::<_, i64>(1)?.cast_unsigned(),
                    occurrence: row.get::<_, i64>(2)?.cast_unsigned(),
                    every_us: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                })
            });
            self.timers.insert(timer.clone(), Kept::loaded(loaded.optional()?));
        }
        Ok(self.timers.get(&timer).and_then(|kept| kept.now.as_ref()))
    }

    pub(super) fn schedule(&mut self, key: &str, deadline: &Deadline, set_by: u64) -> Result<(), Error> {
        let timer = Timer { due_us: deadline.due_us, set_by, occurrence: 1, every_us: deadline.every_us };
        self.set_timer(key, &deadline.timer, Some(timer))
    }

    pub(super) fn cancel(&mut self, key: &str, name: &str) -> Result<(), Error> {
        self.set_timer(key, name, None)
    }

    /// Takes a timer that fired out; one with an interval is due again, at its first time but for those that were missed.
    pub(super) fn fire(&mut self, key: &str, name: &str, missed: u64) -> Result<(), Error> {
        let next = self.timer(key, name)?.and_then(|timer| timer.next(missed));
        self.set_timer(key, name, next)
    }

    fn set_timer(&mut self, key: &str, name: &str, timer: Option<Timer>) -> Result<(), Error> {
        self.timer(key, name)?;
        if let Some(kept) = self.timers.get_mut(&(key.to_owned(), name.to_owned())) {
            kept.set(timer);
        }
        Ok(())
    }

    /// Keeps what an instance did about an event.
    pub(super) fn decide(&mut self, instance: &str, position: u64, outcome: &'static str, actions: String) {
        self.bytes += actions.len();
        self.decisions.push(Decided { instance: instance.to_owned(), position, outcome, actions });
    }

    /// Puts an effect where it is found by who does it.
    pub(super) fn put_out(&mut self, position: u64, instance: &str, ordinal: usize) {
        self.outbox.push((position, instance.to_owned(), ordinal));
    }

    /// Writes what was changed, and answers a ledger that holds nothing. Effects of events up to `done` have been done.
    pub(super) fn write(self, done: u64) -> Result<Self, Error> {
        for (key, kept) in &self.instances {
            match kept.change() {
                Some(Some(Instance { state, began, changed })) => self
                    .prepare("INSERT OR REPLACE INTO instances VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                    .execute(params![
                        key,
                        state,
                        began.position.cast_signed(),
                        began.recorded_at_us,
                        changed.position.cast_signed(),
                        changed.recorded_at_us
                    ])
                    .map(drop)?,
                Some(None) => self.prepare("DELETE FROM instances WHERE key = ?1")?.execute([key]).map(drop)?,
                None => {}
            }
        }
        for ((name, instance), kept) in &self.associations {
            match kept.change() {
                Some(Some(())) => self.prepare("INSERT OR IGNORE INTO associations VALUES (?1, ?2)")?,
                Some(None) => self.prepare("DELETE FROM associations WHERE name = ?1 AND instance = ?2")?,
                None => continue,
            }
            .execute([name, instance])?;
        }
        for ((instance, name), kept) in &self.timers {
            match kept.change() {
                Some(Some(timer)) => self
                    .prepare("INSERT OR REPLACE INTO timers VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                    .execute(params![
                        instance,
                        name,
                        timer.due_us,
                        timer.set_by.cast_signed(),
                        timer.occurrence.cast_signed(),
                        timer.every_us.map(u64::cast_signed)
                    ])
                    .map(drop)?,
                Some(None) => self
                    .prepare("DELETE FROM timers WHERE instance = ?1 AND name = ?2")?
                    .execute([instance, name])
                    .map(drop)?,
                None => {}
            }
        }
        for Decided { instance, position, outcome, actions } in &self.decisions {
            self.prepare("INSERT INTO decisions VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                instance,
                position.cast_signed(),
                outcome,
                actions
            ])?;
        }
        self.prepare("DELETE FROM laterna_outbox WHERE position <= ?1")?.execute([done.cast_signed()])?;
        for (position, instance, ordinal) in &self.outbox {
            self.prepare("INSERT INTO laterna_outbox VALUES (?1, ?2, ?3)")?.execute(params![
                position.cast_signed(),
                instance,
                ordinal.cast_signed()
            ])?;
        }
        Ok(Self::new(self.connection))
    }

    fn names(&self, sql: &str, key: &str) -> Result<BTreeSet<String>, Error> {
        let mut statement = self.prepare(sql)?;
        let names = statement.query_map([key], |row| row.get(0))?;
        names.collect()
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'c>, Error> {
        self.connection.prepare_cached(sql)
    }
}

impl Timer {
    /// The one that waits once this one has fired, where it has an interval: that comes first but for those that were missed.
    fn next(&self, missed: u64) -> Option<Self> {
        let due_us = i128::from(self.due_us) + (i128::from(missed) + 1) * i128::from(self.every_us?);
        // One that would never come does not wait.
        let due_us = i64::try_from(due_us).ok().filter(|us| jiff::Timestamp::from_microsecond(*us).is_ok())?;
        Some(Self { due_us, occurrence: self.occurrence + 1, ..self.clone() })
    }

    /// How often it was due again up to this moment.
    pub(super) fn missed(&self, now_us: i64) -> u64 {
        let late_us = i128::from(now_us) - i128::from(self.due_us);
        self.every_us.map_or(0, |every_us| u64::try_from(late_us / i128::from(every_us)).unwrap_or(0))
    }
}

impl Instance {
    pub(super) fn state(&self) -> String {
        self.state.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_of_a_timer_comes_once() {
        let timer = Timer { due_us: 100, set_by: 7, occurrence: 1, every_us: Some(10) };
        let at = |now_us| {
            let missed = timer.missed(now_us);
            (missed, timer.next(missed).map(|next| (next.due_us, next.occurrence)))
        };
        assert_eq!(at(100), (0, Some((110, 2))));
        assert_eq!(at(109), (0, Some((110, 2))));
        assert_eq!(at(110), (1, Some((120, 2))));
        assert_eq!(at(135), (3, Some((140, 2))));
        // A clock that was ahead of this one.
        assert_eq!(at(50), (0, Some((110, 2))));
        let once = Timer { every_us: None, ..timer };
        assert_eq!((once.missed(1_000), once.next(0)), (0, None));
    }
}
