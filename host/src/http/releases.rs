//! `POST /projections/{name}/…`: what operators ask of releases.

use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::projections::{release_json, summary};
use super::reading::{find_component, told};
use super::{App, answer};
use crate::access::Caller;
use crate::release::{self, Ask, Component, Paused, Taken};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// `POST /projections/{name}/rebuild?release=`: a new release of the same bytes, built from nothing.
pub async fn rebuild(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let release = parameters.take_as::<u64>("release", "the number of a release")?;
    parameters.finish()?;
    ask(&app, &caller, &name, Ask::Rebuild(release), StatusCode::ACCEPTED).await
}

/// `POST /projections/{name}/pause?builds=`
pub async fn pause(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let builds = parameters.take_as::<bool>("builds", "true or false")?.unwrap_or(false);
    parameters.finish()?;
    let paused = if builds { Paused::Builds } else { Paused::Everything };
    ask(&app, &caller, &name, Ask::Pause(paused), StatusCode::OK).await
}

/// `POST /projections/{name}/resume`
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    ask(&app, &caller, &name, Ask::Pause(Paused::Nothing), StatusCode::OK).await
}

/// `POST /projections/{name}/remove?purge=`
pub async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let purge = parameters.take_as::<bool>("purge", "true or false")?.unwrap_or(false);
    parameters.finish()?;
    check_steers(&app, &caller, &name)?;
    app.host.releases.ask(&name, Ask::Remove { purge }).await.map_err(|error| taken(&app, error))?;
    let removed = json!({ "name": name, "removed": true, "store_kept": !purge });
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &removed))
}

/// `POST /projections/{name}/rollback?release=&timeout=`: answers once the release before serves again.
pub async fn roll_back(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let_serve(&app, &caller, &name, parameters, Ask::RollBack).await
}

/// `POST /projections/{name}/promote?release=&timeout=`: answers once the release that was held serves.
pub async fn promote(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let_serve(&app, &caller, &name, parameters, Ask::Promote).await
}

/// `POST /projections/{name}/abort?release=`: gives up what is on its way to serve.
pub async fn abort(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let release = parameters.take_as::<u64>("release", "the number of a release")?;
    parameters.finish()?;
    ask(&app, &caller, &name, Ask::Abort(release), StatusCode::OK).await
}

/// Has a release serve, and answers once it does. Where that takes longer than `timeout`, it is answered 202, and happens then.
async fn let_serve(
    app: &App,
    caller: &Caller,
    name: &str,
    mut parameters: Parameters,
    ask: impl FnOnce(Option<u64>) -> Ask,
) -> Result<Response, Problem> {
    let patience = parameters.take_timeout(app.config().wait)?;
    let release = parameters.take_as::<u64>("release", "the number of a release")?;
    parameters.finish()?;
    check_steers(app, caller, name)?;
    let order = app.host.releases.ask(name, ask(release)).await.map_err(|error| taken(app, error))?;
    // A process manager goes back by being built again.
    let is_under_way = |state: release::State| {
        state == release::State::Returning || (state.is_candidate() && state != release::State::Held)
    };
    let has_ended =
        |component: &Component| component.release(order.release).is_none_or(|record| !is_under_way(record.state));
    app.host.releases.wait_for(name, patience, has_ended).await;
    let component = find_component(app, name)?;
    let record = component.release(order.release);
    match record.map(|record| record.state) {
        Some(release::State::Live) => answer_about(app, caller, &component, order, StatusCode::OK).await,
        Some(state) if is_under_way(state) => answer_about(app, caller, &component, order, StatusCode::ACCEPTED).await,
        _ => {
            let reason =
                record.map_or("it is gone", |record| told(caller, record.internal_to.as_deref(), &record.reason));
            let detail = format!("release {} of `{name}` does not serve: {reason}", order.release);
            Err(Problem::new(Code::ReleaseUnfit, detail))
        }
    }
}

/// Makes sure that who asks may steer this component, if there is one.
pub fn check_steers(app: &App, caller: &Caller, name: &str) -> Result<(), Problem> {
    app.host.releases.get(name).map_or(Ok(()), |component| check_module(caller, &component.module))
}

/// Makes sure that who asks may deploy and steer components of this module.
///
/// # Errors
/// They may not.
pub fn check_module(caller: &Caller, module: &str) -> Result<(), Problem> {
    if caller.may_steer(module) {
        return Ok(());
    }
    let of = if module.is_empty() { "no module".to_owned() } else { format!("module `{module}`") };
    let own = caller.module().unwrap_or_default();
    let detail = format!("the component belongs to {of}, and a token of module `{own}` deploys that module's only");
    Err(Problem::new(Code::NotAllowed, detail))
}

/// Gives an order, and answers how its projection stands then.
pub async fn ask(app: &App, caller: &Caller, name: &str, ask: Ask, status: StatusCode) -> Result<Response, Problem> {
    check_steers(app, caller, name)?;
    let order = app.host.releases.ask(name, ask).await.map_err(|error| taken(app, error))?;
    let component = find_component(app, name)?;
    answer_about(app, caller, &component, order, status).await
}

/// The projection as it stands after an order, with the release that the order is about.
pub async fn answer_about(
    app: &App,
    caller: &Caller,
    component: &Component,
    order: Taken,
    status: StatusCode,
) -> Result<Response, Problem> {
    let record = component.release(order.release);
    let releases = record.map(|record| release_json(app, caller, component, record)).into_iter().collect();
    let mut shown = summary(app, caller, component, releases).await?;
    if let Some(members) = shown.as_object_mut() {
        members.insert("release".into(), order.release.into());
        members.insert("state".into(), record.map_or(Value::Null, |record| json!(record.state)));
        members.insert("unchanged".into(), order.unchanged.into());
    }
    Ok(answer::at_position(status, app.host.log.head(), &shown))
}

/// Why an order was not taken.
pub fn taken(app: &App, error: release::Error) -> Problem {
    match error {
        release::Error::NotFound(name) => find_component(app, &name).err().unwrap_or_else(|| {
            Problem::new(Code::ProjectionNotFound, format!("there is no projection `{name}` any more"))
        }),
        release::Error::Unfit(why) => Problem::new(Code::ReleaseUnfit, why),
        release::Error::Closed => {
            Problem::new(Code::ReleasesUnavailable, "The host is being stopped. Try again when it is back.")
        }
        other => {
            tracing::error!(error = %other, "an order could not be carried out");
            let detail = "It could not be recorded or kept; nothing was changed. The host's standard error says why.";
            Problem::new(Code::ReleasesUnavailable, detail)
        }
    }
}
