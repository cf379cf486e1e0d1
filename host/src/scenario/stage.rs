//! A component, and a store of its own for each run of a story.

use super::content::{self, Content};
use super::format::Order;
use super::story::{Event, Story};
use crate::log::{Filter, Kind, category};
use crate::plugin::{Batch, Envelope, Plugin, Upcaster, Upcasting};
use crate::projector::{self, Halt, Terms, consumed};
use crate::store::parked::Sequence;
use crate::store::{self, Limits, ReadError, Relation, Store};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// Sequences that are looked at: more than may be left out.
const PARKED: usize = 10_000;

/// What stories about one component are told on.
pub struct Stage {
    pub(super) plugin: Plugin,
    upcasters: BTreeMap<String, Upcaster>,
    folder: TempDir,
    /// An empty store, made once: a copy of it costs less than to make it anew.
    empty: PathBuf,
    relations: Vec<Relation>,
    runs: Cell<u64>,
}

/// A story cannot be told: the fault of the machine, not of the component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store is out of order.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What is in the store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be made.
    #[error("a store for the scenario: {0}")]
    File(#[from] std::io::Error),
    /// The machine stopped the component.
    #[error("{0}")]
    Machine(String),
}

/// An event as it comes in a run.
#[derive(Debug, Clone)]
pub(super) struct Arrival<'s> {
    pub(super) event: &'s Event,
    /// It comes a second time, under another id.
    pub(super) again: bool,
}

/// One telling of a story, with a store of its own.
pub(super) struct Run<'s> {
    stage: &'s Stage,
    story: &'s Story,
    terms: Terms,
    consumed: Filter,
    store: Store,
    pub(super) batch_size: usize,
    head: u64,
    revisions: BTreeMap<&'s str, u64>,
}

/// What came of the events so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// Why nothing more is folded, if so: an event's fault, never the machine's.
    pub(super) halt: Option<Halt>,
    pub(super) content: Content,
    /// What is left out.
    pub(super) parked: Vec<Left>,
}

/// A sequence of which events are left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Left {
    pub(super) sequence: String,
    /// Where it began and how much it is; `None` where the order is open.
    pub(super) place: Option<(u64, u64)>,
    pub(super) reason: String,
}

impl Stage {
    /// Prepares a component that was checked, with the upcasters that its stories name.
    ///
    /// # Errors
    /// Its store cannot be made.
    pub fn new(plugin: Plugin, upcasters: BTreeMap<String, Upcaster>) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let empty = folder.path().join("empty.db");
        let store = Store::open(&empty, &plugin.manifest().schema, plugin.digest(), &Limits::default())?;
        let relations = store.relations().to_vec();
        Ok(Self { plugin, upcasters, folder, empty, relations, runs: Cell::new(0) })
    }

    /// The component's name.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.plugin.manifest().name
    }

    pub(super) fn has_upcaster(&self, name: &str) -> bool {
        self.upcasters.contains_key(name)
    }

    /// The tables and views of the component.
    pub(super) fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// What the component is given in a story.
    pub(super) fn consumed(&self, story: &Story) -> Filter {
        consumed(self.plugin.manifest(), &story.module)
    }

    /// Begins a story from an empty store.
    pub(super) fn run<'s>(&'s self, story: &'s Story, batch_size: usize) -> Result<Run<'s>, Error> {
        let number = self.runs.get();
        self.runs.set(number + 1);
        let path = self.folder.path().join(format!("{number}.db"));
        std::fs::copy(&self.empty, &path)?;
        let store = Store::open(&path, &self.plugin.manifest().schema, self.plugin.digest(), &Limits::default())?;
        store.discard();
        let upcasters = story.upcasters.iter().filter_map(|name| self.upcasters.get(name));
        // Of no module, so that they take the events of any.
        let upcasters = upcasters.map(|upcaster| (String::new(), upcaster.clone())).collect();
        let upcasting = Upcasting::new(self.plugin.manifest(), upcasters);
        let terms = Terms { module: story.module.clone(), upcasting, ..Terms::default() };
        Ok(Run {
            stage: self,
            story,
            terms,
            consumed: self.consumed(story),
            store,
            batch_size,
            head: 0,
            revisions: BTreeMap::new(),
        })
    }
}

impl<'s> Run<'s> {
    pub(super) fn plugin(&self) -> &Plugin {
        &self.stage.plugin
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Lets these events come, and answers what is there then.
    pub(super) fn fold(&mut self, arrivals: &[Arrival<'s>]) -> Result<Outcome, Error> {
        let batches = self.batches(arrivals);
        let halt = match projector::replay(&self.stage.plugin, &self.terms, &self.store, batches) {
            Ok(()) => None,
            Err(Halt::Machine { reason, .. }) => return Err(Error::Machine(reason)),
            Err(halt) => Some(halt),
        };
        Ok(Outcome { halt, content: content::read(&self.store)?, parked: self.left()? })
    }

    fn left(&self) -> Result<Vec<Left>, Error> {
        let in_order = self.story.order == Order::Given;
        let left = |parked: Sequence| Left {
            place: in_order.then_some((parked.position, parked.events)),
            // Which event of it comes first, and what is wrong with that, hangs on the order.
            reason: if in_order { parked.reason } else { String::new() },
            sequence: parked.sequence,
        };
        let parked: Vec<Sequence> = self.store.read_here(|snapshot| snapshot.parked(0, PARKED))?;
        let mut parked: Vec<Left> = parked.into_iter().map(left).collect();
        if !in_order {
            parked.sort_by(|one, other| one.sequence.cmp(&other.sequence));
        }
        Ok(parked)
    }

    /// The events that the component consumes, each batch with the position up to which it brings the store.
    fn batches(&mut self, arrivals: &[Arrival<'s>]) -> Vec<(Batch, u64)> {
        let mut batches = Vec::new();
        let mut batch = Batch::default();
        for Arrival { event, again } in arrivals {
            let revision = self.revisions.entry(&event.stream).or_default();
            let place = self.head as usize;
            self.head += 1;
            if is_among(&self.consumed, event) {
                if batch.len() == self.batch_size {
                    batches.push((std::mem::take(&mut batch), self.head - 1));
                }
                batch.push(&Envelope {
                    position: self.head,
                    revision: *revision,
                    schema_version: event.schema_version,
                    recorded_at_us: self.story.recorded_at_us(place),
                    internal: event.internal,
                    source: &event.source,
                    id: &id(event, *again),
                    stream: &event.stream,
                    event_type: &event.event_type,
                    module: &event.module,
                    occurred_at: event.occurred_at.as_deref(),
                    correlation_id: &event.correlation_id,
                    causation_id: &event.causation_id,
                    content_type: &event.content_type,
                    data: &event.data,
                    metadata: &event.metadata,
                });
            }
            *revision += 1;
        }
        batches.push((batch, self.head));
        batches
    }
}

/// Whether an event is one of those.
pub(super) fn is_among(filter: &Filter, event: &Event) -> bool {
    let Event { event_type, stream, module, internal, .. } = event;
    filter.wants(&Kind { event_type, category: category(stream), module, internal: *internal })
}

/// The id under which an event comes.
fn id(event: &Event, again: bool) -> Cow<'_, str> {
    if again { Cow::Owned(format!("{} (again)", event.id)) } else { Cow::Borrowed(&event.id) }
}
