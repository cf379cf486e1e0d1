//! What is on its way: a release is checked, built, looked after until it can take over, or given up.

use super::Error;
use super::component::{self, RejectError};
use super::control::{Paused, Record};
use super::machine::{Event, State};
use super::offer::Known;
use super::plan::{self, FOLDED, FOLDED_PUBLIC, Weighed};
use super::releases::Component;
use super::serving::{Manner, Serving};
use super::steward::{Happening, Message, Steward, discard};
use crate::plugin::Loaded;
use crate::process::Acting;
use crate::projector;
use crate::store::{self, Durability};
use std::sync::Arc;
use std::time::Duration;

impl Steward {
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
                plan::weigh(&parts, &of, &record.module, &bytes, limits)
            });
            let checked = checking.await.unwrap_or_else(|error| Err(RejectError::Start(error.to_string())));
            // Where nobody listens any more, the host is being stopped.
            let _ = inbox.send(Message::Checked(name, release, Box::new(checked))).await;
        });
    }

    /// Goes on with a release whose bytes were checked: it is built, or refused.
    pub(super) fn checked(
        &mut self,
        name: &str,
        release: u64,
        weighed: Result<Weighed, RejectError>,
    ) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let Some(record) = component.release(release).cloned() else { return Ok(()) };
        let paused = component.paused != Paused::Nothing;
        // Another one came meanwhile.
        if !matches!(record.state, State::Received | State::Checked) {
            return Ok(());
        }
        let weighed = weighed.and_then(|weighed| {
            self.fits(name, &record.module, &weighed.checked.component)?;
            if let Loaded::Plugin(plugin) = &weighed.checked.component {
                component.beginning(&record, plugin)?;
            }
            Ok(weighed)
        });
        let loaded = match weighed {
            Ok(weighed) => {
                self.keep_plan(name, &record, &weighed);
                weighed.checked.component
            }
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
                loaded.version().clone_into(&mut record.version);
            }
            self.adopt(name, &record.module);
            self.happen(name, &[Happening::new(release, Event::Passed, "compiled, described, and in order")])?;
        }
        if record.uploaded
            && let Ok(bytes) = std::fs::read(self.parts.bytes_of(name, release))
        {
            self.put_into_folder(name, &record.module, &bytes, &record.digest);
        }
        let plugin = match loaded {
            Loaded::Plugin(plugin) => plugin,
            Loaded::Upcaster(upcaster) => return self.put_in_force(name, release, upcaster),
        };
        let (upcasters, ruling) = (self.upcasters_of(plugin.manifest()), self.parts.ruling(plugin.manifest()));
        if let Some(kept) = self.release_mut(name, release) {
            (kept.upcasters, kept.ruling) = (upcasters, ruling);
        }
        let Some(record) = self.components.get(name).and_then(|component| component.release(release)).cloned() else {
            return Ok(());
        };
        let acting = self.components.get(name).map_or_else(Acting::never, |known| known.acting(&record, &plugin));
        let store = self.parts.store_of(name, release);
        let manner = Manner { durability: Durability::Building, acting, paused, behind: None };
        let started = store::remove(&store)
            .map_err(|error| RejectError::Start(error.to_string()))
            .and_then(|()| self.parts.start(&store, &record, plugin, manner));
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

    /// Notes what is to be expected of a release, to be recorded with its next step.
    fn keep_plan(&mut self, name: &str, record: &Record, weighed: &Weighed) {
        let Record { module, release, limits, begins, .. } = record;
        let (known, supersedes) = (Known::Nothing, None);
        let wanted = plan::Wanted { name, module, release: *release, limits, known, supersedes, begins: *begins };
        let plan = Arc::new(self.draft(&wanted, weighed));
        if let Some(record) = self.release_mut(name, *release) {
            record.plan = Some(plan);
        }
    }

    /// Whether a component that was checked goes with those that are deployed.
    pub(super) fn fits(&self, name: &str, module: &str, loaded: &Loaded) -> Result<(), RejectError> {
        let known = self.components.get(name).filter(|component| !component.removed);
        let live = known.and_then(|known| known.live.as_ref()).map(|live| live.plugin.is_process());
        let other = |is_process| match is_process {
            true => RejectError::OtherWorld(name.to_owned(), "a process manager"),
            false => RejectError::OtherWorld(name.to_owned(), "a projection"),
        };
        match loaded {
            Loaded::Plugin(_) if known.is_some_and(|known| known.upcaster.is_some()) => {
                Err(RejectError::OtherWorld(name.to_owned(), "an upcaster"))
            }
            Loaded::Plugin(plugin) => match live {
                Some(is_process) if is_process != plugin.is_process() => Err(other(is_process)),
                _ => Ok(()),
            },
            Loaded::Upcaster(upcaster) => match live {
                Some(is_process) => Err(other(is_process)),
                None => self.admit_upcaster(name, module, upcaster),
            },
        }
    }

    pub(super) fn release_mut(&mut self, name: &str, release: u64) -> Option<&mut Record> {
        self.components.get_mut(name)?.releases.iter_mut().find(|record| record.release == release)
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

    /// Looks how far a release has come that is on its way, and takes the step that is due.
    pub(super) fn look(&mut self, name: &str, release: u64) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let Some(state) = component.release(release).map(|record| record.state) else { return Ok(()) };
        let Some(serving) = component.running().find(|serving| serving.release == release).cloned() else {
            return Ok(());
        };
        match (state, serving.running.state()) {
            (State::Building | State::Verifying | State::Held, projector::State::Halted(halt)) => {
                tracing::warn!(component = name, release, reason = %halt, "the build failed");
                let broke = Happening::new(release, Event::Broke, halt.to_string())
                    .with_code(halt.code())
                    .internal_to(halt.internal_to());
                // Its thread has ended. What it wrote may be what fills the disk, so that nothing can be recorded.
                self.happen(name, &[broke]).inspect_err(|_| self.parts.remove_store(name, release))?;
                self.let_go_of_candidate(name);
                self.forget_failed(name);
                Ok(())
            }
            (State::Returning, projector::State::Halted(halt)) => {
                let reason = format!("it cannot come back: {halt}");
                let broke = Happening::new(release, Event::Broke, reason).with_code(halt.code());
                self.happen(name, &[broke.internal_to(halt.internal_to())])
            }
            (State::Building, projector::State::Following) => {
                let covered = serving.running.covered();
                let caught_up = Happening::new(release, Event::CaughtUp, "at the head of the log, and durable")
                    .with_figure("events", covered.positions)
                    .with_figure("seconds", covered.seconds)
                    .with_figure("rate", (covered.positions as f64 / covered.seconds).round())
                    .with_figure(FOLDED, covered.folded)
                    .with_figure(FOLDED_PUBLIC, covered.folded_public);
                self.happen(name, &[caught_up])?;
                self.review(name, release)
            }
            (State::Verifying, projector::State::Following) => self.review(name, release),
            (State::Returning, projector::State::Following) => self.cut_over(name, release),
            _ => Ok(()),
        }
    }

    pub(super) fn look_again(&self, name: &str, release: u64, after: Duration) {
        let (name, inbox) = (name.to_owned(), self.inbox.clone());
        self.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            let _ = inbox.send(Message::Look(name, release)).await;
        });
    }

    /// Ends what was on its way to serve for the first time, and lets one that was to come back stay warm.
    pub(super) fn supersede(&mut self, name: &str, reason: &str) -> Result<(), Error> {
        let on_its_way = self.components.get(name).and_then(Component::on_its_way).map(|record| record.release);
        let Some(release) = on_its_way else { return Ok(()) };
        self.happen(name, &[Happening::new(release, Event::Superseded, reason)])?;
        self.let_go(name, release);
        Ok(())
    }

    /// Keeps nothing of a release that was superseded, unless it stays warm.
    pub(super) fn let_go(&mut self, name: &str, release: u64) {
        let record = self.components.get(name).and_then(|component| component.release(release));
        if record.is_some_and(|record| record.state == State::Retired) {
            self.let_go_of_candidate(name);
            self.forget(name, release);
        }
    }

    /// Stops a build, and has its store removed.
    pub(super) fn let_go_of_candidate(&mut self, name: &str) {
        let Some(component) = self.components.get(name) else { return };
        let mut component = component.clone();
        self.attempts.retain(|(of, _), _| of != name);
        self.reviews.retain(|(of, _), _| of != name);
        if let Some(serving) = component.building.take() {
            discard(&serving);
        }
        self.show(component);
    }

    /// Forgets the bytes of all that failed but the newest.
    pub(super) fn forget_failed(&self, name: &str) {
        let Some(component) = self.components.get(name) else { return };
        let failed = component.releases.iter().filter(|record| record.state == State::Failed);
        failed.skip(1).for_each(|record| self.forget(name, record.release));
    }

    /// Removes a release's bytes, and its compiled code unless another release has the same.
    pub(super) fn forget(&self, name: &str, release: u64) {
        // Swept up at a start once nothing runs on it.
        if self.feeds_any(name, release) {
            return;
        }
        self.parts.forget(name, release);
        let record = self.components.get(name).and_then(|component| component.release(release));
        if let Some(digest) = record.map(|record| record.digest.clone()) {
            self.forget_unneeded(&digest);
        }
    }

    /// Removes the compiled code of bytes, unless a release needs it.
    pub(super) fn forget_unneeded(&self, digest: &str) {
        let mut records = self.components.values().flat_map(|component| &component.releases);
        let is_of =
            |record: &Record| record.digest == digest || record.upcasters.iter().any(|feeds| feeds.digest == digest);
        if !records.any(|record| record.state.is_needed() && is_of(record)) {
            self.parts.engine.forget(digest);
        }
    }
}
