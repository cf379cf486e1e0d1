//! `/projections/{name}/live`: a question that is asked again whenever its answer may be another one.
//!
//! * `shared`: a question that is asked once for all who follow it
//! * here: one who follows it

mod shared;

use super::App;
use super::feed::{Source, feed};
use super::parameters::{Parameters, unfit};
use super::problem::{Code, Problem};
use super::reading::{Freshness, check_inside};
use crate::access::Caller;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Response, sse::Event};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use shared::{Asked, Followed, Said, What};
use std::sync::Arc;
use tokio::sync::watch::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

pub use shared::Live;

/// `GET /projections/{name}/live?query=NAME&param=value`, or `?table=NAME&column=eq.value…`: the answer now, then again whenever it has
/// changed, as a feed.
pub async fn follow(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A parameter of the query may have the same name: it is the second one then.
    let what = match (parameters.take_first("query"), parameters.take_first("table")) {
        (Some(query), None) => What::Query(query),
        (None, Some(table)) => What::Table(table),
        (named, _) => {
            let detail = match named {
                Some(_) => "`query` and `table` are both named, and one question is followed: leave one of them out",
                None => "say what to follow: `query=NAME` with its parameters, or `table=NAME` with filters",
            };
            return Err(Problem::new(Code::BadParameter, detail).with("parameter", "query"));
        }
    };
    if parameters.take("as_of")?.is_some() {
        let detail = "an answer as of a position never changes, so it cannot be followed: leave `as_of` out";
        return Err(Problem::new(Code::BadParameter, detail).with("parameter", "as_of"));
    }
    // Behind the log's end nothing was seen: such an id is of another log.
    let head = app.host.log.head();
    let seen = Seen::by(&headers)?.filter(|seen| seen.position <= head);
    let freshness = Freshness::take(&app, &mut parameters)?;
    let asked = Asked { projection: name.clone(), what, parameters: parameters.take_rest() };
    // What cannot be asked now is refused before anything is followed.
    let live = freshness.reach(&app, &caller, &name).await?;
    asked.question(&app, &live)?;
    let followed = app.live.follow(&app, asked)?;
    // What somebody saw, or could see by asking, is not taken back.
    let seen_at = seen.as_ref().map_or(0, |seen| seen.position);
    let follower = Follower {
        app: app.clone(),
        caller: caller.clone(),
        name,
        answers: followed.answers(),
        reached: followed.reached(),
        _followed: followed,
        behind: seen_at.max(live.store.progress().applied),
        seen: seen.map(|seen| seen.mark),
        ended: false,
    };
    feed(&app, caller, follower)
}

/// What one who comes back saw last: `<position>-<mark>`.
struct Seen {
    position: u64,
    mark: String,
}

impl Seen {
    fn by(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else { return Ok(None) };
        let parts = id.to_str().ok().and_then(|id| id.split_once('-'));
        let seen = parts.and_then(|(position, mark)| {
            let position = position.parse().ok()?;
            Some(Self { position, mark: mark.to_owned() })
        });
        let unknown =
            || unfit("Last-Event-ID", &String::from_utf8_lossy(id.as_bytes()), "the id of an event of this feed");
        seen.ok_or_else(unknown).map(Some)
    }
}

/// One who follows a question.
struct Follower {
    app: App,
    caller: Caller,
    name: String,
    /// Only the newest answer waits for a slow reader.
    answers: Receiver<Option<Arc<Said>>>,
    /// How far the newest answer holds.
    reached: Receiver<u64>,
    _followed: Arc<Followed>,
    /// No answer as of an earlier position is for this one.
    behind: u64,
    /// The mark of what was said last.
    seen: Option<String>,
    ended: bool,
}

#[derive(Serialize)]
struct Answered<'a> {
    position: u64,
    release: u64,
    answer: &'a RawValue,
}

impl Source for Follower {
    async fn next(&mut self, heartbeat: Instant) -> Option<Event> {
        if self.ended {
            return None;
        }
        loop {
            let newest = self.answers.borrow_and_update().clone();
            let new = newest.filter(|newest| Some(&newest.mark) != self.seen.as_ref());
            let is_early = new.as_ref().is_some_and(|new| new.answer.is_ok() && new.holds_at() < self.behind);
            if let Some(new) = new.filter(|_| !is_early) {
                self.seen = Some(new.mark.clone());
                return self.event(&new);
            }
            match timeout_at(heartbeat, self.another(is_early)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return self.heartbeat(),
            }
        }
    }
}

impl Follower {
    /// Waits for another answer, or until the newest one, which is too early, is known to hold for long enough.
    async fn another(&mut self, is_early: bool) -> Result<(), RecvError> {
        if !is_early {
            return self.answers.changed().await;
        }
        tokio::select! {
            another = self.answers.changed() => another,
            there = self.reached.wait_for(|reached| *reached >= self.behind) => there.map(drop),
        }
    }

    fn event(&mut self, said: &Said) -> Option<Event> {
        // A release that came since may show less.
        if said.is_internal
            && let Some(component) = self.app.host.releases.get(&self.name)
            && let Err(problem) = check_inside(&self.caller, &component)
        {
            self.ended = true;
            return Event::default().event("problem").json_data(problem.body()).ok();
        }
        match &said.answer {
            Ok(answer) => {
                let (position, answer) = (said.holds_at(), serde_json::from_str(answer).ok()?);
                let data = Answered { position, release: said.release, answer };
                Event::default().id(format!("{position}-{}", said.mark)).json_data(data).ok()
            }
            Err(problem) => Event::default().event("problem").json_data(problem).ok(),
        }
    }

    /// How far the answer holds that was said last.
    fn heartbeat(&self) -> Option<Event> {
        let newest = self.answers.borrow().clone();
        let held = newest.filter(|newest| Some(&newest.mark) == self.seen.as_ref() && newest.answer.is_ok());
        let event = Event::default().event("heartbeat");
        match held {
            Some(said) => {
                let position = said.holds_at();
                event.id(format!("{position}-{}", said.mark)).json_data(json!({ "position": position })).ok()
            }
            // There is no answer that one could come back behind.
            None => event.json_data(json!({ "position": null })).ok(),
        }
    }
}
