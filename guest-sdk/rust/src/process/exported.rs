//! Carries a [`ProcessManager`] over to the contract.

use super::turn::{FIRED, REFUSED};
use super::{Action, Happened, ProcessManager, Turn};
use crate::bindings::process::exports::laterna::plugin::process as wit;
use crate::head::Head;
use crate::{Error, Event, Result};
use std::collections::BTreeMap;

/// Carries a [`ProcessManager`] over to the contract.
#[doc(hidden)]
pub struct ExportedProcessManager<P>(std::marker::PhantomData<P>);

impl<P: ProcessManager> wit::Guest for ExportedProcessManager<P> {
    fn describe() -> wit::Manifest {
        P::manifest().into_wit()
    }

    fn correlate(batch: wit::Batch) -> Result<Vec<wit::Key>, wit::Failure> {
        let heads: &[Head] = batch.heads.as_chunks().0;
        let mut keys = Vec::with_capacity(heads.len());
        for (place, head) in (0..).zip(heads) {
            let raw = Event::new(head, &batch.bytes);
            if [FIRED, REFUSED].contains(&raw.event_type()) {
                continue;
            }
            let event = raw.decode().map_err(|error| failure(Some(&raw), error))?;
            keys.extend(P::correlate(&event, &raw).into_iter().map(|key| key.into_wit(place)));
        }
        Ok(keys)
    }

    fn react(
        batch: wit::Batch,
        instances: Vec<wit::Instance>,
        turns: Vec<wit::Turn>,
    ) -> Result<Vec<wit::Reaction>, wit::Failure> {
        let heads: &[Head] = batch.heads.as_chunks().0;
        let mut instances: Vec<Instance<P>> = instances.into_iter().map(Instance::new).collect();
        // The turns of an event come one after the other: it is read once for all of them.
        let mut read: Option<(u32, Happened<P::Event>)> = None;
        let mut reactions = Vec::new();
        for (place, turn) in (0..).zip(turns) {
            let (Some(head), Some(instance)) =
                (heads.get(turn.event as usize), instances.get_mut(turn.instance as usize))
            else {
                return Err(failure(None, Error::new("the host speaks of an event or an instance that is not there")));
            };
            let raw = Event::new(head, &batch.bytes);
            let failed = |error| failure(Some(&raw), error);
            let happened = match &mut read {
                Some((event, happened)) if *event == turn.event => happened,
                other => &mut other.insert((turn.event, Happened::read(&raw).map_err(failed)?)).1,
            };
            let (outcome, done) = instance.turn(raw, happened).map_err(failed)?;
            let nothing = matches!(outcome, wit::Outcome::Unchanged) && done.is_nothing();
            if !nothing {
                reactions.push(done.into_reaction(place, outcome));
            }
        }
        Ok(reactions)
    }
}

fn failure(raw: Option<&Event<'_>>, error: Error) -> wit::Failure {
    wit::Failure { position: raw.map(Event::position), message: error.to_string() }
}

/// An instance across its turns.
struct Instance<P: ProcessManager> {
    key: String,
    /// As it crosses; none before its first turn, and once it has ended.
    json: Option<String>,
    /// The same, as the manager takes it; none until it is asked for.
    state: Option<P::State>,
}

impl<P: ProcessManager> Instance<P> {
    fn new(instance: wit::Instance) -> Self {
        Self { key: instance.key, json: instance.state, state: None }
    }

    fn turn(&mut self, raw: Event<'_>, happened: &Happened<P::Event>) -> Result<(wit::Outcome, Done)> {
        let mut state = match (self.state.take(), &self.json) {
            (Some(state), _) => state,
            (None, Some(json)) => serde_json::from_str(json).map_err(|error| self.unreadable(&error))?,
            (None, None) => P::State::default(),
        };
        let done = Done::of(P::react(&mut state, &Turn::new(&self.key, raw, happened))?)?;
        if done.ended {
            self.json = None;
            return Ok((wit::Outcome::Ended, done));
        }
        let json = serde_json::to_string(&state)?;
        self.state = Some(state);
        if self.json.as_ref() == Some(&json) {
            return Ok((wit::Outcome::Unchanged, done));
        }
        self.json = Some(json.clone());
        Ok((wit::Outcome::Became(json), done))
    }

    fn unreadable(&self, error: &serde_json::Error) -> Error {
        Error::new(format_args!("the state of the instance `{}` is not as expected: {error}", self.key))
    }
}

/// What an instance does in a turn.
#[derive(Default)]
struct Done {
    ended: bool,
    /// By which names it is found from now on, and by which no longer: the last word on a name counts.
    names: BTreeMap<String, bool>,
    actions: Vec<wit::Action>,
}

impl Done {
    fn of(actions: Vec<Action>) -> Result<Self> {
        let mut done = Self::default();
        for action in actions {
            match action {
                Action::Append(effect) => done.actions.push(wit::Action::Append(effect.into_wit()?)),
                Action::Schedule(timer) => done.actions.push(wit::Action::Schedule(timer.into_wit()?)),
                Action::Cancel(timer) => done.actions.push(wit::Action::Cancel(timer)),
                Action::Associate(name) => drop(done.names.insert(name, true)),
                Action::Dissociate(name) => drop(done.names.insert(name, false)),
                Action::End => done.ended = true,
            }
        }
        Ok(done)
    }

    fn is_nothing(&self) -> bool {
        self.names.is_empty() && self.actions.is_empty()
    }

    fn into_reaction(self, turn: u32, outcome: wit::Outcome) -> wit::Reaction {
        let (associate, dissociate): (Vec<_>, Vec<_>) = self.names.into_iter().partition(|(_, found)| *found);
        let names = |named: Vec<(String, bool)>| named.into_iter().map(|(name, _)| name).collect();
        wit::Reaction {
            turn,
            outcome,
            associate: names(associate),
            dissociate: names(dissociate),
            actions: self.actions,
        }
    }
}
