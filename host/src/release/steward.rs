//! The one thread that takes every step. What it decides is recorded first, then shown, then done.

use super::Error;
use super::component::RejectError;
use super::control::{self, Control, Figures, Record, Step};
use super::folder::{Seen, file_of};
use super::machine::{Event, State};
use super::offer::Offer;
use super::plan::{Plan, Weighed};
use super::process::Fired;
use super::releases::{Ask, Board, Component, Taken};
use super::review::Reviewed;
use super::serving::{Parts, Serving};
use super::verify::Difference;
use crate::plugin::manifest::Beginning;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_util::sync::DropGuard;

/// How long it is waited before a step that could not be recorded is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// Where the steward is told what to do, and by whom.
pub(super) enum Message {
    /// Something was seen in the folder.
    Seen(Seen),
    /// Bytes are offered by somebody who waits for an answer.
    Offer(Box<Offer>, oneshot::Sender<Result<Taken, Error>>),
    /// What lies in the folder could not be taken, and is offered again.
    Again(Box<Offer>),
    /// An operator asks.
    Ask(String, Ask, oneshot::Sender<Result<Taken, Error>>),
    /// An operator lets timers of a component fire that wait for a yes.
    LetFire(String, oneshot::Sender<Result<Fired, Error>>),
    /// A release's bytes were checked.
    Checked(String, u64, Box<Result<Weighed, RejectError>>),
    /// Somebody wants to know what deploying bytes would come to; nothing is done.
    Plan(Box<Planned>, oneshot::Sender<Result<Plan, RejectError>>),
    /// A release that is on its way may have got on.
    Look(String, u64),
    /// A release was compared with the one that serves, or could not be.
    Reviewed(String, u64, Box<Reviewed>),
    /// What serves of a component was compared with the log, folded once more.
    Proved(String, Arc<Difference>),
    /// A release may have been kept warm for long enough.
    Retire(String),
    /// The end.
    Stop,
}

/// Bytes that were weighed, and that nobody deploys.
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) begins: Option<Beginning>,
    pub(super) digest: String,
    pub(super) weighed: Result<Weighed, RejectError>,
}

/// A step to be taken, and why.
pub(super) struct Happening {
    pub(super) release: u64,
    pub(super) event: Event,
    code: String,
    reason: String,
    internal_to: Option<String>,
    figures: Figures,
}

impl Happening {
    pub(super) fn new(release: u64, event: Event, reason: impl Into<String>) -> Self {
        Self { release, event, code: String::new(), reason: reason.into(), internal_to: None, figures: Figures::new() }
    }

    pub(super) fn with_code(self, code: &str) -> Self {
        Self { code: code.to_owned(), ..self }
    }

    /// Its reason tells of an event that may be readable only inside a module.
    pub(super) fn internal_to(self, internal_to: Option<&str>) -> Self {
        Self { internal_to: internal_to.map(str::to_owned), ..self }
    }

    /// A figure that is a number, if it is there.
    pub(super) fn figure(&self, name: &str) -> Option<u64> {
        self.figures.get(name)?.as_u64()
    }

    pub(super) fn with_figure(mut self, name: &str, figure: impl Into<serde_json::Value>) -> Self {
        self.figures.insert(name.to_owned(), figure.into());
        self
    }
}

pub(super) struct Steward {
    pub(super) parts: Arc<Parts>,
    pub(super) control: Control,
    pub(super) components: BTreeMap<String, Component>,
    pub(super) boot: String,
    board: Arc<Board>,
    pub(super) inbox: mpsc::Sender<Message>,
    /// The files that lie in the folder, once it was looked at.
    pub(super) files: Option<BTreeSet<String>>,
    pub(super) checks: Arc<Semaphore>,
    /// Turns for comparing read models.
    pub(super) verifications: Arc<Semaphore>,
    /// Those that are compared now, or wait for their turn; dropping it ends it.
    pub(super) reviews: BTreeMap<(String, u64), DropGuard>,
    /// What looks at each component again once a release of it was kept warm for long enough.
    pub(super) retiring: BTreeMap<String, AbortHandle>,
    /// The number of the newest step of all.
    newest_step: u64,
    /// Those of removed components that may still end their last batch.
    pub(super) leaving: BTreeMap<(String, u64), Arc<Serving>>,
    /// How often the cutover to a release came to nothing, one after another.
    pub(super) attempts: BTreeMap<(String, u64), u32>,
    pub(super) runtime: Handle,
}

impl Steward {
    pub(super) fn new(
        parts: Arc<Parts>,
        control: Control,
        board: Arc<Board>,
        inbox: mpsc::Sender<Message>,
        boot: String,
        verifications: Arc<Semaphore>,
    ) -> Result<Self, Error> {
        let checks = Arc::new(Semaphore::new(parts.config.component_checks));
        let newest_step = control.newest_step()?;
        Ok(Self {
            parts,
            control,
            components: BTreeMap::new(),
            boot,
            board,
            inbox,
            files: None,
            checks,
            verifications,
            reviews: BTreeMap::new(),
            retiring: BTreeMap::new(),
            newest_step,
            leaving: BTreeMap::new(),
            attempts: BTreeMap::new(),
            runtime: Handle::current(),
        })
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            match message {
                Message::Seen(seen) => self.see(seen),
                Message::Offer(offer, answer) => drop(answer.send(self.take(&offer))),
                Message::Again(offer) => self.take_found(offer),
                Message::Ask(name, ask, answer) => drop(answer.send(self.ask(&name, ask))),
                Message::LetFire(name, answer) => drop(answer.send(self.let_fire(&name))),
                Message::Checked(name, release, checked) => {
                    if let Err(error) = self.checked(&name, release, *checked)
                        && is_worth_another_try(&name, release, &error)
                    {
                        self.check(&name, release, AGAIN);
                    }
                }
                Message::Plan(planned, answer) => {
                    let Planned { name, module, begins, digest, weighed } = *planned;
                    let _ = answer.send(self.plan(&name, &module, begins, weighed));
                    self.forget_unneeded(&digest);
                }
                Message::Look(name, release) => {
                    if let Err(error) = self.look(&name, release)
                        && is_worth_another_try(&name, release, &error)
                    {
                        self.look_again(&name, release, AGAIN);
                    }
                }
                Message::Reviewed(name, release, reviewed) => {
                    if let Err(error) = self.reviewed(&name, release, *reviewed)
                        && is_worth_another_try(&name, release, &error)
                    {
                        self.look_again(&name, release, AGAIN);
                    }
                }
                Message::Proved(name, difference) => self.proved(&name, difference),
                Message::Retire(name) => self.retire_overdue(&name),
                Message::Stop => return,
            }
        }
    }

    /// Forgets what could not be recorded.
    pub(super) fn put_back(&mut self, name: &str, before: Option<Component>) {
        match before {
            Some(before) => drop(self.components.insert(name.to_owned(), before)),
            None => drop(self.components.remove(name)),
        }
    }

    /// Takes steps of releases of one component: all of them are recorded, then shown, or none is.
    pub(super) fn happen(&mut self, name: &str, happenings: &[Happening]) -> Result<(), Error> {
        self.happen_with_file(name, happenings, None)
    }

    pub(super) fn happen_with_file(
        &mut self,
        name: &str,
        happenings: &[Happening],
        file: Option<&str>,
    ) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Err(Error::NotFound(name.to_owned())) };
        let mut component = component.clone();
        let mut newest_step = self.newest_step;
        // The first step of a release that is new.
        for step in component.releases.iter_mut().flat_map(|record| &mut record.steps).filter(|step| step.id == 0) {
            newest_step += 1;
            step.id = newest_step;
        }
        for happening in happenings {
            let position = position_of(&component, happening.release);
            let Some(record) = component.releases.iter_mut().find(|record| record.release == happening.release) else {
                return Err(Error::NotFound(name.to_owned()));
            };
            let Happening { release, event, code, reason, internal_to, figures } = happening;
            let Some(state) = record.state.after(*event) else {
                return Err(Error::Impossible {
                    component: name.to_owned(),
                    release: *release,
                    state: record.state,
                    event: *event,
                });
            };
            record.state = state;
            record.code.clone_from(code);
            record.reason.clone_from(reason);
            record.internal_to.clone_from(internal_to);
            newest_step += 1;
            if !state.is_needed() {
                (record.difference, record.proof) = (None, None);
            }
            record.steps.push(Step {
                id: newest_step,
                state,
                code: code.clone(),
                reason: reason.clone(),
                internal_to: internal_to.clone(),
                position,
                figures: figures.clone(),
                at_us: control::now_us(),
            });
        }
        // The new one, and those that something happened to.
        let is_touched = |record: &&Record| {
            record.steps.len() == 1 || happenings.iter().any(|happening| happening.release == record.release)
        };
        let digest = component.releases.first().map(|record| record.digest.clone()).unwrap_or_default();
        self.control.write(|control| {
            control.component(&recorded(&component))?;
            control.newest_step(newest_step)?;
            component.releases.iter().filter(is_touched).try_for_each(|record| control.release(name, record))?;
            file.map_or(Ok(()), |file| control.file(file, &digest))
        })?;
        self.newest_step = newest_step;
        remember_newest(&mut component.releases, self.parts.config.release_history);
        let is_warm = |release| component.release(release).is_some_and(|record| record.state == State::Warm);
        let stays_warm = happenings.iter().any(|Happening { release, event, .. }| {
            matches!(event, Event::Superseded | Event::Broke) && is_warm(*release)
        });
        self.show(component);
        if stays_warm {
            // Its time may have passed while it was to serve again.
            self.retire_later(name);
        }
        Ok(())
    }

    /// Keeps a component as it is now, and shows it.
    pub(super) fn show(&mut self, mut component: Component) {
        let file = file_of(&component.module, &component.name);
        component.file_gone = self.files.as_ref().is_some_and(|files| !files.contains(&file));
        self.board.show(&component);
        self.components.insert(component.name.clone(), component);
    }

    /// Keeps nothing of a component of which there is nothing but refusals.
    pub(super) fn forget_component(&mut self, component: &Component) {
        let (name, file) = (&component.name, file_of(&component.module, &component.name));
        match self.control.write(|control| control.forget_component(name, &file)) {
            Ok(()) => {
                self.components.remove(name);
                self.board.hide(name);
            }
            Err(error) => tracing::warn!(component = name, %error, "it could not be forgotten"),
        }
    }

    /// Records what came of proving a release.
    fn proved(&mut self, name: &str, difference: Arc<Difference>) {
        let Some(mut component) = self.components.get(name).cloned() else { return };
        let release = difference.before.release;
        let Some(record) = component.releases.iter_mut().find(|record| record.release == release) else { return };
        record.proof = Some(difference);
        let record = record.clone();
        match self.control.write(|control| control.release(name, &record)) {
            Ok(()) => self.show(component),
            Err(error) => tracing::warn!(component = name, %error, "a proof could not be recorded"),
        }
    }

    /// Changes a component without a step of a release: that it is paused, or withdrawn.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Component)) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Err(Error::NotFound(name.to_owned())) };
        let mut component = component.clone();
        change(&mut component);
        self.control.write(|control| control.component(&recorded(&component)))?;
        self.show(component);
        Ok(())
    }
}

/// What could not be recorded may be, later. A step that cannot be taken never can.
fn is_worth_another_try(name: &str, release: u64, error: &Error) -> bool {
    tracing::error!(component = name, release, %error, "a step could not be taken");
    !matches!(error, Error::Impossible { .. })
}

/// Keeps those that run or will run, and the newest of the others. `control.db` has them all.
pub(super) fn remember_newest(releases: &mut Vec<Record>, history: usize) {
    let mut ended = 0;
    releases.retain(|record| {
        let has_ended = !record.state.is_candidate() && !record.state.has_store();
        ended += usize::from(has_ended);
        !has_ended || ended <= history
    });
}

/// Stops a release, and has its store removed once nobody reads it any more.
pub(super) fn discard(serving: &Serving) {
    serving.store.discard();
    serving.running.begin_stop();
}

/// The checkpoint of a release that runs.
fn position_of(component: &Component, release: u64) -> Option<u64> {
    component.running().find(|serving| serving.release == release).map(|serving| serving.store.progress().applied)
}

fn recorded(component: &Component) -> control::Component {
    let Component { name, module, paused, removed, .. } = component;
    control::Component { name: name.clone(), module: module.clone(), paused: *paused, removed: *removed }
}
