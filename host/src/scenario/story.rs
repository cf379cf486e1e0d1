//! A scenario that was read and checked, with its events as a log would have them.

use super::format::{Given, Halts, Order, Query, Scenario, Step, Then, Visibility};
use crate::log::is_time;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Bytes of a name or an id, as a host takes them.
const NAME_BYTES: usize = 255;

/// When the first event of a story is recorded unless it says: 2026-01-01T00:00:00Z.
const BEGINNING_US: i64 = 1_767_225_600_000_000;

/// How long after the event before it an event is recorded unless it says.
const SECOND_US: i64 = 1_000_000;

/// A scenario that can be run.
#[derive(Debug, Clone)]
pub struct Story {
    /// What it tells, in a sentence.
    pub name: String,
    /// The module that the component is deployed in; empty for none.
    pub module: String,
    /// The upcasters that lead events to the version that the component handles, by name.
    pub upcasters: Vec<String>,
    /// In which orders its events come.
    pub order: Order,
    /// Whether some events come a second time in those orders.
    pub duplicates: bool,
    /// Columns, by table, that are no part of the outcome when orders are compared.
    pub ignore: BTreeMap<String, Vec<String>>,
    /// One after another. At least one; exactly one where the order is not as given.
    pub steps: Vec<Chapter>,
    /// When the event at each place of the log is recorded, in microseconds since 1970-01-01T00:00:00Z.
    recorded_at_us: Vec<i64>,
}

/// A part of a story: some events, and what must hold after them.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// In the order of the story.
    pub events: Vec<Event>,
    /// What must hold after them.
    pub then: Then,
}

/// An event without its place in the log.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place in the story, from 1, whatever place it comes at in a run.
    pub number: usize,
    /// Its id.
    pub id: String,
    /// A fact in the past tense.
    pub event_type: String,
    /// Its stream.
    pub stream: String,
    /// The version of the type's shape.
    pub schema_version: u32,
    /// The module that it belongs to; empty for none.
    pub module: String,
    /// Readable only inside its module.
    pub internal: bool,
    /// When it happened, by its producer.
    pub occurred_at: Option<String>,
    /// What it belongs together with; empty for nothing.
    pub correlation_id: String,
    /// What led to it; empty for nothing.
    pub causation_id: String,
    /// The log that it came from; empty for this host.
    pub source: String,
    /// The media type of `data`; empty means JSON.
    pub content_type: String,
    /// The payload.
    pub data: Vec<u8>,
    /// JSON, or empty.
    pub metadata: Vec<u8>,
}

/// Why a file is not a scenario.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// It is not YAML, or not of the format. The text names the line, the column, and what is allowed.
    #[error("{0}")]
    Yaml(String),
    /// It is of the format, and what it says cannot be.
    #[error("{0}")]
    Unfit(String),
}

impl Story {
    /// Reads a scenario from a file.
    ///
    /// # Errors
    /// It cannot be read, or is not a scenario.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&std::fs::read_to_string(path)?, &path.display().to_string())
    }

    /// Reads a scenario from a text that `called` is the name of.
    ///
    /// # Errors
    /// It is not a scenario.
    pub fn parse(text: &str, called: &str) -> Result<Self, Error> {
        // As YAML 1.2 has it: `NO` is a country.
        let options = serde_saphyr::options! { strict_booleans: true, underscored_numbers_as_strings: true };
        let scenario: Scenario = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| Error::Yaml(error.to_string().replacen("<input>", called, 1)))?;
        check(scenario).map_err(Error::Unfit)
    }

    /// When the event at this place of the log, from 0, is recorded.
    #[must_use]
    pub fn recorded_at_us(&self, place: usize) -> i64 {
        // Where some come a second time there are more places than the story has.
        self.recorded_at_us.get(place).copied().unwrap_or_else(|| {
            let last = self.recorded_at_us.last().copied().unwrap_or(BEGINNING_US);
            let beyond = place.saturating_sub(self.recorded_at_us.len()) + 1;
            last.saturating_add(SECOND_US.saturating_mul(beyond as i64))
        })
    }
}

fn check(scenario: Scenario) -> Result<Story, String> {
    let Scenario { scenario: name, module, upcasters, order, duplicates, ignore, given, then, steps } = scenario;
    if name.trim().is_empty() {
        return Err("`scenario` is empty: tell the story in a sentence".to_owned());
    }
    let steps = match (steps, given, then) {
        (Some(steps), None, None) if !steps.is_empty() => steps,
        (Some(_), None, None) => return Err("`steps` is empty: a step has `given` and `then`".to_owned()),
        (Some(_), ..) => return Err("`steps` stands beside `given` or `then`: say one or the other".to_owned()),
        (None, None, _) => return Err("there is neither `given` nor `steps`".to_owned()),
        (None, Some(given), then) => vec![Step { given, then: then.unwrap_or_default() }],
    };
    if order == Order::Given {
        if duplicates.is_some() {
            return Err("`duplicates` belongs to `order: any` or `order: interleaved`".to_owned());
        }
        if !ignore.is_empty() {
            return Err("`ignore` belongs to `order: any` or `order: interleaved`".to_owned());
        }
    } else if steps.len() > 1 {
        return Err(
            "`steps` need `order: given`: where the order is open, there is one `given` and one `then`".to_owned()
        );
    }
    if steps.iter().rev().skip(1).any(|step| step.then.halts.is_some()) {
        return Err("a step comes after `halts`: nothing is folded any more then".to_owned());
    }
    let (several, duplicates) = (steps.len() > 1, duplicates.unwrap_or(true));
    let (mut chapters, mut recorded_at_us, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
    for Step { given, then } in steps {
        then.queries.iter().try_for_each(check_query)?;
        then.halts.iter().try_for_each(check_halts)?;
        let mut events = Vec::with_capacity(given.len());
        for given in given {
            let place = recorded_at_us.len() + 1;
            let in_place = |error| format!("event {place}: {error}");
            recorded_at_us.push(time(given.recorded_at.as_deref(), recorded_at_us.last().copied()).map_err(in_place)?);
            let event = event(given, place).map_err(in_place)?;
            if !ids.insert((event.source.clone(), event.id.clone())) {
                return Err(format!("event {place}: the id `{}` stands twice: a log stores it once", event.id));
            }
            events.push(event);
        }
        if then.expects_nothing() {
            let in_step = |error| if several { format!("step {}: {error}", chapters.len() + 1) } else { error };
            check_orders_alone(order, duplicates, &events).map_err(in_step)?;
        }
        chapters.push(Chapter { events, then });
    }
    let module = module.unwrap_or_default();
    Ok(Story { name, module, upcasters, order, duplicates, ignore, steps: chapters, recorded_at_us })
}

/// Where `then` expects nothing, that all orders come to the same must be something.
fn check_orders_alone(order: Order, duplicates: bool, events: &[Event]) -> Result<(), String> {
    const NOTHING: &str = "`then` expects nothing";
    const INSTEAD: &str =
        "say `tables`, as `then: {tables: {orders: [{status: paid}]}}`, or `queries`, `parked` or `halts`";
    let one_stream = events.windows(2).all(|pair| pair[0].stream == pair[1].stream);
    match order {
        Order::Given => Err(format!("{NOTHING}, so that it always holds: {INSTEAD}")),
        _ if events.len() < 2 => Err(format!("{NOTHING}, and there is no other order: give two events, or {INSTEAD}")),
        Order::Interleaved if one_stream && !duplicates => {
            Err(format!("{NOTHING}, and one stream has no other order: give two streams, or {INSTEAD}"))
        }
        Order::Any | Order::Interleaved => Ok(()),
    }
}

fn check_query(query: &Query) -> Result<(), String> {
    let said = [query.rows.is_some(), query.answer.is_some(), query.refused.is_some()];
    match said.into_iter().filter(|said| *said).count() {
        1 => Ok(()),
        _ => Err(format!("query `{}`: say one of `rows`, `answer` and `refused`", query.query)),
    }
}

fn check_halts(halts: &Halts) -> Result<(), String> {
    if halts.at == 0 { Err("`halts` is at 0: positions count from 1".to_owned()) } else { Ok(()) }
}

/// When an event is recorded.
fn time(said: Option<&str>, before: Option<i64>) -> Result<i64, String> {
    let Some(said) = said else {
        return Ok(before.map_or(BEGINNING_US, |before| before.saturating_add(SECOND_US)));
    };
    let at = said.parse::<jiff::Timestamp>().ok().filter(|_| is_time(said));
    let at = at.ok_or_else(|| format!("`recorded_at` is `{said}`; {RFC_3339}"))?.as_microsecond();
    if before.is_some_and(|before| at < before) {
        return Err(format!("`recorded_at` is `{said}`, before the event that comes before it"));
    }
    Ok(at)
}

const RFC_3339: &str = "write RFC 3339, such as `2010-12-01T08:26:00Z`";

fn event(given: Given, place: usize) -> Result<Event, String> {
    let id = given.id.unwrap_or_else(|| format!("event-{place}"));
    for (what, name) in [("type", &given.event_type), ("stream", &given.stream), ("id", &id)] {
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(format!("`{what}` has {} bytes; it must have from 1 to {NAME_BYTES}", name.len()));
        }
    }
    if let Some(at) = given.occurred_at.as_deref().filter(|at| !is_time(at)) {
        return Err(format!("`occurred_at` is `{at}`; {RFC_3339}"));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn story(text: &str) -> Story {
        Story::parse(text, "a.yaml").expect("a scenario")
    }

    #[track_caller]
    fn refuses(text: &str, words: &[&str]) {
        let error = Story::parse(text, "a.yaml").expect_err("it is no scenario").to_string();
        for word in words {
            assert!(error.contains(word), "no `{word}` in: {error}");
        }
    }

    #[test]
    fn values_are_those_of_yaml_1_2() {
        let story = story(
            "scenario: s\ngiven: [{type: A, stream: a, data: {a: NO, b: yes, c: 1_000, d: 7, e: 1.5, f: ~, g: '5', h: 2026-01-01}}]\nthen: {tables: {t: []}}",
        );
        let data = String::from_utf8(story.steps[0].events[0].data.clone()).expect("text");
        assert_eq!(data, r#"{"a":"NO","b":"yes","c":"1_000","d":7,"e":1.5,"f":null,"g":"5","h":"2026-01-01"}"#);
    }

    #[test]
    fn an_answer_of_null_is_an_answer() {
        let story = story("scenario: s\ngiven: []\nthen: {queries: [{query: q, answer: null}]}");
        assert_eq!(story.steps[0].then.queries[0].answer, Some(Value::Null));
    }

    #[test]
    fn times_go_on_from_the_event_before() {
        let story = story(
            "scenario: s\norder: any\ngiven: [{type: A, stream: a}, {type: A, stream: a, recorded_at: 2027-01-01T00:00:00Z}, {type: A, stream: a}]",
        );
        let at = |place| crate::plugin::rfc3339(story.recorded_at_us(place));
        assert_eq!([at(0), at(1)], ["2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"]);
        assert_eq!([at(2), at(3)], ["2027-01-01T00:00:01.000000Z", "2027-01-01T00:00:02.000000Z"]);
        refuses(
            "scenario: s\ngiven: [{type: A, stream: a}, {type: A, stream: a, recorded_at: 2025-01-01T00:00:00Z}]",
            &["event 2", "before the event that comes before it"],
        );
    }

    #[test]
    fn what_always_holds_is_no_expectation() {
        const ONE: &str = "{type: A, stream: a}";
        for nothing in ["", "then: {}", "then: {tables: {}}", "then: {tables: {}, queries: []}"] {
            refuses(
                &format!("scenario: s\ngiven: [{ONE}, {ONE}]\n{nothing}"),
                &["`then` expects nothing", "`queries`"],
            );
            refuses(&format!("scenario: s\norder: any\ngiven: [{ONE}]\n{nothing}"), &["expects nothing", "give two"]);
            story(&format!("scenario: s\norder: any\ngiven: [{ONE}, {ONE}]\n{nothing}"));
        }
        refuses("scenario: s\nsteps: [{then: {tables: {t: []}}}, {}]", &["step 2: `then` expects nothing"]);
        let interleaved =
            |duplicates| format!("scenario: s\norder: interleaved\nduplicates: {duplicates}\ngiven: [{ONE}, {ONE}]");
        refuses(&interleaved(false), &["one stream has no other order"]);
        story(&interleaved(true));
        story("scenario: s\ngiven: []\nthen: {tables: {t: []}}");
    }

    #[test]
    fn what_cannot_be_is_said_with_its_place() {
        refuses("scenario: s\ngivn: []", &["a.yaml:2:1", "`givn`", "given"]);
        refuses("scenario: s\norder: sideways", &["line 2 column 8", "sideways", "interleaved"]);
        refuses("scenario: s\ngiven:\n  - type: A\n", &["line 3 column 5", "`stream`"]);
        refuses("scenario: s\ngiven: []\nscenario: t", &["line 3 column 1", "scenario"]);
        refuses("scenario: s", &["neither `given` nor `steps`"]);
        refuses("scenario: s\ngiven: []\nsteps: [{given: []}]", &["`steps` stands beside"]);
        refuses("scenario: s\norder: any\nsteps: [{given: []}, {given: []}]", &["`steps` need `order: given`"]);
        refuses("scenario: s\nduplicates: false\ngiven: []", &["`duplicates` belongs to"]);
        refuses("scenario: s\ngiven: []\nthen: {queries: [{query: q}]}", &["query `q`", "one of `rows`"]);
        refuses("scenario: s\nsteps: [{then: {halts: {at: 1}}}, {}]", &["after `halts`"]);
        refuses(
            "scenario: s\ngiven: [{type: A, stream: a, id: x}, {type: A, stream: b, id: x}]",
            &["event 2", "`x` stands twice"],
        );
    }
}
