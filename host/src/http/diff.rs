//! `/projections/{name}/diff`: what a release changes for readers.

use super::App;
use super::parameters::Parameters;
use super::parked::{may_see, visible_events};
use super::problem::{Code, Problem};
use super::reading::{answered, check_inside, find_component};
use crate::access::Caller;
use crate::plugin::rfc3339;
use crate::release::{Component, Difference, State as ReleaseState};
use crate::store::parked::Sequence;
use axum::extract::{Path, State};
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
    let mut records = component.releases.iter();
    let compared = records.find_map(|record| match (release, &record.difference) {
        (Some(release), _) if release != record.release => None,
        (_, difference) => difference.clone(),
    });
    let difference = compared.ok_or_else(|| nothing_compared(&component, release))?;
    if difference.internal {
        check_inside(&caller, &component)?;
    }
    Ok(answered(difference.after.release, difference.after.position, &shown(&caller, &component.module, &difference)))
}

/// A difference for who asks.
pub fn shown(caller: &Caller, module: &str, difference: &Difference) -> Value {
    let is_inside = caller.is_inside(module);
    let parked = &difference.parked;
    let list = |sequences: &[Sequence]| -> Vec<Value> {
        let visible = sequences.iter().filter(|sequence| may_see(caller, sequence));
        visible.map(|sequence| sequence_json(is_inside, sequence)).collect()
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

fn sequence_json(is_inside: bool, sequence: &Sequence) -> Value {
    json!({
        "sequence": sequence.sequence,
        "position": sequence.position,
        "event_id": sequence.event_id,
        "type": sequence.event_type,
        "stream": sequence.stream,
        "code": sequence.code,
        "reason": sequence.reason,
        "events": visible_events(is_inside, sequence),
    })
}

fn nothing_compared(component: &Component, release: Option<u64>) -> Problem {
    let name = &component.name;
    let detail = match (release, component.candidate()) {
        (Some(release), _) if component.release(release).is_none() => format!("`{name}` has no release {release}"),
        (Some(release), _) => format!("of release {release} of `{name}` no comparison is kept"),
        (None, Some(candidate)) if candidate.state != ReleaseState::Held => format!(
            "release {} of `{name}` is {}: it is compared once it stands where the one stands that serves. Ask again.",
            candidate.release,
            candidate.state.name()
        ),
        (None, _) => format!("no release of `{name}` was compared: the first one has nothing to be compared with"),
    };
    Problem::new(Code::DifferenceNotFound, detail)
}
