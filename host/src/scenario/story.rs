//! A scenario that was read and checked, with its events as a log would have them.

use super::format::{Halts, Order, Query, Refused, Scenario, Step, Then};
use super::timeline::{Timeline, check_time};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

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
}

/// A part of a story: what happens, and what must hold after it.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// In the order of the story.
    pub items: Vec<Item>,
    /// What must hold after them.
    pub then: Then,
}

/// What happens at a moment.
#[derive(Debug, Clone)]
pub struct Item {
    /// The moment, in microseconds since 1970-01-01T00:00:00Z. It belongs to the place, whatever event comes there.
    pub at_us: i64,
    /// Time goes on to that moment first, and whatever is to happen by then happens. Otherwise it comes together with what is before it.
    pub waits: bool,
    /// What it is.
    pub what: What,
}

/// What may happen.
#[derive(Debug, Clone)]
pub enum What {
    /// An event comes.
    Event(Event),
    /// Nothing but that time goes on: by so much, as it was written.
    Advance(String),
    /// The next such effect is refused.
    Refuse(Refused),
    /// The host dies, and starts again.
    Kill,
}

impl Chapter {
    /// Its events, in the order of the story.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.items.iter().filter_map(Item::event)
    }
}

impl Item {
    /// The event, if it is one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.what {
            What::Event(event) => Some(event),
            What::Advance(_) | What::Refuse(_) | What::Kill => None,
        }
    }
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
    let (mut chapters, mut timeline) = (Vec::new(), Timeline::new());
    for Step { given, then } in steps {
        then.queries.iter().try_for_each(check_query)?;
        then.halts.iter().try_for_each(check_halts)?;
        then.timers.iter().flatten().try_for_each(|timer| check_time("due_at", timer.due_at.as_deref()))?;
        let placed = given.into_iter().zip(1..).map(|(given, number)| timeline.place(given, number));
        let items = placed.collect::<Result<Vec<_>, _>>()?;
        let chapter = Chapter { items, then };
        if chapter.then.expects_nothing() {
            let in_step = |error| if several { format!("step {}: {error}", chapters.len() + 1) } else { error };
            check_orders_alone(order, duplicates, &chapter).map_err(in_step)?;
        }
        chapters.push(chapter);
    }
    let module = module.unwrap_or_default();
    Ok(Story { name, module, upcasters, order, duplicates, ignore, steps: chapters })
}

/// Where `then` expects nothing, that all orders come to the same must be something.
fn check_orders_alone(order: Order, duplicates: bool, chapter: &Chapter) -> Result<(), String> {
    const NOTHING: &str = "`then` expects nothing";
    const INSTEAD: &str = "say `tables`, as `then: {tables: {orders: [{status: paid}]}}`, or `queries`, `parked` or `halts`, or of a process manager `effects`, \
         `timers` or `instances`";
    let streams: HashSet<&str> = chapter.events().map(|event| event.stream.as_str()).collect();
    match order {
        Order::Given => Err(format!("{NOTHING}, so that it always holds: {INSTEAD}")),
        _ if chapter.events().count() < 2 => {
            Err(format!("{NOTHING}, and there is no other order: give two events, or {INSTEAD}"))
        }
        Order::Interleaved if streams.len() < 2 && !duplicates => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

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
        let data = String::from_utf8(story.steps[0].events().next().expect("one").data.clone()).expect("text");
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
        let at: Vec<String> = story.steps[0].items.iter().map(|item| crate::plugin::rfc3339(item.at_us)).collect();
        assert_eq!(at, ["2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z", "2027-01-01T00:00:01.000000Z"]);
        refuses(
            "scenario: s\ngiven: [{type: A, stream: a}, {type: A, stream: a, recorded_at: 2025-01-01T00:00:00Z}]",
            &["event 2", "before what comes before it: 2026-01-01T00:00:00.000000Z"],
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
