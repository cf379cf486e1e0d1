//! `/streams/{stream}`: appending to one stream, reading it, closing it.

use super::accept::Accepted;
use super::answer::{self, page_url};
use super::event_json::{OfferedEvent, check_reserved, check_stream, expected};
use super::parameters::{Parameters, unfit};
use super::problem::{Code, Problem};
use super::{App, body, event_page};
use crate::access::Caller;
use crate::log::{Append, Appended, Direction, Expected, NewEvent, StreamAppend};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendBody {
    #[serde(default = "any", deserialize_with = "expected")]
    expected: Expected,
    events: Vec<OfferedEvent>,
}

fn any() -> Expected {
    Expected::Any
}

/// `POST /streams/{stream}/events`
pub async fn append(
    State(app): State<App>,
    caller: Caller,
    Path(stream): Path<String>,
    parameters: Parameters,
    body: Body,
) -> Result<Response, Problem> {
    parameters.finish()?;
    check_stream(&stream)?;
    let body: AppendBody = body::json(&app, body).await?;
    let events = check_events(body.events, &caller, app.config().event_bytes)?;
    let mut streams = vec![StreamAppend { stream, expected: body.expected, events }];
    let fault = app.admit_all(&mut streams);
    let appended = app.host.log.append(Append { streams, fault }).await??;
    Ok(answer_append(&appended))
}

/// The answer to an append to one stream.
pub fn answer_append(appended: &Appended) -> Response {
    let [stream] = appended.streams.as_slice() else {
        unreachable!("one stream was asked for, and one is answered");
    };
    let answer = json!({
        "first_position": stream.first_position,
        "last_position": stream.last_position,
        "last_revision": stream.last_revision,
        "repeated": appended.repeated,
    });
    let is_new = !appended.repeated && stream.first_position.is_some();
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    answer::at_position(status, appended.position, &answer)
}

/// The events of an append, each checked; a problem names the place of its event. They belong to the module of who appends them.
pub fn check_events(events: Vec<OfferedEvent>, caller: &Caller, event_bytes: usize) -> Result<Vec<NewEvent>, Problem> {
    let check = |(index, event): (usize, OfferedEvent)| {
        event.check(caller, event_bytes).map_err(|problem| problem.with("event", index))
    };
    events.into_iter().enumerate().map(check).collect()
}

/// `GET /streams/{stream}/events?from=&limit=&direction=`
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(stream): Path<String>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = parameters.take_limit(app.config().page_rows)?;
    let from = parameters.take_as::<u64>("from", "a revision, from 0")?;
    let direction = match parameters.take("direction")?.as_deref() {
        None | Some("forwards") => Direction::Forwards,
        Some("backwards") => Direction::Backwards,
        Some(other) => return Err(unfit("direction", other, "forwards or backwards")),
    };
    parameters.finish()?;
    let start = match direction {
        Direction::Forwards => 0,
        Direction::Backwards => u64::MAX,
    };
    let (name, sight, bytes) = (stream.clone(), caller.sight(), app.config().answer_bytes);
    let (closed, page) = app
        .host
        .log
        .read(move |reader| {
            let page = reader.stream(&name, from.unwrap_or(start), direction, &sight, limit, bytes)?;
            // One of which all is internal to another module is as one that is not there.
            let is_hidden =
                page.as_ref().is_none_or(|page| page.events.is_empty()) && !reader.sees_any(&name, &sight)?;
            Ok((reader.is_closed(&name)?, page.filter(|_| !is_hidden)))
        })
        .await?;
    let Some(page) = page else {
        return Err(crate::log::Refusal::NoStream { stream }.into());
    };
    if closed {
        return Err(crate::log::Refusal::StreamClosed { stream }.into());
    }
    let (word, next) = match (direction, page.events.last()) {
        (Direction::Forwards, last) => ("forwards", last.map(|last| last.revision + 1)),
        (Direction::Backwards, last) => ("backwards", last.and_then(|last| last.revision.checked_sub(1))),
    };
    let next = next.filter(|_| page.more).map(|from| {
        let path = format!("/streams/{}/events", answer::path_segment(&stream));
        page_url(&path, &[("from", &from.to_string()), ("limit", &limit.to_string()), ("direction", word)])
    });
    // A page without events is as of now.
    let position = if page.events.is_empty() { app.host.log.head() } else { page.through };
    Ok(event_page::answer(&app, Accepted::by(&headers).format, position, &page.events, next))
}

/// `DELETE /streams/{stream}`, by who sees all of it.
pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Path(stream): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    check_reserved("stream", &stream)?;
    let (name, sight) = (stream.clone(), caller.sight());
    let seen = app.host.log.read(move |reader| Ok((reader.sees_any(&name, &sight)?, reader.sees_all(&name, &sight)?)));
    let (sees_any, sees_all) = seen.await?;
    if !sees_any {
        return Err(crate::log::Refusal::NoStream { stream }.into());
    }
    if !sees_all {
        let detail = format!("some events of `{stream}` are internal to another module: a token of that one closes it");
        return Err(Problem::new(Code::NotAllowed, detail));
    }
    let closed = app.host.log.close_stream(stream).await??;
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &json!({ "last_revision": closed.last_revision })))
}

/// A path whose percent-encoding is not UTF-8.
pub fn bad_path(what: &str) -> Problem {
    Problem::new(Code::BadParameter, format!("the address is not UTF-8 once its percent-encoding is undone: {what}"))
}
