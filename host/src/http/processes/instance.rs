//! `/processes/{name}/instances/{key}`: one instance, with what it did and what became of that.

use super::super::App;
use super::super::answer::{is_known, page_url, path_segment};
use super::super::parameters::Parameters;
use super::super::problem::{Code, Problem};
use super::super::question::written_as;
use super::super::reading::{Freshness, tag, tagged};
use super::super::rows::Format;
use super::find;
use super::timers::timer;
use crate::access::Caller;
use crate::log::{self, Reader, Sight, StoredEvent};
use crate::plugin::rfc3339;
use crate::process::account::{self, Cut, Decision, Instance, Put, Waiting};
use crate::process::became::{Became, may_see};
use crate::process::decision::{Action, with_ordinals};
use crate::process::facts::{EFFECT_REFUSED, EffectRefused, TIMER_FIRED, TimerFired};
use crate::process::ids;
use crate::release::Record;
use crate::store::{ReadError, Snapshot};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Instant;

/// Names, timers and pending effects that are shown.
const LISTED: usize = 1_000;

/// An instance, as it is shown.
#[derive(Serialize)]
struct Shown {
    key: String,
    /// `None` where it has ended.
    state: Option<Box<RawValue>>,
    began_position: Option<u64>,
    began_at: Option<String>,
    changed_position: Option<u64>,
    changed_at: Option<String>,
    associations: Vec<String>,
    /// There are more of them than are shown.
    more_associations: bool,
    timers: Vec<Value>,
    /// There are more of them than are shown.
    more_timers: bool,
    /// Effects that are still to be done.
    outbox: Vec<Place>,
    /// What it decided, newest first.
    history: Vec<Past>,
    next: Option<String>,
}

/// An effect's place.
#[derive(Serialize)]
struct Place {
    position: u64,
    ordinal: usize,
}

/// What it did about an event.
#[derive(Serialize)]
struct Past {
    position: u64,
    /// The event; `None` where it is not for who asks.
    event: Option<About>,
    outcome: String,
    actions: Vec<Done>,
}

/// What is told of an event.
#[derive(Serialize)]
struct About {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    stream: String,
    recorded_at: String,
    /// Which timer fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    timer: Option<Fired>,
    /// Which effect was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
}

#[derive(Serialize)]
struct Fired {
    name: String,
    occurrence: u64,
    missed: u64,
}

#[derive(Serialize)]
struct Refused {
    position: u64,
    ordinal: usize,
    code: String,
}

impl About {
    fn of(event: StoredEvent) -> Self {
        let is_told = |event_type: &str| event.event_type == event_type && ids::is_reserved(&event.stream);
        let fired = is_told(TIMER_FIRED).then(|| serde_json::from_slice::<TimerFired>(&event.data).ok()).flatten();
        let refused =
            is_told(EFFECT_REFUSED).then(|| serde_json::from_slice::<EffectRefused>(&event.data).ok()).flatten();
        Self {
            recorded_at: rfc3339(event.recorded_at_us),
            id: event.id,
            event_type: event.event_type,
            stream: event.stream,
            timer: fired.map(|TimerFired { timer: name, occurrence, missed, .. }| Fired { name, occurrence, missed }),
            refused: refused.map(|EffectRefused { position, ordinal, code, .. }| Refused { position, ordinal, code }),
        }
    }
}

/// An action, and of an effect what became of it.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinal: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    became: Option<Became>,
}

/// What the store says of an instance.
struct Kept {
    instance: Option<Instance>,
    associations: Cut<String>,
    timers: Cut<Waiting>,
    decisions: Cut<Decision>,
    put: Vec<Put>,
}

/// What became of effects is asked for these.
struct Asked {
    process: String,
    key: String,
    sight: Sight,
    /// What follows from events up to this position was not this release's to do.
    acts_behind: u64,
    /// Up to this position it has done what it decided.
    done: u64,
    /// When to give up.
    until: Instant,
}

/// `GET /processes/{name}/instances/{key}?limit=&before=`
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((name, key)): Path<(String, String)>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let freshness = Freshness::take(&app, &mut parameters)?;
    let limit = parameters.take_limit(app.config().page_rows)?;
    let before = parameters.take_as::<u64>("before", "a position, from 0")?;
    parameters.finish()?;
    find(&app, &name)?;
    let serving = freshness.reach(&app, &caller, &name).await?;
    let component = find(&app, &name)?;
    let (time, bytes) = (app.config().query, app.config().answer_bytes);
    let asked = Asked {
        process: name.clone(),
        key: key.clone(),
        sight: caller.sight(),
        acts_behind: component.release(serving.release).and_then(Record::acts_behind).unwrap_or(0),
        // Before the log is looked at: what is done then stands there.
        done: serving.done(),
        until: Instant::now() + time,
    };
    let (wanted, done) = (key.clone(), asked.done);
    let read = move |snapshot: &mut Snapshot| -> Result<_, ReadError> {
        let position = snapshot.position();
        let kept = snapshot
            .by_hand_within(time, |store| Kept::of(store, &wanted, before.unwrap_or(u64::MAX), limit, bytes, done))?;
        Ok((position, kept))
    };
    let (position, Kept { instance, associations, timers, decisions, put }) = serving.store.read(read).await?;
    if instance.is_none() && decisions.rows.is_empty() && before.is_none() {
        let detail = format!(
            "`{name}` has no instance `{key}` up to position {position}, and had none. `GET /processes/{}/instances` lists those \
             that there are; ask with `fresh=true` for one that has only just begun.",
            path_segment(&name)
        );
        return Err(Problem::new(Code::InstanceNotFound, detail).with("position", position));
    }
    let next = decisions.rows.last().filter(|_| decisions.more).map(|last| {
        let path = format!("/processes/{}/instances/{}", path_segment(&name), path_segment(&key));
        page_url(&path, &[("limit", &limit.to_string()), ("before", &last.position.to_string())])
    });
    let rows = decisions.rows;
    let found = app.host.log.read(move |reader| asked.of(reader, rows, put)).await?;
    let (history, outbox) = found.ok_or(ReadError::OutOfTime(time))??;
    // What becomes of timers and effects while the position stays: fewer wait.
    let held = timers.rows.iter().filter(|timer| timer.held).count();
    let actions = history.iter().flat_map(|past| &past.actions);
    let pending = actions.filter(|done| matches!(done.became, Some(Became::Pending))).count() + outbox.len();
    let written = written_as(Format::Json, app.host.log.identity(), serving.plugin.digest());
    let tag = tag(serving.release, position, &format!("{held}-{pending}-{written}"));
    if is_known(headers.get_all(header::IF_NONE_MATCH), &tag) {
        return Ok(tagged(StatusCode::NOT_MODIFIED.into_response(), serving.release, position, &tag));
    }
    let moment = |moment: fn(&Instance) -> i64| instance.as_ref().map(|instance| rfc3339(moment(instance)));
    let shown = Shown {
        began_position: instance.as_ref().map(|instance| instance.began_position),
        began_at: moment(|instance| instance.began_us),
        changed_position: instance.as_ref().map(|instance| instance.changed_position),
        changed_at: moment(|instance| instance.changed_us),
        key,
        associations: associations.rows,
        more_associations: associations.more,
        timers: timers.rows.iter().map(timer).collect(),
        more_timers: timers.more,
        outbox,
        history,
        next,
        state: instance.map(|instance| RawValue::from_string(instance.state)).transpose().map_err(unreadable)?,
    };
    Ok(tagged(Json(&shown).into_response(), serving.release, position, &tag))
}

impl Kept {
    fn of(
        store: &Connection,
        key: &str,
        before: u64,
        limit: usize,
        bytes: usize,
        done: u64,
    ) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            instance: account::instance(store, key)?,
            associations: account::associations(store, key, LISTED)?,
            timers: account::timers(store, key, LISTED)?,
            decisions: account::decisions(store, key, before, limit, bytes)?,
            put: account::outbox(store, Some(key), done, LISTED)?.rows,
        })
    }
}

type Told = Result<(Vec<Past>, Vec<Place>), Problem>;

impl Asked {
    /// What the log says of decisions, and which of the effects that were put into the outbox are still to be done. `None` where that
    /// takes too long.
    fn of(&self, reader: &mut Reader, decisions: Vec<Decision>, put: Vec<Put>) -> Result<Option<Told>, log::Error> {
        let mut history = Vec::with_capacity(decisions.len());
        for Decision { position, outcome, actions } in decisions {
            let actions: Vec<Action> = match serde_json::from_str(&actions) {
                Ok(actions) => actions,
                Err(error) => return Ok(Some(Err(unreadable(error)))),
            };
            let event = reader.event_at(position)?.filter(|event| may_see(&self.sight, &self.process, event));
            let event = event.map(About::of);
            let mut done = Vec::with_capacity(actions.len());
            for (ordinal, action) in with_ordinals(actions) {
                if Instant::now() >= self.until {
                    return Ok(None);
                }
                let became = ordinal.map(|ordinal| self.became(reader, position, ordinal)).transpose()?;
                done.push(Done { action, ordinal, became });
            }
            history.push(Past { position, event, outcome, actions: done });
        }
        let mut outbox = Vec::new();
        for Put { position, ordinal, .. } in put {
            if self.became(reader, position, ordinal)? == Became::Pending {
                outbox.push(Place { position, ordinal });
            }
        }
        Ok(Some(Ok((history, outbox))))
    }

    fn became(&self, reader: &mut Reader, position: u64, ordinal: usize) -> Result<Became, log::Error> {
        let found = Became::find(reader, &self.sight, &self.process, position, ordinal, &self.key)?;
        Ok(found.unwrap_or_else(|| Became::without_a_trace(position, self.acts_behind, self.done)))
    }
}

fn unreadable(error: serde_json::Error) -> Problem {
    tracing::error!(%error, "what an instance is, or did, cannot be read");
    Problem::new(
        Code::StoreUnavailable,
        "What is kept of the instance cannot be read; the host's standard error says why.",
    )
}
