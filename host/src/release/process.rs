//! What is special about releases of process managers: from where on what one decides is its own to do.
//!
//! Up to the position C of its cutover, what follows from events was the former release's to do; behind it, it is the new one's. C is
//! recorded with the step by which a release comes to serve, in the same transaction: there is no moment at which both act, or neither will.

use super::Error;
use super::component::RejectError;
use super::control::Record;
use super::machine::State;
use super::releases::Component;
use super::serving::Serving;
use super::steward::{Happening, Steward};
use crate::failpoint;
use crate::plugin::Plugin;
use crate::plugin::manifest::Beginning;
use crate::process::{Acting, Actor, Status, clockwork};
use crate::store;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The figure of the step by which a process manager comes to serve: the position behind which it acts.
pub const ACTS_BEHIND: &str = "acts_behind";

impl Record {
    /// The position behind which it does what it decides; `None` where it never served, or is no process manager.
    #[must_use]
    pub fn acts_behind(&self) -> Option<u64> {
        let mut live = self.steps.iter().rev().filter(|step| step.state == State::Live);
        live.find_map(|step| step.figures.get(ACTS_BEHIND)?.as_u64())
    }
}

impl Component {
    /// To what of the history a release reacts that is to be the first one; `None` where one served before, or it is no process manager.
    ///
    /// # Errors
    /// Nobody says.
    pub(super) fn beginning(&self, record: &Record, plugin: &Plugin) -> Result<Option<Beginning>, RejectError> {
        let Some(process) = &plugin.manifest().process else { return Ok(None) };
        if self.in_state(|state| state == State::Live).is_some() {
            return Ok(None);
        }
        match record.begins.or(process.begins) {
            Some(begins) => Ok(Some(begins)),
            None => Err(RejectError::NoBeginning(self.name.clone())),
        }
    }

    /// From where on a release that is started keeps what is to be done.
    pub(super) fn acting(&self, record: &Record, plugin: &Plugin) -> Acting {
        if !plugin.is_process() {
            return Acting::never();
        }
        let behind = match record.state {
            State::Live => record.acts_behind(),
            state if state.is_candidate() => match self.in_state(|state| state == State::Live) {
                // It will act behind where that one stands at the cutover, which is here or farther: after a crash that one goes on from
                // what is written. Or behind where that one began, where it cannot be started any more: what it has done, is done.
                Some(live) => match &self.live {
                    Some(serving) => Some(serving.done().min(serving.store.progress().written)),
                    None => live.acts_behind(),
                },
                None => match self.beginning(record, plugin) {
                    Ok(Some(Beginning::Start)) => Some(0),
                    _ => None,
                },
            },
            _ => None,
        };
        behind.map_or_else(Acting::never, Acting::behind)
    }
}

impl Serving {
    /// Does what it decides, from now on; a projection does nothing.
    pub(super) fn act(&self, parts: &super::serving::Parts) {
        let mut actor = self.actor();
        if self.plugin.is_process() && actor.is_none() {
            let name = &self.plugin.manifest().name;
            *actor = Some(parts.means.act(name, &self.terms.module, &self.store, &self.terms.acting));
        }
    }

    /// Waits until it has done what it decided up to a position; answers whether it has in time. Blocks.
    pub(super) fn has_done(&self, position: u64, patience: Duration, runtime: &Handle) -> bool {
        let done = self.actor().as_ref().map(Actor::watch_done);
        match done {
            // One that rests has to act again first: what is left would be done by nobody.
            None => !self.plugin.is_process(),
            Some(mut done) => {
                let reaches = done.wait_for(|done| *done >= position);
                runtime.block_on(async { timeout(patience, reaches).await.is_ok_and(|reached| reached.is_ok()) })
            }
        }
    }

    /// Up to this position everything is done that it decided, where it is a process manager that serves.
    #[must_use]
    pub fn done(&self) -> u64 {
        let done = self.actor().as_ref().map_or(0, |actor| *actor.watch_done().borrow());
        done.max(self.terms.acting.position())
    }

    /// Whether its effects are done, and whether its timers fire. Where it has halted, what it decided is done, and no timer fires.
    #[must_use]
    pub fn acts(&self) -> (Status, Status) {
        let actor = self.actor();
        let timers = actor.as_ref().filter(|_| self.running.state().is_folding()).map(Actor::timers);
        (actor.as_ref().map_or(Status::Resting, Actor::effects), timers.unwrap_or(Status::Resting))
    }

    /// Does nothing more. What is left to be done stays in its store.
    pub(super) fn rest(&self) {
        self.actor().take();
    }
}

impl Steward {
    /// Has a release take over what is to be done: adds to the step by which it comes to serve from where on it acts, and has its timers
    /// wait for a yes that were due before, and not to `blue`, which stands at `position`. A projection takes over nothing. `None` where
    /// it does not come to rest in time: then nothing has happened.
    pub(super) fn take_over(
        &self,
        component: &Component,
        green: &Serving,
        blue: Option<(&Serving, u64)>,
        patience: Duration,
        cut_over: Happening,
    ) -> Result<Option<Happening>, store::Error> {
        if !green.plugin.is_process() {
            return Ok(Some(cut_over));
        }
        let Some(_held) = green.running.hold(patience) else { return Ok(None) };
        let record = component.release(green.release);
        let begins = record.and_then(|record| component.beginning(record, &green.plugin).ok()).flatten();
        let before = component.in_state(|state| state == State::Live).and_then(Record::acts_behind);
        let behind = match (blue, begins, before) {
            (Some((_, position)), ..) => position,
            (None, Some(Beginning::Start), _) => 0,
            // One is recorded as the one that serves, and could not be started.
            (None, None, Some(before)) => before,
            (None, ..) => green.store.progress().applied,
        };
        if !matches!((blue, begins), (None, Some(Beginning::Start))) {
            let now_us = self.parts.means.clock.now_us();
            failpoint::pass("overdue-holds");
            let overdue = clockwork::hold_overdue(&green.store, blue.map(|(blue, _)| &blue.store), behind, now_us)?;
            failpoint::pass("overdue-held");
            if overdue > 0 {
                tracing::warn!(
                    component = component.name,
                    release = green.release,
                    overdue,
                    "timers that were due before it served wait for a yes"
                );
            }
        }
        if blue.is_none() {
            // A first one keeps what follows from here on. Any other keeps it already, and must not forget what it keeps of before until
            // the step is recorded: after a crash the former one goes on.
            green.terms.acting.move_to(behind);
        }
        Ok(Some(cut_over.with_figure(ACTS_BEHIND, behind)))
    }

    /// Lets the timers of the process manager that serves fire that wait for a yes.
    pub(super) fn let_fire(&self, name: &str) -> Result<Fired, Error> {
        let (live, _) = self.live(name)?;
        if !live.plugin.is_process() {
            return Err(Error::Unfit(format!("`{name}` is a projection: it has no timers")));
        }
        let Some(_held) = live.running.hold(self.parts.config.cutover) else {
            return Err(Error::Unfit(format!("`{name}` is busy with a batch that takes long. Try again")));
        };
        let timers = clockwork::let_fire(&live.store)?;
        tracing::info!(component = name, release = live.release, timers, "timers that were overdue may fire");
        // Whoever waits for the next one looks again.
        live.store.report(live.store.progress());
        Ok(Fired { release: live.release, timers })
    }
}

/// Timers that were let fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired {
    /// The release whose they are.
    pub release: u64,
    /// How many.
    pub timers: usize,
}
