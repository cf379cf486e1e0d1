//! The log of a run, in memory. It takes events as a host's does: an id once, a stream as it is expected to be, positions and revisions
//! without gaps.

use crate::log::{Alternative, Entered, Entry, NewEvent, Place, Refusal, StoredEvent};
use std::collections::HashMap;

/// What has happened in a run.
#[derive(Default)]
pub(super) struct History {
    events: Vec<StoredEvent>,
    /// Places among the events, by source and id.
    known: HashMap<(String, String), usize>,
    /// How many events each stream has.
    streams: HashMap<String, u64>,
}

impl History {
    /// The position of the last event; 0 where there is none.
    pub(super) fn head(&self) -> u64 {
        self.events.len() as u64
    }

    /// The events behind a position.
    pub(super) fn behind(&self, position: u64) -> &[StoredEvent] {
        self.events.get(position as usize..).unwrap_or_default()
    }

    /// The event at a position.
    pub(super) fn at(&self, position: u64) -> Option<&StoredEvent> {
        self.events.get(position.checked_sub(1)? as usize)
    }

    /// An event of this log.
    pub(super) fn by_id(&self, id: &str) -> Option<&StoredEvent> {
        let place = self.known.get(&(String::new(), id.to_owned()))?;
        self.events.get(*place)
    }

    /// Appends an event that has an id which is new.
    pub(super) fn append(&mut self, stream: String, event: NewEvent, recorded_at_us: i64) -> u64 {
        let (position, id) = (self.head() + 1, event.id.unwrap_or_default());
        let revisions = self.streams.entry(stream.clone()).or_default();
        let revision = *revisions;
        *revisions += 1;
        self.known.insert((event.source.clone(), id.clone()), self.events.len());
        self.events.push(StoredEvent {
            position,
            source: event.source,
            id,
            stream,
            revision,
            event_type: event.event_type,
            schema_version: event.schema_version,
            module: event.module,
            internal: event.internal,
            occurred_at: event.occurred_at,
            recorded_at_us,
            correlation_id: event.correlation_id.unwrap_or_default(),
            causation_id: event.causation_id.unwrap_or_default(),
            content_type: event.content_type,
            data: event.data,
            metadata: event.metadata,
        });
        position
    }

    /// Takes an event for good, as it is, or as what stands for it where it is refused.
    pub(super) fn enter(&mut self, entry: Entry, recorded_at_us: i64) -> Entered {
        let Entry { stream, expected, event, fault, otherwise } = entry;
        let identity = (event.source.clone(), event.id.clone().unwrap_or_default());
        if let Some(known) = self.known.get(&identity).and_then(|place| self.events.get(*place)) {
            let StoredEvent { position, stream, revision, event_type, .. } = known.clone();
            return Entered::Known(Place { position, stream, revision, event_type });
        }
        let current = self.streams.get(&stream).and_then(|events| events.checked_sub(1));
        let wrong = || Refusal::WrongExpectedRevision { stream: stream.clone(), expected, current };
        match fault.or_else(|| (!expected.holds(current)).then(wrong)) {
            None => Entered::Stored { position: self.append(stream, event, recorded_at_us) },
            Some(refusal) => {
                let Alternative { stream, event } = otherwise(&refusal);
                let (source, id) = identity;
                let event = NewEvent { source, id: Some(id), ..event };
                Entered::Refused { refusal, position: self.append(stream, event, recorded_at_us) }
            }
        }
    }
}
