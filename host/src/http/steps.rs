//! `/projections/{name}/releases`: the releases of a component, and a feed of the steps that they take.

use super::accept::Accepted;
use super::feed::{Source, feed, resumed};
use super::parameters::{Parameters, unfit};
use super::problem::{Code, Problem};
use super::projections::{building_json, release_json};
use super::reading::{find_component, told};
use super::{App, answer};
use crate::access::Caller;
use crate::release::{Component, Record, State as ReleaseState, Step};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Response, sse::Event};
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// `GET /projections/{name}/releases?release=&until=`: what is recorded of them, or with `Accept: text/event-stream` each step that they
/// took and take, as a feed.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let release = parameters.take_as::<u64>("release", "the number of a release")?;
    let until = parameters.take_list("until")?;
    parameters.finish()?;
    let seen = resumed(&headers, "the number of a step")?;
    let component = find_component(&app, &name)?;
    let until = until.iter().map(|state| known_state(state)).collect::<Result<Vec<_>, _>>()?;
    if let Some(release) = release
        && component.release(release).is_none()
    {
        let detail = format!("`{name}` has no release {release}; `GET /projections/{name}` shows those that it has");
        return Err(Problem::new(Code::NotFound, detail));
    }
    if Accepted::by(&headers).follows {
        let last = seen.unwrap_or(0);
        let changed = app.host.releases.watch();
        let (waiting, ended) = (VecDeque::new(), false);
        let steps =
            Steps { app: app.clone(), caller: caller.clone(), name, release, until, last, waiting, ended, changed };
        return feed(&app, caller, steps);
    }
    let releases = component.releases.iter().filter(|record| release.is_none_or(|release| record.release == release));
    let releases: Vec<Value> = releases.map(|record| release_json(&app, &caller, &component, record)).collect();
    let shown = json!({ "name": component.name, "releases": releases });
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &shown))
}

fn known_state(name: &str) -> Result<ReleaseState, Problem> {
    let names: Vec<&str> = ReleaseState::ALL.iter().map(|state| state.name()).collect();
    let known = ReleaseState::ALL.iter().copied().find(|state| state.name() == name);
    known.ok_or_else(|| unfit("until", name, &format!("a list of states: {}", names.join(", "))))
}

/// The steps of a component's releases, each with its number as its id.
struct Steps {
    app: App,
    caller: Caller,
    name: String,
    /// Only those of this one.
    release: Option<u64>,
    /// The feed ends once a step to one of these was told, or, of one release, to one that is its end.
    until: Vec<ReleaseState>,
    /// The step that was seen last.
    last: u64,
    waiting: VecDeque<(u64, bool, Value)>,
    ended: bool,
    changed: watch::Receiver<u64>,
}

impl Source for Steps {
    async fn next(&mut self, heartbeat: Instant) -> Option<Event> {
        loop {
            if self.ended {
                return None;
            }
            // Whatever changes from here on ends the wait below.
            self.changed.borrow_and_update();
            if self.waiting.is_empty() {
                let component = self.app.host.releases.get(&self.name)?;
                self.look(&component);
                // Who comes back, or names what lies behind already, waits for nothing.
                let only = self.release.and_then(|release| component.release(release));
                if self.waiting.is_empty()
                    && self.release.is_some()
                    && only.is_none_or(|only| self.ends_with(only.state))
                {
                    return None;
                }
            }
            if let Some((id, is_last, step)) = self.waiting.pop_front() {
                self.last = id;
                self.ended = is_last;
                return Event::default().event("step").id(id.to_string()).json_data(step).ok();
            }
            match timeout_at(heartbeat, self.changed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return self.heartbeat().await,
            }
        }
    }
}

impl Steps {
    /// Whether nothing more is to be told behind a step to this state.
    fn ends_with(&self, state: ReleaseState) -> bool {
        let is_end = matches!(state, ReleaseState::Retired | ReleaseState::Rejected | ReleaseState::Failed);
        self.until.contains(&state) || (self.release.is_some() && is_end)
    }

    /// Takes up the steps that were taken since.
    fn look(&mut self, component: &Component) {
        let wanted = component.releases.iter().filter(|record| self.release.is_none_or(|only| record.release == only));
        let new = |step: &&Step| step.id > self.last;
        let steps = wanted.flat_map(|record| record.steps.iter().filter(new).map(move |step| (record, step)));
        let mut steps: Vec<_> = steps
            .map(|(record, step)| {
                // A state that it has left since is no end.
                let is_newest = record.steps.last().is_some_and(|newest| newest.id == step.id);
                (step.id, is_newest && self.ends_with(step.state), self.step_json(record, step))
            })
            .collect();
        steps.sort_by_key(|(id, ..)| *id);
        self.waiting.extend(steps);
    }

    fn step_json(&self, record: &Record, step: &Step) -> Value {
        let mut shown = json!(step);
        shown["reason"] = told(&self.caller, step.internal_to.as_deref(), &step.reason).into();
        shown["name"] = self.name.as_str().into();
        shown["release"] = record.release.into();
        shown["version"] = record.version.as_str().into();
        shown
    }

    /// How far the one is that is on its way.
    async fn heartbeat(&self) -> Option<Event> {
        let component = self.app.host.releases.get(&self.name)?;
        let building = building_json(&self.app, &self.caller, &component).await.ok()?;
        let beat = json!({ "building": building });
        let event = Event::default().event("heartbeat");
        // No step was seen yet: there is nothing to come back behind.
        let event = if self.last == 0 { event } else { event.id(self.last.to_string()) };
        event.json_data(beat).ok()
    }
}
