//! `/events`: the log in order, read and followed, and what is appended to several streams at once.

use super::accept::{Accepted, Format};
use super::answer::{self, page_url};
use super::event_json::{OfferedEvent, check_stream, expected};
use super::feed::resumed;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::streams::check_events;
use super::{App, body, cloud_events, event_page, follow, import};
use crate::access::Caller;
use crate::log::{Append, Expected, Filter, StreamAppend, Which};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendBody {
    streams: Vec<StreamBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamBody {
    stream: String,
    #[serde(default = "any", deserialize_with = "expected")]
    expected: Expected,
    events: Vec<OfferedEvent>,
}

fn any() -> Expected {
    Expected::Any
}

/// `POST /events`: by its type, an atomic append to several streams, a bulk import, or CloudEvents.
pub async fn post(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.finish()?;
    if let Some(mode) = cloud_events::mode(&headers)? {
        return cloud_events::post(&app, &caller, mode, &headers, body).await;
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "application/json" => append(&app, &caller, body).await,
        "application/x-ndjson" | "application/ndjson" => import::import(&app, &caller, body).await,
        other => Err(Problem::new(
            Code::UnsupportedMediaType,
            format!(
                "`{other}` is not taken here; send application/json, application/x-ndjson for an import, or CloudEvents: {}",
                cloud_events::TAKEN
            ),
        )),
    }
}

async fn append(app: &App, caller: &Caller, body: Body) -> Result<Response, Problem> {
    let body: AppendBody = body::json(app, body).await?;
    let mut streams = Vec::with_capacity(body.streams.len());
    for StreamBody { stream, expected, events } in body.streams {
        check_stream(&stream)?;
        let events = check_events(events, caller, app.config().event_bytes);
        let events = events.map_err(|problem| problem.with("stream", stream.as_str()))?;
        streams.push(StreamAppend { stream, expected, events });
    }
    let fault = app.admit_all(&mut streams);
    let appended = app.host.log.append(Append { streams, fault }).await??;
    let streams: Vec<Value> = appended
        .streams
        .iter()
        .map(|stream| {
            json!({
                "stream": stream.stream,
                "first_position": stream.first_position,
                "last_position": stream.last_position,
                "last_revision": stream.last_revision,
            })
        })
        .collect();
    let is_new = !appended.repeated && appended.streams.iter().any(|stream| stream.first_position.is_some());
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let answer = json!({ "streams": streams, "repeated": appended.repeated });
    Ok(answer::at_position(status, appended.position, &answer))
}

/// `GET /events?after=&limit=&type=&category=&module=`: a page, or with `Accept: text/event-stream` a feed to follow.
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = parameters.take_as::<u64>("after", "a position, from 0")?;
    let (types, categories, modules) =
        (parameters.take_list("type")?, parameters.take_list("category")?, parameters.take_list("module")?);
    let limit = parameters.take_limit(app.config().page_rows)?;
    parameters.finish()?;
    // One that is not as it should be is no good to a page, either.
    let seen = resumed(&headers, "a position, from 0")?;
    let filter = Filter { which: Which::AllOf { types, categories, modules }, sight: caller.sight() };
    let accepted = Accepted::by(&headers);
    if accepted.follows {
        return follow::follow(&app, caller, seen.or(after).unwrap_or(0), filter, accepted.format);
    }
    page(&app, after.unwrap_or(0), filter, limit, accepted.format).await
}

async fn page(app: &App, after: u64, filter: Filter, limit: usize, format: Format) -> Result<Response, Problem> {
    let (head, bytes, wanted) = (app.host.log.head(), app.config().answer_bytes, filter.clone());
    let page = app.host.log.read(move |reader| reader.page(after, head, &wanted, limit, bytes)).await?;
    let next = page.more.then(|| {
        let Which::AllOf { types, categories, modules } = &filter.which else {
            unreachable!("a page is asked for with this filter");
        };
        let (types, categories, modules) = (types.join(","), categories.join(","), modules.join(","));
        page_url(
            "/events",
            &[
                ("after", &page.through.to_string()),
                ("limit", &limit.to_string()),
                ("type", &types),
                ("category", &categories),
                ("module", &modules),
            ],
        )
    });
    Ok(event_page::answer(app, format, page.through, &page.events, next))
}
