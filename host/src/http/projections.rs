//! `/projections`: how they stand.

use super::parameters::Parameters;
use super::problem::Problem;
use super::reading::{answered, find_component};
use super::{App, answer};
use crate::log::Filter;
use crate::projector;
use crate::release::{Component, Live};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// `GET /projections`
pub async fn list(State(app): State<App>, parameters: Parameters) -> Result<Response, Problem> {
    parameters.finish()?;
    let mut projections = Vec::new();
    for component in app.host.releases.iter() {
        projections.push(summary(&app, component).await?);
    }
    let answer = json!({ "projections": projections, "head": app.host.log.head() });
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &answer))
}

/// `GET /projections/{name}`: with what it consumes, its tables and its queries.
pub async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let component = find_component(&app, &name)?;
    let mut shown = summary(&app, component).await?;
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

async fn summary(app: &App, component: &Component) -> Result<Value, Problem> {
    let live = match &component.live {
        Some(live) => serving(app, live).await?,
        None => Value::Null,
    };
    Ok(json!({
        "name": component.name,
        "module": component.module,
        "kind": "projection",
        "live": live,
        "building": null,
        "warm": null,
        "releases": component.releases,
        "parked": 0,
    }))
}

async fn serving(app: &App, live: &Live) -> Result<Value, Problem> {
    let (checkpoint, head) = (live.store.progress().applied, app.host.log.head());
    let (status, halt) = match live.running.state() {
        projector::State::Folding => ("folding", Value::Null),
        projector::State::Stopped => ("stopped", Value::Null),
        projector::State::Halted(halt) => {
            let mut shown = json!(halt);
            if let Some(members) = shown.as_object_mut() {
                members.insert("detail".into(), halt.to_string().into());
            }
            ("halted", shown)
        }
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
