//! `POST /events` with CloudEvents: one, or a batch.

use super::super::problem::{Code, Problem};
use super::super::{App, answer, body, streams};
use super::incoming::Rules;
use super::media_type::{essence, is_utf_8};
use super::{binary, json};
use crate::access::Caller;
use crate::log::{Append, Expected, Import, NewEvent, StreamAppend};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

/// The type of one event.
const STRUCTURED: &str = "application/cloudevents+json";
/// The type of a batch.
pub const BATCH: &str = "application/cloudevents-batch+json";
/// What the types of all formats begin with.
const FORMATS: &str = "application/cloudevents";

/// What is taken, for who sent something else.
pub const TAKEN: &str = "application/cloudevents+json, application/cloudevents-batch+json, or any type with the attributes as `ce-` headers";

/// How a CloudEvent comes over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One event, whole in the body.
    Structured,
    /// Several of them.
    Batched,
    /// Attributes as headers, the data as the body.
    Binary,
}

/// How CloudEvents come with a request; `None` where it is no such request.
///
/// # Errors
/// They come in a format that is not known here.
pub fn mode(headers: &HeaderMap) -> Result<Option<Mode>, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence(content_type);
    let mode = match essence.as_str() {
        STRUCTURED => Mode::Structured,
        BATCH => Mode::Batched,
        other if other.starts_with(FORMATS) => {
            return Err(unsupported(format!("`{other}` is not taken here; send CloudEvents as {TAKEN}")));
        }
        _ if binary::has_attributes(headers) => return Ok(Some(Mode::Binary)),
        _ => return Ok(None),
    };
    if !is_utf_8(content_type) {
        return Err(unsupported(format!("`{content_type}` is not taken here; send JSON in UTF-8")));
    }
    Ok(Some(mode))
}

/// Takes what came in this mode. It belongs to the module of who sent it.
pub async fn post(
    app: &App,
    caller: &Caller,
    mode: Mode,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (body, _place) = body::bytes(app, body, app.config().request_bytes, "request_bytes").await?;
    let rules = Rules {
        own_source: app.host.source(),
        module: caller.module().unwrap_or_default(),
        event_bytes: app.config().event_bytes,
    };
    match mode {
        Mode::Structured => append(app, json::event(&body, rules)?).await,
        Mode::Binary => append(app, binary::event(headers, body, rules)?).await,
        Mode::Batched => import(app, json::events(&body, rules)?).await,
    }
}

async fn append(app: &App, (stream, event): (String, NewEvent)) -> Result<Response, Problem> {
    let mut streams = vec![StreamAppend { stream, expected: Expected::Any, events: vec![event] }];
    let fault = app.admit_all(&mut streams);
    let appended = app.host.log.append(Append { streams, fault }).await??;
    Ok(streams::answer_append(&appended))
}

async fn import(app: &App, events: Vec<(String, NewEvent)>) -> Result<Response, Problem> {
    let admitted = events.into_iter().enumerate().map(|(index, (stream, mut event))| {
        let fault = app.admit(&stream, Some(index), &mut event);
        Import { stream, event, fault }
    });
    let imported = app.host.log.import_whole(admitted.collect()).await??;
    let status = if imported.stored > 0 { StatusCode::CREATED } else { StatusCode::OK };
    let answer = serde_json::json!({
        "stored": imported.stored,
        "skipped": imported.skipped,
        "last_position": imported.last_position,
    });
    Ok(answer::at_position(status, imported.last_position, &answer))
}

fn unsupported(detail: String) -> Problem {
    Problem::new(Code::UnsupportedMediaType, detail)
}
