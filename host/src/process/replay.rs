//! What a process manager would have done about the history, beside what was done: the replay report.
//!
//! What was done stands in the log, under ids that say which decision led to it. So it is compared with that, and not with what the
//! release before would have done, which may have come to serve in the same way.

use super::clockwork::{Overdue, overdue};
use super::decision::{Effect, effects};
use super::facts::{EFFECT_REFUSED, EffectRefused};
use super::ids;
use crate::log::{self, Log, Reader, StoredEvent};
use crate::plugin::Visibility;
use crate::store::{self, Snapshot, Store};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Ids that are read from the log at once, and bytes of their events.
const PAGE: (usize, usize) = (1_000, 8 << 20);

/// Effects between two looks whether to go on.
const LOOK: u64 = 256;

/// What a release would have done about events up to a position, beside what was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// The position.
    pub through: u64,
    /// Effects that were done, and that it decides in the same way.
    pub same: u64,
    /// Effects that were done, and that it does not decide.
    pub missing: Differing,
    /// Effects that it decides, and that were not done.
    pub new: Differing,
    /// Effects that were done, and that it decides otherwise.
    pub different: Differing,
    /// Its timers that were due before it serves, and not to the release before: they wait for a yes.
    pub overdue: Overdue,
}

/// Effects that differ.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Differing {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub samples: Vec<Sample>,
}

/// An effect that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The position of the event that led to it.
    pub position: u64,
    /// The instance.
    pub instance: String,
    /// Its place among the effects.
    pub ordinal: usize,
    /// What was done; `None` where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<Value>,
    /// What the release decides; `None` where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Value>,
}

/// Bounds of a report, and what it is made of.
pub struct Asked<'a> {
    /// The log.
    pub log: &'a Log,
    /// The process manager's name.
    pub process: &'a str,
    /// Effects of each kind that are shown.
    pub samples: usize,
    /// Now, in microseconds since 1970.
    pub now_us: i64,
}

impl Replay {
    /// It would have done what was done, and no timer waits for a yes.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.missing.count + self.new.count + self.different.count + self.overdue.count == 0
    }

    /// What differs, in a few words.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let counted = [
            (
                self.missing.count,
                "effect that was done and it does not decide",
                "effects that were done and it does not decide",
            ),
            (self.new.count, "effect that was not done", "effects that were not done"),
            (self.different.count, "effect that it decides otherwise", "effects that it decides otherwise"),
            (self.overdue.count, "timer that is overdue", "timers that are overdue"),
        ];
        let counted = counted.into_iter().filter(|(count, ..)| *count > 0);
        counted.map(|(count, one, more)| format!("{count} {}", if count == 1 { one } else { more })).collect()
    }
}

impl Differing {
    fn count(&mut self, samples: usize, sample: impl FnOnce() -> Sample) {
        self.count += 1;
        if self.samples.len() < samples {
            self.samples.push(sample());
        }
    }
}

/// Compares what is decided in a snapshot with what stands in the log. `before` is the store of the release that serves. Asks `go_on` now
/// and then.
///
/// # Errors
/// The log or a store cannot be read, or `go_on` says so.
pub fn report<E>(
    asked: &Asked<'_>,
    decided: &Snapshot,
    before: Option<&Store>,
    go_on: &mut impl FnMut() -> Result<(), E>,
) -> Result<Replay, E>
where
    E: From<store::Error> + From<log::Error>,
{
    let through = decided.position();
    let mut replay = Replay {
        through,
        same: 0,
        missing: Differing::default(),
        new: Differing::default(),
        different: Differing::default(),
        overdue: overdue(decided, before, through, asked.now_us, asked.samples)?,
    };
    let mut reader = asked.log.reader()?;
    what_is_decided(asked, decided, &mut reader, &mut replay, go_on)?;
    what_was_done(asked, decided, &mut reader, &mut replay, go_on)?;
    Ok(replay)
}

/// Looks each effect that is decided up in the log.
fn what_is_decided<E: From<store::Error> + From<log::Error>>(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    reader: &mut Reader,
    replay: &mut Replay,
    go_on: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let sql = |error: rusqlite::Error| E::from(store::Error::from(error));
    let mut statement = snapshot
        .by_hand()?
        .prepare_cached("SELECT instance, position, actions FROM decisions WHERE actions <> '[]'")
        .map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    let mut looked = 0;
    while let Some(row) = rows.next().map_err(sql)? {
        let instance: String = row.get(0).map_err(sql)?;
        let position = row.get::<_, i64>(1).map_err(sql)?.cast_unsigned();
        let actions = row.get_ref(2).and_then(|actions| Ok(actions.as_str()?)).map_err(sql)?;
        // What cannot be read was not written by this version.
        for (ordinal, effect) in effects(actions).unwrap_or_default().into_iter().enumerate() {
            looked += 1;
            if looked % LOOK == 0 {
                go_on()?;
            }
            let done =
                reader.by_id("", &ids::effect(asked.process, position, ordinal, &instance))?.map(|event| told(&event));
            let is_decided = told_of(&effect);
            let kind = match &done {
                None => &mut replay.new,
                Some(done) if is_same(done, &is_decided) => {
                    replay.same += 1;
                    continue;
                }
                Some(_) => &mut replay.different,
            };
            let instance = instance.clone();
            kind.count(asked.samples, || Sample { position, instance, ordinal, done, decided: Some(is_decided) });
        }
    }
    Ok(())
}

/// Looks each effect that was done up among what is decided.
fn what_was_done<E: From<store::Error> + From<log::Error>>(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    reader: &mut Reader,
    replay: &mut Replay,
    go_on: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let sql = |error: rusqlite::Error| E::from(store::Error::from(error));
    let (mut after, before) = ids::effects(asked.process);
    let mut statement = snapshot
        .by_hand()?
        .prepare_cached("SELECT actions FROM decisions WHERE instance = ?1 AND position = ?2")
        .map_err(sql)?;
    // What an instance decides about an event may be many effects: it is read once.
    let mut effects_of = (0, BTreeMap::<String, usize>::new());
    loop {
        go_on()?;
        let page = reader.ids(&after, &before, PAGE.0, PAGE.1)?;
        for event in &page.events {
            let Some((position, ordinal, instance)) = ids::parse_effect(asked.process, &event.id) else { continue };
            if position > replay.through {
                continue;
            }
            if effects_of.0 != position {
                effects_of = (position, BTreeMap::new());
            }
            let decided = match effects_of.1.entry(instance.to_owned()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let read = |row: &Row<'_>| Ok(effects(row.get_ref(0)?.as_str()?).unwrap_or_default().len());
                    let found = statement.query_row(params![instance, position.cast_signed()], read).optional();
                    unknown.insert(found.map_err(sql)?.unwrap_or_default())
                }
            };
            if ordinal >= *decided {
                let instance = instance.to_owned();
                replay.missing.count(asked.samples, || Sample {
                    position,
                    instance,
                    ordinal,
                    done: Some(told(event)),
                    decided: None,
                });
            }
        }
        match page.events.last() {
            Some(last) if page.more => after.clone_from(&last.id),
            _ => return Ok(()),
        }
    }
}

/// What is decided, as it is compared and shown.
fn told_of(effect: &Effect) -> Value {
    serde_json::to_value(effect).unwrap_or_default()
}

/// What was done, in the same words.
fn told(event: &StoredEvent) -> Value {
    if event.event_type == EFFECT_REFUSED && ids::is_reserved(&event.stream) {
        let refused: Option<EffectRefused> = serde_json::from_slice(&event.data).ok();
        return refused.and_then(|refused| serde_json::from_str(refused.effect.get()).ok()).unwrap_or_default();
    }
    Effect::of(event).map(|effect| told_of(&effect)).unwrap_or_default()
}

/// Whether the same is done. What is taken for granted of a stream is not seen any more once it has held, and who may read an event may
/// have been decided by its type.
fn is_same(done: &Value, decided: &Value) -> bool {
    let without = |value: &Value| {
        let mut value = value.clone();
        if let Some(members) = value.as_object_mut() {
            members.remove("expected");
            if done["visibility"] == serde_json::json!(Visibility::Internal) {
                members.remove("visibility");
            }
        }
        value
    };
    without(done) == without(decided)
}
