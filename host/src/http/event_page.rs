//! A page of events, written as it was asked for.

use super::App;
use super::accept::Format;
use super::answer;
use super::cloud_events::{self, CloudEvent};
use super::event_json::PageJson;
use crate::log::StoredEvent;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

/// These events, as of this position, and the address of the following page, if there is one.
pub fn answer(app: &App, format: Format, position: u64, events: &[StoredEvent], next: Option<String>) -> Response {
    let mut response = match format {
        Format::Json => answer::at_position(StatusCode::OK, position, &PageJson::new(events, next)),
        Format::CloudEvents => {
            let source = app.host.source();
            let batch: Vec<CloudEvent<'_>> = events.iter().map(|event| CloudEvent::new(event, source)).collect();
            let mut response = answer::at_position(StatusCode::OK, position, &batch);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(cloud_events::BATCH));
            // An address is ASCII, so it is always a header's value.
            let link = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
            if let Some(link) = link {
                response.headers_mut().insert(header::LINK, link);
            }
            response
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}
