//! A batch of events, turned into decisions.
//!
//! Which instances an event concerns may hang on what earlier events of its batch made of them. So a whole run of events is asked about
//! at once, each for the instances that it would find as things stand; then what came of it is taken over event by event, for as long as
//! each finds those that were asked. From the first on that finds others it is asked again. So what comes of a batch is what would come of
//! its events one by one, and yet most batches take two calls. Where events find others again and again, fewer are asked at once.

use super::acting::Acting;
use super::decision::{Action, earliest_after, with_ordinals};
use super::facts::{EFFECT_REFUSED, Refused, TIMER_FIRED, TimerFired};
use super::ids;
use super::ledger::{self, Ledger, Moment};
use super::streams;
use crate::plugin::process::{self as wit, Instance, Key, Outcome, Reaction, Turn};
use crate::plugin::{Batch, CallError, Envelope, Plugin, Verdict, rfc3339};
use crate::store::Session;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The code of a refusal that ends a chain of effects: what follows from it is not done any more.
pub const TOO_DEEP: &str = "causation-too-deep";

/// Bytes of states, beyond which no further event is asked about in the same call.
const CALL_BYTES: usize = 8 << 20;

/// Turns, beyond which no further event is asked about in the same call.
const CALL_TURNS: usize = 20_000;

/// Lets a process manager react to events.
pub struct Reactor {
    plugin: Plugin,
    /// The category of the streams in which it is told something.
    streams: String,
    produces: BTreeSet<String>,
    acting: Acting,
}

/// What an event means for a process manager.
enum Meaning {
    /// It concerns the instances that are found by these keys.
    Keys(Range<usize>),
    /// A timer of an instance fired.
    Timer(Box<TimerFired>),
    /// An effect of an instance was refused.
    Refused(Refused),
    /// Nothing: Laterna told it to somebody else, or in words that nobody understands.
    Nothing,
}

/// A batch, with what each event means.
struct Read<'b> {
    batch: &'b Batch,
    keys: Vec<Key>,
    meanings: Vec<Meaning>,
}

/// An event, and the instances that are to react to it.
type Planned = (usize, BTreeSet<String>);

impl Reactor {
    /// For this component, if it is a process manager, on its store.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn open(plugin: &Plugin, acting: &Acting, session: &mut Session) -> Result<Option<Self>, crate::store::Error> {
        let manifest = plugin.manifest();
        let Some(process) = &manifest.process else { return Ok(None) };
        ledger::prepare(session.by_hand())?;
        Ok(Some(Self {
            plugin: plugin.clone(),
            streams: streams::of(&manifest.name),
            produces: process.produces.iter().map(|product| product.event_type.clone()).collect(),
            acting: acting.clone(),
        }))
    }

    /// Lets the instances react to a batch, within the transaction that is open.
    ///
    /// # Errors
    /// What the component or the machine did wrong. The caller must roll back what was done.
    pub fn react(&self, batch: &Batch, session: &mut Session) -> Result<(), CallError> {
        let read = self.read(batch)?;
        let mut ledger = Ledger::new(session.by_hand());
        let (mut next, mut most) = (0, batch.len());
        while next < batch.len() {
            let plan = self.plan(&read, next..batch.len().min(next + most), &mut ledger)?;
            let behind = self.carry_out(&read, plan, &mut ledger)?;
            // Whoever is asked in vain is asked once more: so no more are asked at once than twice those that were taken over.
            most = 2 * (behind - next);
            next = behind;
            if ledger.is_large() {
                ledger = ledger.write(self.acting.position()).map_err(machine)?;
            }
        }
        ledger.write(self.acting.position()).map(drop).map_err(machine)
    }

    /// Finds out what each event means.
    fn read<'b>(&self, batch: &'b Batch) -> Result<Read<'b>, CallError> {
        let mut meanings = Vec::with_capacity(batch.len());
        let mut others = Batch::default();
        let mut places = Vec::new();
        for (place, event) in batch.iter().enumerate() {
            meanings.push(match self.told(&event) {
                Some(meaning) => meaning,
                None => {
                    others.push(&event);
                    places.push(place);
                    Meaning::Keys(0..0)
                }
            });
        }
        let keys = if others.is_empty() { Vec::new() } else { self.plugin.correlate(&others)? };
        let mut begins = 0;
        for (index, place) in places.into_iter().enumerate() {
            let ends = begins + keys[begins..].iter().take_while(|key| key.event as usize == index).count();
            for Key { name, .. } in &keys[begins..ends] {
                if !ids::is_key(name) {
                    let limit = ids::KEY_BYTES;
                    let name = name.escape_debug();
                    let message =
                        format!("its key `{name}` is none: a key has 1 to {limit} bytes, without control characters");
                    return Err(Verdict::Failed { position: batch.position(place), message }.into());
                }
            }
            meanings[place] = Meaning::Keys(begins..ends);
            begins = ends;
        }
        if begins < keys.len() {
            return Err(forbidden("its keys do not come in the order of the events"));
        }
        Ok(Read { batch, keys, meanings })
    }

    /// What Laterna itself tells a process manager; `None` for any other event.
    fn told(&self, event: &Envelope<'_>) -> Option<Meaning> {
        if !ids::is_reserved(event.stream) {
            return None;
        }
        // What is internal comes from inside its module alone.
        if !event.internal || !streams::is_in(&self.streams, event.stream) {
            return Some(Meaning::Nothing);
        }
        let meaning = match event.event_type {
            TIMER_FIRED => serde_json::from_slice(event.data).ok().map(|fired| Meaning::Timer(Box::new(fired))),
            EFFECT_REFUSED => serde_json::from_slice(event.data).ok().map(Meaning::Refused),
            _ => None,
        };
        Some(meaning.unwrap_or(Meaning::Nothing))
    }

    /// Plans events, each with the instances that it finds as things stand: as many as one call takes.
    fn plan(&self, read: &Read<'_>, places: Range<usize>, ledger: &mut Ledger<'_>) -> Result<Vec<Planned>, CallError> {
        let mut plan = Vec::new();
        let (mut turns, mut bytes) = (0, 0);
        for place in places {
            let instances = self.reached(read, place, ledger)?;
            turns += instances.len();
            for instance in &instances {
                bytes += ledger.instance(instance).map_err(machine)?.map_or(0, |instance| instance.state.len());
            }
            plan.push((place, instances));
            if turns >= CALL_TURNS || bytes >= CALL_BYTES {
                break;
            }
        }
        Ok(plan)
    }

    /// Lets planned instances react, and takes over what they did for as long as events find those that were asked; answers the place of
    /// the first event that is to be planned again.
    fn carry_out(&self, read: &Read<'_>, plan: Vec<Planned>, ledger: &mut Ledger<'_>) -> Result<usize, CallError> {
        let mut reactions = self.ask(read, &plan, ledger)?.into_iter().peekable();
        let (first, behind) =
            (plan.first().map_or(0, |(place, _)| *place), plan.last().map_or(0, |(place, _)| place + 1));
        let mut turn = 0_u32;
        for (place, instances) in plan {
            // The first one finds those that it found a moment ago.
            if place > first && self.reached(read, place, ledger)? != instances {
                return Ok(place);
            }
            let Some(event) = read.batch.get(place) else { continue };
            let is_cut = match &read.meanings[place] {
                Meaning::Timer(fired) if !instances.is_empty() => {
                    ledger.fire(&fired.instance, &fired.timer, fired.missed).map_err(machine)?;
                    false
                }
                Meaning::Refused(refused) => refused.code == TOO_DEEP,
                _ => false,
            };
            for instance in instances {
                if let Some(reaction) = reactions.next_if(|reaction| reaction.turn == turn) {
                    self.take_over(&event, &instance, reaction, is_cut, ledger)
                        .map_err(|error| at(event.position, error))?;
                }
                turn += 1;
            }
        }
        match reactions.next() {
            Some(_) => Err(forbidden("its reactions do not come in the order of the turns, or there are two to one")),
            None => Ok(behind),
        }
    }

    /// The instances that an event concerns as things stand, in the order of their keys.
    fn reached(&self, read: &Read<'_>, place: usize, ledger: &mut Ledger<'_>) -> Result<BTreeSet<String>, CallError> {
        let limit = self.plugin.limits().reach;
        let reached = read.reached(place, ledger, limit).map_err(machine)?;
        if reached.len() > limit {
            let message = format!("it concerns more than {limit} instances: `reach` says how many it may");
            return Err(Verdict::Failed { position: read.batch.position(place), message }.into());
        }
        Ok(reached)
    }

    /// Asks the component what the planned instances do.
    fn ask(&self, read: &Read<'_>, plan: &[Planned], ledger: &mut Ledger<'_>) -> Result<Vec<Reaction>, CallError> {
        let mut events = Batch::default();
        let mut instances: Vec<Instance> = Vec::new();
        let mut turns = Vec::new();
        let mut known = BTreeMap::new();
        for (place, reached) in plan.iter().filter(|(_, reached)| !reached.is_empty()) {
            // A batch has far fewer than 2^32 events.
            let event = events.len() as u32;
            events.push_from(read.batch, *place);
            for key in reached {
                let instance = match known.get(key) {
                    Some(instance) => *instance,
                    None => {
                        let state = ledger.instance(key).map_err(machine)?.map(ledger::Instance::state);
                        instances.push(Instance { key: key.clone(), state });
                        let instance = instances.len() as u32 - 1;
                        known.insert(key, instance);
                        instance
                    }
                };
                turns.push(Turn { event, instance });
            }
        }
        if turns.is_empty() { Ok(Vec::new()) } else { self.plugin.react(&events, &instances, &turns) }
    }

    /// Takes over what an instance did about an event.
    fn take_over(
        &self,
        event: &Envelope<'_>,
        instance: &str,
        reaction: Reaction,
        is_cut: bool,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), CallError> {
        let Reaction { outcome, associate, dissociate, actions, .. } = reaction;
        let at = Moment { position: event.position, recorded_at_us: event.recorded_at_us };
        let outcome = match outcome {
            Outcome::Unchanged if ledger.instance(instance).map_err(machine)?.is_none() => {
                let sets = |action: &wit::Action| matches!(action, wit::Action::Schedule(_));
                if !associate.is_empty() || actions.iter().any(sets) {
                    return Err(forbidden(
                        "it associates names with an instance, or sets a timer of it, that has no state",
                    ));
                }
                "unchanged"
            }
            Outcome::Unchanged => "unchanged",
            Outcome::Became(state) if state.len() > self.plugin.limits().answer_bytes => {
                let limit = self.plugin.limits().answer_bytes;
                return Err(forbidden(&format!(
                    "the state of an instance has {} bytes; {limit} are allowed",
                    state.len()
                )));
            }
            Outcome::Became(state) => {
                if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&state) {
                    return Err(forbidden(&format!("the state of an instance is not JSON: {error}")));
                }
                ledger.keep(instance, state, at).map_err(machine)?;
                "became"
            }
            Outcome::Ended => "ended",
        };
        let is_told = ids::is_reserved(event.stream);
        let earliest_us = if is_told { earliest_after(event.recorded_at_us) } else { i64::MIN };
        let actions = actions
            .into_iter()
            .map(|action| Action::check(action, (event.recorded_at_us, earliest_us), &self.produces))
            .collect::<Result<Vec<_>, _>>()?;
        let is_to_do = !is_cut && event.position > self.acting.position();
        for (ordinal, action) in with_ordinals(&actions) {
            match action {
                Action::Append(_) => {
                    if let Some(ordinal) = ordinal.filter(|_| is_to_do) {
                        ledger.put_out(event.position, instance, ordinal);
                    }
                }
                Action::Schedule(deadline) => ledger.schedule(instance, deadline, event.position).map_err(machine)?,
                Action::Cancel { timer } => ledger.cancel(instance, timer).map_err(machine)?,
            }
        }
        let does_nothing =
            outcome == "unchanged" && actions.is_empty() && associate.is_empty() && dissociate.is_empty();
        if does_nothing {
            return Ok(());
        }
        for name in dissociate {
            ledger.dissociate(instance, &name).map_err(machine)?;
        }
        for name in associate {
            if !ids::is_key(&name) {
                return Err(forbidden(&format!("it cannot associate the name `{}`", name.escape_debug())));
            }
            ledger.associate(instance, &name).map_err(machine)?;
        }
        if outcome == "ended" {
            ledger.end(instance).map_err(machine)?;
        }
        let actions = serde_json::to_string(&actions).map_err(|error| CallError::Machine(error.to_string()))?;
        ledger.decide(instance, event.position, outcome, actions);
        Ok(())
    }
}

impl Read<'_> {
    /// The instances that an event concerns as things stand; of more than `limit` at least one more.
    fn reached(
        &self,
        place: usize,
        ledger: &mut Ledger<'_>,
        limit: usize,
    ) -> Result<BTreeSet<String>, rusqlite::Error> {
        let mut reached = BTreeSet::new();
        match &self.meanings[place] {
            Meaning::Keys(keys) => {
                for Key { name, starts, .. } in &self.keys[keys.clone()] {
                    let found = ledger.found(name, limit)?;
                    if found.is_empty() && *starts {
                        reached.insert(name.clone());
                    } else {
                        reached.extend(found);
                    }
                }
            }
            Meaning::Timer(fired) => {
                let timer = ledger.timer(&fired.instance, &fired.timer)?;
                if timer.is_some_and(|timer| timer.set_by == fired.set_by && rfc3339(timer.due_us) == fired.due_at) {
                    reached.insert(fired.instance.clone());
                }
            }
            Meaning::Refused(refused) => {
                if ledger.instance(&refused.instance)?.is_some() {
                    reached.insert(refused.instance.clone());
                }
            }
            Meaning::Nothing => {}
        }
        Ok(reached)
    }
}

/// A verdict that names no event names this one.
fn at(position: u64, error: CallError) -> CallError {
    match error {
        CallError::Verdict(Verdict::Forbidden(message)) => Verdict::Failed { position: Some(position), message }.into(),
        other => other,
    }
}

fn forbidden(what: &str) -> CallError {
    Verdict::Forbidden(what.to_owned()).into()
}

fn machine(error: rusqlite::Error) -> CallError {
    CallError::Machine(error.to_string())
}
