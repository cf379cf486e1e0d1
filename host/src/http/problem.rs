//! What went wrong, as `application/problem+json` (RFC 9457): a stable type with a page, and what to do next.

use super::admit;
use crate::log::{self, Refusal};
use crate::store;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The kinds of problems. Each has a page of its name in `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request's body is not as it should be.
    BadRequest,
    /// A parameter of the URL is not as it should be.
    BadParameter,
    /// A line of an import is not an event.
    BadImportLine,
    /// An event is larger than one may be.
    EventTooLarge,
    /// The body is larger than one may be.
    RequestTooLarge,
    /// No more of the body came in time.
    RequestTooSlow,
    /// The body is of a type that is not taken here.
    UnsupportedMediaType,
    /// An event does not fit its schema.
    SchemaViolation,
    /// An event id is used for two events.
    IdConflict,
    /// A stream is not as expected.
    WrongExpectedRevision,
    /// A stream takes no more events.
    StreamClosed,
    /// A stream is Laterna's own.
    ReservedName,
    /// There is no such stream.
    StreamNotFound,
    /// There is no such projection.
    ProjectionNotFound,
    /// There is no such process manager.
    ProcessNotFound,
    /// A process manager has no such instance.
    InstanceNotFound,
    /// A projection has no release that serves.
    ProjectionNotLive,
    /// A projection has no such table.
    TableNotFound,
    /// A projection has no such query.
    QueryNotFound,
    /// A query could not be answered.
    QueryFailed,
    /// A query took too long.
    QueryTooSlow,
    /// An answer would be larger than one may be.
    AnswerTooLarge,
    /// A projection is not at the wanted position.
    NotCaughtUp,
    /// More events had to be folded for an answer as of a position than may be.
    AsOfTooFar,
    /// Folding for an answer as of a position took too long.
    AsOfTooSlow,
    /// A snapshot is not kept any longer.
    SnapshotGone,
    /// A snapshot would be larger than all of them may be.
    SnapshotTooLarge,
    /// There is no room for another snapshot.
    SnapshotsFull,
    /// Copying a read model took too long.
    SnapshotTooSlow,
    /// A file has no such range.
    RangeNotSatisfiable,
    /// An uploaded component is refused.
    ComponentRefused,
    /// A release is not in a state in which that can be done.
    ReleaseUnfit,
    /// What was ordered cannot be recorded.
    ReleasesUnavailable,
    /// The clock has the system's time.
    ClockNotManual,
    /// The log cannot store or read.
    LogUnavailable,
    /// A read store cannot be read.
    StoreUnavailable,
    /// As many follow feeds as may.
    TooManyFollowers,
    /// Who asks shows no token that is good here.
    TokenNeeded,
    /// Who asks may not do that.
    NotAllowed,
    /// There is no such token.
    TokenNotFound,
    /// There is no such parked sequence.
    ParkedNotFound,
    /// No such release was compared.
    DifferenceNotFound,
    /// There is nothing at this address.
    NotFound,
    /// The method is not for this address.
    MethodNotAllowed,
    /// The host is at fault.
    InternalError,
}

impl Code {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::BadRequest,
        Self::BadParameter,
        Self::BadImportLine,
        Self::EventTooLarge,
        Self::RequestTooLarge,
        Self::RequestTooSlow,
        Self::UnsupportedMediaType,
        Self::SchemaViolation,
        Self::IdConflict,
        Self::WrongExpectedRevision,
        Self::StreamClosed,
        Self::ReservedName,
        Self::StreamNotFound,
        Self::ProjectionNotFound,
        Self::ProcessNotFound,
        Self::InstanceNotFound,
        Self::ProjectionNotLive,
        Self::TableNotFound,
        Self::QueryNotFound,
        Self::QueryFailed,
        Self::QueryTooSlow,
        Self::AnswerTooLarge,
        Self::NotCaughtUp,
        Self::AsOfTooFar,
        Self::AsOfTooSlow,
        Self::SnapshotGone,
        Self::SnapshotTooLarge,
        Self::SnapshotsFull,
        Self::SnapshotTooSlow,
        Self::RangeNotSatisfiable,
        Self::ComponentRefused,
        Self::ReleaseUnfit,
        Self::ReleasesUnavailable,
        Self::ClockNotManual,
        Self::LogUnavailable,
        Self::StoreUnavailable,
        Self::TooManyFollowers,
        Self::TokenNeeded,
        Self::NotAllowed,
        Self::TokenNotFound,
        Self::ParkedNotFound,
        Self::DifferenceNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::InternalError,
    ];

    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Its status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    /// What it is called for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => ("bad-request", StatusCode::BAD_REQUEST, "The body is not as it should be"),
            Self::BadParameter => ("bad-parameter", StatusCode::BAD_REQUEST, "A parameter is not as it should be"),
            Self::BadImportLine => ("bad-import-line", StatusCode::BAD_REQUEST, "A line of the import is not an event"),
            Self::EventTooLarge => ("event-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The event is too large"),
            Self::RequestTooLarge => ("request-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::RequestTooSlow => ("request-too-slow", StatusCode::REQUEST_TIMEOUT, "The body did not come in time"),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body's type is not taken here")
            }
            Self::SchemaViolation => {
                ("schema-violation", StatusCode::UNPROCESSABLE_ENTITY, "The event does not fit its schema")
            }
            Self::IdConflict => ("id-conflict", StatusCode::CONFLICT, "An event id is used for two events"),
            Self::WrongExpectedRevision => {
                ("wrong-expected-revision", StatusCode::CONFLICT, "The stream is not as expected")
            }
            Self::StreamClosed => ("stream-closed", StatusCode::GONE, "The stream is closed"),
            Self::ReservedName => ("reserved-name", StatusCode::FORBIDDEN, "The name is Laterna's own"),
            Self::StreamNotFound => ("stream-not-found", StatusCode::NOT_FOUND, "There is no such stream"),
            Self::ProjectionNotFound => ("projection-not-found", StatusCode::NOT_FOUND, "There is no such projection"),
            Self::ProcessNotFound => ("process-not-found", StatusCode::NOT_FOUND, "There is no such process manager"),
            Self::InstanceNotFound => {
                ("instance-not-found", StatusCode::NOT_FOUND, "The process manager has no such instance")
            }
            Self::ProjectionNotLive => {
                ("projection-not-live", StatusCode::SERVICE_UNAVAILABLE, "No release of the projection serves")
            }
            Self::TableNotFound => ("table-not-found", StatusCode::NOT_FOUND, "The projection has no such table"),
            Self::QueryNotFound => ("query-not-found", StatusCode::NOT_FOUND, "The projection has no such query"),
            Self::QueryFailed => ("query-failed", StatusCode::UNPROCESSABLE_ENTITY, "The query could not be answered"),
            Self::QueryTooSlow => ("query-too-slow", StatusCode::SERVICE_UNAVAILABLE, "The query took too long"),
            Self::AnswerTooLarge => {
                ("answer-too-large", StatusCode::UNPROCESSABLE_ENTITY, "The answer would be too large")
            }
            Self::NotCaughtUp => {
                ("not-caught-up", StatusCode::SERVICE_UNAVAILABLE, "The projection is not at that position yet")
            }
            Self::AsOfTooFar => {
                ("as-of-too-far", StatusCode::UNPROCESSABLE_ENTITY, "So many events are not folded for an answer")
            }
            Self::AsOfTooSlow => {
                ("as-of-too-slow", StatusCode::SERVICE_UNAVAILABLE, "The read model was not folded in time")
            }
            Self::SnapshotGone => ("snapshot-gone", StatusCode::NOT_FOUND, "The snapshot is not kept any longer"),
            Self::SnapshotTooLarge => (
                "snapshot-too-large",
                StatusCode::INSUFFICIENT_STORAGE,
                "The snapshot is larger than all of them may be",
            ),
            Self::SnapshotsFull => {
                ("snapshots-full", StatusCode::SERVICE_UNAVAILABLE, "There is no room for another snapshot")
            }
            Self::SnapshotTooSlow => {
                ("snapshot-too-slow", StatusCode::SERVICE_UNAVAILABLE, "The read model was not copied in time")
            }
            Self::RangeNotSatisfiable => {
                ("range-not-satisfiable", StatusCode::RANGE_NOT_SATISFIABLE, "There is no such range")
            }
            Self::ComponentRefused => {
                ("component-refused", StatusCode::UNPROCESSABLE_ENTITY, "The component is refused")
            }
            Self::ReleaseUnfit => ("release-unfit", StatusCode::CONFLICT, "That cannot be done as things stand"),
            Self::ReleasesUnavailable => {
                ("releases-unavailable", StatusCode::SERVICE_UNAVAILABLE, "The order could not be carried out")
            }
            Self::ClockNotManual => ("clock-not-manual", StatusCode::CONFLICT, "The clock has the system's time"),
            Self::LogUnavailable => ("log-unavailable", StatusCode::SERVICE_UNAVAILABLE, "The log is out of order"),
            Self::StoreUnavailable => {
                ("store-unavailable", StatusCode::SERVICE_UNAVAILABLE, "The read store is out of order")
            }
            Self::TooManyFollowers => {
                ("too-many-followers", StatusCode::SERVICE_UNAVAILABLE, "As many follow feeds as may")
            }
            Self::TokenNeeded => ("token-needed", StatusCode::UNAUTHORIZED, "A token is needed"),
            Self::NotAllowed => ("not-allowed", StatusCode::FORBIDDEN, "Who asks may not do that"),
            Self::TokenNotFound => ("token-not-found", StatusCode::NOT_FOUND, "There is no such token"),
            Self::ParkedNotFound => ("parked-not-found", StatusCode::NOT_FOUND, "No such sequence is parked"),
            Self::DifferenceNotFound => ("difference-not-found", StatusCode::NOT_FOUND, "No such release was compared"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is nothing at this address"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "The method is not for this address")
            }
            Self::InternalError => ("internal-error", StatusCode::INTERNAL_SERVER_ERROR, "The host made a mistake"),
        }
    }
}

/// A problem that is answered to the one who asked.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    more: Map<String, Value>,
}

impl Problem {
    /// A problem of this kind; `detail` says what is wrong here, and what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), more: Map::new() }
    }

    /// Adds a member for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Says which line of an import it is about, and what to do with the others.
    #[must_use]
    pub fn in_line(mut self, line: u64) -> Self {
        let detail = self.detail.trim_end_matches('.');
        self.detail = format!(
            "line {line}: {detail}. The lines before it are stored. Mend it and send the file again: events that have ids and \
             were stored are skipped."
        );
        self.with("line", line)
    }

    /// What is said, as JSON.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("/errors/{}", self.code.name()),
            "title": self.code.title(),
            "status": self.code.status().as_u16(),
            "detail": self.detail,
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(self.more.clone());
        }
        body
    }

    /// Its kind.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), Json(self.body())).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if self.code == Code::TokenNeeded {
            let how = HeaderValue::from_static("Bearer realm=\"laterna\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        // Not where waiting does not help.
        if self.code.status() == StatusCode::SERVICE_UNAVAILABLE && self.code != Code::ProjectionNotLive {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let what = refusal.to_string();
        match refusal {
            Refusal::WrongExpectedRevision { stream, expected, current } => Self::new(
                Code::WrongExpectedRevision,
                format!("{what}. Read the stream, decide again, and append with its current revision."),
            )
            .with("stream", stream)
            .with("expected", expected.to_string())
            .with("current_revision", current),
            Refusal::IdConflict { id, .. } => {
                Self::new(Code::IdConflict, format!("{what}. Repeat an append exactly, or use new ids.")).with("id", id)
            }
            Refusal::StreamClosed { stream } => {
                Self::new(Code::StreamClosed, format!("{what}. Its events stay in the log; append to another stream."))
                    .with("stream", stream)
            }
            Refusal::NoStream { stream } => {
                Self::new(Code::StreamNotFound, format!("{what}. A stream exists from its first event on."))
                    .with("stream", stream)
            }
            Refusal::Unfit(unfit) => admit::violation(&unfit),
            // Only what a process appends is barred, and it hears that as an event.
            Refusal::Barred { .. } => Self::new(Code::BadRequest, what),
            Refusal::StreamTwice { stream } => {
                Self::new(Code::BadRequest, format!("{what}. Put its events into one entry.")).with("stream", stream)
            }
        }
    }
}

impl From<log::Error> for Problem {
    fn from(error: log::Error) -> Self {
        // Not in the answer: SQLite's words may name a file.
        tracing::error!(%error, "the log is out of order");
        let detail = match error {
            log::Error::Closed => "The host is being stopped. Try again when it is back.",
            log::Error::NotStored(_) => {
                "Nothing was stored. Repeat the request with the same event ids; the host's standard error says what is wrong."
            }
            log::Error::Unsettled(_) => {
                "It is open whether anything was stored. Repeat the request with the same event ids; the host's standard \
                 error says what is wrong."
            }
            _ => "The log could not be read or written; the host's standard error says why.",
        };
        Self::new(Code::LogUnavailable, detail)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        // It is closed where the host is being stopped, or nobody waits for the answer any more.
        if !matches!(error, store::Error::Closed) {
            tracing::error!(%error, "a read store is out of order");
        }
        Self::new(Code::StoreUnavailable, "The read store could not be read; the host's standard error says why.")
    }
}

impl From<store::ReadError> for Problem {
    fn from(error: store::ReadError) -> Self {
        let what = error.to_string();
        match error {
            store::ReadError::Sql(_) => Self::new(Code::QueryFailed, what),
            store::ReadError::TooManyRows(_) | store::ReadError::TooManyBytes(_) => {
                Self::new(Code::AnswerTooLarge, format!("{what}. Ask for less: with a filter, or a limit."))
            }
            store::ReadError::OutOfTime(_) => {
                Self::new(Code::QueryTooSlow, format!("{what}. Ask for less, or give the table an index."))
            }
            store::ReadError::Store(error) => error.into(),
        }
    }
}
