//! Reading a projection: as of which position, by which release.

use super::App;
use super::answer::{POSITION, RELEASE};
use super::parameters::Parameters;
use super::past::Past;
use super::problem::{Code, Problem};
use crate::access::Caller;
use crate::plugin::Visibility;
use crate::projector::{HIDDEN, Halt, State};
use crate::release::{Component, Serving, State as ReleaseState};
use crate::schemas::Registry;
use crate::store::Store;
use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What is read.
pub struct Reading {
    /// The release that answers.
    pub serving: Arc<Serving>,
    /// Its read model, as of now or of then.
    pub store: Store,
}

/// As of when it is read.
pub enum Moment {
    /// Now, as fresh as it must be.
    Now(Freshness),
    /// As of a position.
    Then(Past),
}

impl Moment {
    /// Takes `as_of`, or `min_position` and `fresh`, and `timeout` from the URL.
    ///
    /// # Errors
    /// One of them is not as it should be, or two contradict each other.
    pub fn take(app: &App, parameters: &mut Parameters) -> Result<Self, Problem> {
        match Past::take(app, parameters)? {
            Some(past) => Ok(Self::Then(past)),
            None => Freshness::take(app, parameters).map(Self::Now),
        }
    }

    /// Waits until there is what is to be read.
    ///
    /// # Errors
    /// There is no such projection, it is not for who asks, or it cannot be had within the time and the limits.
    pub async fn reach(&self, app: &App, caller: &Caller, name: &str) -> Result<Reading, Problem> {
        match self {
            Self::Now(freshness) => {
                let serving = freshness.reach(app, caller, name).await?;
                Ok(Reading { store: serving.store.clone(), serving })
            }
            Self::Then(past) => past.reach(app, caller, name).await,
        }
    }

    /// The `as_of` of the following page.
    #[must_use]
    pub fn as_of(&self) -> Option<u64> {
        match self {
            Self::Now(_) => None,
            Self::Then(past) => Some(past.position),
        }
    }
}

/// How fresh an answer must be.
pub struct Freshness {
    position: u64,
    /// It was asked for a position, so it also waits until a first release serves.
    waits: bool,
    timeout: Duration,
}

impl Freshness {
    /// Takes `min_position`, `fresh` and `timeout` from the URL.
    ///
    /// # Errors
    /// One of them is not as it should be.
    pub fn take(app: &App, parameters: &mut Parameters) -> Result<Self, Problem> {
        let min_position = parameters.take_as::<u64>("min_position", "a position, from 0")?;
        let fresh = parameters.take_as::<bool>("fresh", "true or false")?.unwrap_or(false);
        let timeout = parameters.take_timeout(app.config().wait)?;
        let head = if fresh { app.host.log.head() } else { 0 };
        Ok(Self { position: min_position.unwrap_or(0).max(head), waits: fresh || min_position.is_some(), timeout })
    }

    /// The position at which it must be at least.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Waits until the projection is there, by whichever release serves then.
    ///
    /// # Errors
    /// There is no such projection, it is not for who asks, it is not there in time, or it halted.
    pub async fn reach(&self, app: &App, caller: &Caller, name: &str) -> Result<Arc<Serving>, Problem> {
        if let Some(component) = app.host.releases.get(name).filter(|component| !component.removed)
            && let Some(live) = &component.live
            && live.store.progress().applied >= self.position
        {
            check_read(caller, &component, live)?;
            return Ok(Arc::clone(live));
        }
        let deadline = Instant::now() + self.timeout;
        let mut changed = app.host.releases.watch();
        loop {
            // Whatever changes from here on ends the wait below.
            changed.borrow_and_update();
            let component = find_component(app, name)?;
            let Some(live) = component.live.clone() else {
                let waits = self.waits && component.is_coming();
                if waits && matches!(timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                    continue;
                }
                return Err(not_live(app, caller, &component));
            };
            check_read(caller, &component, &live)?;
            let mut progress = live.store.watch_progress();
            let mut state = live.running.watch_state();
            let there = timeout_at(deadline, async {
                tokio::select! {
                    biased;
                    reached = progress.wait_for(|progress| progress.applied >= self.position) => reached.is_ok(),
                    // Another release may serve by now.
                    _ = changed.changed() => false,
                    _ = state.wait_for(|state| !state.is_folding()) => false,
                }
            });
            match there.await {
                Ok(true) => return Ok(live),
                Ok(false) if live.running.state().is_folding() || !self.is_served_by(app, name, &live) => {}
                _ => return Err(self.not_caught_up(caller, name, &live)),
            }
        }
    }

    fn is_served_by(&self, app: &App, name: &str, live: &Serving) -> bool {
        let component = app.host.releases.get(name);
        component.and_then(|component| component.live.clone()).is_some_and(|now| now.release == live.release)
    }

    fn not_caught_up(&self, caller: &Caller, name: &str, live: &Serving) -> Problem {
        let reached = live.store.progress().applied;
        let why = match live.running.state() {
            State::Halted(halt) => format!("it halted: {}", words(caller, &halt)),
            State::Stopped => "the host is being stopped".to_owned(),
            _ if live.running.is_paused() => format!("it is paused; `laterna resume {name}` lets it go on"),
            _ => format!("it did not get there within {:?}; wait longer with `timeout`", self.timeout),
        };
        let detail = format!("projection `{name}` is at {reached}, and {} was asked for: {why}.", self.position);
        Problem::new(Code::NotCaughtUp, detail).with("position", reached).with("wanted", self.position)
    }
}

/// Whether the read model of a component's release is for who asks.
pub fn may_read(caller: &Caller, component: &Component, serving: &Serving) -> bool {
    serving.plugin.manifest().visibility == Visibility::Public || caller.is_inside(&component.module)
}

/// Makes sure that the read model of a component's release is for who asks.
///
/// # Errors
/// It is not.
pub fn check_read(caller: &Caller, component: &Component, serving: &Serving) -> Result<(), Problem> {
    if may_read(caller, component, serving) {
        return Ok(());
    }
    check_inside(caller, component)
}

/// Makes sure that who asks may read what is internal to a component's module.
///
/// # Errors
/// They may not.
pub fn check_inside(caller: &Caller, component: &Component) -> Result<(), Problem> {
    let Component { name, module, .. } = component;
    if caller.is_inside(module) {
        return Ok(());
    }
    let detail = format!("`{name}` is internal to module `{module}`: ask with a token of that module");
    Err(Problem::new(Code::NotAllowed, detail))
}

/// Whether who asks may know that there is such a type: that of one that is internal, or may be, is told in its module only.
pub fn may_know(schemas: &Registry, caller: &Caller, module: &str, event_type: &str) -> bool {
    caller.is_inside(module) || !schemas.is_to_be_internal(module, event_type)
}

/// Words that may tell of an internal event, for who asks.
pub fn told<'a>(caller: &Caller, internal_to: Option<&str>, words: &'a str) -> &'a str {
    if internal_to.is_some_and(|module| !caller.is_inside(module)) {
        return HIDDEN;
    }
    words
}

/// Why a projection halted, for who asks.
pub fn words(caller: &Caller, halt: &Halt) -> String {
    told(caller, halt.internal_to(), &halt.to_string()).to_owned()
}

/// Why a component has no read model that could be asked.
pub fn not_live(app: &App, caller: &Caller, component: &Component) -> Problem {
    let name = &component.name;
    if component.upcaster.is_some() {
        let detail =
            format!("`{name}` is an upcaster: it has no read model. `GET /projections/{name}` shows what it does.");
        return Problem::new(Code::ProjectionNotFound, detail);
    }
    let detail = match (component.candidate(), &component.building) {
        (Some(candidate), _) if candidate.state == ReleaseState::Held => {
            let release = candidate.release;
            format!(
                "release {release} of `{name}` is the first one, and is held. `laterna promote {name}` lets it serve."
            )
        }
        (Some(candidate), Some(building)) => format!(
            "release {} of `{name}` is the first one, and is being built: it is at {} of {}. Ask again later, or with `fresh=true`.",
            candidate.release,
            building.store.progress().applied,
            app.host.log.head()
        ),
        (Some(candidate), None) => {
            format!("release {} of `{name}` is the first one, and is being checked. Ask again.", candidate.release)
        }
        (None, _) => nothing_new(caller, component),
    };
    Problem::new(Code::ProjectionNotLive, detail)
}

/// Why a component does not serve, none of whose releases is on its way to serve for the first time.
fn nothing_new(caller: &Caller, component: &Component) -> String {
    let Component { name, releases, .. } = component;
    if let Some(returning) = releases.iter().find(|record| record.state == ReleaseState::Returning) {
        return format!("release {} of `{name}` is called back, and is about to serve. Ask again.", returning.release);
    }
    let newest = releases.first();
    let reason = newest.map_or("", |newest| told(caller, newest.internal_to.as_deref(), &newest.reason));
    // One that was given up, or withdrawn with its component, need not be at fault.
    let is_at_fault =
        newest.is_some_and(|newest| matches!(newest.state, ReleaseState::Rejected | ReleaseState::Failed));
    let next = if is_at_fault {
        "Mend the component and drop it again"
    } else {
        "`laterna deploy` with its file brings it back"
    };
    format!("no release of `{name}` serves: {reason}. {next}.")
}

/// Finds a projection, whether or not it serves.
///
/// # Errors
/// There is none.
pub fn find_component(app: &App, name: &str) -> Result<Arc<Component>, Problem> {
    let found = app.host.releases.get(name);
    if let Some(component) = &found
        && !component.removed
    {
        return Ok(Arc::clone(component));
    }
    let all = app.host.releases.all();
    let names: Vec<&str> =
        all.iter().filter(|component| !component.removed).map(|component| component.name.as_str()).collect();
    let there_are = match (found, names.is_empty()) {
        (Some(_), _) => "it was removed; `laterna deploy` with its file brings it back".to_owned(),
        (None, true) => "none is deployed: drop a component into the folder `components`".to_owned(),
        (None, false) => format!("there are: {}", names.join(", ")),
    };
    Err(Problem::new(Code::ProjectionNotFound, format!("there is no projection `{name}`; {there_are}")))
}

/// An answer with the position and the release that it comes from.
pub fn answered(release: u64, position: u64, body: &impl Serialize) -> Response {
    tagged(Json(body).into_response(), release, position, &tag(release, position, "json"))
}

/// The weak `ETag` of an answer: by which release, as of which position, written as what.
#[must_use]
pub fn tag(release: u64, position: u64, representation: &str) -> String {
    format!("W/\"{release}-{position}-{representation}\"")
}

/// An answer with the headers that say what it comes from.
pub fn tagged(mut response: Response, release: u64, position: u64, tag: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(POSITION, HeaderValue::from(position));
    headers.insert(RELEASE, HeaderValue::from(release));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
