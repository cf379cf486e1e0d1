//! Calls of a process manager: which instances an event concerns, and what they do about it.

use super::batch::Batch;
use super::bindings::{ProcessManager, ProcessManagerPre, process};
use super::call::{Call, CallError, Verdict, in_a_line, run};
use super::component::{Folding, Plugin};
use super::engine::{Engine, Limits};
use wasmtime::Store;

pub use process::{Action, Due, Effect, Expectation, Instance, Key, Outcome, Reaction, Timer, Turn};

/// Asks a process manager what it is.
pub(super) fn describe(
    engine: &Engine,
    limits: &Limits,
    pre: &ProcessManagerPre<Call>,
) -> Result<process::Manifest, CallError> {
    let ask = |mut store: &mut Store<Call>| {
        let component = pre.instantiate(&mut store)?;
        component.laterna_plugin_process().call_describe(store)
    };
    run(engine, limits, None, ask).1
}

impl Plugin {
    /// It is a process manager.
    #[must_use]
    pub fn is_process(&self) -> bool {
        matches!(self.pre, Folding::Process(_))
    }

    /// The keys of each event of a batch, in the order of the events.
    ///
    /// # Errors
    /// What the component or the machine did wrong.
    pub fn correlate(&self, batch: &Batch) -> Result<Vec<Key>, CallError> {
        self.ask(|component, store| component.laterna_plugin_process().call_correlate(store, &batch.wit))
    }

    /// What these instances do in these turns. Turns that change nothing and do nothing are left out.
    ///
    /// # Errors
    /// What the component or the machine did wrong.
    pub fn react(&self, batch: &Batch, instances: &[Instance], turns: &[Turn]) -> Result<Vec<Reaction>, CallError> {
        self.ask(|component, store| component.laterna_plugin_process().call_react(store, &batch.wit, instances, turns))
    }

    fn ask<T>(
        &self,
        call: impl FnOnce(&ProcessManager, &mut Store<Call>) -> wasmtime::Result<Result<T, process::Failure>>,
    ) -> Result<T, CallError> {
        let Folding::Process(pre) = &self.pre else {
            return Err(CallError::Machine("a projection was called as if it were a process manager".to_owned()));
        };
        let ask = |mut store: &mut Store<Call>| {
            let component = pre.instantiate(&mut store)?;
            call(&component, store)
        };
        let answered = run(&self.engine, &self.limits, None, ask).1?;
        answered.map_err(|failure| {
            Verdict::Failed { position: failure.position, message: in_a_line(&failure.message) }.into()
        })
    }
}
