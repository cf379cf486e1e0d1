use super::NewEvent;

/// Events for one or more streams, each stream once. Stored as a whole, or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    /// What is appended to each stream.
    pub streams: Vec<StreamAppend>,
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
    /// A stream stands twice in one append.
    #[error("stream `{stream}` stands twice in one append")]
    StreamTwice {
        /// The stream.
        stream: String,
    },
}
