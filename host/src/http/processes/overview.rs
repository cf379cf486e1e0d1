//! `/processes`: how process managers stand.

use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::projections::summary;
use super::super::reading::{check_read, may_read};
use super::super::{App, answer};
use super::timers::timer;
use super::{find, is_process};
use crate::access::Caller;
use crate::log::{self, Reader};
use crate::process::account::{self, Counted, Put, Waiting, What};
use crate::process::{Status, ids};
use crate::release::{Component, Record, Serving};
use crate::store::{ReadError, Snapshot};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Beyond so many, instances, timers and effects are not counted.
const COUNTED: u64 = 100_000;

/// Overdue timers that are shown.
const SAMPLES: usize = 10;

/// Effects that are looked up in the log: those that were done last may still stand in the outbox.
const LOOKED_UP: usize = 1_000;

/// What there is of a process manager that serves.
#[derive(Serialize)]
struct Figures {
    /// The position up to which its release did nothing.
    acts_behind: Option<u64>,
    instances: Counted,
    effects: Effects,
    timers: Timers,
    overdue: Overdue,
}

#[derive(Serialize)]
struct Effects {
    status: Status,
    pending: Counted,
    /// The one that is to be done next.
    next: Option<Put>,
}

#[derive(Serialize)]
struct Timers {
    status: Status,
    waiting: Counted,
    /// The one that is due next.
    next: Option<Value>,
}

/// Timers that wait for a yes.
#[derive(Serialize)]
struct Overdue {
    #[serde(flatten)]
    counted: Counted,
    /// Those that were due first.
    samples: Vec<Value>,
}

/// `GET /processes`
pub async fn list(State(app): State<App>, caller: Caller, parameters: Parameters) -> Result<Response, Problem> {
    parameters.finish()?;
    let mut processes = Vec::new();
    for component in app.host.releases.all() {
        if !component.removed && is_process(&component) == Some(true) {
            processes.push(shown(&app, &caller, &component).await?.0);
        }
    }
    let answer = json!({ "processes": processes, "head": app.host.log.head() });
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &answer))
}

/// `GET /processes/{name}`
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let component = find(&app, &name)?;
    if let Some(live) = &component.live {
        check_read(&caller, &component, live)?;
    }
    let (shown, position) = shown(&app, &caller, &component).await?;
    let mut answer = answer::at_position(StatusCode::OK, position, &shown);
    if let Some(live) = &component.live {
        answer.headers_mut().insert(answer::RELEASE, HeaderValue::from(live.release));
    }
    Ok(answer)
}

/// A process manager for who asks, with the position that it is as of.
async fn shown(app: &App, caller: &Caller, component: &Component) -> Result<(Value, u64), Problem> {
    let mut summary = summary(app, caller, component, Vec::new()).await?;
    let mut shown: Map<String, Value> = ["name", "module", "live", "building", "paused"]
        .into_iter()
        .map(|member| (member.to_owned(), summary[member].take()))
        .collect();
    let mut position = 0;
    if let Some(live) = component.live.as_ref().filter(|live| may_read(caller, component, live)) {
        let (figures, at) = figures(app, component, live).await?;
        if let Value::Object(figures) = json!(figures) {
            shown.extend(figures);
        }
        position = at;
    }
    Ok((shown.into(), position))
}

async fn figures(app: &App, component: &Component, live: &Serving) -> Result<(Figures, u64), Problem> {
    let time = app.config().query;
    let done = live.done();
    let read = move |snapshot: &mut Snapshot| -> Result<_, ReadError> {
        let position = snapshot.position();
        snapshot.by_hand_within(time, |store| Ok((position, Read::of(store, done)?)))
    };
    let (position, Read { instances, waiting, next, held, samples, outbox, put }) = live.store.read(read).await?;
    let name = component.name.clone();
    let (looked_up, pending) = app.host.log.read(move |reader| still_pending(reader, &name, put)).await?;
    let (effects, timers) = live.acts();
    let figures = Figures {
        acts_behind: component.release(live.release).and_then(Record::acts_behind),
        instances,
        effects: Effects {
            status: effects,
            pending: Counted { count: outbox.count.saturating_sub(looked_up), more: outbox.more },
            next: pending,
        },
        timers: Timers { status: timers, waiting, next: next.first().map(timer) },
        overdue: Overdue { counted: held, samples: samples.iter().map(timer).collect() },
    };
    Ok((figures, position))
}

/// What a store says.
struct Read {
    instances: Counted,
    waiting: Counted,
    next: Vec<Waiting>,
    held: Counted,
    samples: Vec<Waiting>,
    outbox: Counted,
    put: Vec<Put>,
}

impl Read {
    /// Effects of events up to `done` have been done.
    fn of(store: &Connection, done: u64) -> Result<Self, rusqlite::Error> {
        let held = account::count(store, What::Overdue, COUNTED)?;
        Ok(Self {
            instances: account::count(store, What::Instances, COUNTED)?,
            waiting: account::count(store, What::Timers, COUNTED)?,
            next: account::next_timers(store, false, 1)?,
            // Where there are none, every timer would be looked at.
            samples: if held.count > 0 { account::next_timers(store, true, SAMPLES)? } else { Vec::new() },
            held,
            outbox: account::count(store, What::Outbox { behind: done }, COUNTED)?,
            put: account::outbox(store, None, done, LOOKED_UP)?.rows,
        })
    }
}

/// How many of these effects, which are done in this order, stand in the log by now, and the first one that does not.
fn still_pending(reader: &mut Reader, process: &str, put: Vec<Put>) -> Result<(u64, Option<Put>), log::Error> {
    let mut done = 0;
    for put in put {
        if reader.by_id("", &ids::effect(process, put.position, put.ordinal, &put.instance))?.is_none() {
            return Ok((done, Some(put)));
        }
        done += 1;
    }
    Ok((done, None))
}
