//! A question that is asked once for all who follow it: again when a table that its answer was read from was written, or another
//! release serves, and no more often than may be.

use super::super::App;
use super::super::parameters::Parameters;
use super::super::problem::{Code, Problem};
use super::super::question::{Question, bounds};
use super::super::reading::not_live;
use super::super::rows::Format;
use super::super::{queries, tables};
use crate::access::Caller;
use crate::plugin::Visibility;
use crate::release::Serving;
use crate::store::{Snapshot, Tables};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// For so many times as long as an answer took, no other one is computed: one question never takes more than a fifth of a processor.
const REST: u32 = 4;

/// The questions that are followed.
#[derive(Default)]
pub struct Live {
    followed: Mutex<HashMap<Asked, Weak<Followed>>>,
}

/// A question as it stands in a URL. Two who ask the same share the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Of which projection.
    pub projection: String,
    /// For what.
    pub what: What,
    /// With these parameters.
    pub parameters: Vec<(String, String)>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// The answer of a named query.
    Query(String),
    /// Rows of a table.
    Table(String),
}

/// A question that is followed, for as long as somebody holds it.
pub struct Followed {
    answers: watch::Receiver<Option<Arc<Said>>>,
    reached: watch::Receiver<u64>,
    asking: AbortHandle,
}

/// The newest answer.
pub struct Said {
    holds_at: AtomicU64,
    /// The release that answered.
    pub release: u64,
    /// It is for readers of the component's module only.
    pub is_internal: bool,
    /// Stands for the answer alone: the same answer has the same mark, wherever it was read.
    pub mark: String,
    /// The answer, as JSON; or the problem.
    pub answer: Result<String, Value>,
}

impl Asked {
    /// The question to a release.
    ///
    /// # Errors
    /// It cannot be asked so.
    pub fn question(&self, app: &App, serving: &Serving) -> Result<Question, Problem> {
        let mut parameters = Parameters::of(self.parameters.clone());
        match &self.what {
            What::Query(query) => {
                let question = queries::question(serving, query, &mut parameters)?;
                parameters.finish()?;
                Ok(question)
            }
            What::Table(table) => {
                let rows = app.config().page_rows;
                let asked = tables::Asked { projection: &self.projection, table, rows, as_of: None };
                asked.of(&serving.store, parameters)
            }
        }
    }
}

impl Live {
    /// Follows a question, with all who follow it already.
    ///
    /// # Errors
    /// As many are followed as may.
    pub fn follow(&self, app: &App, mut asked: Asked) -> Result<Arc<Followed>, Problem> {
        asked.parameters.sort();
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = followed.get(&asked).and_then(Weak::upgrade) {
            return Ok(known);
        }
        followed.retain(|_, known| known.strong_count() > 0);
        let most = app.config().live_queries;
        if followed.len() >= most {
            let detail =
                format!("{most} different questions are followed; follow one of them, or raise `live_queries`.");
            return Err(Problem::new(Code::TooManyFollowers, detail));
        }
        let (answers, told) = watch::channel(None);
        let (reaching, reached) = watch::channel(0);
        let asking = Asking { app: app.clone(), asked: asked.clone(), answers, reaching };
        let asking = tokio::spawn(asking.run()).abort_handle();
        let new = Arc::new(Followed { answers: told, reached, asking });
        followed.insert(asked, Arc::downgrade(&new));
        Ok(new)
    }
}

impl Followed {
    /// The answers to come, and the newest one.
    pub fn answers(&self) -> watch::Receiver<Option<Arc<Said>>> {
        self.answers.clone()
    }

    /// The position up to which the newest answer is known to hold, for those who wait for it.
    pub fn reached(&self) -> watch::Receiver<u64> {
        self.reached.clone()
    }
}

impl Said {
    /// The position up to which it is known to hold.
    pub fn holds_at(&self) -> u64 {
        self.holds_at.load(Ordering::Acquire)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// Who asks.
struct Asking {
    app: App,
    asked: Asked,
    answers: watch::Sender<Option<Arc<Said>>>,
    reaching: watch::Sender<u64>,
}

/// What an answer was read from. `None`: nobody knows, so that any write may change it.
type ReadFrom = Option<Tables>;

impl Asking {
    async fn run(self) {
        let mut changed = self.app.host.releases.watch();
        loop {
            // Whatever changes from here on ends a wait below.
            changed.borrow_and_update();
            let component = self.app.host.releases.get(&self.asked.projection).filter(|component| !component.removed);
            let Some(live) = component.as_ref().and_then(|component| component.live.clone()) else {
                self.say_nothing_serves(component.as_deref());
                if changed.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let begun = Instant::now();
            let (position, read_from) = self.ask(&live).await;
            let rested = begun + self.app.config().live.max(begun.elapsed() * (1 + REST));
            tokio::select! {
                () = self.wait_for_write(&live, position, read_from) => {}
                ended = wait_for_another(&self.app, &self.asked.projection, &live, &mut changed) => if ended.is_err() {
                    return;
                },
            }
            sleep_until(rested).await;
        }
    }

    /// Asks once, and tells everybody where the answer is another one.
    async fn ask(&self, live: &Arc<Serving>) -> (u64, ReadFrom) {
        let known = live.store.progress().applied;
        let answered = match self.asked.question(&self.app, live) {
            Ok(question) => {
                let (plugin, bounds) = (live.plugin.clone(), bounds(&self.app));
                let asking = live.store.read(move |snapshot: &mut Snapshot| -> Result<_, Problem> {
                    let answer = question.ask(&plugin, snapshot, Format::Json, &bounds)?;
                    Ok((answer.position, question.tables(snapshot)?, answer.body))
                });
                asking.await
            }
            Err(problem) => Err(problem),
        };
        let (position, read_from, answer) = match answered {
            Ok((position, tables, body)) => (position, Some(tables), Ok(body)),
            Err(problem) => (known, None, Err(problem.body())),
        };
        // From JSON it was made, so it is text.
        let answer = answer.map(|body| String::from_utf8_lossy(&body).into_owned());
        let is_internal = live.plugin.manifest().visibility == Visibility::Internal;
        tracing::debug!(target: "laterna::live", projection = self.asked.projection, position, "a followed question is asked");
        self.say(Said { holds_at: position.into(), release: live.release, is_internal, mark: mark(&answer), answer });
        (position, read_from)
    }

    fn say_nothing_serves(&self, component: Option<&crate::release::Component>) {
        let problem = match component {
            // Said to whoever it may be.
            Some(component) => not_live(&self.app, &Caller::anybody(), component),
            None => {
                let name = &self.asked.projection;
                Problem::new(Code::ProjectionNotFound, format!("there is no projection `{name}` any more"))
            }
        };
        let answer = Err(problem.body());
        self.say(Said { holds_at: 0.into(), release: 0, is_internal: false, mark: mark(&answer), answer });
    }

    /// Says an answer; where it is the one that was said last, that it still holds.
    fn say(&self, said: Said) {
        let position = said.holds_at();
        let is_same = |newest: &Arc<Said>| newest.mark == said.mark && newest.is_internal == said.is_internal;
        if self.answers.borrow().as_ref().is_some_and(is_same) {
            return self.hold(position);
        }
        self.answers.send_replace(Some(Arc::new(said)));
        self.hold(position);
    }

    /// The newest answer is known to hold up to this position.
    fn hold(&self, position: u64) {
        let Some(newest) = self.answers.borrow().clone() else { return };
        let holds_at = newest.holds_at.fetch_max(position, Ordering::AcqRel).max(position);
        // Of this answer alone: one before it may have held for longer, where what was removed comes back.
        self.reaching.send_if_modified(|reached| std::mem::replace(reached, holds_at) != holds_at);
    }

    /// Waits until a table that was read from was written behind a position.
    async fn wait_for_write(&self, live: &Serving, position: u64, read_from: ReadFrom) {
        let mut progress = live.store.watch_progress();
        loop {
            let now = *progress.borrow_and_update();
            let is_written = match &read_from {
                Some(tables) => live.store.is_written_behind(tables, position),
                None => now.written > position,
            };
            if is_written {
                return;
            }
            self.hold(now.applied);
            if progress.changed().await.is_err() {
                // The store is being closed; another release serves, or none.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Waits until another release serves than this one.
async fn wait_for_another(
    app: &App,
    projection: &str,
    live: &Serving,
    changed: &mut watch::Receiver<u64>,
) -> Result<(), watch::error::RecvError> {
    loop {
        let component = app.host.releases.get(projection).filter(|component| !component.removed);
        let serves = component.and_then(|component| Some(component.live.as_ref()?.release));
        if serves != Some(live.release) {
            return Ok(());
        }
        changed.changed().await?;
    }
}

fn mark(answer: &Result<String, Value>) -> String {
    let digest = match answer {
        Ok(answer) => blake3::hash(answer.as_bytes()),
        Err(problem) => blake3::hash(problem.to_string().as_bytes()),
    };
    digest.to_hex()[..16].to_owned()
}
