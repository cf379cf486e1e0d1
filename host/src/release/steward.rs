//! The one thread that takes every step. What it decides is recorded first, then shown, then done.

use super::Error;
use super::component::{self, Checked, RejectError};
use super::control::{self, Control, Figures, Limits, Paused, Record, Step};
use super::folder::{self, Seen, file_of};
use super::machine::{Event, State};
use super::releases::{Ask, Board, Component, Taken};
use super::serving::{Parts, Serving};
use crate::plugin::is_name;
use crate::projector;
use crate::store::{self, Durability};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Components that are checked at once: compiling takes a processor each.
const CHECKS: usize = 2;

/// Releases of a component that are remembered after their end.
const HISTORY: usize = 100;

/// How long it is waited before a step that could not be recorded is tried again.
const AGAIN: Duration = Duration::from_secs(1);

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
    /// A release's bytes were checked.
    Checked(String, u64, Box<Result<Checked, RejectError>>),
    /// A release that is on its way may have got on.
    Look(String, u64),
    /// The end.
    Stop,
}

/// Bytes that somebody wants deployed.
pub(super) struct Offer {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) bytes: Result<Vec<u8>, RejectError>,
    pub(super) origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// They lie in the folder.
    Found,
    /// They came over HTTP.
    Uploaded,
    /// They are kept from an earlier release.
    Kept,
}

/// A step to be taken, and why.
pub(super) struct Happening {
    pub(super) release: u64,
    pub(super) event: Event,
    code: String,
    reason: String,
    figures: Figures,
}

impl Happening {
    pub(super) fn new(release: u64, event: Event, reason: impl Into<String>) -> Self {
        Self { release, event, code: String::new(), reason: reason.into(), figures: Figures::new() }
    }

    pub(super) fn with_code(self, code: &str) -> Self {
        Self { code: code.to_owned(), ..self }
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
    inbox: mpsc::Sender<Message>,
    /// The files that lie in the folder.
    files: BTreeSet<String>,
    checks: Arc<Semaphore>,
    /// How often the cutover to a release came to nothing, one after another.
    pub(super) attempts: BTreeMap<(String, u64), u32>,
    pub(super) runtime: Handle,
}

impl Steward {
    pub(super) fn new(
        parts: Parts,
        control: Control,
        board: Arc<Board>,
        inbox: mpsc::Sender<Message>,
        boot: String,
    ) -> Self {
        Self {
            parts: Arc::new(parts),
            control,
            components: BTreeMap::new(),
            boot,
            board,
            inbox,
            files: BTreeSet::new(),
            checks: Arc::new(Semaphore::new(CHECKS)),
            attempts: BTreeMap::new(),
            runtime: Handle::current(),
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            match message {
                Message::Seen(seen) => self.see(seen),
                Message::Offer(offer, answer) => drop(answer.send(self.take(&offer))),
                Message::Again(offer) => self.take_found(offer),
                Message::Ask(name, ask, answer) => drop(answer.send(self.ask(&name, ask))),
                Message::Checked(name, release, checked) => {
                    if let Err(error) = self.checked(&name, release, *checked) {
                        tracing::error!(component = name, release, %error, "a step could not be taken; it is tried again");
                        self.check(&name, release, AGAIN);
                    }
                }
                Message::Look(name, release) => {
                    if let Err(error) = self.look(&name, release) {
                        tracing::error!(component = name, release, %error, "a step could not be taken; it is tried again");
                        self.look_again(&name, release, AGAIN);
                    }
                }
                Message::Stop => return,
            }
        }
    }

    /// Takes bytes: as a new release, as one that is there already, or refused with its reason recorded.
    fn take(&mut self, offer: &Offer) -> Result<Taken, Error> {
        let Offer { name, module, bytes, origin } = offer;
        let origin = *origin;
        let digest = match bytes {
            Ok(bytes) => blake3::hash(bytes).to_hex().to_string(),
            // Remembered by what is wrong with it.
            Err(error) => blake3::hash(error.to_string().as_bytes()).to_hex().to_string(),
        };
        let file = file_of(module, name);
        let is_found = origin == Origin::Found;
        let known = self.components.get(name);
        if is_found && self.control.digest_of(&file)?.as_deref() == Some(&digest) {
            let release = known.and_then(|component| component.releases.first()).map_or(0, |record| record.release);
            return Ok(Taken { release, unchanged: true });
        }
        let bytes = match (bytes, self.admit(name, module)) {
            (Ok(bytes), Ok(())) => bytes,
            (Err(error), _) => return self.refuse(name, module, digest, origin, error),
            (Ok(_), Err(error)) => return self.refuse(name, module, digest, origin, &error),
        };
        let same = |record: &&Record| record.digest == digest && record.module == *module;
        let find = |is: &dyn Fn(State) -> bool| {
            known.and_then(|component| component.in_state(is)).filter(same).map(|record| record.release)
        };
        // Those that serve or could serve, that is: one that could not be started, or has halted, is built anew.
        let runs = |serving: Option<&Arc<Serving>>| serving.is_some_and(|serving| serving.running.state().is_folding());
        let serves = known.is_some_and(|component| component.live.is_some());
        let can_return = known.is_some_and(|component| component.removed || runs(component.warm.as_ref()));
        let candidate = find(&State::is_candidate);
        let live = find(&|state| state == State::Live).filter(|_| serves);
        let warm = find(&|state| matches!(state, State::Warm | State::Returning)).filter(|_| can_return);
        let taken = match (candidate, live, warm) {
            (Some(release), _, _) => Taken { release, unchanged: true },
            (None, Some(release), _) => {
                self.supersede(name, &format!("the bytes of release {release}, which serves, came again"))?;
                Taken { release, unchanged: true }
            }
            (None, None, Some(release)) => {
                self.recall(name, "its bytes came again")?;
                Taken { release, unchanged: false }
            }
            (None, None, None) => return self.receive(name, module, bytes, digest, origin),
        };
        if is_found {
            self.control.write(|control| control.file(&file, &digest))?;
        }
        Ok(taken)
    }

    /// Takes what lies in the folder. Where it cannot even be recorded, it is tried again: nobody else will tell of it.
    fn take_found(&mut self, offer: Box<Offer>) {
        if let Err(error) = self.take(&offer) {
            let file = file_of(&offer.module, &offer.name);
            tracing::error!(file, %error, "a dropped file could not be taken; it is tried again");
            let inbox = self.inbox.clone();
            self.runtime.spawn(async move {
                tokio::time::sleep(AGAIN).await;
                // Where nobody listens any more, the host is being stopped.
                let _ = inbox.send(Message::Again(offer)).await;
            });
        }
    }

    /// Takes in what was seen in the folder.
    pub(super) fn see(&mut self, seen: Seen) {
        match seen {
            Seen::File(file, bytes) => {
                let folder::Dropped { name, module, .. } = file;
                self.take_found(Box::new(Offer { name, module, bytes, origin: Origin::Found }));
            }
            Seen::All(files) => self.note_files(files),
        }
    }

    /// Whether a file of this name in this module's folder may be the component.
    fn admit(&self, name: &str, module: &str) -> Result<(), RejectError> {
        if !is_name(name) || !(module.is_empty() || is_name(module)) {
            return Err(RejectError::NoName(file_of(module, name).trim_end_matches(".wasm").to_owned()));
        }
        if let Some(component) = self.components.get(name)
            && component.module != module
            && !component.removed
            && component.in_state(|state| state.is_candidate() || state.has_store()).is_some()
        {
            let other = file_of(&component.module, name);
            // A file that was moved to another folder takes its component along.
            if self.parts.data.components().join(&other).exists() {
                return Err(RejectError::Twice(other));
            }
        }
        Ok(())
    }

    /// Records a file that is refused before anything is kept of it.
    fn refuse(
        &mut self,
        name: &str,
        module: &str,
        digest: String,
        origin: Origin,
        error: &RejectError,
    ) -> Result<Taken, Error> {
        let mut component = self.component(name, module);
        let record = self.record(&component, module, digest, 0, origin);
        let release = record.release;
        component.releases.insert(0, record);
        tracing::warn!(component = name, release, reason = %error, "the component is refused");
        let refused = Happening::new(release, Event::Refused, error.to_string()).with_code(error.code());
        let before = self.components.insert(name.to_owned(), component);
        let file = (origin == Origin::Found).then(|| file_of(module, name));
        if let Err(error) = self.happen_with_file(name, &[refused], file.as_deref()) {
            self.put_back(name, before);
            return Err(error);
        }
        Ok(Taken { release, unchanged: false })
    }

    /// Keeps the bytes of a new release and has them checked. Whatever was on its way before makes room.
    fn receive(
        &mut self,
        name: &str,
        module: &str,
        bytes: &[u8],
        digest: String,
        origin: Origin,
    ) -> Result<Taken, Error> {
        let mut component = self.component(name, module);
        let record = self.record(&component, module, digest, bytes.len(), origin);
        let release = record.release;
        self.parts.keep(name, release, bytes).map_err(Error::Keep)?;
        self.supersede(name, &format!("release {release} came before it served"))?;
        // As it is after that.
        let before = self.components.get(name).cloned();
        component = before.clone().unwrap_or(component);
        component.releases.insert(0, record);
        module.clone_into(&mut component.module);
        component.removed = false;
        self.components.insert(name.to_owned(), component);
        let file = (origin == Origin::Found).then(|| file_of(module, name));
        if let Err(error) = self.happen_with_file(name, &[], file.as_deref()) {
            self.put_back(name, before);
            return Err(error);
        }
        tracing::info!(component = name, release, "the component is checked");
        self.check(name, release, Duration::ZERO);
        Ok(Taken { release, unchanged: false })
    }

    /// Forgets what could not be recorded.
    pub(super) fn put_back(&mut self, name: &str, before: Option<Component>) {
        match before {
            Some(before) => drop(self.components.insert(name.to_owned(), before)),
            None => drop(self.components.remove(name)),
        }
    }

    /// A component as it is, or as it begins.
    fn component(&self, name: &str, module: &str) -> Component {
        self.components.get(name).cloned().unwrap_or_else(|| Component {
            name: name.to_owned(),
            module: module.to_owned(),
            paused: Paused::default(),
            removed: false,
            file_gone: false,
            releases: Vec::new(),
            live: None,
            building: None,
            warm: None,
        })
    }

    /// The record of a new release, with its first step.
    fn record(&self, component: &Component, module: &str, digest: String, bytes: usize, origin: Origin) -> Record {
        let config = &self.parts.config;
        let reason = match origin {
            Origin::Found => format!("dropped as {}", file_of(module, &component.name)),
            Origin::Uploaded => "uploaded".to_owned(),
            Origin::Kept => "rebuilt".to_owned(),
        };
        let first = Step {
            state: State::Received,
            code: String::new(),
            reason: reason.clone(),
            position: None,
            figures: Figures::from_iter([("bytes".to_owned(), bytes.into())]),
            at_us: control::now_us(),
        };
        Record {
            release: component.releases.first().map_or(0, |newest| newest.release) + 1,
            version: String::new(),
            module: module.to_owned(),
            digest,
            limits: Limits { plugin: config.plugin.clone(), store_pages: config.store.pages },
            state: State::Received,
            code: String::new(),
            reason,
            steps: vec![first],
            uploaded: origin == Origin::Uploaded,
            boot: self.boot.clone(),
        }
    }

    /// Takes steps of releases of one component: all of them are recorded, then shown, or none is.
    pub(super) fn happen(&mut self, name: &str, happenings: &[Happening]) -> Result<(), Error> {
        self.happen_with_file(name, happenings, None)
    }

    fn happen_with_file(&mut self, name: &str, happenings: &[Happening], file: Option<&str>) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Err(Error::NotFound(name.to_owned())) };
        let mut component = component.clone();
        for happening in happenings {
            let position = position_of(&component, happening.release);
            let Some(record) = component.releases.iter_mut().find(|record| record.release == happening.release) else {
                return Err(Error::NotFound(name.to_owned()));
            };
            let Happening { release, event, code, reason, figures } = happening;
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
            record.steps.push(Step {
                state,
                code: code.clone(),
                reason: reason.clone(),
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
            component.releases.iter().filter(is_touched).try_for_each(|record| control.release(name, record))?;
            file.map_or(Ok(()), |file| control.file(file, &digest))
        })?;
        let mut ended = 0;
        component.releases.retain(|record| {
            let has_ended = !record.state.is_candidate() && !record.state.has_store();
            ended += usize::from(has_ended);
            !has_ended || ended <= HISTORY
        });
        self.show(component);
        Ok(())
    }

    /// Keeps a component as it is now, and shows it.
    pub(super) fn show(&mut self, component: Component) {
        self.board.show(&component);
        self.components.insert(component.name.clone(), component);
    }

    /// Changes a component without a step of a release: that it is paused, or withdrawn.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Component)) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Err(Error::NotFound(name.to_owned())) };
        let mut component = component.clone();
        change(&mut component);
        self.control.write(|control| control.component(&recorded(&component)))?;
        self.show(component);
        Ok(())
    }

    /// Has a release's bytes checked on another thread.
    pub(super) fn check(&self, name: &str, release: u64, after: Duration) {
        let Some(record) = self.components.get(name).and_then(|component| component.release(release)) else { return };
        let (parts, checks, inbox) = (Arc::clone(&self.parts), Arc::clone(&self.checks), self.inbox.clone());
        let (name, record) = (name.to_owned(), record.clone());
        self.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            let Ok(_turn) = checks.acquire().await else { return };
            let of = name.clone();
            let checking = tokio::task::spawn_blocking(move || {
                let limits = &record.limits.plugin;
                let bytes = component::read(&parts.bytes_of(&of, release), limits)?;
                component::check(&parts.engine, &of, &bytes, limits)
            });
            let checked = checking.await.unwrap_or_else(|error| Err(RejectError::Start(error.to_string())));
            // Where nobody listens any more, the host is being stopped.
            let _ = inbox.send(Message::Checked(name, release, Box::new(checked))).await;
        });
    }

    /// Goes on with a release whose bytes were checked: it is built, or refused.
    fn checked(&mut self, name: &str, release: u64, checked: Result<Checked, RejectError>) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let Some(record) = component.release(release).cloned() else { return Ok(()) };
        let paused = component.paused != Paused::Nothing;
        // Another one came meanwhile.
        if !matches!(record.state, State::Received | State::Checked) {
            return Ok(());
        }
        let plugin = match checked {
            Ok(Checked { plugin, .. }) => plugin,
            Err(error) => {
                tracing::warn!(component = name, release, reason = %error, "the component is refused");
                let event = if record.state == State::Received { Event::Refused } else { Event::Broke };
                let refused = Happening::new(release, event, error.to_string()).with_code(error.code());
                self.happen(name, &[refused])?;
                if record.state == State::Received {
                    self.forget(name, release);
                }
                return Ok(());
            }
        };
        if record.state == State::Received {
            if let Some(record) = self.release_mut(name, release) {
                plugin.manifest().version.clone_into(&mut record.version);
            }
            self.happen(name, &[Happening::new(release, Event::Passed, "compiled, described, and in order")])?;
        }
        if record.uploaded {
            self.put_into_folder(name, &record);
        }
        let started = store::remove(&self.parts.store_of(name, release))
            .map_err(|error| RejectError::Start(error.to_string()))
            .and_then(|()| self.parts.start(name, &record, plugin, Durability::Building, paused));
        match started {
            Ok(serving) => {
                let serving = Arc::new(serving);
                let boot = self.boot.clone();
                if let Some(record) = self.release_mut(name, release) {
                    record.boot = boot;
                }
                let started = Happening::new(release, Event::Started, "the log is folded into a store of its own");
                self.happen(name, &[started.with_figure("head", self.parts.log.head())])?;
                self.run_candidate(name, serving);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(component = name, release, reason = %error, "the component cannot be built");
                self.happen(name, &[Happening::new(release, Event::Broke, error.to_string()).with_code(error.code())])
            }
        }
    }

    fn release_mut(&mut self, name: &str, release: u64) -> Option<&mut Record> {
        self.components.get_mut(name)?.releases.iter_mut().find(|record| record.release == release)
    }

    /// Puts what came over HTTP where a file would have been dropped.
    fn put_into_folder(&mut self, name: &str, record: &Record) {
        let file = file_of(&record.module, name);
        let put = std::fs::read(self.parts.bytes_of(name, record.release)).map_err(Error::Keep).and_then(|bytes| {
            // Remembered first, so that it is not taken for a new one.
            self.control.write(|control| control.file(&file, &record.digest))?;
            folder::put(&self.parts.data.components(), &record.module, name, &bytes).map_err(Error::Keep)
        });
        if let Err(error) = put {
            tracing::warn!(component = name, %error, "the uploaded component is deployed, and could not be put into the folder");
        }
    }

    /// Shows a release that is being built, and sees to it that its way is looked at.
    pub(super) fn run_candidate(&mut self, name: &str, serving: Arc<Serving>) {
        let Some(component) = self.components.get(name) else { return };
        let mut component = component.clone();
        component.building = Some(Arc::clone(&serving));
        self.show(component);
        self.watch(name, &serving);
    }

    /// Has a release looked at once it is at the head of the log, and once it ends.
    pub(super) fn watch(&self, name: &str, serving: &Serving) {
        let (name, release, inbox) = (name.to_owned(), serving.release, self.inbox.clone());
        let mut state = serving.running.watch_state();
        self.runtime.spawn(async move {
            // Where nobody listens any more, the host is being stopped.
            if state.wait_for(|state| *state != projector::State::CatchingUp).await.is_ok() {
                let _ = inbox.send(Message::Look(name.clone(), release)).await;
            }
            let _ = state.wait_for(|state| !state.is_folding()).await;
            let _ = inbox.send(Message::Look(name, release)).await;
        });
    }

    pub(super) fn look_again(&self, name: &str, release: u64, after: Duration) {
        let (name, inbox) = (name.to_owned(), self.inbox.clone());
        self.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            let _ = inbox.send(Message::Look(name, release)).await;
        });
    }

    /// Looks how far a release has come that is on its way, and takes the step that is due.
    fn look(&mut self, name: &str, release: u64) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let Some(state) = component.release(release).map(|record| record.state) else { return Ok(()) };
        let Some(serving) = component.running().find(|serving| serving.release == release).cloned() else {
            return Ok(());
        };
        match (state, serving.running.state()) {
            (State::Building | State::Verifying, projector::State::Halted(halt)) => {
                tracing::warn!(component = name, release, reason = %halt, "the build failed");
                self.happen(name, &[Happening::new(release, Event::Broke, halt.to_string()).with_code(halt.code())])?;
                self.let_go_of_candidate(name);
                self.forget_failed(name);
                Ok(())
            }
            (State::Returning, projector::State::Halted(halt)) => {
                let reason = format!("it cannot come back: {halt}");
                self.happen(name, &[Happening::new(release, Event::Broke, reason).with_code(halt.code())])
            }
            (State::Building, projector::State::Following) => {
                let applied = serving.store.progress().applied;
                let (events, seconds) = serving.running.covered(applied);
                let caught_up = Happening::new(release, Event::CaughtUp, "at the head of the log, and durable")
                    .with_figure("events", events)
                    .with_figure("seconds", seconds)
                    .with_figure("rate", (events as f64 / seconds).round());
                self.happen(name, &[caught_up])?;
                self.cut_over(name, release)
            }
            (State::Verifying | State::Returning, projector::State::Following) => self.cut_over(name, release),
            _ => Ok(()),
        }
    }

    /// Ends what was on its way to serve for the first time, and lets one that was to come back stay warm.
    fn supersede(&mut self, name: &str, reason: &str) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let on_its_way = component.in_state(|state| state.is_candidate() || state == State::Returning);
        let Some(release) = on_its_way.map(|record| record.release) else { return Ok(()) };
        self.happen(name, &[Happening::new(release, Event::Superseded, reason)])?;
        if self
            .components
            .get(name)
            .and_then(|component| component.release(release))
            .is_some_and(|record| record.state == State::Retired)
        {
            self.let_go_of_candidate(name);
            self.forget(name, release);
        }
        Ok(())
    }

    /// Removes a release's bytes, and its compiled code unless another release has the same.
    pub(super) fn forget(&self, name: &str, release: u64) {
        self.parts.forget(name, release);
        let digest =
            self.components.get(name).and_then(|component| component.release(release)).map(|record| &record.digest);
        let mut records = self.components.values().flat_map(|component| &component.releases);
        if let Some(digest) = digest
            && !records.any(|record| record.digest == *digest && record.state.is_needed())
        {
            self.parts.engine.forget(digest);
        }
    }

    /// Forgets the bytes of all that failed but the newest.
    fn forget_failed(&self, name: &str) {
        let Some(component) = self.components.get(name) else { return };
        let failed = component.releases.iter().filter(|record| record.state == State::Failed);
        failed.skip(1).for_each(|record| self.forget(name, record.release));
    }

    /// Stops a build, and has its store removed.
    fn let_go_of_candidate(&mut self, name: &str) {
        let Some(component) = self.components.get(name) else { return };
        let mut component = component.clone();
        if let Some(serving) = component.building.take() {
            discard(&serving);
        }
        self.show(component);
    }

    /// Lets the release that served before serve again, once it stands where the one stands that serves now.
    fn recall(&mut self, name: &str, reason: &str) -> Result<u64, Error> {
        let nothing =
            || Error::Unfit(format!("`{name}` has no release to go back to: one is kept from the first swap on"));
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let warm = component.in_state(|state| matches!(state, State::Warm | State::Returning)).ok_or_else(nothing)?;
        let (release, is_returning) = (warm.release, warm.state == State::Returning);
        if is_returning {
            return Ok(release);
        }
        if component.warm.is_none() {
            self.revive(name, release)?;
        }
        let warm = self.components.get(name).and_then(|component| component.warm.clone()).ok_or_else(nothing)?;
        if let projector::State::Halted(halt) = warm.running.state() {
            return Err(Error::Unfit(format!("release {release} of `{name}` cannot come back: it halted: {halt}")));
        }
        self.supersede(name, &format!("release {release} is called back"))?;
        self.happen(name, &[Happening::new(release, Event::Recalled, reason)])?;
        self.change(name, |component| component.removed = false)?;
        self.watch(name, &warm);
        Ok(release)
    }

    /// Does what an operator asks.
    fn ask(&mut self, name: &str, ask: Ask) -> Result<Taken, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let live = component.in_state(|state| state == State::Live).map_or(0, |record| record.release);
        if component.removed && !matches!(ask, Ask::Remove { .. }) {
            return Err(Error::Unfit(format!("`{name}` was removed: deploy its file again first")));
        }
        match ask {
            Ask::Rebuild(release) => self.rebuild(name, release),
            Ask::RollBack => {
                let release = self.recall(name, "rolled back")?;
                Ok(Taken { release, unchanged: false })
            }
            Ask::Pause(paused) => {
                let unchanged = component.paused == paused;
                self.change(name, |component| component.paused = paused)?;
                self.tell_paused(name);
                if paused == Paused::Nothing {
                    self.restart_halted(name);
                }
                Ok(Taken { release: live, unchanged })
            }
            Ask::Remove { purge } => self.remove(name, purge).map(|()| Taken { release: live, unchanged: false }),
        }
    }

    /// Builds a new release of bytes that are kept.
    fn rebuild(&mut self, name: &str, release: Option<u64>) -> Result<Taken, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let record = match release {
            Some(release) => component.release(release),
            None => component.in_state(|state| matches!(state, State::Live | State::Failed)),
        };
        let kept = record
            .and_then(|record| Some((record.clone(), std::fs::read(self.parts.bytes_of(name, record.release)).ok()?)));
        let Some((record, bytes)) = kept else {
            return Err(Error::Unfit(match release {
                Some(release) => {
                    format!("the bytes of release {release} of `{name}` are not kept: deploy its file again")
                }
                None => format!("`{name}` has no release whose bytes are kept: deploy its file again"),
            }));
        };
        let Record { module, digest, .. } = record;
        self.receive(name, &module, &bytes, digest, Origin::Kept)
    }

    /// Withdraws a component: nothing of it serves or folds any more.
    fn remove(&mut self, name: &str, purge: bool) -> Result<(), Error> {
        self.supersede(name, "the component was removed")?;
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let in_state = |wanted| component.in_state(|state| state == wanted).map(|record| record.release);
        let (live, warm) = (in_state(State::Live), in_state(State::Warm));
        let mut happenings = Vec::new();
        // The one that serves is kept, the one before it only where none does.
        let expired = "the component was removed";
        happenings
            .extend(warm.filter(|_| purge || live.is_some()).map(|warm| Happening::new(warm, Event::Expired, expired)));
        let kept = "the component was removed; its store is kept";
        happenings.extend(live.map(|live| match purge {
            true => Happening::new(live, Event::Expired, expired),
            false => Happening::new(live, Event::Withdrawn, kept),
        }));
        let gone: Vec<u64> = happenings
            .iter()
            .filter(|happening| happening.event == Event::Expired)
            .map(|happening| happening.release)
            .collect();
        let before = self.components.get(name).cloned();
        if let Some(component) = self.components.get_mut(name) {
            component.removed = true;
        }
        if let Err(error) = self.happen(name, &happenings) {
            self.put_back(name, before);
            return Err(error);
        }
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let mut component = component.clone();
        for serving in [component.live.take(), component.warm.take()].into_iter().flatten() {
            serving.running.begin_stop();
            if gone.contains(&serving.release) {
                serving.store.discard();
            }
        }
        for release in gone {
            self.forget(name, release);
            // Of one that did not run, nobody else removes it.
            if let Err(error) = store::remove(&self.parts.store_of(name, release)) {
                tracing::warn!(%error, "a store that nobody needs could not be removed");
            }
        }
        self.forget_file(&component);
        tracing::info!(component = name, purge, "the component is removed");
        self.show(component);
        Ok(())
    }

    /// Tells everything of a component whether it rests.
    pub(super) fn tell_paused(&self, name: &str) {
        let Some(component) = self.components.get(name) else { return };
        if let Some(building) = &component.building {
            building.running.pause(component.paused != Paused::Nothing);
        }
        for serving in [&component.live, &component.warm].into_iter().flatten() {
            serving.running.pause(component.paused == Paused::Everything);
        }
    }

    /// Withdrawn and deleted, whichever came first: the same file, dropped once more, is meant.
    fn forget_file(&mut self, component: &Component) {
        let file = file_of(&component.module, &component.name);
        if component.removed
            && component.file_gone
            && let Err(error) = self.control.write(|control| control.forget_file(&file))
        {
            tracing::warn!(component = component.name, %error, "its file could not be forgotten");
        }
    }

    /// Notes which files lie in the folder. Deleting one withdraws nothing.
    fn note_files(&mut self, files: BTreeSet<String>) {
        self.files = files;
        let changed: Vec<Component> = self
            .components
            .values()
            .filter(|component| {
                component.file_gone == self.files.contains(&file_of(&component.module, &component.name))
            })
            .cloned()
            .collect();
        for mut component in changed {
            component.file_gone = !component.file_gone;
            self.forget_file(&component);
            if component.file_gone && component.live.is_some() {
                tracing::warn!(
                    component = component.name,
                    "its file is gone from the folder; its release goes on serving"
                );
            }
            self.show(component);
        }
    }
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
