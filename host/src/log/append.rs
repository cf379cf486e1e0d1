use super::NewEvent;

/// Events for one or more streams, each stream once. Stored as a whole, or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    /// What is appended to each stream.
    pub streams: Vec<StreamAppend>,
    /// What whoever looked the events over has against them. It counts only where they are new: a repeat is answered like the
    /// first time, whatever would be said against its events by now.
    pub fault: Option<Refusal>,
}

/// Events for one stream, in order.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    /// The stream's name.
    pub stream: String,
    /// What the caller takes for granted of the stream.
    pub expected: Expected,
    /// What happened.
    pub events: Vec<NewEvent>,
}

/// What a caller takes for granted of a stream when it appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// It has no event.
    NoStream,
    /// It has one event at least.
    StreamExists,
    /// Its last event has this revision.
    Revision(u64),
}

impl Expected {
    /// Whether a stream whose last revision is `current` is as expected.
    #[must_use]
    pub fn holds(self, current: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => current.is_none(),
            Self::StreamExists => current.is_some(),
            Self::Revision(revision) => current == Some(revision),
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream => f.write_str("no-stream"),
            Self::StreamExists => f.write_str("stream-exists"),
            Self::Revision(revision) => revision.fmt(f),
        }
    }
}

/// The answer to an [`Append`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The answer for each stream, in the order asked.
    pub streams: Vec<StreamAppended>,
    /// The events stood there already; nothing was stored.
    pub repeated: bool,
    /// The position to wait for to see these events; the head where there were none.
    pub position: u64,
}

/// What was stored in one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppended {
    /// The stream's name.
    pub stream: String,
    /// The first event's position; `None` where there was no event.
    pub first_position: Option<u64>,
    /// The last event's position; `None` where there was no event.
    pub last_position: Option<u64>,
    /// The last event's revision; where there was no event, the stream's last one, if it has any.
    pub last_revision: Option<u64>,
}

/// One event of an import.
#[derive(Debug, Clone)]
pub struct Import {
    /// The stream's name.
    pub stream: String,
    /// What happened.
    pub event: NewEvent,
    /// What whoever looked the event over has against it. It counts only where the event is new.
    pub fault: Option<Refusal>,
}

/// The answer to an import: a stream of single events, each stored unless its id is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Events that were new.
    pub stored: u64,
    /// Events whose id was known.
    pub skipped: u64,
    /// The log's last position after it.
    pub last_position: u64,
    /// Why the event behind these, and those that follow it, were not taken.
    pub refused: Option<Refusal>,
}

/// The answer to closing a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedStream {
    /// The revision of its last event.
    pub last_revision: u64,
}

/// What the log says against a request. Nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stream is not as the caller expected.
    #[error(
        "stream `{stream}` was expected at {expected}, and {}",
        current.map_or_else(|| "has no event".to_owned(), |current| format!("is at revision {current}"))
    )]
    WrongExpectedRevision {
        /// The stream.
        stream: String,
        /// What the caller took for granted.
        expected: Expected,
        /// The revision of its last event, if it has any.
        current: Option<u64>,
    },
    /// An id is used for two events.
    #[error("event id `{id}` {problem}")]
    IdConflict {
        /// The first id at fault.
        id: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The stream was closed.
    #[error("stream `{stream}` is closed")]
    StreamClosed {
        /// The stream.
        stream: String,
    },
    /// The stream has no event.
    #[error("there is no stream `{stream}`")]
    NoStream {
        /// The stream.
        stream: String,
    },
    /// An event's data is not as it was agreed to be. Found before it came to the log, which knows nothing of such agreements.
    #[error("{0}")]
    Unfit(Box<Unfit>),
    /// It must not come in, says whoever looked it over before it came to the log.
    #[error("{reason}")]
    Barred {
        /// The stable name of the rule.
        code: &'static str,
        /// Why.
        reason: String,
    },
    /// A stream stands twice in one append.
    #[error("stream `{stream}` stands twice in one append")]
    StreamTwice {
        /// The stream.
        stream: String,
    },
}

impl Refusal {
    /// Its stable name, with a page in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongExpectedRevision { .. } => "wrong-expected-revision",
            Self::IdConflict { .. } => "id-conflict",
            Self::StreamClosed { .. } => "stream-closed",
            Self::NoStream { .. } => "stream-not-found",
            Self::Unfit(_) => "schema-violation",
            Self::Barred { code, .. } => code,
            Self::StreamTwice { .. } => "bad-request",
        }
    }
}

/// An event whose data does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The stream that it was to be appended to.
    pub stream: String,
    /// Its place among the events of an append to that stream; `None` in an import.
    pub event: Option<usize>,
    /// What it does not fit, by its name.
    pub schema: String,
    /// Where it does not; the first ones, if there are many.
    pub misfits: Vec<Misfit>,
    /// How many more there are.
    pub more: usize,
}

/// One place at which an event's data does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The place in the data, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
    /// The place in the schema that says so, as a JSON pointer; `None` where none does.
    pub schema_pointer: Option<String>,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stream, event, schema, misfits, more } = self;
        match event {
            Some(event) => write!(f, "event {event} for stream `{stream}` does not fit `{schema}`")?,
            None => write!(f, "the event for stream `{stream}` does not fit `{schema}`")?,
        }
        if let Some(Misfit { pointer, message, .. }) = misfits.first() {
            match pointer.as_str() {
                "" => write!(f, ": {message}")?,
                pointer => write!(f, ": at `{pointer}`, {message}")?,
            }
        }
        match misfits.len().saturating_sub(1) + more {
            0 => Ok(()),
            others => write!(f, " (the first of {})", others + 1),
        }
    }
}
