//! What happens in a story, each thing at its place in time, with events as a log would have them.

use super::format::{self, Given, Visibility};
use super::story::{Event, Item, What};
use crate::log::is_time;
use crate::plugin::rfc3339;
use serde_json::Value;
use std::collections::HashSet;

/// Bytes of a name or an id, as a host takes them.
const NAME_BYTES: usize = 255;

/// When the first event of a story is recorded unless it says: 2026-01-01T00:00:00Z.
const BEGINNING_US: i64 = 1_767_225_600_000_000;

/// How long after the event before it an event is recorded unless it says.
const SECOND_US: i64 = 1_000_000;

/// Gives what happens its place in time.
pub(super) struct Timeline {
    events: usize,
    ids: HashSet<(String, String)>,
    /// `None` before the first event, which may say that it was recorded long ago.
    now_us: Option<i64>,
    /// When the next event is recorded unless it says.
    next_us: i64,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self { events: 0, ids: HashSet::new(), now_us: None, next_us: BEGINNING_US }
    }

    /// Places what stands so far behind in `given`, from 1.
    pub(super) fn place(&mut self, given: Given, number: usize) -> Result<Item, String> {
        let in_place = |error: String| format!("item {number} of `given`: {error}");
        let what = match given {
            Given::Event(given) => return self.place_event(*given),
            Given::Advance(format::Advance { advance }) => {
                self.advance(&advance).map_err(in_place)?;
                What::Advance(advance)
            }
            Given::Refuse(format::Refuse { refuse }) => What::Refuse(refuse),
            Given::Kill(format::Kill { kill: true }) => What::Kill,
            Given::Kill(_) => return Err(in_place("`kill` is false: leave it out where the host goes on".to_owned())),
        };
        Ok(Item { at_us: self.now_us(), waits: true, what })
    }

    fn advance(&mut self, said: &str) -> Result<(), String> {
        let at_us = self.now_us().checked_add(duration_us(said)?);
        let at_us = at_us.filter(|us| jiff::Timestamp::from_microsecond(*us).is_ok());
        let at_us = at_us.ok_or_else(|| format!("`advance: {said}` leads beyond the year 9999"))?;
        (self.now_us, self.next_us) = (Some(at_us), at_us);
        Ok(())
    }

    fn now_us(&self) -> i64 {
        self.now_us.unwrap_or(self.next_us)
    }

    fn place_event(&mut self, given: format::Event) -> Result<Item, String> {
        self.events += 1;
        let place = self.events;
        let in_place = |error| format!("event {place}: {error}");
        let at_us = self.time(given.recorded_at.as_deref()).map_err(in_place)?;
        (self.now_us, self.next_us) = (Some(at_us), at_us.saturating_add(SECOND_US));
        let waits = given.recorded_at.is_some();
        let event = event(given, place).map_err(in_place)?;
        if !self.ids.insert((event.source.clone(), event.id.clone())) {
            return Err(format!("event {place}: the id `{}` stands twice: a log stores it once", event.id));
        }
        Ok(Item { at_us, waits, what: What::Event(event) })
    }

    /// When an event is recorded.
    fn time(&self, said: Option<&str>) -> Result<i64, String> {
        let Some(said) = said else { return Ok(self.next_us) };
        check_time("recorded_at", Some(said))?;
        let at_us = said.parse::<jiff::Timestamp>().map_err(|error| error.to_string())?.as_microsecond();
        match self.now_us.filter(|now_us| at_us < *now_us) {
            Some(now_us) => Err(format!("`recorded_at` is `{said}`, before what comes before it: {}", rfc3339(now_us))),
            None => Ok(at_us),
        }
    }
}

/// A time that passes, in microseconds.
fn duration_us(said: &str) -> Result<i64, String> {
    let span = said.parse::<jiff::Span>().and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()));
    let us = span.ok().filter(|duration| !duration.is_negative()).and_then(|span| i64::try_from(span.as_micros()).ok());
    us.ok_or_else(|| format!("`advance` is `{said}`: write a time that passes, such as `30m`, `1h 30m` or `7d`"))
}

/// Makes sure that a moment, if one is said, is written as a log takes it.
pub(super) fn check_time(name: &str, said: Option<&str>) -> Result<(), String> {
    said.filter(|at| !is_time(at)).map_or(Ok(()), |at| Err(format!("`{name}` is `{at}`; {RFC_3339}")))
}

const RFC_3339: &str = "write RFC 3339, such as `2010-12-01T08:26:00Z`";

fn event(given: format::Event, place: usize) -> Result<Event, String> {
    let id = given.id.unwrap_or_else(|| format!("event-{place}"));
    for (what, name) in [("type", &given.event_type), ("stream", &given.stream), ("id", &id)] {
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(format!("`{what}` has {} bytes; it must have from 1 to {NAME_BYTES}", name.len()));
        }
    }
    check_time("occurred_at", given.occurred_at.as_deref())?;
    if given.schema_version == Some(0) {
        return Err("`schema_version` is 0; versions count from 1".to_owned());
    }
    let data = match (&given.content_type, given.data) {
        (Some(_), Value::String(text)) => text.into_bytes(),
        (Some(media_type), _) => return Err(format!("`data` must be a text where its media type is `{media_type}`")),
        (None, data) => data.to_string().into_bytes(),
    };
    Ok(Event {
        number: place,
        id,
        event_type: given.event_type,
        stream: given.stream,
        schema_version: given.schema_version.unwrap_or(1),
        module: given.module.unwrap_or_default(),
        internal: given.visibility == Visibility::Internal,
        occurred_at: given.occurred_at,
        correlation_id: given.correlation_id.unwrap_or_default(),
        causation_id: given.causation_id.unwrap_or_default(),
        source: given.source.unwrap_or_default(),
        content_type: given.content_type.unwrap_or_default(),
        data,
        metadata: given.metadata.map(|metadata| metadata.to_string().into_bytes()).unwrap_or_default(),
    })
}
