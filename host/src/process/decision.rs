//! What an instance did about an event, as it is kept: a JSON array of actions.

use super::ids;
use crate::log::StoredEvent;
use crate::plugin::process as wit;
use crate::plugin::{Verdict, Visibility, rfc3339};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Borrow;
use std::collections::BTreeSet;

/// An action, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// An event is appended.
    Append(Effect),
    /// A timer is set.
    Schedule(Deadline),
    /// A timer is called off.
    Cancel {
        /// Its name.
        timer: String,
    },
}

/// An event that is appended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Effect {
    /// The stream.
    pub stream: String,
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the type's shape.
    pub schema_version: u32,
    /// Who may read it.
    pub visibility: Visibility,
    /// What is taken for granted of the stream: `any`, `no-stream`, `stream-exists`, or a revision.
    pub expected: Expected,
    /// The payload, where it is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// The payload in base64, where it is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
    /// The media type of the payload; none means JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Anything that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
}

/// What an effect takes for granted of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Nothing.
    Any,
    /// It has no event.
    NoStream,
    /// It has one event at least.
    StreamExists,
    /// Its last event has this revision.
    #[serde(untagged)]
    Revision(u64),
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Its name.
    pub timer: String,
    /// When it is due, in RFC 3339.
    pub due_at: String,
    /// The time from one occurrence to the next, in microseconds; none: it is due once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_us: Option<u64>,
    /// The same moment in microseconds since 1970.
    #[serde(skip)]
    pub due_us: i64,
}

/// The shortest interval of a timer, in microseconds.
const INTERVAL_US: u64 = 1_000_000;

/// The earliest moment at which a timer is due that is set about what Laterna told at this time: one that sets itself anew would fire without
/// end otherwise.
pub(super) fn earliest_after(told_at_us: i64) -> i64 {
    told_at_us.saturating_add(INTERVAL_US.cast_signed())
}

impl Action {
    /// Takes over what a component wants done about an event that was recorded at this time, by what its manifest says that it produces. No
    /// timer is due before the earliest moment.
    ///
    /// # Errors
    /// It must not be done.
    pub(super) fn check(
        wanted: wit::Action,
        (recorded_at_us, earliest_us): (i64, i64),
        produces: &BTreeSet<String>,
    ) -> Result<Self, Verdict> {
        match wanted {
            wit::Action::Append(effect) => Effect::check(effect, produces).map(Self::Append),
            wit::Action::Schedule(timer) => Deadline::check(timer, recorded_at_us, earliest_us).map(Self::Schedule),
            wit::Action::Cancel(timer) => Ok(Self::Cancel { timer }),
        }
        .map_err(Verdict::Forbidden)
    }
}

/// Actions, each effect with its ordinal: its place among the effects. So a version that sets a timer besides does the same under the same id.
pub fn with_ordinals<A: Borrow<Action>>(
    actions: impl IntoIterator<Item = A>,
) -> impl Iterator<Item = (Option<usize>, A)> {
    let mut ordinals = 0..;
    actions.into_iter().map(move |action| match action.borrow() {
        Action::Append(_) => (ordinals.next(), action),
        Action::Schedule(_) | Action::Cancel { .. } => (None, action),
    })
}

/// The effects of a decision, in the order of their ordinals.
///
/// # Errors
/// What was kept is no list of actions.
pub(super) fn effects(actions: &str) -> Result<Vec<Effect>, serde_json::Error> {
    let actions: Vec<Action> = serde_json::from_str(actions)?;
    let effects = actions.into_iter().filter_map(|action| match action {
        Action::Append(effect) => Some(effect),
        Action::Schedule(_) | Action::Cancel { .. } => None,
    });
    Ok(effects.collect())
}

impl Effect {
    /// About how many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        let json = |json: &Option<Box<RawValue>>| json.as_ref().map_or(0, |json| json.get().len());
        json(&self.data) + json(&self.metadata) + self.data_base64.as_ref().map_or(0, String::len)
    }

    fn check(effect: wit::Effect, produces: &BTreeSet<String>) -> Result<Self, String> {
        let wit::Effect { stream, event_type, schema_version, content_type, data, metadata, visibility, expected } =
            effect;
        if !produces.contains(&event_type) {
            return Err(format!("it appends {event_type}, which its manifest does not say that it produces"));
        }
        if !(1..=255).contains(&stream.len()) {
            return Err(format!("it appends to a stream whose name has {} bytes; 1 to 255 are allowed", stream.len()));
        }
        if ids::is_reserved(&stream) {
            return Err(format!(
                "it appends to `{stream}`: streams that begin with `{}` are Laterna's own",
                ids::RESERVED
            ));
        }
        if schema_version == 0 {
            return Err(format!("it appends {event_type} in version 0: versions count from 1"));
        }
        let raw = |what: &str, text: Vec<u8>| {
            let text = String::from_utf8(text).map_err(|_| format!("the {what} of {event_type} is not UTF-8"))?;
            RawValue::from_string(text).map_err(|error| format!("the {what} of {event_type} is not JSON: {error}"))
        };
        let metadata = match metadata.is_empty() {
            true => None,
            false => Some(raw("metadata", metadata.into_bytes())?),
        };
        let (json, bytes, content_type) = match content_type.is_empty() {
            true => (Some(raw("data", data)?), None, None),
            false => (None, Some(STANDARD.encode(data)), Some(content_type)),
        };
        Ok(Self {
            stream,
            event_type,
            schema_version,
            visibility: visibility.into(),
            expected: match expected {
                wit::Expectation::Any => Expected::Any,
                wit::Expectation::NoStream => Expected::NoStream,
                wit::Expectation::StreamExists => Expected::StreamExists,
                wit::Expectation::Revision(revision) => Expected::Revision(revision),
            },
            data: json,
            data_base64: bytes,
            content_type,
            metadata,
        })
    }

    /// The effect by which an event came to the log, but for what was taken for granted of its stream.
    ///
    /// # Errors
    /// Its data are not JSON, although they say so.
    pub fn of(event: &StoredEvent) -> Result<Self, serde_json::Error> {
        let raw = |bytes: &[u8]| serde_json::from_slice::<Box<RawValue>>(bytes);
        let is_json = event.content_type.is_empty();
        Ok(Self {
            stream: event.stream.clone(),
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            visibility: if event.internal { Visibility::Internal } else { Visibility::Public },
            expected: Expected::Any,
            data: if is_json { Some(raw(&event.data)?) } else { None },
            data_base64: (!is_json).then(|| STANDARD.encode(&event.data)),
            content_type: (!is_json).then(|| event.content_type.clone()),
            metadata: if event.metadata.is_empty() { None } else { Some(raw(&event.metadata)?) },
        })
    }

    /// The payload.
    ///
    /// # Errors
    /// What was kept is no base64.
    pub fn payload(&self) -> Result<Vec<u8>, base64::DecodeError> {
        match (&self.data, &self.data_base64) {
            (Some(json), _) => Ok(json.get().as_bytes().to_vec()),
            (None, Some(bytes)) => STANDARD.decode(bytes),
            (None, None) => Ok(Vec::new()),
        }
    }
}

impl Deadline {
    fn check(timer: wit::Timer, recorded_at_us: i64, earliest_us: i64) -> Result<Self, String> {
        let wit::Timer { name, due, every } = timer;
        if !ids::is_timer(&name) {
            return Err(format!(
                "it sets a timer `{}`: a name has 1 to {} bytes, without control characters or `:`",
                name.escape_debug(),
                ids::TIMER_BYTES
            ));
        }
        let due_us = match due {
            wit::Due::After(us) => i64::try_from(us).ok().and_then(|us| recorded_at_us.checked_add(us)),
            wit::Due::At(us) => Some(us),
        };
        let due_us = due_us.map(|us| us.max(earliest_us)).filter(|us| jiff::Timestamp::from_microsecond(*us).is_ok());
        let due_us = due_us.ok_or_else(|| format!("its timer `{name}` is due beyond the year 9999"))?;
        if every.is_some_and(|every| every < INTERVAL_US || every > i64::MAX.cast_unsigned()) {
            return Err(format!("its timer `{name}` comes again each {every:?} µs; a second is the least"));
        }
        Ok(Self { timer: name, due_at: rfc3339(due_us), every_us: every, due_us })
    }
}
