//! One telling of a story, with a store and a log of its own.

use super::aftermath::{self, Done};
use super::content::{self, Content};
use super::format::{Order, Refused};
use super::history::History;
use super::stage::{Error, Stage};
use super::story::{Event, Item, Story, What};
use super::world::World;
use crate::log::{Filter, Kind, NewEvent, StoredEvent, category};
use crate::plugin::{Batch, Envelope, Plugin};
use crate::process::Acting;
use crate::projector::{self, Halt, Terms};
use crate::store::Store;
use crate::store::parked::Sequence;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Sequences that are looked at: more than may be left out.
const PARKED: usize = 10_000;

/// Effects and timers that may follow from one thing that happens.
const FOLLOWING: usize = 10_000;

/// What comes in a run, and when.
#[derive(Debug, Clone)]
pub(super) struct Arrival<'s> {
    pub(super) what: &'s What,
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    pub(super) at_us: i64,
    /// Whether time goes on to that moment first.
    pub(super) waits: bool,
    /// It is an event that comes a second time, under another id.
    pub(super) again: bool,
}

/// One telling of a story. Its store goes with it.
pub(super) struct Run<'s> {
    stage: &'s Stage,
    story: &'s Story,
    terms: Terms,
    consumed: Filter,
    path: PathBuf,
    store: Store,
    batch_size: usize,
    history: History,
    /// The position up to which the history was folded.
    folded: u64,
    /// Where what a process manager decides is done; `None` for a projection.
    world: Option<World>,
}

/// What came of what happened so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// Why nothing more is folded, if so: an event's fault, never the machine's.
    pub(super) halt: Option<Halt>,
    pub(super) content: Content,
    /// What is left out.
    pub(super) parked: Vec<Left>,
    /// What a process manager did since what was told before, in the order of the log.
    pub(super) effects: Vec<Done>,
}

/// A sequence of which events are left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Left {
    pub(super) sequence: String,
    /// Where it began and how much it is; `None` where the order is open.
    pub(super) place: Option<(u64, u64)>,
    pub(super) reason: String,
}

/// Why a run does not go on.
enum Stop {
    Halted(Halt),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'s> Arrival<'s> {
    /// As it stands in the story.
    pub(super) fn as_given(Item { at_us, waits, what }: &'s Item) -> Self {
        Self { what, at_us: *at_us, waits: *waits, again: false }
    }
}

impl<'s> Run<'s> {
    /// Begins a story from an empty store.
    pub(super) fn new(stage: &'s Stage, story: &'s Story, batch_size: usize) -> Result<Self, Error> {
        let path = stage.new_store()?;
        let terms = Terms {
            module: story.module.clone(),
            upcasting: stage.upcasting(story),
            // Whatever is decided stays to be done: nothing is ever marked as done.
            acting: stage.process().map_or_else(Acting::never, |_| Acting::behind(0)),
            ..Terms::default()
        };
        Ok(Self {
            stage,
            story,
            terms,
            consumed: stage.consumed(story),
            store: stage.open(&path)?,
            path,
            batch_size,
            history: History::default(),
            folded: 0,
            world: stage.process().map(|process| World::new(process, story)),
        })
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.stage.plugin
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What is to be refused, and did not come yet.
    pub(super) fn unrefused(&self) -> &[Refused] {
        self.world.as_ref().map_or(&[], World::unrefused)
    }

    /// Whether things come in the order of the story, and not in that of a trial.
    pub(super) fn is_in_order(&self) -> bool {
        self.story.order == Order::Given
    }

    /// Lets these things happen, with all that follows from them, and answers what is there then.
    pub(super) fn tell(&mut self, arrivals: &[Arrival<'s>]) -> Result<Outcome, Error> {
        let before = self.history.head();
        let halt = match self.go_through(arrivals) {
            Ok(()) => None,
            Err(Stop::Halted(Halt::Machine { reason, .. })) => return Err(Error::Machine(reason)),
            Err(Stop::Halted(halt)) => Some(halt),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let process = self.stage.process();
        let effects = process.map_or_else(Vec::new, |process| aftermath::done(process, self.history.behind(before)));
        Ok(Outcome { effects, ..self.found(&self.store, halt)? })
    }

    /// What is there now, and what would be if all that is in the log were folded anew, as by a rebuild: in whole batches, where what follows
    /// stands among what it follows from.
    pub(super) fn rebuilt(&self) -> Result<[Outcome; 2], Error> {
        let store = self.stage.open(&self.stage.new_store()?)?;
        store.discard();
        let halt = match projector::replay(&self.stage.plugin, &self.terms, &store, self.batches(0)) {
            Ok(()) => None,
            Err(Halt::Machine { reason, .. }) => return Err(Error::Machine(reason)),
            Err(halt) => Some(halt),
        };
        Ok([self.found(&self.store, None)?, self.found(&store, halt)?])
    }

    /// What is in a store, without what was done on the way.
    fn found(&self, store: &Store, halt: Option<Halt>) -> Result<Outcome, Error> {
        Ok(Outcome { halt, content: content::read(store)?, parked: self.left(store)?, effects: Vec::new() })
    }

    fn go_through(&mut self, arrivals: &[Arrival<'s>]) -> Result<(), Stop> {
        for Arrival { what, at_us, waits, again } in arrivals {
            match what {
                What::Event(event) => {
                    if *waits && self.world.is_some() {
                        self.wait_until(*at_us)?;
                    }
                    self.history.append(event.stream.clone(), new_event(event, *again), *at_us);
                    self.reach(*at_us);
                }
                What::Advance(_) => self.wait_until(*at_us)?,
                What::Refuse(refused) => {
                    self.settle()?;
                    if let Some(world) = &mut self.world {
                        world.refuse(refused);
                    }
                }
                What::Kill => self.kill()?,
            }
        }
        self.settle()
    }

    /// Lets time go on; what becomes due on the way happens at its moment.
    fn wait_until(&mut self, at_us: i64) -> Result<(), Stop> {
        self.settle()?;
        while let Some(world) = &mut self.world
            && let Some(next_us) = world.next_us(&self.store)?.filter(|next_us| *next_us <= at_us)
        {
            world.reach(next_us);
            self.settle()?;
        }
        self.reach(at_us);
        Ok(())
    }

    fn reach(&mut self, at_us: i64) {
        if let Some(world) = &mut self.world {
            world.reach(at_us);
        }
    }

    /// Ends where half of what was decided is done, and nothing is marked as done, and begins again.
    fn kill(&mut self) -> Result<(), Stop> {
        self.fold()?;
        let Some(world) = &mut self.world else { return Ok(()) };
        let half = world.waiting(&self.store)?.div_ceil(2);
        world.deliver(&self.store, &mut self.history, half)?;
        world.forget();
        self.store = self.stage.open(&self.path)?;
        self.settle()
    }

    /// Folds what is in the log, and lets happen what follows from it, until nothing more does.
    fn settle(&mut self) -> Result<(), Stop> {
        let mut followed = 0;
        while followed <= FOLLOWING {
            self.fold()?;
            let Some(world) = &mut self.world else { return Ok(()) };
            // Timers come behind all that is under way, which may call them off.
            let more = match world.deliver(&self.store, &mut self.history, usize::MAX)? {
                0 => world.fire(&self.store, &mut self.history)?,
                done => done,
            };
            if more == 0 {
                return Ok(());
            }
            followed += more;
        }
        Err(Error::Restless(FOLLOWING).into())
    }

    /// Folds what is in the log and was not folded yet.
    fn fold(&mut self) -> Result<(), Stop> {
        if self.folded == self.history.head() {
            return Ok(());
        }
        let batches = self.batches(self.folded);
        self.folded = self.history.head();
        projector::replay(&self.stage.plugin, &self.terms, &self.store, batches).map_err(Stop::Halted)
    }

    /// The events behind a position that the component consumes, each batch with the position up to which it brings the store.
    fn batches(&self, position: u64) -> Vec<(Batch, u64)> {
        let mut batches = Vec::new();
        let mut batch = Batch::default();
        for event in self.history.behind(position).iter().filter(|event| is_stored_among(&self.consumed, event)) {
            if batch.len() == self.batch_size {
                batches.push((std::mem::take(&mut batch), event.position - 1));
            }
            batch.push(&envelope(event));
        }
        batches.push((batch, self.history.head()));
        batches
    }

    fn left(&self, store: &Store) -> Result<Vec<Left>, Error> {
        let in_order = self.is_in_order();
        let left = |parked: Sequence| Left {
            place: in_order.then_some((parked.position, parked.events)),
            // Which event of it comes first, and what is wrong with that, hangs on the order.
            reason: if in_order { parked.reason } else { String::new() },
            sequence: parked.sequence,
        };
        let parked: Vec<Sequence> = store.read_here(|snapshot| snapshot.parked(0, PARKED))?;
        let mut parked: Vec<Left> = parked.into_iter().map(left).collect();
        if !in_order {
            parked.sort_by(|one, other| one.sequence.cmp(&other.sequence));
        }
        Ok(parked)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.store.discard();
    }
}

impl Outcome {
    /// What must be the same in every order: not what the order itself says, nor these columns, by table.
    pub(super) fn in_any_order(mut self, stage: &Stage, ignored: &BTreeMap<String, Vec<String>>) -> Self {
        self.content = self.content.without(ignored);
        if stage.process().is_some() {
            self.content = self.content.only(&aftermath::IN_ANY_ORDER);
            self.effects = aftermath::in_any_order(self.effects);
        }
        self
    }
}

/// Whether an event is one of those.
pub(super) fn is_among(filter: &Filter, Event { event_type, stream, module, internal, .. }: &Event) -> bool {
    filter.wants(&Kind { event_type, category: category(stream), module, internal: *internal })
}

fn is_stored_among(filter: &Filter, StoredEvent { event_type, stream, module, internal, .. }: &StoredEvent) -> bool {
    filter.wants(&Kind { event_type, category: category(stream), module, internal: *internal })
}

fn new_event(event: &Event, again: bool) -> NewEvent {
    NewEvent {
        source: event.source.clone(),
        id: Some(if again { format!("{} (again)", event.id) } else { event.id.clone() }),
        event_type: event.event_type.clone(),
        schema_version: event.schema_version,
        module: event.module.clone(),
        internal: event.internal,
        occurred_at: event.occurred_at.clone(),
        correlation_id: Some(event.correlation_id.clone()),
        causation_id: Some(event.causation_id.clone()),
        content_type: event.content_type.clone(),
        data: event.data.clone(),
        metadata: event.metadata.clone(),
    }
}

fn envelope(event: &StoredEvent) -> Envelope<'_> {
    Envelope {
        position: event.position,
        revision: event.revision,
        schema_version: event.schema_version,
        recorded_at_us: event.recorded_at_us,
        internal: event.internal,
        source: &event.source,
        id: &event.id,
        stream: &event.stream,
        event_type: &event.event_type,
        module: &event.module,
        occurred_at: event.occurred_at.as_deref(),
        correlation_id: &event.correlation_id,
        causation_id: &event.causation_id,
        content_type: &event.content_type,
        data: &event.data,
        metadata: &event.metadata,
    }
}
