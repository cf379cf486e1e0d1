//! HTTP: one file for each resource.
//!
//! In reading order:
//! * [`problem`]: what goes wrong, with stable codes
//! * `routes`: every route, with the roles that it takes; `guard`: who comes in
//! * `connections`: who is connected, and for how long; `layers`: what every request passes; `origins`: pages of others
//! * `incoming`: how bodies come in
//! * `parameters`, `body`, `answer`: what requests and answers have in common
//! * `event_json`: events, coming in and going out
//! * `admit`: what is done with every event that comes in, by whichever door, before it is offered to the log
//! * `cloud_events`: events of other systems, coming in and going out
//! * `accept`, `event_page`: what an answer with events is to be written as
//! * `feed`: what feeds over server-sent events have in common
//! * `streams`, `events`, `import`, `follow`: the log
//! * `schemas`: what events are checked against
//! * `projections`: how projections stand
//! * `components`, `releases`: deploying them, and what operators ask of them
//! * `plans`, `steps`, `diff`: what releases are to change, what becomes of them, and what they change
//! * `proof`: whether a read model is the fold of the log
//! * `reading`: waiting for a position, and the headers of an answer about a projection
//! * `past`: reading it as of a position
//! * `question`: what can be asked of a read model; `rows`: what rows are written as
//! * `tables`, `queries`, `sql`: the ways to ask; `live`: to be told again
//! * `snapshot`: one as a file; `range`: a part of it
//! * `parked`: what they left out
//! * `processes`: looking into process managers
//! * `tokens`: who may come in
//! * `openapi`: this interface, described for programs
//! * `clock`: the time by which the log is written
//! * `health`, `pages`: the rest

mod accept;
mod admit;
mod answer;
mod body;
mod clock;
mod cloud_events;
mod components;
mod connections;
mod diff;
mod event_json;
mod event_page;
mod events;
mod feed;
mod follow;
mod guard;
mod health;
mod import;
mod incoming;
mod layers;
mod live;
mod openapi;
mod origins;
mod pages;
mod parameters;
mod parked;
mod past;
mod plans;
pub mod problem;
mod processes;
mod projections;
mod proof;
mod queries;
mod question;
mod range;
mod reading;
mod releases;
mod routes;
mod rows;
mod schemas;
mod snapshot;
mod sql;
mod steps;
mod streams;
mod tables;
mod tokens;

use crate::config;
use crate::host::Host;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use problem::{Code, Problem};
use std::sync::Arc;
use tokio::net::TcpListener;

pub use guard::INSIDE;
pub use origins::Origins;

/// What every handler has at hand.
#[derive(Clone)]
pub struct App {
    host: Arc<Host>,
    live: Arc<live::Live>,
}

impl App {
    fn config(&self) -> &config::Http {
        &self.host.config.http
    }
}

/// Serves until the host is told to stop, and lets the requests under way end, for so long as they may take.
pub async fn serve(host: Arc<Host>, listener: TcpListener) {
    connections::serve(listener, router(Arc::clone(&host)), &host.config.http, &host.stop).await;
}

fn router(host: Arc<Host>) -> Router {
    let app = App { host, live: Arc::default() };
    let config = app.config().clone();
    let mut router = Router::new();
    for route in routes::all() {
        let guarded = middleware::from_fn_with_state((app.clone(), route.roles), guard::guard);
        router = router.route(route.path, route.handler.route_layer(guarded));
    }
    let router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(check_path))
        .with_state(app);
    layers::around(router, &config)
}

/// Refuses an address whose names would not be UTF-8, before anything takes it apart.
async fn check_path(request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query().map_or("", |address| address.as_str());
    match percent_encoding::percent_decode_str(address).decode_utf8() {
        Ok(_) => next.run(request).await,
        Err(error) => streams::bad_path(&error.to_string()).into_response(),
    }
}

async fn not_found(request: Request) -> Problem {
    let detail = format!("there is nothing at `{}`; `GET /` lists what there is", request.uri().path());
    Problem::new(Code::NotFound, detail)
}

async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!("`{}` is not for `{}`; `GET /` lists what is", request.method(), request.uri().path());
    Problem::new(Code::MethodNotAllowed, detail)
}
