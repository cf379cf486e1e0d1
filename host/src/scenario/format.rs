//! A scenario as it is written. Its doc comments are the descriptions in `docs/scenario.schema.json`.

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A scenario of a component: given these events, then its tables and queries answer so.
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
    /// The events, in order. Their positions count from 1.
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
    /// The events, in order.
    #[serde(default)]
    pub given: Vec<Given>,
    /// What must hold after them.
    #[serde(default)]
    pub then: Then,
}

/// An event.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Given {
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
    /// and the first at 2026-01-01T00:00:00Z. In other orders the times stay at their places.
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

/// What must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// By table or view: exactly these rows, as many, in the order of the key.
    #[serde(default)]
    pub tables: BTreeMap<String, Vec<Row>>,
    /// Questions and their answers.
    #[serde(default)]
    pub queries: Vec<Query>,
    /// The projection halts, and what else is expected is as before that event.
    #[serde(default)]
    pub halts: Option<Halts>,
    /// Exactly these sequences are left out, in the order of the events that could not be applied; none where it is left out.
    #[serde(default)]
    pub parked: Vec<Parked>,
}

impl Then {
    /// Whether it holds whatever happens.
    #[must_use]
    pub fn expects_nothing(&self) -> bool {
        self.tables.is_empty() && self.queries.is_empty() && self.halts.is_none() && self.parked.is_empty()
    }
}

/// A row: a value for each column that matters. One that is not named is not looked at. Booleans are 1 and 0, blobs are base64.
pub type Row = Map<String, Value>;

/// A question and its answer: one of `rows`, `answer` and `refused`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["rows"] }, { "required": ["answer"] }, { "required": ["refused"] }]))]
pub struct Query {
    /// The query's name.
    pub query: String,
    /// Its parameters.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// Of a query that SQL answers: exactly these rows, in its order. A column that is not named is not looked at.
    #[serde(default)]
    pub rows: Option<Vec<Row>>,
    /// Of a query that the component's code answers: exactly this JSON.
    #[serde(default, deserialize_with = "said")]
    pub answer: Option<Value>,
    /// It is not answered: part of the reason.
    #[serde(default)]
    pub refused: Option<String>,
}

/// That the projection halts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Halts {
    /// The position of the event that it cannot apply.
    #[schemars(range(min = 1))]
    pub at: u64,
    /// Part of the reason.
    #[serde(default)]
    pub because: Option<String>,
}

/// That the later events of a sequence are left out, from one that could not be applied on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parked {
    /// The sequence: a stream, unless the component says otherwise.
    pub sequence: String,
    /// The position of the event that cannot be applied. Not looked at where the order is open.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub at: Option<u64>,
    /// How many events are left out, that one included. Not looked at where the order is open.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub events: Option<u64>,
    /// Part of the reason.
    #[serde(default)]
    pub because: Option<String>,
}

/// Tells an answer that is `null` from none.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
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
    let something = json!({ "type": "object", "anyOf": [
        { "properties": { "tables": { "minProperties": 1 } }, "required": ["tables"] },
        { "properties": { "queries": { "minItems": 1 } }, "required": ["queries"] },
        { "properties": { "halts": { "type": "object" } }, "required": ["halts"] },
        { "properties": { "parked": { "minItems": 1 } }, "required": ["parked"] },
    ] });
    let then = json!({ "properties": { "then": something }, "required": ["then"] });
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
