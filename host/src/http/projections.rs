//! `/projections`: how they stand.

use super::parameters::Parameters;
use super::problem::Problem;
use super::reading::{answered, find_component};
use super::{App, answer};
use crate::log::Filter;
use crate::projector;
use crate::release::{Component, Paused, Record, Serving};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// Releases that are listed of each projection; all of them where one is asked for.
const LISTED: usize = 10;

/// `GET /projections`
pub async fn list(State(app): State<App>, parameters: Parameters) -> Result<Response, Problem> {
    parameters.finish()?;
    let mut projections = Vec::new();
    for component in app.host.releases.all() {
        if !component.removed {
            let releases = component.releases.iter().take(LISTED).map(without_steps).collect();
            projections.push(summary(&app, &component, releases).await?);
        }
    }
    let answer = json!({ "projections": projections, "head": app.host.log.head() });
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &answer))
}

/// `GET /projections/{name}`: with what it consumes, its tables and its queries, and each step of its releases.
pub async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let component = find_component(&app, &name)?;
    let mut shown = summary(&app, &component, json!(component.releases)).await?;
    let Some(live) = &component.live else {
        return Ok(answer::at_position(StatusCode::OK, 0, &shown));
    };
    let manifest = live.plugin.manifest();
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
    if let Some(members) = shown.as_object_mut() {
        members.insert("description".into(), manifest.description.as_str().into());
        members.insert("consumes".into(), json!(manifest.consumes));
        members.insert("tables".into(), tables.into());
        members.insert("queries".into(), queries.into());
    }
    Ok(answered(live.release, live.store.progress().applied, &shown))
}

/// A projection in the shape that every answer about it has.
pub async fn summary(app: &App, component: &Component, releases: Value) -> Result<Value, Problem> {
    let live = match &component.live {
        Some(live) => serving(app, live).await?,
        None => Value::Null,
    };
    let warm = match &component.warm {
        Some(warm) => serving(app, warm).await?,
        None => Value::Null,
    };
    Ok(json!({
        "name": component.name,
        "module": component.module,
        "kind": "projection",
        "live": live,
        "building": component.candidate().map_or(Value::Null, |candidate| building(app, component, candidate)),
        "warm": warm,
        "paused": component.paused,
        "file_gone": component.file_gone,
        "releases": releases,
        "parked": 0,
    }))
}

fn without_steps(record: &Record) -> Value {
    let mut shown = json!(record);
    if let Some(members) = shown.as_object_mut() {
        members.remove("steps");
    }
    shown
}

/// How far a release is that is on its way to serve.
fn building(app: &App, component: &Component, candidate: &Record) -> Value {
    let (checkpoint, covered, seconds) = component.building.as_ref().map_or((0, 0, 1.0), |building| {
        let checkpoint = building.store.progress().applied;
        let (covered, seconds) = building.running.covered();
        (checkpoint, covered, seconds)
    });
    let left = app.host.log.head().saturating_sub(checkpoint);
    let rate = covered as f64 / seconds;
    let is_paused = component.paused != Paused::Nothing;
    let seconds_left = if left == 0 { 0.0 } else { left as f64 / rate };
    json!({
        "release": candidate.release,
        "version": candidate.version,
        "state": candidate.state,
        "status": if is_paused { "paused" } else { "folding" },
        "checkpoint": checkpoint,
        "lag_events": left,
        "rate": rate.round(),
        // Nobody knows while it rests, or has not begun.
        "seconds_left": (!is_paused && seconds_left.is_finite()).then_some(seconds_left),
    })
}

async fn serving(app: &App, live: &Serving) -> Result<Value, Problem> {
    let (checkpoint, head) = (live.store.progress().applied, app.host.log.head());
    let (status, halt) = match live.running.state() {
        projector::State::Halted(halt) => {
            let mut shown = json!(halt);
            if let Some(members) = shown.as_object_mut() {
                members.insert("detail".into(), halt.to_string().into());
            }
            ("halted", shown)
        }
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
    }))
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
            let page = reader.page(checkpoint, checkpoint + 1, &Filter::All, 1, usize::MAX)?;
            let now_us = jiff::Timestamp::now().as_microsecond();
            Ok(page.events.first().map_or(0, |first| now_us.saturating_sub(first.recorded_at_us).max(0)))
        })
        .await?;
    Ok(lag_us as f64 / 1e6)
}
