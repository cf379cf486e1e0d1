//! Events as JSON, coming in and going out.

use super::cloud_events::{self, check_uri_reference, is_json};
use super::problem::{Code, Problem};
use crate::access::Caller;
use crate::log::{Expected, NewEvent, StoredEvent, is_time};
use crate::plugin::batch::rfc3339;
use crate::process::ids::{RESERVED, is_reserved};
use base64::Engine;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Bytes of a name or an id.
const NAME_BYTES: usize = 255;

/// An event in the body of an append.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferedEvent {
    id: Option<String>,
    #[serde(rename = "type")]
    event_type: String,
    schema_version: Option<u32>,
    data: Option<Box<RawValue>>,
    metadata: Option<Box<RawValue>>,
    occurred_at: Option<String>,
    visibility: Option<Visibility>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
}

/// A line of an import: an event with its stream. Its place in the log that it was read from is skipped, so that it can be
/// imported as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    stream: String,
    id: Option<String>,
    #[serde(rename = "type")]
    event_type: String,
    schema_version: Option<u32>,
    data: Option<Box<RawValue>>,
    metadata: Option<Box<RawValue>>,
    occurred_at: Option<String>,
    visibility: Option<Visibility>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    #[serde(rename = "position")]
    _position: Option<serde::de::IgnoredAny>,
    #[serde(rename = "revision")]
    _revision: Option<serde::de::IgnoredAny>,
    #[serde(rename = "recorded_at")]
    _recorded_at: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    source: String,
    #[serde(default)]
    module: String,
    content_type: Option<String>,
    data_base64: Option<String>,
}

/// Who may read an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everyone.
    Public,
    /// Its module.
    Internal,
}

impl ImportLine {
    /// The stream and the event.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, caller: &Caller, event_bytes: usize, own_source: &str) -> Result<(String, NewEvent), Problem> {
        let source = check_source(self.source, self.id.as_deref(), own_source)?;
        check_name("content_type", self.content_type.as_deref())?;
        let (content_type, data) =
            cloud_events::payload(self.data.as_deref(), self.data_base64.as_deref(), self.content_type)?;
        let event = OfferedEvent {
            id: self.id,
            event_type: self.event_type,
            schema_version: self.schema_version,
            data: None,
            metadata: self.metadata,
            occurred_at: self.occurred_at,
            visibility: self.visibility,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
        };
        if !self.module.is_empty() && !caller.is_inside(&self.module) {
            let detail = format!("`module` is `{}`: show a token of that module to import its events", self.module);
            return Err(Problem::new(Code::BadRequest, detail));
        }
        // A history comes with what Laterna told in it.
        check_name("stream", Some(&self.stream))?;
        let event = event.read(caller, event_bytes)?;
        let event = NewEvent { source, content_type, data, ..event };
        check_size(&event, event_bytes)?;
        Ok((self.stream, event))
    }
}

impl OfferedEvent {
    /// The event, which belongs to the module of who appends it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, caller: &Caller, event_bytes: usize) -> Result<NewEvent, Problem> {
        check_reserved("id", self.id.as_deref().unwrap_or_default())?;
        self.read(caller, event_bytes)
    }

    fn read(self, caller: &Caller, event_bytes: usize) -> Result<NewEvent, Problem> {
        check_name("type", Some(&self.event_type))?;
        check_name("id", self.id.as_deref())?;
        check_name("correlation_id", self.correlation_id.as_deref())?;
        check_name("causation_id", self.causation_id.as_deref())?;
        if let Some(at) = &self.occurred_at {
            check_time("occurred_at", at)?;
        }
        if self.schema_version == Some(0) {
            return Err(Problem::new(Code::BadRequest, "`schema_version` is 0; versions count from 1"));
        }
        for (what, value) in [("data", &self.data), ("metadata", &self.metadata)] {
            check_json(what, value.as_deref())?;
        }
        let json = |value: Option<Box<RawValue>>| value.map(|value| value.get().as_bytes().to_vec());
        let event = NewEvent {
            source: String::new(),
            id: self.id,
            event_type: self.event_type,
            schema_version: self.schema_version.unwrap_or(1),
            module: caller.module().unwrap_or_default().to_owned(),
            internal: self.visibility == Some(Visibility::Internal),
            occurred_at: self.occurred_at,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            content_type: String::new(),
            data: json(self.data).unwrap_or_else(|| b"null".to_vec()),
            metadata: json(self.metadata).unwrap_or_default(),
        };
        check_size(&event, event_bytes)?;
        Ok(event)
    }
}

/// Makes sure that an event is not too large.
///
/// # Errors
/// It is.
pub fn check_size(event: &NewEvent, event_bytes: usize) -> Result<(), Problem> {
    if event.bytes() <= event_bytes {
        return Ok(());
    }
    let detail = format!(
        "the event's data and metadata have {} bytes; {event_bytes} are allowed. Keep large content elsewhere and \
         refer to it, or raise `event_bytes`.",
        event.bytes()
    );
    Err(Problem::new(Code::EventTooLarge, detail).with("limit_bytes", event_bytes))
}

/// The source of an event as the log has it: this host's own name stands for the host itself, so that an event has one identity
/// by whatever road it comes.
fn check_source(source: String, id: Option<&str>, own_source: &str) -> Result<String, Problem> {
    if source.is_empty() || source == own_source {
        return Ok(String::new());
    }
    check_name("source", Some(&source))?;
    check_uri_reference("source", &source)?;
    if id.is_none() {
        let detail = format!("`source` is `{source}`, and there is no `id`: an event of another source must have one");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    Ok(source)
}

/// Makes sure that a stream can be called so, and is for anybody to append to.
///
/// # Errors
/// It cannot, or is not.
pub fn check_stream(stream: &str) -> Result<(), Problem> {
    check_name("stream", Some(stream))?;
    check_reserved("stream", stream)
}

/// Makes sure that a stream, or an event's id, is not one of Laterna's own.
///
/// # Errors
/// It is.
pub fn check_reserved(what: &str, name: &str) -> Result<(), Problem> {
    if !is_reserved(name) {
        return Ok(());
    }
    let detail = format!(
        "the {what} `{name}` is Laterna's own: names that begin with `{RESERVED}` are for what processes do and are told. Choose another one."
    );
    Err(Problem::new(Code::ReservedName, detail).with(what, name))
}

/// Makes sure that something can be called so.
///
/// # Errors
/// It cannot.
pub fn check_name(what: &str, name: Option<&str>) -> Result<(), Problem> {
    match name {
        Some("") => {
            Err(Problem::new(Code::BadRequest, format!("`{what}` is empty; it must have a character at least")))
        }
        Some(name) if name.len() > NAME_BYTES => {
            let detail = format!("`{what}` has {} bytes; {NAME_BYTES} are allowed", name.len());
            Err(Problem::new(Code::BadRequest, detail))
        }
        _ => Ok(()),
    }
}

/// Makes sure that whoever reads the value later can: it is kept as it was sent, and was only looked over so far.
///
/// # Errors
/// It cannot be read.
pub fn check_json(what: &str, value: Option<&RawValue>) -> Result<(), Problem> {
    let read = value.map_or(Ok(Readable), |value| serde_json::from_str(value.get()));
    read.map(drop).map_err(|error| Problem::new(Code::BadRequest, format!("`{what}` cannot be read back: {error}")))
}

/// Any JSON whose texts are Unicode, whose numbers fit, and that is not too deep: read, and not kept.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Makes sure that a moment is written as it should be.
///
/// # Errors
/// It is not.
pub fn check_time(what: &str, at: &str) -> Result<(), Problem> {
    if is_time(at) {
        return Ok(());
    }
    let at: String = at.chars().take(64).collect();
    let detail = format!("`{what}` is `{at}`; write RFC 3339, such as `2010-12-01T08:26:00Z`");
    Err(Problem::new(Code::BadRequest, detail))
}

/// What a caller expects of a stream: a word or a number.
///
/// # Errors
/// It is neither.
pub fn expected<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Expected, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Revision(u64),
        Word(String),
        Other(serde::de::IgnoredAny),
    }
    match Given::deserialize(deserializer)? {
        Given::Revision(revision) => Ok(Expected::Revision(revision)),
        Given::Word(word) if word == "any" => Ok(Expected::Any),
        Given::Word(word) if word == "no-stream" => Ok(Expected::NoStream),
        Given::Word(word) if word == "stream-exists" => Ok(Expected::StreamExists),
        Given::Word(_) | Given::Other(_) => Err(serde::de::Error::custom(
            "`expected` should be any, no-stream, stream-exists, or the revision of the stream's last event",
        )),
    }
}

/// A page of events as it goes out. Written as it stands: by way of a `Value`, numbers in the events' data would be rounded.
#[derive(Serialize)]
pub struct PageJson<'a> {
    events: Vec<EventJson<'a>>,
    next: Option<String>,
}

impl<'a> PageJson<'a> {
    /// These events, and the address of the following page, if there is one.
    pub fn new(events: &'a [StoredEvent], next: Option<String>) -> Self {
        Self { events: events.iter().map(EventJson::from).collect(), next }
    }
}

/// An event as it goes out.
#[derive(Serialize)]
pub struct EventJson<'a> {
    position: u64,
    source: &'a str,
    id: &'a str,
    stream: &'a str,
    revision: u64,
    #[serde(rename = "type")]
    event_type: &'a str,
    schema_version: u32,
    module: &'a str,
    visibility: Visibility,
    occurred_at: String,
    recorded_at: String,
    correlation_id: Option<&'a str>,
    causation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    metadata: Option<&'a RawValue>,
}

impl<'a> From<&'a StoredEvent> for EventJson<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        let recorded_at = rfc3339(event.recorded_at_us);
        let filled = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        let content_type = filled(&event.content_type);
        let data = serde_json::from_slice(&event.data).ok().filter(|_| is_json(&event.content_type));
        Self {
            position: event.position,
            source: &event.source,
            id: &event.id,
            stream: &event.stream,
            revision: event.revision,
            event_type: &event.event_type,
            schema_version: event.schema_version,
            module: &event.module,
            visibility: if event.internal { Visibility::Internal } else { Visibility::Public },
            occurred_at: event.occurred_at.clone().unwrap_or_else(|| recorded_at.clone()),
            recorded_at,
            correlation_id: filled(&event.correlation_id),
            causation_id: filled(&event.causation_id),
            content_type,
            data_base64: data.is_none().then(|| base64::prelude::BASE64_STANDARD.encode(&event.data)),
            data,
            metadata: serde_json::from_slice(&event.metadata).ok(),
        }
    }
}
