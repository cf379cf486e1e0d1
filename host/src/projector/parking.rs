//! Which events are set aside, and which go on.

use crate::plugin::{Batch, Envelope, Manifest, OnFailure, Sequence};
use crate::process::streams;
use crate::store::Session;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// The sequences that an operator gave up: what is left out of them does not count any longer. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Discarded {
    sequences: Arc<RwLock<BTreeSet<String>>>,
}

impl Discarded {
    /// These sequences.
    #[must_use]
    pub fn new(sequences: BTreeSet<String>) -> Self {
        Self { sequences: Arc::new(RwLock::new(sequences)) }
    }

    /// Whether a sequence is among them.
    #[must_use]
    pub fn contains(&self, sequence: &str) -> bool {
        self.sequences.read().unwrap_or_else(PoisonError::into_inner).contains(sequence)
    }

    /// Gives another one up.
    pub fn insert(&self, sequence: String) {
        self.sequences.write().unwrap_or_else(PoisonError::into_inner).insert(sequence);
    }

    /// As they are now.
    #[must_use]
    pub fn all(&self) -> BTreeSet<String> {
        self.sequences.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is set aside so far, and by which rules.
pub(super) struct Parking {
    on_failure: OnFailure,
    sequence: Sequence,
    limit: u64,
    discarded: Discarded,
    component: String,
    /// The events that are left out of each sequence.
    parked: HashMap<String, u64>,
}

/// A batch without the events of sequences that are set aside, and these.
pub(super) struct Split<'b> {
    pub(super) goes_on: Cow<'b, Batch>,
    pub(super) aside: Vec<SetAside>,
}

/// An event of a sequence that is set aside.
pub(super) struct SetAside {
    pub(super) sequence: String,
    pub(super) position: u64,
    /// It is readable only inside its module.
    pub(super) internal: bool,
}

impl Parking {
    pub(super) fn new(manifest: &Manifest, limit: u64, discarded: Discarded) -> Self {
        let (on_failure, sequence) = (manifest.on_failure, manifest.sequence.clone());
        Self { on_failure, sequence, limit, discarded, component: manifest.name.clone(), parked: HashMap::new() }
    }

    /// Takes up what a store has set aside.
    pub(super) fn load(&mut self, session: &Session) -> Result<(), crate::store::Error> {
        self.parked = session.sequences()?.into_iter().collect();
        Ok(())
    }

    /// An event that cannot be applied is set aside, and not halted at.
    pub(super) fn parks(&self) -> bool {
        self.on_failure == OnFailure::Park
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The sequence of an event.
    pub(super) fn sequence_of<'a>(&self, event: &Envelope<'a>) -> Cow<'a, str> {
        let named = match &self.sequence {
            Sequence::Stream => None,
            Sequence::Correlation => Some(event.correlation_id).filter(|id| !id.is_empty()).map(Cow::Borrowed),
            Sequence::Data(pointer) => member(event, pointer).map(Cow::Owned),
        };
        named.unwrap_or(Cow::Borrowed(event.stream))
    }

    pub(super) fn is_parked(&self, sequence: &str) -> bool {
        self.parked.contains_key(sequence)
    }

    pub(super) fn is_discarded(&self, sequence: &str) -> bool {
        self.discarded.contains(sequence)
    }

    /// Whether an event stays inside its module for those who may read the component.
    pub(super) fn is_secret(&self, event: &Envelope<'_>) -> bool {
        streams::is_secret(&self.component, event.internal, event.module, event.stream)
    }

    /// Takes the events of sequences that are set aside out of a batch.
    pub(super) fn split<'b>(&self, batch: Cow<'b, Batch>) -> Split<'b> {
        if self.parked.is_empty() {
            return Split { goes_on: batch, aside: Vec::new() };
        }
        let mut aside = Vec::new();
        let mut goes_on = Batch::default();
        for event in batch.iter() {
            let sequence = self.sequence_of(&event);
            if self.is_parked(&sequence) {
                let (position, internal) = (event.position, self.is_secret(&event));
                aside.push(SetAside { sequence: sequence.into_owned(), position, internal });
            } else {
                goes_on.push(&event);
            }
        }
        let goes_on = if aside.is_empty() { batch } else { Cow::Owned(goes_on) };
        Split { goes_on, aside }
    }

    /// Whether so many more events, of these sequences, may be set aside.
    pub(super) fn has_room<'s>(&self, more: impl Iterator<Item = &'s str>) -> bool {
        let more = more.filter(|sequence| !self.is_discarded(sequence)).count() as u64;
        let counted = self.parked.iter().filter(|(sequence, _)| !self.is_discarded(sequence));
        more == 0 || counted.map(|(_, events)| events).sum::<u64>() + more <= self.limit
    }

    /// Remembers what was set aside.
    pub(super) fn count<'s>(&mut self, sequences: impl Iterator<Item = &'s str>) {
        for sequence in sequences {
            match self.parked.get_mut(sequence) {
                Some(events) => *events += 1,
                None => drop(self.parked.insert(sequence.to_owned(), 1)),
            }
        }
    }
}

/// The value at a JSON pointer into an event's data: a text as it stands, anything else as JSON.
fn member(event: &Envelope<'_>, pointer: &str) -> Option<String> {
    let data: serde_json::Value = serde_json::from_slice(event.data).ok()?;
    match data.pointer(pointer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
