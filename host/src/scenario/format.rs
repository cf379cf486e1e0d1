//! A scenario as it is written. Its doc comments are the descriptions in `docs/scenario.schema.json`.

mod then;

use super::first_key;
use crate::process::reactor::TOO_DEEP;
use schemars::{JsonSchema, schema_for};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
pub use then::{Effect, Halts, Instance, Parked, Query, Row, Then, Timer};

/// A scenario of a component: given these events, then its tables and queries answer so, and a process manager has done this.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A scenario of a Laterna component")]
#[schemars(extend("oneOf" = [{ "required": ["given"] }, { "required": ["steps"] }]))]
#[schemars(extend("if" = order_is_open(), "else" = something_is_expected()))]
pub struct Scenario {
    /// The story, in a sentence.
    pub scenario: String,
    /// The module that the component is deployed in; none where it is left out. It is given the internal events of that module, and of
    /// no other.
    #[serde(default)]
    pub module: Option<String>,
    /// The upcasters that lead events to the version that the component handles: crates in folders beside that of the component, or
    /// `.wasm` files beside it, by name.
    #[serde(default)]
    pub upcasters: Vec<String>,
    /// In which orders the events come.
    #[serde(default)]
    pub order: Order,
    /// With `order: any` or `interleaved`: each order is also run with some events coming a second time, under another id, at a
    /// later place. True where it is left out.
    #[serde(default)]
    pub duplicates: Option<bool>,
    /// Columns, by table, that are no part of the outcome when orders are compared: a position, say.
    #[serde(default)]
    pub ignore: BTreeMap<String, Vec<String>>,
    /// The events, in order, and what else happens between them. Positions count from 1.
    #[serde(default)]
    pub given: Option<Vec<Given>>,
    /// What must hold after them. With `order: any` or `interleaved` and two events or more it may be left out: that all orders come
    /// to the same is enough to expect.
    #[serde(default)]
    pub then: Option<Then>,
    /// In place of `given` and `then`: several of both, one after another. Positions count on.
    #[serde(default)]
    pub steps: Option<Vec<Step>>,
}

/// In which orders the events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As they are given.
    #[default]
    Given,
    /// In any order: the outcome must be the same in all of them.
    Any,
    /// In any order that keeps the order within each stream: the outcome must be the same in all of them.
    Interleaved,
}

/// Some events, and what must hold after them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The events, in order, and what else happens between them.
    #[serde(default)]
    pub given: Vec<Given>,
    /// What must hold after them.
    #[serde(default)]
    pub then: Then,
}

/// What happens: an event, or, for a process manager, something else.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum Given {
    /// An event comes.
    Event(Box<Event>),
    /// Time goes on.
    Advance(Advance),
    /// An effect is about to be refused.
    Refuse(Refuse),
    /// The host dies.
    Kill(Kill),
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(GivenVisitor)
    }
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event, `advance`, `refuse` or `kill`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Given, A::Error> {
        let (key, map) = first_key::look(map)?;
        match key.as_str() {
            "advance" => Advance::deserialize(map).map(Given::Advance),
            "refuse" => Refuse::deserialize(map).map(Given::Refuse),
            "kill" => Kill::deserialize(map).map(Given::Kill),
            _ => Event::deserialize(map).map(|event| Given::Event(Box::new(event))),
        }
    }
}

/// Time goes on. Timers that become due fire in the order of time, each at its moment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    /// By so much: `30m`, `1h 30m`, `7d`, `PT30M`.
    pub advance: String,
}

/// The log refuses an effect; its instance is told so.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// The next one that is so.
    pub refuse: Refused,
}

/// An effect that is to be refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its stream; any where it is left out.
    #[serde(default)]
    pub stream: Option<String>,
    /// Why, by its stable name.
    pub code: Code,
    /// Why, in words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Why a log refuses an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Its stream takes no more.
    StreamClosed,
    /// Its stream is not as it takes for granted.
    WrongExpectedRevision,
    /// Its data are not as its schema says.
    SchemaViolation,
    /// It is too large.
    EventTooLarge,
    /// Too many events led to it, one by another.
    CausationTooDeep,
}

impl Code {
    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StreamClosed => "stream-closed",
            Self::WrongExpectedRevision => "wrong-expected-revision",
            Self::SchemaViolation => "schema-violation",
            Self::EventTooLarge => "event-too-large",
            Self::CausationTooDeep => TOO_DEEP,
        }
    }
}

/// The host dies, with half of what was to be done done and nothing marked as done, and starts again: nothing may happen twice.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Always true.
    #[schemars(extend("const" = true))]
    pub kill: bool,
}

/// An event.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its type: a fact in the past tense.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its stream, such as `order-1042`; the category is the part before the first `-`.
    pub stream: String,
    /// Its payload.
    #[serde(default)]
    pub data: Value,
    /// Its id; where it is left out, it is made from the place: `event-1`, `event-2` …
    #[serde(default)]
    pub id: Option<String>,
    /// The version of the type's shape; 1 where it is left out.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub schema_version: Option<u32>,
    /// The module that it belongs to; none where it is left out.
    #[serde(default)]
    pub module: Option<String>,
    /// Who may read it.
    #[serde(default)]
    pub visibility: Visibility,
    /// When it happened, by its producer, in RFC 3339; the same as `recorded_at` where it is left out.
    #[serde(default)]
    pub occurred_at: Option<String>,
    /// When the log took it, in RFC 3339; never before the event that comes before it. Where it is left out: a second after that one,
    /// and the first at 2026-01-01T00:00:00Z. In other orders the times stay at their places. For a process manager, time goes on to this
    /// moment first, as by `advance`.
    #[serde(default)]
    pub recorded_at: Option<String>,
    /// Anything that goes with it.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// What it belongs together with.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// What led to it.
    #[serde(default)]
    pub causation_id: Option<String>,
    /// The log that it came from; this host where it is left out.
    #[serde(default)]
    pub source: Option<String>,
    /// The media type of `data`; JSON where it is left out. With another one `data` is a text, which crosses as it is.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// Who may read an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everyone.
    #[default]
    Public,
    /// Its module.
    Internal,
}

/// The JSON Schema of the format, for editors.
#[must_use]
pub fn json_schema() -> Value {
    schema_for!(Scenario).to_value()
}

/// In the schema: the order is not as given, so that `then` may be left out.
fn order_is_open() -> Value {
    json!({ "properties": { "order": { "enum": ["any", "interleaved"] } }, "required": ["order"] })
}

/// In the schema: each `then` expects something.
fn something_is_expected() -> Value {
    let then = json!({ "properties": { "then": then::something() }, "required": ["then"] });
    json!({ "if": { "required": ["given"] }, "then": then, "else": { "properties": { "steps": { "items": then } } } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_schema_in_the_docs_is_that_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenario.schema.json");
        let written = std::fs::read_to_string(path).expect("the schema is part of the repository");
        let written: Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(written, json_schema(), "renew it: laterna test --schema > docs/scenario.schema.json");
    }
}
