//! `/projections/{name}/verify`: whether a read model is the fold of the log.

use super::diff::shown;
use super::parameters::Parameters;
use super::problem::Problem;
use super::reading::{check_inside, check_read, find_component, words};
use super::releases::{check_steers, taken};
use super::{App, answer};
use crate::access::Caller;
use crate::release::Component;
use crate::release::proof::{Proof, Stage};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::time::timeout;

/// `POST /projections/{name}/verify?timeout=`: folds what serves once more, and compares. Answers once that is done, or 202 where it takes
/// longer: it goes on, and who asks again joins it.
pub async fn begin(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let patience = parameters.take_timeout(app.config().wait)?;
    parameters.finish()?;
    check_steers(&app, &caller, &name)?;
    let component = find_component(&app, &name)?;
    check(&caller, &component)?;
    let proof = app.host.releases.prove(&component).map_err(|error| taken(&app, error))?;
    check_found(&caller, &component, &proof)?;
    let status = if timeout(patience, proof.ended()).await.is_ok() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(answer::at_position(status, app.host.log.head(), &proof_json(&caller, &component, Some(&proof))))
}

/// `GET /projections/{name}/verify`: how far it is, or what came of it last.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let component = find_component(&app, &name)?;
    check(&caller, &component)?;
    let proof = app.host.releases.proof(&name);
    proof.as_deref().map_or(Ok(()), |proof| check_found(&caller, &component, proof))?;
    let shown = proof_json(&caller, &component, proof.as_deref());
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &shown))
}

fn check(caller: &Caller, component: &Component) -> Result<(), Problem> {
    component.live.as_ref().map_or(Ok(()), |live| check_read(caller, component, live))
}

/// What was found of a release that served before may be internal where the read model that serves is not.
fn check_found(caller: &Caller, component: &Component, proof: &Proof) -> Result<(), Problem> {
    if proof.is_internal { check_inside(caller, component) } else { Ok(()) }
}

fn proof_json(caller: &Caller, component: &Component, proof: Option<&Proof>) -> Value {
    // What was found before the host was started is known of the release that serves.
    let serving = component.serving();
    let recorded = || serving.and_then(|(_, record)| record.proof.clone());
    let (state, reason, difference) = match proof.map(Proof::stage) {
        None => (if recorded().is_some() { "compared" } else { "never" }, None, recorded()),
        Some(Stage::Waiting) => ("waiting", None, None),
        Some(Stage::Folding) => ("folding", None, None),
        Some(Stage::Comparing) => ("comparing", None, None),
        Some(Stage::Compared(difference)) => ("compared", None, Some(difference)),
        Some(Stage::Failed(failed)) => {
            let words = failed.halt().map_or_else(|| failed.to_string(), |halt| words(caller, halt));
            ("failed", Some(words), None)
        }
    };
    let release = proof.map(|proof| proof.release).or_else(|| Some(serving?.0.release));
    json!({
        "name": component.name,
        "release": release,
        "state": state,
        "checkpoint": proof.map(Proof::checkpoint),
        "until": serving.map(|(live, _)| live.store.progress().applied),
        "same": difference.as_ref().map(|difference| difference.same),
        "reason": reason,
        "difference": difference.map(|difference| shown(caller, &component.module, &difference)),
    })
}
