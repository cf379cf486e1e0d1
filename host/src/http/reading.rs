//! Reading a projection: as of which position, by which release.

use super::App;
use super::answer::{POSITION, RELEASE};
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use crate::projector::State;
use crate::release::{Component, Live};
use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;

/// How long a query waits for its position where it does not say.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How fresh an answer must be.
pub struct Freshness {
    position: u64,
    timeout: Duration,
}

impl Freshness {
    /// Takes `min_position`, `fresh` and `timeout` from the URL.
    ///
    /// # Errors
    /// One of them is not as it should be.
    pub fn take(app: &App, parameters: &mut Parameters) -> Result<Self, Problem> {
        let min_position = parameters.take_as::<u64>("min_position", "a position, from 0")?.unwrap_or(0);
        let fresh = parameters.take_as::<bool>("fresh", "true or false")?.unwrap_or(false);
        let timeout = parameters.take_time("timeout")?.unwrap_or(TIMEOUT).min(app.config().wait);
        let head = if fresh { app.host.log.head() } else { 0 };
        Ok(Self { position: min_position.max(head), timeout })
    }

    /// Waits until the projection is there.
    ///
    /// # Errors
    /// It is not in time, or it halted.
    pub async fn reach(&self, component: &Component, live: &Live) -> Result<(), Problem> {
        let mut progress = live.store.watch_progress();
        let mut state = live.running.watch_state();
        let there = async {
            tokio::select! {
                reached = progress.wait_for(|progress| progress.applied >= self.position) => reached.is_ok(),
                _ = state.wait_for(|state| *state != State::Folding) => false,
            }
        };
        if timeout(self.timeout, there).await == Ok(true) || live.store.progress().applied >= self.position {
            return Ok(());
        }
        let reached = live.store.progress().applied;
        let why = match live.running.state() {
            State::Halted(halt) => format!("it halted: {halt}"),
            State::Stopped => "the host is being stopped".to_owned(),
            State::Folding => format!("it did not get there within {:?}; wait longer with `timeout`", self.timeout),
        };
        let detail =
            format!("projection `{}` is at {reached}, and {} was asked for: {why}.", component.name, self.position);
        Err(Problem::new(Code::NotCaughtUp, detail).with("position", reached).with("wanted", self.position))
    }
}

/// Finds a projection and the release of it that serves.
///
/// # Errors
/// There is none.
pub fn find<'a>(app: &'a App, name: &str) -> Result<(&'a Component, &'a Live), Problem> {
    let component = find_component(app, name)?;
    match &component.live {
        Some(live) => Ok((component, live)),
        None => {
            let reason = component.releases.first().map_or("", |release| release.reason.as_str());
            let detail = format!("no release of `{name}` serves: {reason}. Mend the component and drop it again.");
            Err(Problem::new(Code::ProjectionNotLive, detail))
        }
    }
}

/// Finds a projection, whether or not it serves.
///
/// # Errors
/// There is none.
pub fn find_component<'a>(app: &'a App, name: &str) -> Result<&'a Component, Problem> {
    app.host.releases.get(name).ok_or_else(|| {
        let names: Vec<&str> = app.host.releases.iter().map(|component| component.name.as_str()).collect();
        let there_are = if names.is_empty() {
            "none is deployed: drop a component into the folder `components`".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        Problem::new(Code::ProjectionNotFound, format!("there is no projection `{name}`; {there_are}"))
    })
}

/// An answer with the position and the release that it comes from.
pub fn answered(release: u64, position: u64, body: &impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert(POSITION, HeaderValue::from(position));
    headers.insert(RELEASE, HeaderValue::from(release));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{release}-{position}-json\"")) {
        headers.insert(header::ETAG, tag);
    }
    response
}
