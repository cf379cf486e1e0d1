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

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::bindings::process::exports::laterna::plugin::process::Guest as _;
    use crate::native::NewEvent;
    use crate::{Json, Key, ProcessManifest, json};
    use serde::{Deserialize, Serialize};

    struct Counter;

    #[derive(Deserialize)]
    enum Step {
        Added { to: Vec<String>, cents: i64 },
        Asked { to: Vec<String> },
        Closed { to: Vec<String> },
    }

    #[derive(Serialize)]
    enum Counted {
        Reached { cents: i64 },
    }

    #[derive(Default, Serialize, Deserialize)]
    struct Sum {
        cents: i64,
    }

    impl ProcessManager for Counter {
        type Event = Step;
        type State = Sum;

        fn manifest() -> ProcessManifest {
            ProcessManifest::new("counter", "1.0.0")
        }

        fn correlate(step: &Step, _: &Event<'_>) -> Vec<Key> {
            let (Step::Added { to, .. } | Step::Asked { to } | Step::Closed { to }) = step;
            to.iter().map(Key::starts).collect()
        }

        fn react(sum: &mut Sum, turn: &Turn<'_, Step>) -> Result<Vec<Action>> {
            match turn.event() {
                Some(Step::Added { cents, .. }) if *cents < 0 => Err(Error::new("less than nothing")),
                Some(Step::Added { cents, .. }) => {
                    sum.cents += cents;
                    Ok(vec![Action::append("sums", &Counted::Reached { cents: sum.cents })])
                }
                Some(Step::Closed { .. }) => Ok(vec![Action::End]),
                Some(Step::Asked { .. }) | None => Ok(vec![]),
            }
        }
    }

    fn event(event_type: &str, data: Json) -> NewEvent {
        NewEvent::new("steps", event_type, data)
    }

    fn batch(events: &[NewEvent]) -> wit::Batch {
        let mut batch = wit::Batch { heads: Vec::new(), bytes: Vec::new() };
        for (position, event) in (1..).zip(events) {
            batch.heads.extend(event.write(position, 0, &mut batch.bytes));
        }
        batch
    }

    fn instance(key: &str, state: Option<&str>) -> wit::Instance {
        wit::Instance { key: key.into(), state: state.map(str::to_owned) }
    }

    /// The outcome of each turn that needs a reaction.
    fn outcomes(reactions: &[wit::Reaction]) -> Vec<(u32, String)> {
        let outcome = |outcome: &wit::Outcome| match outcome {
            wit::Outcome::Unchanged => "unchanged".to_owned(),
            wit::Outcome::Became(state) => state.clone(),
            wit::Outcome::Ended => "ended".to_owned(),
        };
        reactions.iter().map(|reaction| (reaction.turn, outcome(&reaction.outcome))).collect()
    }

    #[test]
    fn the_state_after_one_turn_is_that_before_the_next() {
        // given: two instances, one of which begins
        let events = [
            event("Added", json!({ "to": ["ann", "bob"], "cents": 5 })),
            event("Asked", json!({ "to": ["ann"] })),
            event("Added", json!({ "to": ["ann"], "cents": 0 })),
            event("Closed", json!({ "to": ["ann"] })),
            event("Added", json!({ "to": ["ann"], "cents": 7 })),
        ];
        let turns = [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (4, 0)];
        // when
        let reactions = ExportedProcessManager::<Counter>::react(
            batch(&events),
            vec![instance("ann", Some(r#"{"cents":1}"#)), instance("bob", None)],
            turns.map(|(event, instance)| wit::Turn { event, instance }).to_vec(),
        );
        // then: who is asked does nothing, a state that stays is not told again, and who ended begins anew
        let expected =
            [(0, r#"{"cents":6}"#), (1, r#"{"cents":5}"#), (3, "unchanged"), (4, "ended"), (5, r#"{"cents":7}"#)];
        let reactions = reactions.expect("they react");
        assert_eq!(outcomes(&reactions), expected.map(|(turn, outcome)| (turn, outcome.to_owned())));
        assert_eq!(reactions.iter().map(|reaction| reaction.actions.len()).collect::<Vec<_>>(), [1, 1, 1, 0, 1]);
    }

    #[test]
    fn an_instance_that_begins_is_there_even_if_it_knows_nothing() {
        let reactions = ExportedProcessManager::<Counter>::react(
            batch(&[event("Asked", json!({ "to": ["ann"] }))]),
            vec![instance("ann", None)],
            vec![wit::Turn { event: 0, instance: 0 }],
        );
        assert_eq!(outcomes(&reactions.expect("it reacts")), [(0, r#"{"cents":0}"#.to_owned())]);
    }

    #[test]
    fn keys_come_in_the_order_of_the_events_and_timers_have_none() {
        let events = [
            event("Asked", json!({ "to": ["bob", "ann"] })),
            event(FIRED, json!({ "instance": "ann" })),
            event("Asked", json!({ "to": ["cat"] })),
        ];
        let keys = ExportedProcessManager::<Counter>::correlate(batch(&events)).expect("they have keys");
        let keys: Vec<(u32, &str, bool)> = keys.iter().map(|key| (key.event, key.name.as_str(), key.starts)).collect();
        assert_eq!(keys, [(0, "bob", true), (0, "ann", true), (2, "cat", true)]);
    }

    #[test]
    fn what_cannot_be_reacted_to_is_told_with_its_position() {
        let events = [event("Asked", json!({ "to": [] })), event("Added", json!({ "to": ["ann"], "cents": -1 }))];
        let turn = wit::Turn { event: 1, instance: 0 };
        let told = |state| {
            let failed =
                ExportedProcessManager::<Counter>::react(batch(&events), vec![instance("ann", state)], vec![turn]);
            failed.map(drop).map_err(|failure| (failure.position, failure.message))
        };
        assert_eq!(told(None), Err((Some(2), "less than nothing".to_owned())));
        let (position, message) = told(Some("5")).expect_err("that is no state");
        assert_eq!(position, Some(2));
        assert!(message.starts_with("the state of the instance `ann` is not as expected: "), "{message}");
    }
}
