//! `GET /openapi.json`: this interface, described in OpenAPI 3.1.
//!
//! What every host has in common is written by hand, a YAML file for each resource. What follows from code is not written down again: the
//! roles of a route come from `routes`, the statuses and words of problems from `problem`, the operations of read models from the releases
//! that serve.
//!
//! In reading order:
//! * `document`: the files as one document, completed
//! * `read_model`: what can be asked of one release, with the types of its columns and parameters

mod document;
mod read_model;

use super::App;
use super::answer::is_known;
use super::parameters::Parameters;
use super::problem::Problem;
use super::reading::may_read;
use crate::access::{Caller, Role};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// `GET /openapi.json`: with the read models that serve now, and that who asks may read.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let document = described(&app, &caller).to_string();
    let tag = format!("\"{}\"", blake3::hash(document.as_bytes()).to_hex());
    let mut response = if is_known(headers.get_all(header::IF_NONE_MATCH), &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], document).into_response()
    };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    // What is told depends on who asks, and on what serves by then.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Authorization"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn described(app: &App, caller: &Caller) -> Value {
    let mut document = document::of_host(app.config().page_rows, app.host.config.is_open());
    if !caller.has_any(&[Role::Read]) {
        return document;
    }
    for component in app.host.releases.all() {
        let live = component.live.as_ref().filter(|_| !component.removed);
        if let Some(live) = live.filter(|live| may_read(caller, &component, live)) {
            read_model::add(&mut document, live.plugin.manifest(), live.store.relations());
        }
    }
    document
}
