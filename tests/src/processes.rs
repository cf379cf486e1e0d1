//! What process managers did, as the log tells it, and what `dutiful` is told to do.

use crate::{Client, Data};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// An event as it stands in the log, internal ones too.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Place in the log.
    pub position: u64,
    /// Its id.
    pub id: String,
    /// Its stream.
    pub stream: String,
    /// Its type.
    pub event_type: String,
    /// What led to it.
    pub causation_id: Option<String>,
    /// What it belongs together with.
    pub correlation_id: Option<String>,
    /// Microseconds since 1970.
    pub recorded_at_us: i64,
    /// The payload.
    pub data: Value,
}

/// Something that a process manager did, or tried to do: the log refused it.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The position of the event that led to it.
    pub trigger: u64,
    /// The instance.
    pub instance: String,
    /// The place among the effects.
    pub ordinal: usize,
    /// What stands in the log.
    pub event: Logged,
}

impl Effect {
    /// The tag of the version that did it.
    #[must_use]
    pub fn by(&self) -> &str {
        self.event.data["by"].as_str().unwrap_or_default()
    }
}

impl Data {
    /// All events of the log, as they are committed now.
    #[must_use]
    pub fn logged(&self) -> Vec<Logged> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let log = Connection::open_with_flags(self.path().join("log.db"), flags).expect("a log");
        let mut statement = log
            .prepare(
                "SELECT position, e.id, stream, name, causation_id, correlation_id, recorded_at, data
                 FROM events e JOIN names n ON n.id = e.type ORDER BY position",
            )
            .expect("the log's tables");
        let logged = statement.query_map([], |row| {
            let data: Vec<u8> = row.get(7)?;
            Ok(Logged {
                position: row.get::<_, i64>(0)?.cast_unsigned(),
                id: row.get(1)?,
                stream: row.get(2)?,
                event_type: row.get(3)?,
                causation_id: row.get(4)?,
                correlation_id: row.get(5)?,
                recorded_at_us: row.get(6)?,
                data: serde_json::from_slice(&data).unwrap_or_default(),
            })
        });
        logged.expect("a query").collect::<Result<_, _>>().expect("events")
    }

    /// What a process manager did, in the order of the log.
    #[must_use]
    pub fn effects(&self, process: &str) -> Vec<Effect> {
        effects(&self.logged(), process)
    }

    /// What a release was found to change, as it is recorded: the comparison with the log, with what the one before did.
    #[must_use]
    pub fn replay(&self, process: &str, release: u64) -> Value {
        let control = Connection::open(self.path().join("control.db")).expect("a record");
        let difference: String = control
            .query_row(
                "SELECT difference FROM releases WHERE component = ?1 AND number = ?2",
                (process, release.cast_signed()),
                |row| row.get(0),
            )
            .expect("it was compared");
        let difference: Value = serde_json::from_str(&difference).expect("JSON");
        difference["replay"].clone()
    }
}

/// The effects of a process manager among events: those whose ids say so.
#[must_use]
pub fn effects(logged: &[Logged], process: &str) -> Vec<Effect> {
    let prefix = format!("process:{process}:");
    let effect = |event: &Logged| {
        let (place, instance) = event.id.strip_prefix(&prefix)?.split_once(':')?;
        let (trigger, ordinal) = place.split_once('.')?;
        let (trigger, ordinal) = (trigger.parse().ok()?, ordinal.parse().ok()?);
        Some(Effect { trigger, ordinal, instance: instance.to_owned(), event: event.clone() })
    };
    logged.iter().filter_map(effect).collect()
}

/// An event that tells the instance of this name to do these things; it begins, where there is none.
#[must_use]
pub fn tells(instance: &str, orders: &[Value]) -> Value {
    json!({ "type": "Told", "data": { "keys": [{ "starts": instance }], "do": orders } })
}

/// An order to append to a stream.
#[must_use]
pub fn append(stream: &str) -> Value {
    json!({ "append": { "stream": stream } })
}

impl Client {
    /// Appends an event to a stream; answers its position.
    pub fn tell(&self, stream: &str, event: &Value) -> u64 {
        let answer = self.post(&format!("/streams/{stream}/events"), &json!({ "events": [event] })).ok();
        answer["last_position"].as_u64().expect("a position")
    }

    /// Waits until all is done that was decided so far: effects come in the order in which they are decided, so one more is told, and
    /// waited for. `name` is that of its instance and of its stream.
    pub fn settle(&self, name: &str) {
        self.tell("settling", &tells(name, &[append(name)]));
        self.wait_for(&format!("/streams/{name}/events"), |answer| {
            answer.status == 200 && answer.json()["events"].as_array().is_some_and(|events| !events.is_empty())
        });
    }

    /// The positions behind which the releases of a process manager acted that came to serve, oldest first, each with `v` and the first
    /// number of its version.
    #[must_use]
    pub fn shifts(&self, process: &str) -> Vec<(u64, String)> {
        let shown = self.projection(process);
        let releases = shown["releases"].as_array().expect("releases").iter().rev();
        let shifts = releases.filter_map(|release| {
            let mut steps = release["steps"].as_array()?.iter();
            let behind = steps.find_map(|step| step["figures"]["acts_behind"].as_u64())?;
            Some((behind, format!("v{}", release["version"].as_str()?.split('.').next()?)))
        });
        shifts.collect()
    }

    /// Lets the clock of a host whose clock stands still go on by so many seconds.
    pub fn advance(&self, seconds: u64) {
        self.post("/clock/advance", &json!({ "by_seconds": seconds })).ok();
    }

    /// Folds what serves once more; it must come to the same.
    pub fn verify_exact(&self, component: &str) {
        let answer = self.order(component, "verify?timeout=60");
        let proof = answer.ok();
        assert_eq!((answer.status, &proof["same"]), (200, &json!(true)), "{component}: {proof}");
    }
}
