//! Events as they cross into a component: flat heads, and one arena of bytes that they point into.

use super::bindings::types::{self, Head, Span};

/// What of an event crosses.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Place in the log, from 1.
    pub position: u64,
    /// Place in its stream, from 0.
    pub revision: u64,
    /// The version of the type's shape.
    pub schema_version: u32,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_us: i64,
    /// Readable only inside its module.
    pub internal: bool,
    /// The log that it came from; empty for this host.
    pub source: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its stream.
    pub stream: &'a str,
    /// Its type.
    pub event_type: &'a str,
    /// Its module; empty for none.
    pub module: &'a str,
    /// RFC 3339; `None` where its producer said nothing, and it counts as having occurred when it was recorded.
    pub occurred_at: Option<&'a str>,
    /// Empty for nothing.
    pub correlation_id: &'a str,
    /// Empty for nothing.
    pub causation_id: &'a str,
    /// Empty means JSON.
    pub content_type: &'a str,
    /// The payload.
    pub data: &'a [u8],
    /// JSON, or empty.
    pub metadata: &'a [u8],
}

/// A batch that is being filled, or crosses.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(super) wit: types::Batch,
    /// Where the names that recur stand in the arena.
    shared: Vec<Span>,
}

/// Recurring names that are looked for; beyond it one is written again.
const SHARED: usize = 32;

/// An absent or empty field.
const NOTHING: Span = Span { offset: 0, len: 0 };

impl Default for Batch {
    fn default() -> Self {
        Self { wit: types::Batch { heads: Vec::new(), bytes: Vec::new() }, shared: Vec::new() }
    }
}

impl Batch {
    /// Takes an event behind the others.
    pub fn push(&mut self, event: &Envelope<'_>) {
        let head = Head {
            position: event.position,
            revision: event.revision,
            schema_version: event.schema_version,
            recorded_at: event.recorded_at_us,
            internal: u32::from(event.internal),
            source: self.share(event.source),
            type_: self.share(event.event_type),
            module: self.share(event.module),
            content_type: self.share(event.content_type),
            id: self.write(event.id.as_bytes()),
            stream: self.write(event.stream.as_bytes()),
            occurred_at: match event.occurred_at {
                Some(at) => self.write(at.as_bytes()),
                None => self.write(rfc3339(event.recorded_at_us).as_bytes()),
            },
            correlation_id: self.write(event.correlation_id.as_bytes()),
            causation_id: self.write(event.causation_id.as_bytes()),
            data: self.write(event.data),
            metadata: self.write(event.metadata),
        };
        self.wit.heads.push(head);
    }

    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wit.heads.len()
    }

    /// There is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wit.heads.is_empty()
    }

    /// The size of the arena.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.wit.bytes.len()
    }

    /// The position of the event at this place.
    #[must_use]
    pub fn position(&self, index: usize) -> Option<u64> {
        self.wit.heads.get(index).map(|head| head.position)
    }

    /// The id and the type of the event at this place.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<(&str, &str)> {
        let head = self.wit.heads.get(index)?;
        Some((self.text(head.id), self.text(head.type_)))
    }

    /// The place of the event with this position.
    #[must_use]
    pub fn index_of(&self, position: u64) -> Option<usize> {
        self.wit.heads.binary_search_by_key(&position, |head| head.position).ok()
    }

    /// Some of these events, as a batch of their own.
    #[must_use]
    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        let mut part = Self::default();
        range.for_each(|index| part.push_from(self, index));
        part
    }

    /// Takes an event of another batch behind the others.
    pub fn push_from(&mut self, other: &Self, index: usize) {
        let Some(head) = other.wit.heads.get(index) else { return };
        self.push(&Envelope {
            position: head.position,
            revision: head.revision,
            schema_version: head.schema_version,
            recorded_at_us: head.recorded_at,
            internal: head.internal != 0,
            source: other.text(head.source),
            id: other.text(head.id),
            stream: other.text(head.stream),
            event_type: other.text(head.type_),
            module: other.text(head.module),
            occurred_at: Some(other.text(head.occurred_at)),
            correlation_id: other.text(head.correlation_id),
            causation_id: other.text(head.causation_id),
            content_type: other.text(head.content_type),
            data: other.slice(head.data),
            metadata: other.slice(head.metadata),
        });
    }

    /// The place of the first event behind this position.
    #[must_use]
    pub fn first_behind(&self, position: u64) -> usize {
        self.wit.heads.partition_point(|head| head.position <= position)
    }

    /// Takes all events out, and keeps the room.
    pub fn clear(&mut self) {
        self.wit.heads.clear();
        self.wit.bytes.clear();
        self.shared.clear();
    }

    fn share(&mut self, name: &str) -> Span {
        if name.is_empty() {
            return NOTHING;
        }
        if let Some(span) = self.shared.iter().find(|span| self.slice(**span) == name.as_bytes()) {
            return *span;
        }
        let span = self.write(name.as_bytes());
        if self.shared.len() < SHARED {
            self.shared.push(span);
        }
        span
    }

    fn write(&mut self, bytes: &[u8]) -> Span {
        if bytes.is_empty() {
            return NOTHING;
        }
        // Batches are bounded far below 4 GiB.
        let span = Span { offset: self.wit.bytes.len() as u32, len: bytes.len() as u32 };
        self.wit.bytes.extend_from_slice(bytes);
        span
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.wit.bytes.get(span.offset as usize..(span.offset + span.len) as usize).unwrap_or_default()
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}

/// A moment as RFC 3339 with microseconds, `2010-12-01T08:26:00.000000Z`.
#[must_use]
pub fn rfc3339(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| String::new(), |at| format!("{at:.6}"))
}
