//! HTTP: one file for each resource.
//!
//! In reading order:
//! * [`problem`]: what goes wrong, with stable codes
//! * `parameters`, `body`, `answer`: what requests and answers have in common
//! * `event_json`: events, coming in and going out
//! * `streams`, `events`, `import`, `follow`: the log
//! * `projections`: how projections stand
//! * `components`, `releases`: deploying them, and what operators ask of them
//! * `reading`: waiting for a position, and the headers of an answer about a projection
//! * `tables`, `queries`: reading them
//! * `health`, `pages`: the rest

mod answer;
mod body;
mod components;
mod event_json;
mod events;
mod follow;
mod health;
mod import;
mod pages;
mod parameters;
pub mod problem;
mod projections;
mod queries;
mod reading;
mod releases;
mod streams;
mod tables;

use crate::config;
use crate::host::Host;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use problem::{Code, Problem};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What every handler has at hand.
#[derive(Clone)]
pub struct App {
    host: Arc<Host>,
}

impl App {
    fn config(&self) -> &config::Http {
        &self.host.config.http
    }
}

/// Serves until the host is told to stop, and lets the requests under way end, for so long as they may take.
///
/// # Errors
/// The listener fails.
pub async fn serve(host: Arc<Host>, listener: TcpListener) -> std::io::Result<()> {
    let (stop, grace) = (host.stop.clone(), host.config.http.grace);
    let serving = axum::serve(listener, router(host)).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = serving => served,
        () = async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
        } => {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    }
}

fn router(host: Arc<Host>) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/streams/{stream}", axum::routing::delete(streams::close))
        .route("/streams/{stream}/events", get(streams::read).post(streams::append))
        .route("/events", get(events::get).post(events::post))
        .route("/projections", get(projections::list))
        .route("/projections/{name}", get(projections::show))
        .route("/projections/{name}/tables/{table}", get(tables::read))
        .route("/projections/{name}/queries/{query}", get(queries::ask))
        .route("/projections/{name}/rebuild", post(releases::rebuild))
        .route("/projections/{name}/rollback", post(releases::roll_back))
        .route("/projections/{name}/pause", post(releases::pause))
        .route("/projections/{name}/resume", post(releases::resume))
        .route("/projections/{name}/remove", post(releases::remove))
        .route("/components", post(components::deploy))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/errors/{code}", get(pages::error))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(check_path))
        .with_state(App { host })
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
