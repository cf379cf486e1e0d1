use super::NewEvent;
use super::new_event::FIRST_RECORDED_US;
use crate::bindings::process::exports::laterna::plugin::process::{
    self as wit, Action, Due, Expectation, Guest, Outcome, Selector,
};
use crate::dates::Timestamp;
use crate::event::category;
use crate::process::{ExportedProcessManager, FIRED, REFUSED};
use crate::{Error, Json, ProcessManager, Result, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::marker::PhantomData;
use std::time::Duration;

/// How often a process may react to its own effects and timers before it is taken for one that never rests.
const UNREST_MAX: usize = 10_000;

const SECOND_US: i64 = 1_000_000;

/// When an event was recorded, in microseconds since 1970, and before when no timer is due that is set about it: what follows from what the host
/// tells waits for a second, or a timer that sets itself anew would fire without end.
#[derive(Clone, Copy)]
struct When {
    recorded_at_us: i64,
    earliest_us: i64,
}

/// A process manager with a log and a clock of its own: events are given, time advances, and what it does is seen.
///
/// ```
/// use laterna_sdk::native::{NewEvent, Process};
/// use laterna_sdk::prelude::*;
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// struct Reminders;
///
/// #[derive(Deserialize)]
/// enum Shop {
///     OrderPlaced { order_id: String },
/// }
///
/// #[derive(Serialize)]
/// enum Reminding {
///     PaymentReminded {},
/// }
///
/// impl ProcessManager for Reminders {
///     type Event = Shop;
///     type State = ();
///
///     fn manifest() -> ProcessManifest {
///         ProcessManifest::new("reminders", "1.0.0")
///             .consume_type("OrderPlaced", "the payment is waited for")
///             .produce("PaymentReminded", "an hour went by without a payment")
///     }
///
///     fn correlate(Shop::OrderPlaced { order_id }: &Shop, _: &Event<'_>) -> Vec<Key> {
///         vec![Key::starts(order_id)]
///     }
///
///     fn react(_: &mut (), turn: &Turn<'_, Shop>) -> Result<Vec<Action>> {
///         Ok(match turn.happened() {
///             Happened::Event(_) => vec![Action::after("remind", Duration::from_hours(1))],
///             _ => vec![Action::append(format!("order-{}", turn.instance()), &Reminding::PaymentReminded {})],
///         })
///     }
/// }
///
/// let mut process = Process::<Reminders>::new();
/// process.give([NewEvent::new("order-7", "OrderPlaced", json!({ "order_id": "7" }))])?;
/// assert_eq!(process.timers("7")["remind"].to_string(), "2026-01-01T01:00:00Z");
/// assert!(process.effects().is_empty());
///
/// process.advance(Duration::from_hours(1))?;
/// assert_eq!(process.effects()[0].event_type, "PaymentReminded");
/// assert!(process.timers("7").is_empty());
/// # Ok::<(), laterna_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct Process<P> {
    manifest: wit::Manifest,
    /// What is in the log, and was not reacted to yet; each with its revision.
    unread: VecDeque<(NewEvent, u64)>,
    /// The position of the last event that was reacted to.
    position: u64,
    /// The next revision of each stream.
    revisions: BTreeMap<String, u64>,
    now_us: i64,
    /// The instances' states.
    instances: BTreeMap<String, String>,
    /// Names, each with an instance that is found by it.
    names: BTreeSet<(String, String)>,
    timers: BTreeMap<(String, String), Pending>,
    effects: Vec<Appended>,
    refusals: VecDeque<(String, String)>,
    manager: PhantomData<P>,
}

/// A timer that is not due yet.
#[derive(Debug)]
struct Pending {
    due_us: i64,
    every_us: Option<i64>,
    set_by: u64,
    occurrence: u64,
}

/// An effect that is in the log.
///
/// ```
/// use laterna_sdk::native::Appended;
///
/// fn is_refund(effect: &Appended) -> bool {
///     effect.event_type == "RefundRequested" && effect.data["cents"] == 990
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// The instance that appended it.
    pub instance: String,
    /// The position of the event that the instance reacted to.
    pub because_of: u64,
    /// Its stream.
    pub stream: String,
    /// Its type.
    pub event_type: String,
    /// Its data.
    pub data: Json,
}

impl<P: ProcessManager> Process<P> {
    /// One without instances. Its clock stands where 2026 begins.
    ///
    /// ```
    /// # use laterna_sdk::{native::Process, prelude::*};
    /// fn fresh<P: ProcessManager>() -> Process<P> {
    ///     Process::new()
    /// }
    /// ```
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            manifest: P::manifest().into_wit(),
            unread: VecDeque::new(),
            position: 0,
            revisions: BTreeMap::new(),
            now_us: FIRST_RECORDED_US,
            instances: BTreeMap::new(),
            names: BTreeSet::new(),
            timers: BTreeMap::new(),
            effects: Vec::new(),
            refusals: VecDeque::new(),
            manager: PhantomData,
        }
    }

    /// Appends events to the log, all at once, and lets the process react until it rests: to its own effects, too, if it consumes
    /// them. An event is recorded now, unless it says when it was; then time [advances](Self::advance) to that moment first.
    ///
    /// ```
    /// # use laterna_sdk::{native::{NewEvent, Process}, prelude::*};
    /// fn place<P: ProcessManager>(process: &mut Process<P>) -> Result<()> {
    ///     process.give([NewEvent::new("order-7", "OrderPlaced", json!({ "order_id": "7" }))])
    /// }
    /// ```
    ///
    /// # Errors
    /// It cannot react to one of them. It has halted before that one.
    pub fn give(&mut self, events: impl IntoIterator<Item = NewEvent>) -> Result<()> {
        let mut events = events.into_iter().peekable();
        if let Some(at_us) = events.peek().and_then(|event| event.recorded_at_us) {
            self.advance_to_us(at_us)?;
        }
        for event in events {
            self.now_us = event.recorded_at_us.map_or(self.now_us, |at_us| at_us.max(self.now_us));
            self.append(event);
        }
        self.settle()
    }

    /// Lets time pass. Timers fire when they are due, in the order of time.
    ///
    /// ```
    /// # use laterna_sdk::{native::Process, prelude::*};
    /// # use std::time::Duration;
    /// fn half_an_hour<P: ProcessManager>(process: &mut Process<P>) -> Result<()> {
    ///     process.advance(Duration::from_mins(30))
    /// }
    /// ```
    ///
    /// # Errors
    /// It cannot react to a timer.
    pub fn advance(&mut self, duration: Duration) -> Result<()> {
        self.advance_to_us(self.now_us.saturating_add(i64::try_from(duration.as_micros())?))
    }

    /// Lets the log refuse the next effect, with this code and reason.
    ///
    /// ```
    /// # use laterna_sdk::{native::Process, prelude::*};
    /// fn close_the_stream<P: ProcessManager>(process: &mut Process<P>) {
    ///     process.refuse_next("stream-closed", "the stream `order-7` is closed");
    /// }
    /// ```
    pub fn refuse_next(&mut self, code: &str, reason: &str) {
        self.refusals.push_back((code.into(), reason.into()));
    }

    /// What it has appended, in order.
    ///
    /// ```
    /// # use laterna_sdk::{native::Process, prelude::*};
    /// fn types<P: ProcessManager>(process: &Process<P>) -> Vec<&str> {
    ///     process.effects().iter().map(|effect| effect.event_type.as_str()).collect()
    /// }
    /// ```
    pub fn effects(&self) -> &[Appended] {
        &self.effects
    }

    /// What an instance knows, as JSON; none where there is no such instance.
    ///
    /// ```
    /// # use laterna_sdk::{native::Process, prelude::*};
    /// fn has_ended<P: ProcessManager>(process: &Process<P>, order: &str) -> bool {
    ///     process.state(order).is_none()
    /// }
    /// ```
    pub fn state(&self, instance: &str) -> Option<Json> {
        self.instances.get(instance).and_then(|state| serde_json::from_str(state).ok())
    }

    /// What its instances are called, in order.
    ///
    /// ```
    /// # use laterna_sdk::{native::Process, prelude::*};
    /// fn is_idle<P: ProcessManager>(process: &Process<P>) -> bool {
    ///     process.instances().next().is_none()
    /// }
    /// ```
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.instances.keys().map(String::as_str)
    }

    /// The timers of an instance that are not due yet, each with the moment when it will be.
    ///
    /// ```
    /// # use laterna_sdk::{native::Process, prelude::*};
    /// fn is_waiting<P: ProcessManager>(process: &Process<P>, order: &str) -> bool {
    ///     process.timers(order).contains_key("payment")
    /// }
    /// ```
    pub fn timers(&self, instance: &str) -> BTreeMap<&str, Timestamp> {
        let of_instance = self.timers.iter().filter(|((of, _), _)| of == instance);
        of_instance.map(|((_, name), timer)| (name.as_str(), moment(timer.due_us))).collect()
    }

    fn advance_to_us(&mut self, until_us: i64) -> Result<()> {
        while let Some(due_us) = self.timers.values().map(|timer| timer.due_us).min().filter(|due| *due <= until_us) {
            self.now_us = self.now_us.max(due_us);
            self.settle()?;
        }
        self.now_us = self.now_us.max(until_us);
        Ok(())
    }

    fn append(&mut self, event: NewEvent) {
        let next = self.revisions.entry(event.stream.clone()).or_default();
        self.unread.push_back((event.recorded_at_us(self.now_us), *next));
        *next += 1;
    }

    /// Reacts to what is in the log, then to timers that are due, until there is neither.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..UNREST_MAX.max(self.unread.len() * 2) {
            if let Some((event, revision)) = self.unread.front().cloned() {
                self.read(&event, revision)?;
                self.unread.pop_front();
                self.position += 1;
            } else if !self.fire() {
                return Ok(());
            }
        }
        Err(Error::new("the process never rests: it keeps reacting to its own effects and timers"))
    }

    /// Lets the timer fire that was due first. Answers whether there was one.
    fn fire(&mut self) -> bool {
        let due = self.timers.iter().filter(|(_, timer)| timer.due_us <= self.now_us);
        let Some((key, _)) = due.min_by_key(|(key, timer)| (timer.due_us, *key)) else { return false };
        let key = key.clone();
        let Some(timer) = self.timers.remove(&key) else { return false };
        let missed = timer.every_us.map_or(0, |every_us| (self.now_us - timer.due_us) / every_us.max(1));
        let (instance, name) = &key;
        let data = json!({
            "process": self.manifest.name,
            "instance": instance,
            "timer": name,
            "set_by": timer.set_by,
            "due_at": moment(timer.due_us).to_string(),
            "occurrence": timer.occurrence,
            "missed": missed,
        });
        self.append(NewEvent::new(&self.bookkeeping(instance), FIRED, data));
        if let Some(every_us) = timer.every_us {
            let due_us = timer.due_us + (missed + 1) * every_us;
            self.timers.insert(key, Pending { due_us, occurrence: timer.occurrence + 1, ..timer });
        }
        true
    }

    /// The stream of what the host tells an instance.
    fn bookkeeping(&self, instance: &str) -> String {
        format!("process:{}-{instance}", self.manifest.name.replace('-', "."))
    }

    fn read(&mut self, event: &NewEvent, revision: u64) -> Result<()> {
        let position = self.position + 1;
        let mut bytes = Vec::new();
        let heads = event.write(position, revision, &mut bytes).to_vec();
        let batch = || wit::Batch { heads: heads.clone(), bytes: bytes.clone() };
        let failed = |failure: wit::Failure| {
            Error::new(format_args!("it cannot react to the event at position {position}: {}", failure.message))
        };
        let is_told = [FIRED, REFUSED].contains(&event.event_type.as_str());
        let found = if is_told {
            let instance = event.data["instance"].as_str().unwrap_or_default();
            BTreeSet::from([instance])
                .into_iter()
                .filter(|key| self.instances.contains_key(*key))
                .map(str::to_owned)
                .collect()
        } else if self.consumes(event) {
            let keys = ExportedProcessManager::<P>::correlate(batch()).map_err(failed)?;
            keys.into_iter().flat_map(|key| self.find(key)).collect::<BTreeSet<String>>()
        } else {
            return Ok(());
        };
        let instances: Vec<wit::Instance> =
            found.into_iter().map(|key| wit::Instance { state: self.instances.get(&key).cloned(), key }).collect();
        let turns = (0..).zip(&instances).map(|(instance, _)| wit::Turn { event: 0, instance }).collect();
        let reactions = ExportedProcessManager::<P>::react(batch(), instances.clone(), turns).map_err(failed)?;
        let recorded_at_us = event.recorded_at_us.unwrap_or(self.now_us);
        let when = When { recorded_at_us, earliest_us: if is_told { recorded_at_us + SECOND_US } else { i64::MIN } };
        for reaction in reactions {
            self.take(&instances[reaction.turn as usize].key, position, when, reaction)?;
        }
        Ok(())
    }

    /// The instances that are found by a key, or the one that begins with it.
    fn find(&self, key: wit::Key) -> Vec<String> {
        let named = self.names.range((key.name.clone(), String::new())..).take_while(|(name, _)| *name == key.name);
        let mut found: Vec<String> = named.map(|(_, instance)| instance.clone()).collect();
        if self.instances.contains_key(&key.name) || (key.starts && found.is_empty()) {
            found.push(key.name);
        }
        found
    }

    fn take(&mut self, instance: &str, position: u64, when: When, reaction: wit::Reaction) -> Result<()> {
        self.names.extend(reaction.associate.into_iter().map(|name| (name, instance.to_owned())));
        for name in reaction.dissociate {
            self.names.remove(&(name, instance.to_owned()));
        }
        let mut ordinal = 0;
        for action in reaction.actions {
            match action {
                Action::Append(effect) => {
                    self.effect(instance, position, ordinal, effect)?;
                    ordinal += 1;
                }
                Action::Schedule(timer) => self.schedule(instance, position, when, timer)?,
                Action::Cancel(timer) => drop(self.timers.remove(&(instance.to_owned(), timer))),
            }
        }
        match reaction.outcome {
            Outcome::Unchanged => {}
            Outcome::Became(state) => drop(self.instances.insert(instance.to_owned(), state)),
            Outcome::Ended => {
                self.instances.remove(instance);
                self.names.retain(|(_, of)| of != instance);
                self.timers.retain(|(of, _), _| of != instance);
            }
        }
        Ok(())
    }

    fn effect(&mut self, instance: &str, position: u64, ordinal: usize, effect: wit::Effect) -> Result<()> {
        let wit::Effect { stream, event_type, schema_version, .. } = effect;
        if self.manifest.produces.iter().all(|product| product.event_type != event_type) {
            return Err(Error::new(format_args!(
                "it appends {event_type}, and its manifest does not say that it produces that"
            )));
        }
        let data: Json = serde_json::from_slice(&effect.data)?;
        let refusal = self.refusals.pop_front().map(|(code, reason)| (code, reason, None));
        if let Some((code, reason, revision)) = refusal.or_else(|| self.refuse(&stream, effect.expected)) {
            let refused = json!({
                "process": self.manifest.name,
                "instance": instance,
                "position": position,
                "ordinal": ordinal,
                "code": code,
                "reason": reason,
                "revision": revision,
                "effect": { "stream": stream, "type": event_type, "data": data },
            });
            self.append(NewEvent::new(&self.bookkeeping(instance), REFUSED, refused));
            return Ok(());
        }
        self.append(NewEvent { schema_version, ..NewEvent::new(&stream, &event_type, data.clone()) });
        self.effects.push(Appended { instance: instance.into(), because_of: position, stream, event_type, data });
        Ok(())
    }

    /// Why the log refuses an event that takes this for granted.
    fn refuse(&self, stream: &str, expected: Expectation) -> Option<(String, String, Option<u64>)> {
        let next = self.revisions.get(stream).copied().unwrap_or_default();
        let is_so = match expected {
            Expectation::Any => true,
            Expectation::NoStream => next == 0,
            Expectation::StreamExists => next > 0,
            Expectation::Revision(last) => next == last + 1,
        };
        let reason = || format!("the stream `{stream}` has {next} events");
        let refusal = || ("wrong-expected-revision".into(), reason(), next.checked_sub(1));
        (!is_so).then(refusal)
    }

    fn schedule(&mut self, instance: &str, set_by: u64, when: When, timer: wit::Timer) -> Result<()> {
        let due_us = match timer.due {
            Due::After(after_us) => when.recorded_at_us.saturating_add(i64::try_from(after_us)?),
            Due::At(at_us) => at_us,
        };
        let due_us = due_us.max(when.earliest_us);
        let every_us = timer.every.map(i64::try_from).transpose()?;
        let pending = Pending { due_us, every_us, set_by, occurrence: 1 };
        self.timers.insert((instance.to_owned(), timer.name), pending);
        Ok(())
    }

    fn consumes(&self, event: &NewEvent) -> bool {
        self.manifest.consumes.iter().any(|subscription| match &subscription.what {
            Selector::EventType(name) => *name == event.event_type,
            Selector::Category(name) => name == category(&event.stream),
        })
    }
}

fn moment(at_us: i64) -> Timestamp {
    Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::MAX)
}
