use crate::dates::{Date, Timestamp};
use crate::decode;
use crate::head::{self, Head};
use crate::{Error, Result};
use serde::Deserialize;

/// A borrowed view of one event. Cheap to copy; reads straight from the batch.
///
/// ```
/// use laterna_sdk::prelude::*;
///
/// fn where_it_stands(event: &Event<'_>) -> String {
///     format!("{} at {} ({} {})", event.event_type(), event.position(), event.stream(), event.revision())
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Event<'a> {
    head: &'a Head,
    bytes: &'a [u8],
}

impl<'a> Event<'a> {
    pub(crate) fn new(head: &'a Head, bytes: &'a [u8]) -> Self {
        Self { head, bytes }
    }

    /// The event as a variant of an enum: its type names the variant, its data is the content. Fields may borrow: `&'a str`,
    /// `Cow<'a, str>` (which also takes escaped text).
    ///
    /// ```
    /// use laterna_sdk::prelude::*;
    ///
    /// #[derive(serde::Deserialize)]
    /// enum Shop {
    ///     OrderPlaced { order_id: String, total_cents: i64 },
    ///     #[serde(rename = "order.cancelled")]
    ///     OrderCancelled { order_id: String },
    /// }
    ///
    /// fn total(event: &Event<'_>) -> Result<i64> {
    ///     Ok(match event.decode()? {
    ///         Shop::OrderPlaced { total_cents, .. } => total_cents,
    ///         Shop::OrderCancelled { .. } => 0,
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// The enum has no such variant, or the data is not as the variant wants it; the message names the type and the place.
    pub fn decode<E: Deserialize<'a>>(&self) -> Result<E> {
        decode::decode(self.event_type(), self.data())
    }

    /// The data read as JSON, whatever the type. Fields may borrow, as of [`decode`](Self::decode).
    ///
    /// ```
    /// use laterna_sdk::prelude::*;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Placed<'a> {
    ///     customer_id: &'a str,
    /// }
    ///
    /// fn customer(event: &Event<'_>) -> Result<String> {
    ///     let placed: Placed = event.json()?;
    ///     Ok(placed.customer_id.to_owned())
    /// }
    /// ```
    ///
    /// # Errors
    /// The data is not JSON of this shape; the message names the event's type and the place.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T> {
        serde_json::from_slice(self.data()).map_err(|error| decode::unexpected(self.event_type(), &error))
    }

    /// Place in the log, from 1. Strictly increasing from event to event.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.position(), 1));
    /// # }
    /// ```
    pub fn position(&self) -> u64 {
        self.head[head::POSITION]
    }

    /// Place in its stream, from 0.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.revision(), 0));
    /// # }
    /// ```
    pub fn revision(&self) -> u64 {
        self.head[head::REVISION]
    }

    /// The version of the event type's shape; 1 where its producer said nothing.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.schema_version(), 1));
    /// # }
    /// ```
    pub fn schema_version(&self) -> u32 {
        // The host made it from 32 bits.
        self.head[head::SCHEMA_VERSION] as u32
    }

    /// When the log took it: microseconds since 1970-01-01T00:00:00Z. Never decreases with the position.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 })).recorded_at_us(5);
    /// event.read(|event| assert_eq!(event.recorded_at_us(), 5));
    /// # }
    /// ```
    pub fn recorded_at_us(&self) -> i64 {
        self.head[head::RECORDED_AT].cast_signed()
    }

    /// When it happened, by its producer: RFC 3339 as written there.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 })).occurred_at("2026-01-01T10:00:00+01:00");
    /// event.read(|event| assert_eq!(event.occurred_at(), "2026-01-01T10:00:00+01:00"));
    /// # }
    /// ```
    pub fn occurred_at(&self) -> &'a str {
        self.text(head::OCCURRED_AT)
    }

    /// The moment at which it happened, by its producer.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 })).occurred_at("2026-01-01T10:00:00+01:00");
    /// event.read(|event| assert_eq!(event.occurred().unwrap().to_string(), "2026-01-01T09:00:00Z"));
    /// # }
    /// ```
    ///
    /// # Errors
    /// What its producer wrote is no moment: an import may have brought anything.
    pub fn occurred(&self) -> Result<Timestamp> {
        let at = self.occurred_at();
        at.parse().map_err(|error| Error::new(format_args!("the event occurred at `{at}`: {error}")))
    }

    /// The day on which it happened, where it happened: as its producer wrote it, without regard to time zones.
    ///
    /// ```
    /// use laterna_sdk::{dates, prelude::*};
    ///
    /// fn month(event: &Event<'_>) -> Result<String> {
    ///     Ok(dates::month(event.occurred_on()?))
    /// }
    /// ```
    ///
    /// # Errors
    /// As of [`occurred`](Self::occurred).
    pub fn occurred_on(&self) -> Result<Date> {
        let at = self.occurred_at();
        let day = at.get(..10).unwrap_or(at);
        day.parse().map_err(|error| Error::new(format_args!("the event occurred at `{at}`: {error}")))
    }

    /// The moment at which the log took it. Never decreases with the position.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 })).recorded_at_us(1_000_000);
    /// event.read(|event| assert_eq!(event.recorded().as_second(), 1));
    /// # }
    /// ```
    pub fn recorded(&self) -> Timestamp {
        Timestamp::from_microsecond(self.recorded_at_us()).unwrap_or(Timestamp::MAX)
    }

    /// Readable only inside its module.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert!(!event.is_internal()));
    /// # }
    /// ```
    pub fn is_internal(&self) -> bool {
        self.head[head::FLAGS] & 1 != 0
    }

    /// The log that it came from; empty for this host. An event's identity is (source, id).
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.source(), ""));
    /// # }
    /// ```
    pub fn source(&self) -> &'a str {
        self.text(head::SOURCE)
    }

    /// Its id, unique within its source.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 })).id("placed-1042");
    /// event.read(|event| assert_eq!(event.id(), "placed-1042"));
    /// # }
    /// ```
    pub fn id(&self) -> &'a str {
        self.text(head::ID)
    }

    /// The stream, `order-1042`.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.stream(), "order-1042"));
    /// # }
    /// ```
    pub fn stream(&self) -> &'a str {
        self.text(head::STREAM)
    }

    /// The stream's name up to the first `-`, or all of it.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.category(), "order"));
    /// # }
    /// ```
    pub fn category(&self) -> &'a str {
        category(self.stream())
    }

    /// Its type: a fact in the past tense, `OrderPlaced`.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.event_type(), "OrderPlaced"));
    /// # }
    /// ```
    pub fn event_type(&self) -> &'a str {
        self.text(head::TYPE)
    }

    /// The bounded context that it belongs to; empty where there is none.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 })).module("sales");
    /// event.read(|event| assert_eq!(event.module(), "sales"));
    /// # }
    /// ```
    pub fn module(&self) -> &'a str {
        self.text(head::MODULE)
    }

    /// What it belongs together with; empty where its producer said nothing.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.correlation_id(), ""));
    /// # }
    /// ```
    pub fn correlation_id(&self) -> &'a str {
        self.text(head::CORRELATION_ID)
    }

    /// What led to it; empty where its producer said nothing.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.causation_id(), ""));
    /// # }
    /// ```
    pub fn causation_id(&self) -> &'a str {
        self.text(head::CAUSATION_ID)
    }

    /// The media type of [`data`](Self::data); empty means JSON.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.content_type(), ""));
    /// # }
    /// ```
    pub fn content_type(&self) -> &'a str {
        self.text(head::CONTENT_TYPE)
    }

    /// The payload as it stands in the log.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.data(), br#"{"cents":990}"#));
    /// # }
    /// ```
    pub fn data(&self) -> &'a [u8] {
        self.slice(head::DATA)
    }

    /// The metadata as JSON; empty where there is none.
    ///
    /// ```
    /// # #[cfg(feature = "native")] {
    /// # use laterna_sdk::{json, native::NewEvent};
    /// let event = NewEvent::new("order-1042", "OrderPlaced", json!({ "cents": 990 }));
    /// event.read(|event| assert_eq!(event.metadata(), b""));
    /// # }
    /// ```
    pub fn metadata(&self) -> &'a [u8] {
        self.slice(head::METADATA)
    }

    fn slice(&self, piece: usize) -> &'a [u8] {
        // The host writes both; a piece outside would be its fault and reads as empty.
        self.bytes.get(head::range(self.head[piece])).unwrap_or_default()
    }

    fn text(&self, piece: usize) -> &'a str {
        std::str::from_utf8(self.slice(piece)).unwrap_or_default()
    }
}

/// A stream's name up to the first `-`, or all of it.
pub(crate) fn category(stream: &str) -> &str {
    stream.split_once('-').map_or(stream, |(category, _)| category)
}
