//! `/projections/{name}/parked`: what a read model leaves out, and what operators make of it.

use super::App;
use super::answer::{page_url, path_segment};
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::reading::{answered, check_read, find_component};
use super::releases::{answer_about, check_steers, taken};
use crate::access::Caller;
use crate::release::{Ask, Component, Serving};
use crate::store::{Snapshot, parked::Sequence};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Positions that are shown of a sequence.
const POSITIONS: usize = 100;

/// `GET /projections/{name}/parked?after=&limit=&release=`: of the release that serves, or of another one that runs.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let after = parameters.take_as::<u64>("after", "a position, from 0")?.unwrap_or(0);
    let limit = parameters.take_limit(app.config().page_rows)?;
    let release = parameters.take_as::<u64>("release", "the number of a release that runs")?;
    parameters.finish()?;
    let component = find_component(&app, &name)?;
    let serving = running(&component, release)?;
    check_read(&caller, &component, &serving)?;
    let asking = caller.clone();
    let (position, mut sequences) = serving
        .store
        .read(move |snapshot: &mut Snapshot| -> Result<_, Problem> {
            let mut sequences = Vec::new();
            // What others may not know of is no row for them.
            let known = snapshot.parked(after, usize::MAX)?.into_iter().filter(|sequence| may_see(&asking, sequence));
            for sequence in known.take(limit + 1) {
                let positions = snapshot.parked_positions(&sequence.sequence, POSITIONS)?;
                sequences.push((sequence, positions));
            }
            Ok((snapshot.position(), sequences))
        })
        .await?;
    let more = sequences.len() > limit;
    sequences.truncate(limit);
    let next = sequences.last().filter(|_| more).map(|(last, _)| {
        let path = format!("/projections/{}/parked", path_segment(&name));
        let release = release.map_or(String::new(), |release| release.to_string());
        page_url(&path, &[("after", &last.position.to_string()), ("limit", &limit.to_string()), ("release", &release)])
    });
    let is_inside = caller.is_inside(&component.module);
    let shown: Vec<Value> =
        sequences.iter().map(|(sequence, positions)| shown(is_inside, &serving, sequence, positions)).collect();
    let limit = component.release(serving.release).map(|record| record.limits.parked_events);
    Ok(answered(serving.release, position, &json!({ "parked": shown, "next": next, "parked_events": limit })))
}

/// `POST /projections/{name}/parked/{sequence}/retry`: a rebuild, alongside, under the limits as they are now.
pub async fn retry(
    State(app): State<App>,
    caller: Caller,
    Path((name, sequence)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    find(&app, &caller, &name, &sequence).await?;
    let ordered = app.host.releases.ask(&name, Ask::Retry(sequence)).await;
    let order = ordered.map_err(|error| taken(&app, error))?;
    let component = find_component(&app, &name)?;
    answer_about(&app, &caller, &component, order, StatusCode::ACCEPTED).await
}

/// `POST /projections/{name}/parked/{sequence}/discard`: what is left out of it does not count any longer, nor what will be.
pub async fn discard(
    State(app): State<App>,
    caller: Caller,
    Path((name, sequence)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    find(&app, &caller, &name, &sequence).await?;
    let ordered = app.host.releases.ask(&name, Ask::Discard(sequence.clone())).await;
    ordered.map_err(|error| taken(&app, error))?;
    let (serving, position, found, positions) = find(&app, &caller, &name, &sequence).await?;
    let is_inside = caller.is_inside(&serving.terms.module);
    Ok(answered(serving.release, position, &shown(is_inside, &serving, &found, &positions)))
}

type Found = (Arc<Serving>, u64, Sequence, Vec<u64>);

/// A sequence that the release leaves events out of that serves, for who may steer it.
async fn find(app: &App, caller: &Caller, name: &str, sequence: &str) -> Result<Found, Problem> {
    check_steers(app, caller, name)?;
    let component = find_component(app, name)?;
    let serving = running(&component, None)?;
    check_read(caller, &component, &serving)?;
    let wanted = sequence.to_owned();
    let (position, found, positions) = serving
        .store
        .read(move |snapshot: &mut Snapshot| -> Result<_, Problem> {
            let found = snapshot.parked_sequence(&wanted)?;
            Ok((snapshot.position(), found, snapshot.parked_positions(&wanted, POSITIONS)?))
        })
        .await?;
    match found.filter(|found| may_see(caller, found)) {
        Some(found) => Ok((serving, position, found, positions)),
        None => {
            let detail = format!(
                "`{name}` leaves nothing out of a sequence `{sequence}`, as far as you may know; `GET /projections/{name}/parked` lists those that it does"
            );
            Err(Problem::new(Code::ParkedNotFound, detail))
        }
    }
}

/// The release of this number, or the one that serves.
fn running(component: &Component, release: Option<u64>) -> Result<Arc<Serving>, Problem> {
    let found = match release {
        None => component.live.as_ref(),
        Some(release) => component.running().find(|serving| serving.release == release),
    };
    found.cloned().ok_or_else(|| {
        let which =
            release.map_or_else(|| "no release".to_owned(), |release| format!("release {release} does not run;"));
        let detail = match release {
            None => format!("{which} of `{}` serves, so nothing is left out", component.name),
            Some(_) => format!("{which} `GET /projections/{}` shows those that do", component.name),
        };
        Problem::new(Code::ProjectionNotLive, detail)
    })
}

/// Whether a sequence is for who asks: that of an internal event is inside its module only.
pub fn may_see(caller: &Caller, sequence: &Sequence) -> bool {
    !sequence.internal || caller.is_inside(&sequence.module)
}

/// How many of its events are for who asks, who is inside this module, or not.
pub fn visible_events(is_inside: bool, sequence: &Sequence) -> u64 {
    if is_inside { sequence.events } else { sequence.events - sequence.internal_events }
}

/// A sequence for who asks: where some of its events are internal to the component's module, others are not told where they stand.
fn shown(is_inside: bool, serving: &Serving, sequence: &Sequence, positions: &[u64]) -> Value {
    let hides = !is_inside && sequence.internal_events > 0;
    let mut shown = left_out(is_inside, sequence);
    shown["last_position"] = json!((!hides).then_some(sequence.last_position));
    shown["positions"] = json!((!hides).then_some(positions));
    shown["discarded"] = serving.terms.discarded.contains(&sequence.sequence).into();
    shown
}

/// What is left out of a sequence, and why, for who asks.
pub fn left_out(is_inside: bool, sequence: &Sequence) -> Value {
    json!({
        "sequence": sequence.sequence,
        "position": sequence.position,
        "event_id": sequence.event_id,
        "type": sequence.event_type,
        "stream": sequence.stream,
        "module": sequence.module,
        "code": sequence.code,
        "reason": sequence.reason,
        "events": visible_events(is_inside, sequence),
    })
}
