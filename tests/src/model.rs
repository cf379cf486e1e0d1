//! The rules of the log, in memory and as plainly as they can be said: what the real log is compared with.

use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// Bytes of an id, or of any other name.
const NAME_BYTES: usize = 255;

/// What a caller takes for granted of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// It has no event.
    NoStream,
    /// It has one event at least.
    StreamExists,
    /// Its last event has this revision.
    Revision(u64),
}

impl Expected {
    /// As it stands in a request.
    #[must_use]
    pub fn json(self) -> Value {
        match self {
            Self::Any => json!("any"),
            Self::NoStream => json!("no-stream"),
            Self::StreamExists => json!("stream-exists"),
            Self::Revision(revision) => json!(revision),
        }
    }

    fn holds(self, last: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => last.is_none(),
            Self::StreamExists => last.is_some(),
            Self::Revision(revision) => last == Some(revision),
        }
    }
}

/// Events for one stream, each as it stands in a request.
#[derive(Debug, Clone)]
pub struct Part {
    /// The stream.
    pub stream: String,
    /// What is taken for granted of it.
    pub expected: Expected,
    /// The events.
    pub events: Vec<Value>,
}

/// An append that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// What is answered for each stream.
    pub streams: Vec<InStream>,
    /// It stood there already.
    pub repeated: bool,
    /// The position to wait for.
    pub position: u64,
}

/// What is answered for one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InStream {
    /// The stream.
    pub stream: String,
    /// The position of the first event.
    pub first_position: Option<u64>,
    /// The position of the last event.
    pub last_position: Option<u64>,
    /// The revision of the last event; without any, of the stream's last one.
    pub last_revision: Option<u64>,
}

impl InStream {
    /// The answer's members.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "first_position": self.first_position,
            "last_position": self.last_position,
            "last_revision": self.last_revision,
        })
    }
}

impl Appended {
    /// 201 where events were stored, 200 else.
    #[must_use]
    pub fn status(&self) -> u16 {
        let is_new = !self.repeated && self.streams.iter().any(|part| part.first_position.is_some());
        if is_new { 201 } else { 200 }
    }
}

/// A request that was refused: the problem's name, its status, and its members besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name.
    pub problem: &'static str,
    /// The status.
    pub status: u16,
    /// The members.
    pub members: Value,
}

fn refused<T>(problem: &'static str, status: u16, members: Value) -> Result<T, Refused> {
    Err(Refused { problem, status, members })
}

/// A line of an import.
#[derive(Debug, Clone)]
pub enum Line {
    /// An event for a stream.
    Event(String, Value),
    /// Nothing.
    Blank,
    /// No event.
    Nonsense(&'static str),
}

/// How far an import came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Events that were new.
    pub stored: u64,
    /// Events that were known.
    pub skipped: u64,
}

/// An event that was stored.
#[derive(Debug)]
pub struct Stored {
    /// Its stream.
    pub stream: String,
    /// Its place there.
    pub revision: u64,
    /// As it was sent.
    offered: Value,
    /// As it was first read; it must never read otherwise.
    read: Option<Value>,
}

impl Stored {
    fn text(&self, member: &str) -> &str {
        self.offered[member].as_str().unwrap_or_default()
    }

    /// Its type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.text("type")
    }

    /// Its category: the part of the stream's name before the first dash.
    #[must_use]
    pub fn category(&self) -> &str {
        self.stream.split('-').next().unwrap_or_default()
    }
}

/// The module that its events belong to: that of whoever appends them.
pub const MODULE: &str = "shop";

/// The log as it should be.
#[derive(Debug, Default)]
pub struct Model {
    /// The events; a position is the place here, counted from 1.
    log: Vec<Stored>,
    by_id: HashMap<String, usize>,
    by_stream: HashMap<String, Vec<usize>>,
    closed: HashSet<String>,
}

impl Model {
    /// The last position.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.log.len() as u64
    }

    /// The revision of a stream's last event.
    #[must_use]
    pub fn last_revision(&self, stream: &str) -> Option<u64> {
        self.by_stream.get(stream).map(|events| events.len() as u64 - 1)
    }

    /// Whether a stream was closed.
    #[must_use]
    pub fn is_closed(&self, stream: &str) -> bool {
        self.closed.contains(stream)
    }

    /// An append to any number of streams: all of it, or nothing.
    ///
    /// # Errors
    /// The refusal.
    pub fn append(&mut self, parts: &[Part]) -> Result<Appended, Refused> {
        if parts.iter().any(|part| !is_name(&part.stream) || part.events.iter().any(|event| !is_event(event))) {
            return refused("bad-request", 400, json!({}));
        }
        let mut streams = HashSet::new();
        if let Some(twice) = parts.iter().find(|part| !streams.insert(&part.stream)) {
            return refused("bad-request", 400, json!({ "stream": twice.stream }));
        }
        let events: Vec<&Value> = parts.iter().flat_map(|part| &part.events).collect();
        if events.is_empty() {
            let streams = parts.iter().map(|part| self.untouched(&part.stream, self.head())).collect();
            return Ok(Appended { streams, repeated: false, position: self.head() });
        }

        // By id first, over the whole list.
        let mut ids = HashSet::new();
        if let Some(twice) = events.iter().filter_map(|event| event["id"].as_str()).find(|id| !ids.insert(*id)) {
            return refused("id-conflict", 409, json!({ "id": twice }));
        }
        let places: Vec<Option<usize>> =
            events.iter().map(|event| self.by_id.get(event["id"].as_str()?).copied()).collect();
        if let Some(first) = places.iter().position(Option::is_some) {
            if places.iter().any(Option::is_none) {
                return refused("id-conflict", 409, json!({ "id": events[first]["id"] }));
            }
            return self.repeat(parts);
        }

        // Then each expectation.
        for Part { stream, expected, events } in parts {
            if self.is_closed(stream) && !events.is_empty() {
                return refused("stream-closed", 410, json!({ "stream": stream }));
            }
            let current = self.last_revision(stream);
            if !expected.holds(current) {
                let expected = expected.json();
                let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
                let members = json!({ "stream": stream, "expected": expected, "current_revision": current });
                return refused("wrong-expected-revision", 409, members);
            }
        }
        let mut streams = Vec::new();
        for Part { stream, events, .. } in parts {
            let mut answer = self.untouched(stream, self.head());
            for event in events {
                self.store(stream, event.clone());
                answer.first_position.get_or_insert(self.head());
                answer.last_position = Some(self.head());
                answer.last_revision = self.last_revision(stream);
            }
            streams.push(answer);
        }
        Ok(Appended { streams, repeated: false, position: self.head() })
    }

    /// Every id is known: they must stand in the stream that is said, one behind the other.
    fn repeat(&self, parts: &[Part]) -> Result<Appended, Refused> {
        let mut places = Vec::new();
        for part in parts {
            let mut next = None;
            for event in &part.events {
                let place = self.by_id[event["id"].as_str().expect("every id is known")];
                let stored = &self.log[place];
                if stored.stream != part.stream || next.is_some_and(|next| next != stored.revision) {
                    return refused("id-conflict", 409, json!({ "id": event["id"] }));
                }
                next = Some(stored.revision + 1);
                places.push(place);
            }
        }
        // As the first time: a stream without events is told as it stood then.
        let before = *places.iter().min().expect("there are events") as u64;
        let mut places_left = places.iter();
        let streams = parts.iter().map(|part| {
            let places: Vec<usize> = places_left.by_ref().take(part.events.len()).copied().collect();
            let (Some(first), Some(last)) = (places.first(), places.last()) else {
                return self.untouched(&part.stream, before);
            };
            InStream {
                stream: part.stream.clone(),
                first_position: Some(*first as u64 + 1),
                last_position: Some(*last as u64 + 1),
                last_revision: Some(self.log[*last].revision),
            }
        });
        let streams = streams.collect();
        Ok(Appended { streams, repeated: true, position: *places.iter().max().expect("there are events") as u64 + 1 })
    }

    /// What is answered for a stream that no event is for, as of a head.
    fn untouched(&self, stream: &str, head: u64) -> InStream {
        let events = self.by_stream.get(stream).map(Vec::as_slice).unwrap_or_default();
        let count = events.iter().filter(|index| (**index as u64) < head).count() as u64;
        InStream {
            stream: stream.to_owned(),
            first_position: None,
            last_position: None,
            last_revision: count.checked_sub(1),
        }
    }

    /// An import: event by event, until one cannot be taken.
    ///
    /// # Errors
    /// The refusal, and what came before it.
    pub fn import(&mut self, lines: &[Line]) -> Result<Imported, (Refused, Imported)> {
        let mut done = Imported::default();
        for (index, line) in lines.iter().enumerate() {
            let fault = match line {
                Line::Blank => continue,
                Line::Nonsense(_) => refused("bad-import-line", 400, json!({ "line": index + 1 })),
                Line::Event(stream, event) if !is_name(stream) || !is_event(event) => {
                    refused("bad-request", 400, json!({ "line": index + 1 }))
                }
                Line::Event(_, event) if event["id"].as_str().is_some_and(|id| self.by_id.contains_key(id)) => {
                    done.skipped += 1;
                    continue;
                }
                Line::Event(stream, _) if self.is_closed(stream) => {
                    refused("stream-closed", 410, json!({ "stream": stream }))
                }
                Line::Event(stream, event) => {
                    self.store(stream, event.clone());
                    done.stored += 1;
                    continue;
                }
            };
            return fault.map_err(|refused| (refused, done));
        }
        Ok(done)
    }

    /// Closes a stream; answers its last revision.
    ///
    /// # Errors
    /// The refusal.
    pub fn close(&mut self, stream: &str) -> Result<u64, Refused> {
        let Some(last) = self.last_revision(stream) else {
            return refused("stream-not-found", 404, json!({ "stream": stream }));
        };
        self.closed.insert(stream.to_owned());
        Ok(last)
    }

    fn store(&mut self, stream: &str, offered: Value) {
        let index = self.log.len();
        if let Some(id) = offered["id"].as_str() {
            assert!(self.by_id.insert(id.to_owned(), index).is_none(), "each id once");
        }
        let in_stream = self.by_stream.entry(stream.to_owned()).or_default();
        let revision = in_stream.len() as u64;
        in_stream.push(index);
        self.log.push(Stored { stream: stream.to_owned(), revision, offered, read: None });
    }

    /// The positions of the events behind `after` that are wanted.
    pub fn positions(&self, after: u64, wanted: impl Fn(&Stored) -> bool) -> Vec<u64> {
        let events = self.log.iter().zip(1..).skip(usize::try_from(after).expect("a place in memory"));
        events.filter(|(event, _)| wanted(event)).map(|(_, position)| position).collect()
    }

    /// The positions of a stream's events; none where there is no such stream.
    #[must_use]
    pub fn in_stream(&self, stream: &str) -> Vec<u64> {
        self.by_stream.get(stream).into_iter().flatten().map(|index| *index as u64 + 1).collect()
    }

    /// Compares an event that was read with the one that should stand there.
    pub fn check(&mut self, position: u64, found: &Value) {
        let index = usize::try_from(position).expect("a place in memory") - 1;
        let earlier = index.checked_sub(1).and_then(|earlier| self.log[earlier].read.as_ref());
        let earlier = earlier.map(|earlier| earlier["recorded_at"].clone());
        let stored = &mut self.log[index];
        if let Some(read) = &stored.read {
            assert_eq!(found, read, "an event reads otherwise than before");
            return;
        }
        let recorded_at = found["recorded_at"].as_str().expect("a time");
        if let Some(earlier) = earlier {
            assert!(earlier.as_str().is_some_and(|earlier| earlier <= recorded_at), "{earlier} came before {found}");
        }
        let mut wanted = json!({
            "position": position, "source": "", "id": found["id"], "stream": stored.stream, "revision": stored.revision,
            "schema_version": 1, "module": MODULE, "visibility": "public", "occurred_at": recorded_at,
            "recorded_at": recorded_at, "correlation_id": null, "causation_id": null, "data": null, "metadata": null,
        });
        let offered: &Map<String, Value> = stored.offered.as_object().expect("an event is an object");
        wanted.as_object_mut().expect("an object").extend(offered.clone());
        assert_eq!(found, &wanted, "at position {position}");
        stored.read = Some(wanted);
        if stored.offered["id"].is_null() {
            let made = found["id"].as_str().expect("an id is text").to_owned();
            assert!(self.by_id.insert(made, index).is_none(), "an id was made that is known");
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES
}

fn is_event(event: &Value) -> bool {
    is_name(event["type"].as_str().unwrap_or_default()) && event["id"].as_str().is_none_or(is_name)
}
