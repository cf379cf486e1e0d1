use crate::Error;
use crate::bindings::laterna::plugin::types::{Head, Span};
use serde::Deserialize;

/// A borrowed view of one event. Cheap to copy; reads straight from the batch.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    head: &'a Head,
    bytes: &'a [u8],
}

impl<'a> Event<'a> {
    pub(crate) fn new(head: &'a Head, bytes: &'a [u8]) -> Self {
        Self { head, bytes }
    }

    /// Place in the log, from 1. Strictly increasing from event to event.
    pub fn position(&self) -> u64 {
        self.head.position
    }

    /// Place in its stream, from 0.
    pub fn revision(&self) -> u64 {
        self.head.revision
    }

    /// The version of the event type's shape; 1 where its producer said nothing.
    pub fn schema_version(&self) -> u32 {
        self.head.schema_version
    }

    /// When the log took it: microseconds since 1970-01-01T00:00:00Z. Never decreases with the position.
    pub fn recorded_at_us(&self) -> i64 {
        self.head.recorded_at
    }

    /// When it happened, by its producer: RFC 3339 as written there.
    pub fn occurred_at(&self) -> &'a str {
        self.text(self.head.occurred_at)
    }

    /// Readable only inside its module.
    pub fn is_internal(&self) -> bool {
        self.head.internal != 0
    }

    /// The log that it came from; empty for this host. An event's identity is (source, id).
    pub fn source(&self) -> &'a str {
        self.text(self.head.source)
    }

    /// Its id, unique within its source.
    pub fn id(&self) -> &'a str {
        self.text(self.head.id)
    }

    /// The stream, `order-1042`.
    pub fn stream(&self) -> &'a str {
        self.text(self.head.stream)
    }

    /// The stream's name up to the first `-`, or all of it.
    pub fn category(&self) -> &'a str {
        let stream = self.stream();
        stream.split_once('-').map_or(stream, |(category, _)| category)
    }

    /// Its type: a fact in the past tense, `OrderPlaced`.
    pub fn event_type(&self) -> &'a str {
        self.text(self.head.type_)
    }

    /// The bounded context that it belongs to; empty where there is none.
    pub fn module(&self) -> &'a str {
        self.text(self.head.module)
    }

    /// What it belongs together with; empty where its producer said nothing.
    pub fn correlation_id(&self) -> &'a str {
        self.text(self.head.correlation_id)
    }

    /// What led to it; empty where its producer said nothing.
    pub fn causation_id(&self) -> &'a str {
        self.text(self.head.causation_id)
    }

    /// The media type of [`data`](Self::data); empty means JSON.
    pub fn content_type(&self) -> &'a str {
        self.text(self.head.content_type)
    }

    /// The payload as it stands in the log.
    pub fn data(&self) -> &'a [u8] {
        self.slice(self.head.data)
    }

    /// The metadata as JSON; empty where there is none.
    pub fn metadata(&self) -> &'a [u8] {
        self.slice(self.head.metadata)
    }

    /// The payload read as JSON. Fields may borrow: `&'a str`, `Cow<'a, str>` (which also takes escaped text).
    ///
    /// # Errors
    /// The payload is not JSON of this shape; the message names the event's type and the place.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.data())
            .map_err(|error| Error::new(format_args!("the data of {} is not as expected: {error}", self.event_type())))
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        // The host writes both; a span outside would be its fault and reads as empty.
        self.bytes.get(span.offset as usize..span.offset as usize + span.len as usize).unwrap_or_default()
    }

    fn text(&self, span: Span) -> &'a str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}
