//! What is taken up again when the host is started: every release goes on in the state in which it is recorded.

use super::Error;
use super::component::RejectError;
use super::control::{Paused, Record};
use super::machine::{Event, State};
use super::releases::{Component, InForce};
use super::serving::{Manner, Serving};
use super::steward::{Happening, Steward, remember_newest};
use crate::plugin::{Loaded, Plugin};
use crate::projector::State as Running;
use crate::store::Durability;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What goes on at a start.
enum Resumed {
    Serving(Arc<Serving>),
    InForce(Arc<InForce>),
}

impl Steward {
    /// Starts what serves and what follows it, and goes on with what was on its way.
    ///
    /// # Errors
    /// `control.db` cannot be read or written.
    pub(super) fn resume(&mut self) -> Result<(), Error> {
        for recorded in self.control.components()? {
            let mut releases = self.control.releases(&recorded.name)?;
            remember_newest(&mut releases, self.parts.config.release_history);
            let super::control::Component { name, module, paused, removed } = recorded;
            self.show(Component {
                name: name.clone(),
                module,
                paused,
                removed,
                file_gone: false,
                releases,
                live: None,
                building: None,
                warm: Vec::new(),
                upcaster: None,
            });
        }
        self.sweep();
        let names: Vec<String> = self.components.keys().cloned().collect();
        names.iter().try_for_each(|name| self.resume_component(name))?;
        // What was to be rebuilt when the host was stopped may not have begun.
        let is_upcaster = |name: &&String| self.components.get(*name).is_some_and(|known| known.upcaster.is_some());
        let upcasters: Vec<&String> = names.iter().filter(is_upcaster).collect();
        upcasters.into_iter().for_each(|upcaster| self.rebuild_fed(upcaster));
        Ok(())
    }

    fn resume_component(&mut self, name: &str) -> Result<(), Error> {
        let Some(component) = self.components.get(name).cloned() else { return Ok(()) };
        let in_state = |is: &dyn Fn(State) -> bool| component.in_state(is).cloned();
        if component.removed {
            // Only what was deployed since.
            return in_state(&State::is_candidate)
                .map_or(Ok(()), |record| self.resume_candidate(name, &component, &record));
        }
        if let Some(record) = in_state(&|state| state == State::Live) {
            match self.resume_live(&component, &record) {
                Ok(Resumed::Serving(serving)) => self.run_as(name, |component| component.live = Some(serving)),
                Ok(Resumed::InForce(upcaster)) => self.run_as(name, |component| component.upcaster = Some(upcaster)),
                Err(error) => tracing::error!(component = name, %error, "its release cannot go on serving"),
            }
        }
        // A process manager goes back by being built again.
        let is_process = self.components.get(name).is_some_and(Component::is_process);
        for record in component.kept_warm().filter(|_| !is_process) {
            match self.resume_serving(&component, record, Durability::Serving) {
                Ok(serving) => {
                    self.run_as(name, |component| component.warm.push(Arc::clone(&serving)));
                    if record.state == State::Returning {
                        self.watch(name, &serving);
                    }
                }
                Err(error) => tracing::warn!(component = name, %error, "the release before cannot follow on"),
            }
        }
        self.retire_later(name);
        match in_state(&State::is_candidate) {
            Some(record) => self.resume_candidate(name, &component, &record),
            None => Ok(()),
        }
    }

    /// Goes on with a build where it was, or from the beginning where what it wrote may be torn.
    fn resume_candidate(&mut self, name: &str, component: &Component, record: &Record) -> Result<(), Error> {
        let release = record.release;
        let durability = match record.state {
            State::Verifying | State::Held => Durability::Serving,
            State::Building if record.boot == self.boot => Durability::Building,
            State::Building => {
                let reason =
                    "the machine was started anew: what was not on the disk yet may be lost, so it is built again";
                self.happen(name, &[Happening::new(release, Event::Lost, reason)])?;
                self.check(name, release, Duration::ZERO);
                return Ok(());
            }
            _ => {
                self.check(name, release, Duration::ZERO);
                return Ok(());
            }
        };
        match self.resume_serving(component, record, durability) {
            Ok(serving) => {
                let checkpoint = serving.store.progress().applied;
                tracing::info!(component = name, release, checkpoint, "the build goes on");
                self.run_candidate(name, serving);
                Ok(())
            }
            Err(error) => {
                let broke = Happening::new(release, Event::Broke, error.to_string()).with_code(error.code());
                self.happen(name, &[broke])
            }
        }
    }

    fn resume_live(&self, component: &Component, record: &Record) -> Result<Resumed, RejectError> {
        let checked = self.parts.load(&component.name, record)?;
        match checked.component {
            Loaded::Upcaster(upcaster) => Ok(Resumed::InForce(Arc::new(InForce { release: record.release, upcaster }))),
            Loaded::Plugin(plugin) => {
                self.resume_plugin(component, record, plugin, Durability::Serving).map(Resumed::Serving)
            }
        }
    }

    fn resume_serving(
        &self,
        component: &Component,
        record: &Record,
        durability: Durability,
    ) -> Result<Arc<Serving>, RejectError> {
        let plugin = self.parts.load(&component.name, record)?.projection()?;
        self.resume_plugin(component, record, plugin, durability)
    }

    fn resume_plugin(
        &self,
        component: &Component,
        record: &Record,
        plugin: Plugin,
        durability: Durability,
    ) -> Result<Arc<Serving>, RejectError> {
        let name = &component.name;
        let paused = match component.paused {
            Paused::Nothing => false,
            Paused::Builds => record.state.is_candidate(),
            Paused::Everything => true,
        };
        // What is warm or held never goes ahead of what serves, from its first turn on.
        let live = self.components.get(name).and_then(|component| component.live.as_ref());
        let follows = matches!(record.state, State::Held | State::Warm | State::Returning);
        let behind = live.filter(|_| follows);
        let behind = behind.map(|live| live.store.watch_progress());
        let store = self.parts.store_of(name, record.release);
        let acting = component.acting(record, &plugin);
        let serving = self.parts.start(&store, record, plugin, Manner { durability, acting, paused, behind })?;
        if record.state == State::Live && component.paused != Paused::Everything {
            serving.act(&self.parts);
        }
        Ok(Arc::new(serving))
    }

    /// Starts the release that is kept of a component that was removed.
    pub(super) fn revive(&mut self, name: &str, release: u64) -> Result<(), Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?.clone();
        let record = component.release(release).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let leaving = (name.to_owned(), release);
        if let Some(serving) = self.leaving.get(&leaving) {
            // Two that write one store would undo each other's work.
            if !serving.running.stop_until(Instant::now() + self.parts.config.cutover) {
                return Err(Error::Unfit(format!(
                    "release {release} of `{name}` still ends its last batch: try again"
                )));
            }
            self.leaving.remove(&leaving);
        }
        let serving = self
            .resume_serving(&component, record, Durability::Serving)
            .map_err(|error| Error::Unfit(format!("release {release} of `{name}` cannot come back: {error}")))?;
        self.run_as(name, |component| component.warm.push(serving));
        Ok(())
    }

    /// Lets the release that is kept follow on, where a removed component serves again by another one.
    pub(super) fn revive_warm(&mut self, name: &str) {
        let is_wanted = |component: &&Component| component.warm.is_empty() && !component.is_process();
        let Some(component) = self.components.get(name).filter(is_wanted) else { return };
        if let Some(release) = component.in_state(|state| state == State::Warm).map(|record| record.release)
            && let Err(error) = self.revive(name, release)
        {
            tracing::warn!(component = name, %error, "the release before cannot follow on");
        }
    }

    /// Lets what serves, or follows it, go on from its checkpoint where it halted: what was wrong with the machine may be mended.
    pub(super) fn restart_halted(&mut self, name: &str) {
        let Some(component) = self.components.get(name).cloned() else { return };
        let restarted = |serving: &Arc<Serving>, behind| {
            let Running::Halted(_) = serving.running.state() else { return None };
            let Serving { release, plugin, terms, store, .. } = &**serving;
            let running = self.parts.projector.start(plugin, terms, store, Durability::Serving, false, behind);
            let running = running
                .inspect_err(|error| tracing::error!(component = name, release, %error, "it cannot go on"))
                .ok()?;
            let (plugin, terms, store) = (plugin.clone(), terms.clone(), store.clone());
            let next = Serving::new(*release, plugin, terms, store, running);
            let acted = serving.actor().take().is_some();
            if acted {
                next.act(&self.parts);
            }
            Some(Arc::new(next))
        };
        let behind = component.live.as_ref().map(|live| live.store.watch_progress());
        let live = component.live.as_ref().map(|live| restarted(live, None).unwrap_or_else(|| Arc::clone(live)));
        let warm = component.warm.iter();
        let warm = warm.map(|warm| restarted(warm, behind.clone()).unwrap_or_else(|| Arc::clone(warm))).collect();
        self.run_as(name, |component| (component.live, component.warm) = (live, warm));
    }

    /// Shows what was started.
    fn run_as(&mut self, name: &str, set: impl FnOnce(&mut Component)) {
        let Some(component) = self.components.get(name) else { return };
        let mut component = component.clone();
        set(&mut component);
        self.show(component);
    }

    /// Removes what an earlier run left and no release needs.
    fn sweep(&self) {
        let needed = |name: &str, release: u64| {
            let record = self.components.get(name).and_then(|component| component.release(release));
            record.is_some_and(|record| record.state.is_needed()) || self.feeds_any(name, release)
        };
        if let Err(error) = self.parts.sweep(needed) {
            tracing::warn!(%error, "what no release needs could not be removed from the stores' folder");
        }
        let digests: Vec<&str> = self
            .components
            .values()
            .flat_map(|component| &component.releases)
            .filter(|record| record.state.is_needed())
            .flat_map(|record| {
                let upcasters = record.upcasters.iter().map(|feeds| feeds.digest.as_str());
                std::iter::once(record.digest.as_str()).chain(upcasters)
            })
            .collect();
        if let Err(error) = self.parts.engine.sweep_cache(&digests) {
            tracing::warn!(%error, "compiled code that nobody needs could not be removed");
        }
    }
}
