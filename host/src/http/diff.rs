//! `/projections/{name}/diff`: what a release changes for readers.

use super::App;
use super::parameters::Parameters;
use super::parked::{left_out, may_see};
use super::problem::{Code, Problem};
use super::reading::{self, answered, check_inside, find_component};
use super::releases::{check_steers, taken};
use crate::access::Caller;
use crate::plugin::rfc3339;
use crate::release::{self, Ask, Component, Difference, Record, State as ReleaseState};
use crate::store::parked::Sequence;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// `GET /projections/{name}/diff?release=`: of the newest release that was compared, or of this one.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let release = parameters.take_as::<u64>("release", "the number of a release")?;
    parameters.finish()?;
    let component = find_component(&app, &name)?;
    told(&caller, &component, release)
}

/// `POST /projections/{name}/diff?release=&timeout=`: compares the release that is held again, as of now. Answers once that is done, or 202
/// with what was found before where it takes longer: who asks again then joins it.
pub async fn compare_again(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let patience = parameters.take_timeout(app.config().wait)?;
    let release = parameters.take_as::<u64>("release", "the number of a release")?;
    parameters.finish()?;
    check_steers(&app, &caller, &name)?;
    let component = find_component(&app, &name)?;
    let step = |record: &Record| record.steps.last().map(|step| step.id);
    let found = |record: &Record| record.difference.as_ref().map(|difference| difference.at_us);
    let before = component.candidate().map(|record| (step(record), found(record)));
    let order = app.host.releases.ask(&name, Ask::Compare(release)).await.map_err(|error| taken(&app, error))?;
    // Whatever comes of it is a step.
    let has_ended = |component: &Component| {
        component.release(order.release).is_none_or(|record| Some(step(record)) != before.map(|(step, _)| step))
    };
    let component = app.host.releases.wait_for(&name, patience, has_ended).await;
    let component = component.ok_or_else(|| taken(&app, release::Error::NotFound(name.clone())))?;
    let status = if has_ended(&component) { StatusCode::OK } else { StatusCode::ACCEPTED };
    if let Some(record) = component.release(order.release).filter(|_| status == StatusCode::OK)
        && Some(found(record)) == before.map(|(_, found)| found)
    {
        let reason = reading::told(&caller, record.internal_to.as_deref(), &record.reason);
        let detail = format!("release {} of `{name}` was not compared again: {reason}", record.release);
        return Err(Problem::new(Code::ReleaseUnfit, detail));
    }
    let mut answer = told(&caller, &component, Some(order.release))?;
    *answer.status_mut() = status;
    Ok(answer)
}

/// The difference of a release that was compared, for who asks.
fn told(caller: &Caller, component: &Component, release: Option<u64>) -> Result<Response, Problem> {
    let mut records = component.releases.iter();
    let compared = records.find_map(|record| match (release, &record.difference) {
        (Some(release), _) if release != record.release => None,
        (_, difference) => difference.clone(),
    });
    let difference = compared.ok_or_else(|| nothing_compared(component, release))?;
    if difference.internal {
        check_inside(caller, component)?;
    }
    let shown = shown(caller, &component.module, &difference);
    Ok(answered(difference.after.release, difference.after.position, &shown))
}

/// A difference for who asks.
pub fn shown(caller: &Caller, module: &str, difference: &Difference) -> Value {
    let is_inside = caller.is_inside(module);
    let parked = &difference.parked;
    let list = |sequences: &[Sequence]| -> Vec<Value> {
        let visible = sequences.iter().filter(|sequence| may_see(caller, sequence));
        visible.map(|sequence| left_out(is_inside, sequence)).collect()
    };
    // What others may not know of is not counted for them, either.
    let may_see_all = parked.internal_to.as_deref().is_none_or(|module| caller.is_inside(module));
    let counted = |count: usize, internal: usize| if may_see_all { count } else { count.saturating_sub(internal) };
    let mut shown = json!(difference);
    if let Some(members) = shown.as_object_mut() {
        members.remove("at_us");
        members.insert("at".into(), rfc3339(difference.at_us).into());
        members.insert("different_rows".into(), difference.rows().into());
        members.insert(
            "parked".into(),
            json!({
                "newly": list(&parked.newly),
                "newly_sequences": counted(parked.newly_sequences, parked.newly_internal),
                "no_longer": list(&parked.no_longer),
                "no_longer_sequences": counted(parked.no_longer_sequences, parked.no_longer_internal),
            }),
        );
    }
    shown
}

fn nothing_compared(component: &Component, release: Option<u64>) -> Problem {
    let name = &component.name;
    let newest = component.releases.first();
    let detail = match (release, component.candidate()) {
        _ if component.upcaster.is_some() => {
            format!("`{name}` is an upcaster: it has no read model. What it feeds is compared when that is rebuilt.")
        }
        (Some(release), _) if component.release(release).is_none() => format!("`{name}` has no release {release}"),
        (None | Some(_), Some(candidate)) if release.is_none_or(|release| release == candidate.release) => {
            let (number, state) = (candidate.release, candidate.state);
            match (state, &component.live) {
                (ReleaseState::Held, None) => {
                    format!("release {number} of `{name}` is the first one: there is nothing to compare it with")
                }
                (ReleaseState::Held, Some(_)) => format!(
                    "release {number} of `{name}` could not be compared: `laterna status {name}` says why, and `laterna diff {name} --again` \
                     tries once more"
                ),
                _ => format!(
                    "release {number} of `{name}` is {}: it is compared once it stands where the one stands that serves. Ask again.",
                    state.name()
                ),
            }
        }
        (Some(release), _) => {
            format!(
                "of release {release} of `{name}` no comparison is kept: it goes with the release, or there was none"
            )
        }
        (None, _) if newest.is_some_and(|newest| newest.release == 1) => {
            format!("no release of `{name}` was compared: the first one has nothing to be compared with")
        }
        (None, _) => format!("no release of `{name}` is kept that was compared"),
    };
    Problem::new(Code::DifferenceNotFound, detail)
}
