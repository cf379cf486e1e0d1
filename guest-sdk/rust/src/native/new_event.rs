//! An event as a test writes it.

use crate::Event;
use crate::head::{self, Head};
use serde_json::Value;

/// An event as a test writes it. Whoever is given it gives it its position, and its revision in its stream.
///
/// ```
/// use laterna_sdk::native::NewEvent;
/// use laterna_sdk::json;
///
/// let event = NewEvent::new("order-1042", "OrderPlaced", json!({"total_cents": 990}))
///     .id("placed-1042")
///     .module("sales")
///     .occurred_at("2026-01-01T10:00:00Z");
/// assert_eq!(event.stream, "order-1042");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The stream.
    pub stream: String,
    /// The type.
    pub event_type: String,
    /// The payload.
    pub data: Value,
    /// Its id; where nothing is said, made from its position.
    pub id: Option<String>,
    /// The version of its shape.
    pub schema_version: u32,
    /// Its module; empty for none.
    pub module: String,
    /// When it happened, RFC 3339; where nothing is said, when it was recorded.
    pub occurred_at: Option<String>,
    /// When the log took it: microseconds since 1970-01-01T00:00:00Z. Where nothing is said, as many seconds after 2026 began as its
    /// position says.
    pub recorded_at_us: Option<i64>,
}

pub(super) const FIRST_RECORDED_US: i64 = 1_767_225_600_000_000;

impl NewEvent {
    /// An event of this type in this stream.
    ///
    /// ```
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({}));
    /// assert_eq!(event.event_type, "OrderPlaced");
    /// ```
    pub fn new(stream: &str, event_type: &str, data: Value) -> Self {
        Self {
            stream: stream.into(),
            event_type: event_type.into(),
            data,
            id: None,
            schema_version: 1,
            module: String::new(),
            occurred_at: None,
            recorded_at_us: None,
        }
    }

    /// With this id.
    ///
    /// ```
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({})).id("placed-1042");
    /// assert_eq!(event.id.as_deref(), Some("placed-1042"));
    /// ```
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Of this module.
    ///
    /// ```
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({})).module("sales");
    /// assert_eq!(event.module, "sales");
    /// ```
    #[must_use]
    pub fn module(self, module: &str) -> Self {
        Self { module: module.into(), ..self }
    }

    /// Happened then: RFC 3339.
    ///
    /// ```
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({})).occurred_at("2026-01-01T10:00:00Z");
    /// assert_eq!(event.read(|event| event.occurred_on().unwrap().day()), 1);
    /// ```
    #[must_use]
    pub fn occurred_at(self, at: &str) -> Self {
        Self { occurred_at: Some(at.into()), ..self }
    }

    /// Recorded then: microseconds since 1970-01-01T00:00:00Z.
    ///
    /// ```
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({})).recorded_at_us(1_000_000);
    /// assert_eq!(event.read(|event| event.recorded().to_string()), "1970-01-01T00:00:01Z");
    /// ```
    #[must_use]
    pub fn recorded_at_us(self, at_us: i64) -> Self {
        Self { recorded_at_us: Some(at_us), ..self }
    }

    /// Shows it as a component sees it, as the first event of a log: for a test of code that takes an event.
    ///
    /// ```
    /// use laterna_sdk::json;
    /// use laterna_sdk::native::NewEvent;
    ///
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({}));
    /// assert_eq!(event.read(|event| event.category().len()), "order".len());
    /// ```
    pub fn read<T>(&self, read: impl FnOnce(&Event<'_>) -> T) -> T {
        let mut bytes = Vec::new();
        let head = self.write(1, 0, &mut bytes);
        read(&Event::new(&head, &bytes))
    }

    /// Writes it behind the others of a batch.
    pub(crate) fn write(&self, position: u64, revision: u64, bytes: &mut Vec<u8>) -> Head {
        let recorded_at_us = self.recorded_at_us.unwrap_or(FIRST_RECORDED_US + position as i64 * 1_000_000);
        let recorded = crate::dates::Timestamp::from_microsecond(recorded_at_us);
        let recorded = recorded.map_or_else(|_| String::new(), |at| format!("{at:.6}"));
        let mut head: Head = [0; head::NUMBERS];
        head[head::POSITION] = position;
        head[head::REVISION] = revision;
        head[head::RECORDED_AT] = recorded_at_us.cast_unsigned();
        head[head::SCHEMA_VERSION] = self.schema_version.into();
        let id = self.id.clone().unwrap_or_else(|| format!("event-{position}"));
        let pieces = [
            (head::ID, id.as_str()),
            (head::STREAM, &self.stream),
            (head::TYPE, &self.event_type),
            (head::MODULE, &self.module),
            (head::OCCURRED_AT, self.occurred_at.as_ref().unwrap_or(&recorded)),
            (head::DATA, &self.data.to_string()),
        ];
        for (piece, text) in pieces {
            head[piece] = (bytes.len() as u64) << 32 | text.len() as u64;
            bytes.extend_from_slice(text.as_bytes());
        }
        head
    }
}
