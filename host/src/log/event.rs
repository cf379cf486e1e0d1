/// An event as it is offered to the log.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The log that it comes from; empty for this host. An event of another source must have an id.
    pub source: String,
    /// The caller's id, unique for ever within its source; `None` lets the log make one.
    pub id: Option<String>,
    /// A fact in the past tense.
    pub event_type: String,
    /// The version of the type's shape, from 1.
    pub schema_version: u32,
    /// The bounded context that it belongs to; empty for none.
    pub module: String,
    /// Readable only inside its module.
    pub internal: bool,
    /// When it happened, by its producer: RFC 3339, kept as written.
    pub occurred_at: Option<String>,
    /// What it belongs together with.
    pub correlation_id: Option<String>,
    /// What led to it.
    pub causation_id: Option<String>,
    /// The media type of `data`; empty means JSON.
    pub content_type: String,
    /// The payload.
    pub data: Vec<u8>,
    /// JSON, or empty.
    pub metadata: Vec<u8>,
}

impl NewEvent {
    /// An event of this type with this JSON payload, and nothing else said.
    #[must_use]
    pub fn json(event_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            source: String::new(),
            id: None,
            event_type: event_type.into(),
            schema_version: 1,
            module: String::new(),
            internal: false,
            occurred_at: None,
            correlation_id: None,
            causation_id: None,
            content_type: String::new(),
            data: data.into(),
            metadata: Vec::new(),
        }
    }

    /// The size that limits count: payload and metadata.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len() + self.metadata.len()
    }
}

/// An event as it stands in the log, borrowed from the reader for as long as it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// Place in the log, from 1.
    pub position: u64,
    /// The log that it came from; empty for this host.
    pub source: &'a str,
    /// Unique within its source.
    pub id: &'a str,
    /// Its stream.
    pub stream: &'a str,
    /// Place in its stream, from 0.
    pub revision: u64,
    /// A fact in the past tense.
    pub event_type: &'a str,
    /// The version of the type's shape.
    pub schema_version: u32,
    /// The bounded context that it belongs to; empty for none.
    pub module: &'a str,
    /// Readable only inside its module.
    pub internal: bool,
    /// When it happened, by its producer; `None` where it said nothing.
    pub occurred_at: Option<&'a str>,
    /// When the log took it, in microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_us: i64,
    /// What it belongs together with; empty for nothing.
    pub correlation_id: &'a str,
    /// What led to it; empty for nothing.
    pub causation_id: &'a str,
    /// The media type of `data`; empty means JSON.
    pub content_type: &'a str,
    /// The payload.
    pub data: &'a [u8],
    /// JSON, or empty.
    pub metadata: &'a [u8],
}

/// An event as it stands in the log, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Place in the log, from 1.
    pub position: u64,
    /// The log that it came from; empty for this host.
    pub source: String,
    /// Unique within its source.
    pub id: String,
    /// Its stream.
    pub stream: String,
    /// Place in its stream, from 0.
    pub revision: u64,
    /// A fact in the past tense.
    pub event_type: String,
    /// The version of the type's shape.
    pub schema_version: u32,
    /// The bounded context that it belongs to; empty for none.
    pub module: String,
    /// Readable only inside its module.
    pub internal: bool,
    /// When it happened, by its producer; `None` where it said nothing.
    pub occurred_at: Option<String>,
    /// When the log took it, in microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_us: i64,
    /// What it belongs together with; empty for nothing.
    pub correlation_id: String,
    /// What led to it; empty for nothing.
    pub causation_id: String,
    /// The media type of `data`; empty means JSON.
    pub content_type: String,
    /// The payload.
    pub data: Vec<u8>,
    /// JSON, or empty.
    pub metadata: Vec<u8>,
}

impl From<EventRef<'_>> for StoredEvent {
    fn from(event: EventRef<'_>) -> Self {
        Self {
            position: event.position,
            source: event.source.into(),
            id: event.id.into(),
            stream: event.stream.into(),
            revision: event.revision,
            event_type: event.event_type.into(),
            schema_version: event.schema_version,
            module: event.module.into(),
            internal: event.internal,
            occurred_at: event.occurred_at.map(Into::into),
            recorded_at_us: event.recorded_at_us,
            correlation_id: event.correlation_id.into(),
            causation_id: event.causation_id.into(),
            content_type: event.content_type.into(),
            data: event.data.into(),
            metadata: event.metadata.into(),
        }
    }
}

/// The category of a stream: its name up to the first `-`, or all of it.
#[must_use]
pub fn category(stream: &str) -> &str {
    stream.split_once('-').map_or(stream, |(category, _)| category)
}

/// Whether a moment is written as the log takes one: RFC 3339, such as `2010-12-01T08:26:00Z`.
#[must_use]
pub fn is_time(at: &str) -> bool {
    // What reads it is more lenient than the standard, so the shape is looked at by itself.
    let digits_as_0 = at.replace(|digit: char| digit.is_ascii_digit(), "0").to_ascii_uppercase();
    let Some(rest) = digits_as_0.strip_prefix("0000-00-00T00:00:00") else {
        return false;
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        _ => rest,
    };
    let in_utc = offset == "Z";
    let beside_utc = matches!(offset, "+00:00" | "-00:00") && at[at.len() - 5..] < *"24";
    (in_utc || beside_utc) && at.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_says() {
        for at in [
            "2010-12-01T08:26:00Z",
            "2010-12-01t08:26:00z",
            "2010-12-01T08:26:00.5-07:30",
            "2010-12-01T08:26:00.123456789+23:59",
            "2016-12-31T23:59:60Z",
            "2010-12-01T08:26:00-00:00",
        ] {
            assert!(is_time(at), "{at}");
        }
        for at in [
            "",
            "yesterday",
            "2010-12-01",
            "2010-12-01 08:26:00Z",
            "2010-12-01T08:26:00",
            "2010-12-01T08:26Z",
            "2010-12-01T08Z",
            "2010-12-01T082600Z",
            "2010-12-01T08:26:00,5Z",
            "2010-12-01T08:26:00.Z",
            "2010-12-01T08:26:00+01",
            "2010-12-01T08:26:00+0100",
            "2010-12-01T08:26:00+01:00:30",
            "2010-12-01T08:26:00+24:00",
            "2010-13-01T08:26:00Z",
            "2010-12-01T24:00:00Z",
            "2010-12-01T08:26:00Z[UTC]",
            "2010-12-01T08:26:00ÄZ",
        ] {
            assert!(!is_time(at), "{at}");
        }
    }
}
