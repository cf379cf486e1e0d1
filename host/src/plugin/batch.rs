//! Events as they cross into a component: flat heads, and one arena of bytes that they point into. `wit/types.wit` says what the
//! numbers of a head mean.

use super::bindings::types;

const NUMBERS: usize = 16;
const POSITION: usize = 0;
const REVISION: usize = 1;
const RECORDED_AT: usize = 2;
const SCHEMA_VERSION: usize = 3;
const FLAGS: usize = 4;
const SOURCE: usize = 5;
const ID: usize = 6;
const STREAM: usize = 7;
const TYPE: usize = 8;
const MODULE: usize = 9;
const OCCURRED_AT: usize = 10;
const CORRELATION_ID: usize = 11;
const CAUSATION_ID: usize = 12;
const CONTENT_TYPE: usize = 13;
const DATA: usize = 14;
const METADATA: usize = 15;
/// The flag of an event that is readable only inside its module.
const INTERNAL: u64 = 1;

/// The numbers of one event.
type Head = [u64; NUMBERS];

/// A piece of the arena: (offset << 32 | length).
type Span = u64;

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

/// What tells the shape of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) position: u64,
    pub(super) event_type: &'a str,
    pub(super) schema_version: u32,
    pub(super) module: &'a str,
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
const NOTHING: Span = 0;

impl Default for Batch {
    fn default() -> Self {
        Self { wit: types::Batch { heads: Vec::new(), bytes: Vec::new() }, shared: Vec::new() }
    }
}

impl Batch {
    /// Takes an event behind the others.
    pub fn push(&mut self, event: &Envelope<'_>) {
        let mut head: Head = [NOTHING; NUMBERS];
        head[POSITION] = event.position;
        head[REVISION] = event.revision;
        head[RECORDED_AT] = event.recorded_at_us.cast_unsigned();
        head[SCHEMA_VERSION] = event.schema_version.into();
        head[FLAGS] = event.internal.into();
        head[SOURCE] = self.share(event.source);
        head[TYPE] = self.share(event.event_type);
        head[MODULE] = self.share(event.module);
        head[CONTENT_TYPE] = self.share(event.content_type);
        head[ID] = self.write(event.id.as_bytes());
        head[STREAM] = self.write(event.stream.as_bytes());
        head[OCCURRED_AT] = match event.occurred_at {
            Some(at) => self.write(at.as_bytes()),
            None => self.write(rfc3339(event.recorded_at_us).as_bytes()),
        };
        head[CORRELATION_ID] = self.write(event.correlation_id.as_bytes());
        head[CAUSATION_ID] = self.write(event.causation_id.as_bytes());
        head[DATA] = self.write(event.data);
        head[METADATA] = self.write(event.metadata);
        self.wit.heads.extend_from_slice(&head);
    }

    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads().len()
    }

    /// The number of events that are readable only inside their module.
    #[must_use]
    pub fn internal(&self) -> usize {
        self.heads().iter().filter(|head| head[FLAGS] & INTERNAL != 0).count()
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
        self.heads().get(index).map(|head| head[POSITION])
    }

    /// The place of the event with this position.
    #[must_use]
    pub fn index_of(&self, position: u64) -> Option<usize> {
        self.heads().binary_search_by_key(&position, |head| head[POSITION]).ok()
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
        other.get(index).into_iter().for_each(|event| self.push(&event));
    }

    /// The event at this place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Envelope<'_>> {
        let head = self.heads().get(index)?;
        Some(Envelope {
            position: head[POSITION],
            revision: head[REVISION],
            // It was made from one.
            schema_version: head[SCHEMA_VERSION] as u32,
            recorded_at_us: head[RECORDED_AT].cast_signed(),
            internal: head[FLAGS] & INTERNAL != 0,
            source: self.text(head[SOURCE]),
            id: self.text(head[ID]),
            stream: self.text(head[STREAM]),
            event_type: self.text(head[TYPE]),
            module: self.text(head[MODULE]),
            occurred_at: Some(self.text(head[OCCURRED_AT])),
            correlation_id: self.text(head[CORRELATION_ID]),
            causation_id: self.text(head[CAUSATION_ID]),
            content_type: self.text(head[CONTENT_TYPE]),
            data: self.slice(head[DATA]),
            metadata: self.slice(head[METADATA]),
        })
    }

    /// The events, one by one.
    pub fn iter(&self) -> impl Iterator<Item = Envelope<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The shapes of the events, one by one.
    pub(super) fn shapes(&self) -> impl Iterator<Item = Shape<'_>> {
        self.heads().iter().map(|head| Shape {
            position: head[POSITION],
            event_type: self.text(head[TYPE]),
            // It was made from one.
            schema_version: head[SCHEMA_VERSION] as u32,
            module: self.text(head[MODULE]),
        })
    }

    /// The place of the first event behind this position.
    #[must_use]
    pub fn first_behind(&self, position: u64) -> usize {
        self.heads().partition_point(|head| head[POSITION] <= position)
    }

    /// Takes all events out, and keeps the room.
    pub fn clear(&mut self) {
        self.wit.heads.clear();
        self.wit.bytes.clear();
        self.shared.clear();
    }

    fn heads(&self) -> &[Head] {
        self.wit.heads.as_chunks().0
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
        let span = (self.wit.bytes.len() as u64) << 32 | bytes.len() as u64;
        self.wit.bytes.extend_from_slice(bytes);
        span
    }

    fn slice(&self, span: Span) -> &[u8] {
        let (offset, length) = ((span >> 32) as usize, span as u32 as usize);
        self.wit.bytes.get(offset..offset + length).unwrap_or_default()
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}

/// The pieces of `bytes` that an upcaster answered, one for each of `events` events.
pub(super) fn pieces(spans: &[u64], bytes: &[u8], events: usize) -> Result<Vec<Option<Vec<u8>>>, String> {
    /// What stands for an event that is dropped.
    const DROPPED: Span = Span::MAX;
    if spans.len() != events {
        return Err(format!("it answered for {} events, and was given {events}", spans.len()));
    }
    let piece = |span: &Span| {
        let (offset, length) = ((*span >> 32) as usize, *span as u32 as usize);
        bytes.get(offset..).and_then(|rest| rest.get(..length)).map(<[u8]>::to_vec)
    };
    spans
        .iter()
        .map(|span| match span {
            &DROPPED => Ok(None),
            span => piece(span).map(Some).ok_or_else(|| "it points at data that is not there".to_owned()),
        })
        .collect()
}

/// A moment as it is serialised: as of [`rfc3339`].
///
/// # Errors
/// The serializer's.
pub fn as_rfc3339<S: serde::Serializer>(us: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*us))
}

/// A moment as RFC 3339 with microseconds, `2010-12-01T08:26:00.000000Z`.
#[must_use]
pub fn rfc3339(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| String::new(), |at| format!("{at:.6}"))
}
