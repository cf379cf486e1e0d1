//! What the process manager `dutiful` must come to, as plainly as it can be said: the log's events one by one, in memory. It knows nothing
//! of batches, stores, crashes or releases.

use crate::processes::Logged;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What stands in the log must lead to this.
#[derive(Debug, Clone, Default)]
pub struct Model {
    process: String,
    consumes: BTreeSet<String>,
    instances: BTreeMap<String, Instance>,
    /// Names with the instances that are found by them.
    associations: BTreeSet<(String, String)>,
    /// By instance and name.
    timers: BTreeMap<(String, String), Timer>,
    /// What was decided.
    decisions: Vec<Decision>,
    effects: Vec<Expected>,
}

#[derive(Debug, Clone, Default)]
struct Instance {
    saw: Vec<String>,
    then: BTreeMap<String, Vec<Value>>,
    otherwise: Vec<Value>,
    began: (u64, i64),
    changed: (u64, i64),
}

#[derive(Debug, Clone, PartialEq)]
struct Timer {
    due_us: i64,
    set_by: u64,
    occurrence: u64,
    every_us: Option<i64>,
}

#[derive(Debug, Clone)]
struct Decision {
    instance: String,
    position: u64,
    outcome: &'static str,
    actions: Vec<Value>,
}

/// An effect that must stand in the log, as itself or as refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Its id.
    pub id: String,
    /// The event that led to it.
    pub trigger: u64,
    /// Its stream.
    pub stream: String,
    /// Its type.
    pub event_type: String,
    /// Its data.
    pub data: Value,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn us(moment: &Value) -> i64 {
    text(moment).parse::<jiff::Timestamp>().expect("a moment").as_microsecond()
}

fn moment(us: i64) -> String {
    format!("{:.6}", jiff::Timestamp::from_microsecond(us).expect("a moment"))
}

impl Model {
    /// Of a manager of this name that consumes these types.
    #[must_use]
    pub fn new(process: &str, consumes: &[&str]) -> Self {
        let consumes = consumes.iter().map(ToString::to_string).collect();
        Self { process: process.to_owned(), consumes, ..Self::default() }
    }

    /// Folds the next event of the log. What it leads to is done by the version that bears this tag.
    pub fn fold(&mut self, event: &Logged, tag: &str) {
        let own = format!("process:{}-", self.process.replace('-', "."));
        if let Some(instance) = event.stream.strip_prefix(&own) {
            return match event.event_type.as_str() {
                "timer.fired" => self.fire(event, instance, tag),
                "effect.refused" => self.refuse(event, instance, tag),
                _ => {}
            };
        }
        if event.stream.starts_with("process:") || !self.consumes.contains(&event.event_type) {
            return;
        }
        let mut reached = BTreeSet::new();
        for key in list(&event.data["keys"]) {
            let (name, starts) = match (&key["starts"], &key["finds"]) {
                (Value::String(name), _) => (name, true),
                (_, Value::String(name)) => (name, false),
                _ => panic!("no key: {key}"),
            };
            let found =
                self.associations.iter().filter(|(known, _)| known == name).map(|(_, instance)| instance.clone());
            let mut found: BTreeSet<String> = found.collect();
            if self.instances.contains_key(name) || (found.is_empty() && starts) {
                found.insert(name.clone());
            }
            reached.extend(found);
        }
        for instance in reached {
            let orders = list(&event.data["do"]);
            self.turn(event, &instance, event.position.to_string(), &orders, tag, false);
        }
    }

    fn fire(&mut self, event: &Logged, instance: &str, tag: &str) {
        let (name, data) = (text(&event.data["timer"]).to_owned(), &event.data);
        let key = (instance.to_owned(), name.clone());
        let Some(timer) = self.timers.get(&key).cloned() else { return };
        if Some(timer.set_by) != data["set_by"].as_u64() || timer.due_us != us(&data["due_at"]) {
            return;
        }
        let (occurrence, missed) = (&data["occurrence"], data["missed"].as_i64().expect("a number"));
        assert_eq!(occurrence.as_u64(), Some(timer.occurrence), "{event:?}");
        assert!(timer.due_us <= event.recorded_at_us, "it fired too early: {event:?}");
        self.timers.remove(&key);
        if let Some(every_us) = timer.every_us {
            let due_us = timer.due_us + (missed + 1) * every_us;
            self.timers.insert(key, Timer { due_us, occurrence: timer.occurrence + 1, ..timer });
        } else {
            assert_eq!(missed, 0, "{event:?}");
        }
        let orders = self.instances[instance].then.get(&name).cloned().unwrap_or_default();
        self.turn(event, instance, format!("{} {name} #{occurrence} +{missed}", event.position), &orders, tag, false);
    }

    fn refuse(&mut self, event: &Logged, instance: &str, tag: &str) {
        let Some(orders) = self.instances.get(instance).map(|instance| instance.otherwise.clone()) else { return };
        let (data, code) = (&event.data, text(&event.data["code"]));
        let seen = format!("{} {}.{} {code}", event.position, data["position"], data["ordinal"]);
        self.turn(event, instance, seen, &orders, tag, code == "causation-too-deep");
    }

    fn turn(&mut self, event: &Logged, key: &str, seen: String, orders: &[Value], tag: &str, is_cut: bool) {
        let at = (event.position, event.recorded_at_us);
        let mut instance = self.instances.remove(key).unwrap_or_else(|| Instance { began: at, ..Instance::default() });
        instance.changed = at;
        instance.saw.push(seen);
        let (mut actions, mut names, mut ends) = (Vec::new(), BTreeMap::new(), false);
        let concerns = |only: &Value, this: &str| only.as_str().is_none_or(|only| only == this);
        for order in orders.iter().filter(|order| concerns(&order["of"], key) && concerns(&order["only"], tag)) {
            let has = |deed: &str| order.get(deed);
            if let Some(append) = has("append") {
                let effect = effect(append, &event.data, tag, key, instance.saw.len());
                let ordinal = actions.iter().filter(|action: &&Value| action.get("append").is_some()).count();
                if !is_cut {
                    self.effects.push(Expected {
                        id: format!("process:{}:{}.{ordinal}:{key}", self.process, event.position),
                        trigger: event.position,
                        stream: text(&effect["stream"]).to_owned(),
                        event_type: text(&effect["type"]).to_owned(),
                        data: effect["data"].clone(),
                    });
                }
                actions.push(json!({ "append": effect }));
            } else if let Some(schedule) = has("schedule") {
                let name = text(&schedule["timer"]).to_owned();
                let due_us = match &schedule["at"] {
                    Value::Null => event.recorded_at_us + schedule["after_s"].as_i64().unwrap_or_default() * 1_000_000,
                    at => us(at),
                };
                // What is set about what the host tells waits for a second.
                let is_told = event.stream.starts_with("process:");
                let due_us = if is_told { due_us.max(event.recorded_at_us + 1_000_000) } else { due_us };
                let every_us = schedule["every_s"].as_i64().map(|seconds| seconds * 1_000_000);
                let mut kept = json!({ "timer": name, "due_at": moment(due_us) });
                if let Some(every_us) = every_us {
                    kept["every_us"] = every_us.into();
                }
                actions.push(json!({ "schedule": kept }));
                instance.then.insert(name.clone(), list(&schedule["then"]));
                let timer = Timer { due_us, set_by: event.position, occurrence: 1, every_us };
                self.timers.insert((key.to_owned(), name), timer);
            } else if let Some(Value::String(timer)) = has("cancel") {
                actions.push(json!({ "cancel": { "timer": timer } }));
                self.timers.remove(&(key.to_owned(), timer.clone()));
            } else if let Some(Value::String(name)) = has("associate") {
                names.insert(name.clone(), true);
            } else if let Some(Value::String(name)) = has("dissociate") {
                names.insert(name.clone(), false);
            } else if let Some(Value::Bool(now)) = has("end") {
                ends |= now;
            } else if let Some(orders) = has("otherwise") {
                instance.otherwise = list(orders);
            } else {
                panic!("nobody knows what to do: {order}");
            }
        }
        for (name, is) in names {
            let association = (name, key.to_owned());
            if is {
                self.associations.insert(association)
            } else {
                self.associations.remove(&association)
            };
        }
        if ends {
            self.associations.retain(|(_, of)| of != key);
            self.timers.retain(|(of, _), _| of != key);
        } else {
            self.instances.insert(key.to_owned(), instance);
        }
        let outcome = if ends { "ended" } else { "became" };
        self.decisions.push(Decision { instance: key.to_owned(), position: event.position, outcome, actions });
    }

    /// What must be done, in the order in which it must be.
    #[must_use]
    pub fn effects(&self) -> &[Expected] {
        &self.effects
    }

    /// What each instance saw.
    #[must_use]
    pub fn saw(&self) -> BTreeMap<String, Vec<String>> {
        self.instances.iter().map(|(key, instance)| (key.clone(), instance.saw.clone())).collect()
    }

    /// Timers that are due once, and have not fired.
    #[must_use]
    pub fn waiting_once(&self) -> usize {
        self.timers.values().filter(|timer| timer.every_us.is_none()).count()
    }

    /// How many timers are due at a moment.
    #[must_use]
    pub fn due(&self, now_us: i64) -> usize {
        self.timers.values().filter(|timer| timer.due_us <= now_us).count()
    }

    /// The rows of a table of the read model, ordered by their keys. Of a state only what was seen and the names of timers.
    #[must_use]
    pub fn rows(&self, table: &str) -> Vec<Value> {
        match table {
            "instances" => self.instances.iter().map(|(key, instance)| instance.row(key)).collect(),
            "associations" => {
                self.associations.iter().map(|(name, of)| json!({ "name": name, "instance": of })).collect()
            }
            "timers" => {
                let row = |((instance, name), timer): (&(String, String), &Timer)| {
                    let Timer { due_us, set_by, occurrence, every_us } = timer;
                    json!({ "instance": instance, "name": name, "due_at": due_us, "set_by": set_by,
                            "occurrence": occurrence, "every_us": every_us })
                };
                self.timers.iter().map(row).collect()
            }
            "decisions" => {
                let mut decisions = self.decisions.clone();
                decisions.sort_by(|one, other| (&one.instance, one.position).cmp(&(&other.instance, other.position)));
                let row = |decision: Decision| {
                    let Decision { instance, position, outcome, actions } = decision;
                    json!({ "instance": instance, "position": position, "outcome": outcome, "actions": actions })
                };
                decisions.into_iter().map(row).collect()
            }
            other => panic!("there is no table {other}"),
        }
    }
}

impl Instance {
    fn row(&self, key: &str) -> Value {
        let ((began_position, began_at), (changed_position, changed_at)) = (self.began, self.changed);
        let then: Vec<&String> = self.then.keys().collect();
        json!({ "key": key, "state": { "saw": self.saw, "then": then }, "began_position": began_position,
                "began_at": began_at, "changed_position": changed_position, "changed_at": changed_at })
    }
}

/// A row as the host shows it, with what is JSON in it read, and of a state what [`Model::rows`] tells.
#[must_use]
pub fn read(mut row: Value) -> Value {
    let parsed = |text: &Value| serde_json::from_str::<Value>(text.as_str().expect("text")).expect("JSON");
    if row.get("actions").is_some() {
        row["actions"] = parsed(&row["actions"]);
    }
    if row.get("state").is_some() {
        let state = parsed(&row["state"]);
        let then: Vec<&String> = state["then"].as_object().into_iter().flat_map(Map::keys).collect();
        row["state"] = json!({ "saw": state["saw"], "then": then });
    }
    row
}

/// An effect, as it is kept among the decisions.
fn effect(append: &Value, trigger: &Value, tag: &str, instance: &str, nth: usize) -> Value {
    let mut data = append["data"].as_object().cloned().unwrap_or_default();
    data.extend([("instance".to_owned(), json!(instance)), ("nth".to_owned(), json!(nth))]);
    if append["untagged"] != json!(true) {
        data.insert("by".to_owned(), json!(tag));
    }
    if append["again"] == json!(true) {
        for part in ["keys", "do"] {
            data.extend(trigger.get(part).map(|told| (part.to_owned(), told.clone())));
        }
    }
    json!({
        "stream": append["stream"],
        "type": append.get("type").unwrap_or(&json!("Done")),
        "schema_version": 1,
        "visibility": "public",
        "expected": append.get("expected").unwrap_or(&json!("any")),
        "data": data,
    })
}
