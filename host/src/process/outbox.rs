//! Effects, appended to the log in the order in which they were decided.
//!
//! An effect has one id. What stands in the log under that id is what became of it: the event that was appended, or the one that tells
//! that it was refused. So it is done once, however often it is tried.

use super::acting::{Health, Means, Options};
use super::decision::{Effect, Expected, effects};
use super::facts::{EFFECT_REFUSED, EffectRefused, TIMER_FIRED};
use super::reactor::TOO_DEEP;
use super::{AGAIN, Acting, Error, ids, streams};
use crate::failpoint;
use crate::log::{self, Alternative, Entered, Entry, NewEvent, Reader, Refusal, StoredEvent};
use crate::plugin::Visibility;
use crate::store::Store;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Effects that are appended in one request.
const CHUNK: i64 = 256;

/// Bytes of effects beyond which no other is taken into the same request.
const CHUNK_BYTES: usize = 4 << 20;

/// A timer that was waited for so long begins a chain of its own.
const WAITED_US: i64 = 1_000_000;

/// Appends what a process decides.
pub(super) struct Outbox {
    pub(super) process: String,
    pub(super) module: String,
    pub(super) store: Store,
    pub(super) acting: Acting,
    pub(super) means: Arc<Means>,
    /// Told up to which position everything is done.
    pub(super) done: watch::Sender<u64>,
    pub(super) health: Health,
}

/// An effect that is to be done, and who decided it.
pub(crate) struct Due {
    /// That of the event that led to it.
    pub(crate) position: u64,
    instance: String,
    ordinal: usize,
    effect: Effect,
}

/// The place behind the last effect that is done.
#[derive(Clone)]
pub(crate) struct Cursor {
    position: u64,
    instance: String,
    ordinal: i64,
}

impl Outbox {
    /// Appends what is decided, from where it acts on, until it is stopped.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut cursor = Cursor::behind(self.acting.position());
        let mut progress = self.store.watch_progress();
        while !stop.is_cancelled() {
            let applied = progress.borrow_and_update().applied;
            let stepped = self.step(&mut cursor).await;
            self.health.is_failing(stepped.is_err());
            let waits = match stepped {
                Ok(true) => continue,
                Ok(false) => {
                    self.done.send_if_modified(|done| std::mem::replace(done, applied) != applied);
                    None
                }
                Err(error) => {
                    tracing::error!(process = self.process, %error, "effects are not done for now");
                    Some(AGAIN)
                }
            };
            let awaited = async {
                match waits {
                    Some(waits) => tokio::time::sleep(waits).await,
                    // A store that is gone tells nothing more, and the stop comes with it.
                    None => match progress.changed().await {
                        Ok(()) => {}
                        Err(_) => std::future::pending().await,
                    },
                }
            };
            stop.run_until_cancelled(awaited).await;
        }
    }

    /// Does what comes next, some of it; answers false where there is nothing.
    async fn step(&self, cursor: &mut Cursor) -> Result<bool, Error> {
        let behind = cursor.clone();
        let due = self.store.read(move |snapshot| due(snapshot.by_hand()?, &behind)).await?;
        let Some(last) = due.last() else { return Ok(false) };
        let next = Cursor::after(last);
        let (process, module, means) = (self.process.clone(), self.module.clone(), Arc::clone(&self.means));
        let entries = self.means.log.read(move |reader| Ok(entries(reader, &process, &module, &means, due))).await??;
        failpoint::pass("effects-enter");
        let all = self.means.log.append_each(entries).await?;
        failpoint::pass("effects-entered");
        for entered in all {
            match entered {
                Entered::Refused { refusal, position } => {
                    tracing::warn!(process = self.process, position, reason = %refusal, "an effect was refused");
                }
                Entered::Lost { refusal, alternative } => {
                    tracing::error!(process = self.process, reason = %refusal, told = %alternative, "an effect was refused, and its instance cannot be told");
                }
                Entered::Stored { .. } | Entered::Known(_) => {}
            }
        }
        // What stands at the last position may go on.
        self.acting.move_to(next.position - 1);
        *cursor = next;
        failpoint::pass("cursor-moved");
        Ok(true)
    }
}

impl Cursor {
    /// Everything at this position is somebody else's, whatever the instance.
    pub(crate) fn behind(position: u64) -> Self {
        Self { position: position + 1, instance: String::new(), ordinal: 0 }
    }

    /// This effect is done, and all before it.
    pub(crate) fn after(done: &Due) -> Self {
        Self {
            position: done.position,
            instance: done.instance.clone(),
            ordinal: done.ordinal.cast_signed() as i64 + 1,
        }
    }
}

/// What is to be done from a place on, in its order, some of it.
pub(crate) fn due(connection: &rusqlite::Connection, from: &Cursor) -> Result<Vec<Due>, Error> {
    let mut put_out = connection.prepare_cached(
        "SELECT position, instance, ordinal FROM laterna_outbox
         WHERE (position, instance, ordinal) >= (?1, ?2, ?3) ORDER BY position, instance, ordinal LIMIT ?4",
    )?;
    let mut decided =
        connection.prepare_cached("SELECT actions FROM decisions WHERE position = ?1 AND instance = ?2")?;
    let Cursor { position, instance, ordinal } = from;
    let mut rows = put_out.query(params![position.cast_signed(), instance, ordinal, CHUNK])?;
    let (mut due, mut bytes) = (Vec::new(), 0);
    // A decision may have many, which stand together: it is read once.
    let mut decision = ((0, String::new()), BTreeMap::new());
    while let Some(row) = rows.next()?
        && bytes < CHUNK_BYTES
    {
        let place: (i64, String) = (row.get(0)?, row.get(1)?);
        if decision.0 != place {
            let read = |row: &Row<'_>| Ok(effects(row.get_ref(0)?.as_str()?));
            let effects = decided.query_row(params![place.0, place.1], read).optional()?.transpose()?;
            decision = (place.clone(), effects.unwrap_or_default().into_iter().enumerate().collect());
        }
        let ordinal = row.get::<_, i64>(2)?.cast_unsigned() as usize;
        let ((position, instance), effect) = (place, decision.1.remove(&ordinal));
        let Some(effect) = effect else { return Err(Error::NoEffect { position, instance }) };
        bytes += effect.bytes();
        due.push(Due { position: position.cast_unsigned(), instance, ordinal, effect });
    }
    Ok(due)
}

/// Makes effects what the log takes: each with what led to it.
fn entries(
    reader: &mut Reader,
    process: &str,
    module: &str,
    means: &Means,
    due: Vec<Due>,
) -> Result<Vec<Entry>, Error> {
    let registry = means.schemas.current();
    let mut entries = Vec::with_capacity(due.len());
    let mut trigger: Option<(StoredEvent, usize)> = None;
    for due in due {
        if trigger.as_ref().is_none_or(|(event, _)| event.position != due.position) {
            let event = reader.event_at(due.position)?.ok_or(Error::NoTrigger(due.position))?;
            let depth = depth(&event, means.options.causation_depth, |id| reader.by_id("", id))?;
            trigger = Some((event, depth));
        }
        let Some((event, depth)) = &trigger else { continue };
        let look_over = |stream: &str, new: &mut NewEvent| {
            registry.admit(stream, None, new).or_else(|| means.options.barred(new, *depth))
        };
        entries.push(due.entry(process, module, event, look_over)?);
    }
    Ok(entries)
}

impl Due {
    /// Whether it is of this type, and of this stream where one is named.
    pub(crate) fn is_so(&self, event_type: &str, stream: Option<&str>) -> bool {
        self.effect.event_type == event_type && stream.is_none_or(|stream| self.effect.stream == stream)
    }

    /// What the log takes for it. `look_over` says what is against the event that is to be appended to a stream, if anything.
    pub(crate) fn entry(
        self,
        process: &str,
        module: &str,
        trigger: &StoredEvent,
        look_over: impl FnOnce(&str, &mut NewEvent) -> Option<Refusal>,
    ) -> Result<Entry, Error> {
        let Self { instance, ordinal, effect, .. } = self;
        let mut event = new_event(&effect, trigger)?;
        (event.module, event.id) =
            (module.to_owned(), Some(ids::effect(process, trigger.position, ordinal, &instance)));
        let fault = look_over(&effect.stream, &mut event);
        let told = RawValue::from_string(serde_json::to_string(&effect)?)?;
        let otherwise = refused(process, module, trigger, instance, ordinal, told);
        Ok(Entry { stream: effect.stream, expected: expected(effect.expected), event, fault, otherwise })
    }
}

fn new_event(effect: &Effect, trigger: &StoredEvent) -> Result<NewEvent, Error> {
    let data = effect.payload().map_err(serde::ser::Error::custom).map_err(Error::Json)?;
    let metadata = effect.metadata.as_ref().map_or_else(Vec::new, |metadata| metadata.get().as_bytes().to_vec());
    Ok(NewEvent {
        schema_version: effect.schema_version,
        internal: effect.visibility == Visibility::Internal,
        content_type: effect.content_type.clone().unwrap_or_default(),
        metadata,
        ..led_to_by(trigger, NewEvent::json(effect.event_type.clone(), data))
    })
}

/// An event that follows from another one.
pub(super) fn led_to_by(trigger: &StoredEvent, event: NewEvent) -> NewEvent {
    // What belongs together with nothing begins something.
    let correlation = if trigger.correlation_id.is_empty() { &trigger.id } else { &trigger.correlation_id };
    NewEvent { correlation_id: Some(correlation.clone()), causation_id: Some(trigger.id.clone()), ..event }
}

/// What is stored where an effect is refused.
fn refused(
    process: &str,
    module: &str,
    trigger: &StoredEvent,
    instance: String,
    ordinal: usize,
    effect: Box<RawValue>,
) -> log::Otherwise {
    let stream = streams::of_instance(process, &instance);
    let (process, position) = (process.to_owned(), trigger.position);
    let told = NewEvent {
        module: module.to_owned(),
        internal: true,
        ..led_to_by(trigger, NewEvent::json(EFFECT_REFUSED, Vec::new()))
    };
    Box::new(move |refusal: &Refusal| {
        let (code, reason) = (refusal.code().to_owned(), refusal.to_string());
        let revision = match refusal {
            Refusal::WrongExpectedRevision { current, .. } => *current,
            _ => None,
        };
        let data = EffectRefused { process, instance, position, ordinal, code, reason, revision, effect };
        // It is made of texts and numbers.
        let data = serde_json::to_vec(&data).unwrap_or_default();
        Alternative { stream, event: NewEvent { data, ..told } }
    })
}

fn expected(expected: Expected) -> log::Expected {
    match expected {
        Expected::Any => log::Expected::Any,
        Expected::NoStream => log::Expected::NoStream,
        Expected::StreamExists => log::Expected::StreamExists,
        Expected::Revision(revision) => log::Expected::Revision(revision),
    }
}

/// How many events led to this one, one by another, as far as `limit`. A timer that was waited for begins anew. `by_id` finds an event of
/// this log.
pub(crate) fn depth<E>(
    event: &StoredEvent,
    limit: usize,
    mut by_id: impl FnMut(&str) -> Result<Option<StoredEvent>, E>,
) -> Result<usize, E> {
    let mut event = event.clone();
    for depth in 0..limit {
        let cause = match event.causation_id.as_str() {
            "" => None,
            // An event that comes from elsewhere was led to by what stands there.
            _ if !event.source.is_empty() => None,
            id => by_id(id)?,
        };
        let Some(cause) = cause else { return Ok(depth) };
        let waited_us = event.recorded_at_us.saturating_sub(cause.recorded_at_us);
        if event.event_type == TIMER_FIRED && ids::is_reserved(&event.stream) && waited_us >= WAITED_US {
            return Ok(depth);
        }
        event = cause;
    }
    Ok(limit)
}

impl Options {
    /// What is to be said against an effect that the log itself would take, where so many events led to what led to it.
    pub(crate) fn barred(&self, event: &NewEvent, depth: usize) -> Option<Refusal> {
        let (limit, bytes) = (self.causation_depth, self.event_bytes);
        if depth >= limit {
            let reason = format!(
                "{limit} events led to it, one by another: processes that react to each other's effects may go round in a circle. \
                 Break it, or raise `causation_depth`"
            );
            return Some(Refusal::Barred { code: TOO_DEEP, reason });
        }
        if event.bytes() > bytes {
            let reason = format!("it has {} bytes; an event may have {bytes}: raise `event_bytes`", event.bytes());
            return Some(Refusal::Barred { code: "event-too-large", reason });
        }
        None
    }
}
