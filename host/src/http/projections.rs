//! `/projections`: how they stand.

use super::parameters::Parameters;
use super::parked::{may_see, visible_events};
use super::plans::plan_json;
use super::problem::Problem;
use super::reading::{answered, find_component, may_know, may_read, told, words};
use super::{App, answer};
use crate::access::Caller;
use crate::log::Filter;
use crate::plugin::manifest::{Step, Subscription};
use crate::plugin::{Selector, rfc3339};
use crate::projector::{self, Halt};
use crate::release::{Component, FOLDED, FOLDED_PUBLIC, Paused, Record, Serving};
use crate::store::Snapshot;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Releases that are listed of each projection; all of them where one is asked for.
const LISTED: usize = 10;

/// `GET /projections`
pub async fn list(State(app): State<App>, caller: Caller, parameters: Parameters) -> Result<Response, Problem> {
    parameters.finish()?;
    let mut projections = Vec::new();
    for component in app.host.releases.all() {
        if !component.removed {
            let releases = component.releases.iter().take(LISTED).map(|record| in_short(&caller, record));
            projections.push(summary(&app, &caller, &component, releases.collect()).await?);
        }
    }
    let answer = json!({ "projections": projections, "head": app.host.log.head() });
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &answer))
}

/// `GET /projections/{name}`: with what it consumes, its tables and its queries, and each step of its releases.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let component = find_component(&app, &name)?;
    let releases = component.releases.iter().map(|record| release_json(&app, &caller, &component, record)).collect();
    let mut shown = summary(&app, &caller, &component, releases).await?;
    let mut more = Map::new();
    if let Some(in_force) = &component.upcaster {
        let manifest = in_force.upcaster.manifest();
        more.insert("description".into(), manifest.description.as_str().into());
        let (module, schemas) = (component.module.as_str(), app.host.schemas.current());
        let is_for = |step: &&Step| may_know(&schemas, &caller, module, &step.event_type);
        more.insert("steps".into(), json!(manifest.steps.iter().filter(is_for).collect::<Vec<_>>()));
        more.insert("feeds".into(), json!(fed_by(&app, &name)));
    }
    if let Some(live) = &component.live {
        more.insert("visibility".into(), json!(live.plugin.manifest().visibility));
        // What a component calls its tables tells of what it holds.
        if may_read(&caller, &component, live) {
            more.extend(described(&app, &caller, &component, live));
            more.insert("verified".into(), verified(&component, live));
        }
    }
    if let Some(members) = shown.as_object_mut() {
        members.extend(more);
    }
    match &component.live {
        Some(live) => Ok(answered(live.release, live.store.progress().applied, &shown)),
        None => Ok(answer::at_position(StatusCode::OK, 0, &shown)),
    }
}

/// What came of proving that the read model is the fold of the log, when that was done last.
fn verified(component: &Component, live: &Serving) -> Value {
    let proof = component.release(live.release).and_then(|record| record.proof.as_deref());
    proof.map_or(
        Value::Null,
        |proof| json!({ "same": proof.same, "position": proof.before.position, "at": rfc3339(proof.at_us) }),
    )
}

/// What a component says of itself, but for event types that only its own module may know of.
fn described(app: &App, caller: &Caller, component: &Component, live: &Serving) -> Map<String, Value> {
    let manifest = live.plugin.manifest();
    let (module, schemas) = (component.module.as_str(), app.host.schemas.current());
    let is_for = |subscription: &&Subscription| match &subscription.what {
        Selector::Type(name) => may_know(&schemas, caller, module, name),
        Selector::Category(_) => true,
    };
    let consumes: Vec<&Subscription> = manifest.consumes.iter().filter(is_for).collect();
    let tables: Vec<Value> = live
        .store
        .relations()
        .iter()
        .map(|relation| {
            let columns: Vec<Value> =
                relation.columns.iter().map(|column| json!({ "name": column.name, "type": column.of_type })).collect();
            json!({ "name": relation.name, "key": relation.key, "columns": columns })
        })
        .collect();
    let queries: Vec<Value> = manifest
        .queries
        .iter()
        .map(|query| json!({ "name": query.name, "description": query.description, "parameters": query.parameters }))
        .collect();
    Map::from_iter([
        ("description".to_owned(), manifest.description.as_str().into()),
        ("consumes".to_owned(), json!(consumes)),
        ("on_failure".to_owned(), json!(manifest.on_failure)),
        ("sequence".to_owned(), json!(manifest.sequence)),
        ("tables".to_owned(), tables.into()),
        ("queries".to_owned(), queries.into()),
    ])
}

/// The components whose newest release that runs is fed by an upcaster.
fn fed_by(app: &App, upcaster: &str) -> Vec<String> {
    let is_fed = |component: &&Arc<Component>| {
        let newest = component.building.as_ref().or(component.live.as_ref());
        let record = newest.and_then(|serving| component.release(serving.release));
        record.is_some_and(|record| record.upcasters.iter().any(|feeds| feeds.name == upcaster))
    };
    app.host.releases.all().iter().filter(is_fed).map(|component| component.name.clone()).collect()
}

/// A component in the shape that every answer about it has.
pub async fn summary(
    app: &App,
    caller: &Caller,
    component: &Component,
    releases: Vec<Value>,
) -> Result<Value, Problem> {
    let live = match (&component.live, &component.upcaster) {
        (Some(live), _) => serving(app, caller, live).await?,
        (None, Some(in_force)) => json!({
            "release": in_force.release,
            "version": in_force.upcaster.manifest().version,
            "status": "in-force",
        }),
        (None, None) => Value::Null,
    };
    let mut warm = Vec::with_capacity(component.warm.len());
    for kept in &component.warm {
        warm.push(with_end(app, component, serving(app, caller, kept).await?));
    }
    let mut warm = warm.into_iter();
    let building = building_json(app, caller, component).await?;
    let parked = live["parked"].as_u64().unwrap_or(0);
    Ok(json!({
        "name": component.name,
        "module": component.module,
        "kind": component.kind(),
        "live": live,
        "building": building,
        "warm": warm.next(),
        "also_warm": warm.collect::<Vec<_>>(),
        "paused": component.paused,
        "file_gone": component.file_gone,
        "releases": releases,
        "parked": parked,
    }))
}

/// A warm release with when it is retired at the latest.
fn with_end(app: &App, component: &Component, mut warm: Value) -> Value {
    let record = warm["release"].as_u64().and_then(|release| component.release(release));
    let retires_at = record.and_then(|record| app.host.config.warm.retires_at_us(record)).map(rfc3339);
    // So far away that nobody can write it down is never.
    let retires_at = retires_at.filter(|moment| !moment.is_empty());
    if let Some(members) = warm.as_object_mut() {
        members.insert("retires_at".into(), retires_at.into());
    }
    warm
}

/// A release with its plan and its steps, for who asks.
pub fn release_json(app: &App, caller: &Caller, component: &Component, record: &Record) -> Value {
    let mut shown = with_steps(caller, record);
    let plan = record.plan.as_ref().map(|plan| plan_json(app, caller, Some(component), plan));
    shown["plan"] = plan.unwrap_or_default();
    shown
}

fn with_steps(caller: &Caller, record: &Record) -> Value {
    let mut shown = json!(record);
    shown["reason"] = told(caller, record.internal_to.as_deref(), &record.reason).into();
    for (step, recorded) in shown["steps"].as_array_mut().into_iter().flatten().zip(&record.steps) {
        step["reason"] = told(caller, recorded.internal_to.as_deref(), &recorded.reason).into();
        // How many internal events there are, is told inside.
        if let Some(public) = recorded.figures.get(FOLDED_PUBLIC).filter(|_| !caller.is_inside(&record.module)) {
            step["figures"][FOLDED] = public.clone();
        }
    }
    shown
}

fn in_short(caller: &Caller, record: &Record) -> Value {
    let mut shown = with_steps(caller, record);
    if let Some(members) = shown.as_object_mut() {
        members.remove("steps");
    }
    shown
}

/// The events that a release leaves out, as far as who asks may know of them, without those that were given up.
async fn parked(caller: &Caller, serving: &Serving) -> Result<u64, Problem> {
    let discarded = &serving.terms.discarded;
    let sequences = serving.store.read(|snapshot: &mut Snapshot| snapshot.parked(0, usize::MAX)).await?;
    let counted = sequences.iter().filter(|left| may_see(caller, left) && !discarded.contains(&left.sequence));
    let is_inside = caller.is_inside(&serving.terms.module);
    Ok(counted.map(|left| visible_events(is_inside, left)).sum())
}

/// How far the release is that is on its way to serve, if there is one.
pub async fn building_json(app: &App, caller: &Caller, component: &Component) -> Result<Value, Problem> {
    match component.candidate() {
        Some(candidate) => building(app, caller, component, candidate).await,
        None => Ok(Value::Null),
    }
}

async fn building(app: &App, caller: &Caller, component: &Component, candidate: &Record) -> Result<Value, Problem> {
    let parked = match &component.building {
        Some(building) => parked(caller, building).await?,
        None => 0,
    };
    let (checkpoint, covered, seconds) = component.building.as_ref().map_or((0, 0, 1.0), |building| {
        let checkpoint = building.store.progress().applied;
        let covered = building.running.covered();
        (checkpoint, covered.positions, covered.seconds)
    });
    let left = app.host.log.head().saturating_sub(checkpoint);
    let rate = covered as f64 / seconds;
    let is_paused = component.paused != Paused::Nothing;
    let seconds_left = if left == 0 { 0.0 } else { left as f64 / rate };
    Ok(json!({
        "release": candidate.release,
        "version": candidate.version,
        "state": candidate.state,
        "status": if is_paused { "paused" } else { "folding" },
        "checkpoint": checkpoint,
        "lag_events": left,
        "rate": rate.round(),
        // Nobody knows while it rests, or has not begun.
        "seconds_left": (!is_paused && seconds_left.is_finite()).then_some(seconds_left),
        "parked": parked,
    }))
}

async fn serving(app: &App, caller: &Caller, live: &Serving) -> Result<Value, Problem> {
    let (checkpoint, head) = (live.store.progress().applied, app.host.log.head());
    let (status, halt) = match live.running.state() {
        projector::State::Halted(halt) => ("halted", halt_json(caller, &halt)),
        projector::State::Stopped => ("stopped", Value::Null),
        _ if live.running.is_paused() => ("paused", Value::Null),
        _ => ("folding", Value::Null),
    };
    Ok(json!({
        "release": live.release,
        "version": live.plugin.manifest().version,
        "checkpoint": checkpoint,
        "lag_events": head.saturating_sub(checkpoint),
        "lag_seconds": lag_seconds(app, checkpoint, head).await?,
        "status": status,
        "halt": halt,
        "parked": parked(caller, live).await?,
    }))
}

/// Why a projection halted, for who asks: of an event that they may not see, only where it stands.
fn halt_json(caller: &Caller, halt: &Halt) -> Value {
    let mut shown = json!(halt);
    let is_hidden = halt.internal_to().is_some_and(|module| !caller.is_inside(module));
    if let Some(members) = shown.as_object_mut() {
        if is_hidden {
            members.retain(|name, _| ["code", "position"].contains(&name.as_str()));
        }
        members.insert("detail".into(), words(caller, halt).into());
    }
    shown
}

/// How long the first event that was not looked at yet has been waiting.
async fn lag_seconds(app: &App, checkpoint: u64, head: u64) -> Result<f64, Problem> {
    if checkpoint >= head {
        return Ok(0.0);
    }
    let lag_us = app
        .host
        .log
        .read(move |reader| {
            let page = reader.page(checkpoint, checkpoint + 1, &Filter::default(), 1, usize::MAX)?;
            let now_us = jiff::Timestamp::now().as_microsecond();
            Ok(page.events.first().map_or(0, |first| now_us.saturating_sub(first.recorded_at_us).max(0)))
        })
        .await?;
    Ok(lag_us as f64 / 1e6)
}
