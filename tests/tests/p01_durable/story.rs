//! What callers ask of the log, and what they learn from it.

use fastrand::Rng;
use laterna::log::{Append, Appended, Expected, Import, Imported, Log, NewEvent, Refusal, StoredEvent, StreamAppend};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Streams that the callers share.
const STREAMS: usize = 40;

/// Everything that was asked, and the answers in the order in which the callers learnt them.
#[derive(Clone, Default)]
pub struct Story {
    /// Each event carries its request's number here as its correlation, and its own place in the request as its causation.
    pub asked: Vec<Arc<Request>>,
    pub answered: Vec<(usize, Answer)>,
}

pub enum Request {
    Append(Append),
    Import(Vec<(String, NewEvent)>),
    Close(String),
}

#[derive(Debug, Clone)]
pub enum Answer {
    Appended(Appended),
    Imported(Imported),
    Closed,
    Refused(Refusal),
}

/// Asks on and on until it is told that it was enough.
pub async fn ask_on_and_on(log: &Log, story: &Mutex<Story>, mut rng: Rng, enough: impl Fn() -> bool) {
    while !enough() {
        let number = story.lock().unwrap().next(&mut rng);
        ask(log, story, number).await;
    }
}

/// Asks, and notes the answer.
pub async fn ask(log: &Log, story: &Mutex<Story>, number: usize) -> Answer {
    let request = Arc::clone(&story.lock().unwrap().asked[number]);
    let answer = match &*request {
        Request::Append(append) => log.append(append.clone()).await.unwrap().map(Answer::Appended),
        Request::Import(events) => {
            log.import(events.iter().cloned().map(offered).collect()).await.unwrap().map(Answer::Imported)
        }
        Request::Close(stream) => log.close_stream(stream.clone()).await.unwrap().map(|_| Answer::Closed),
    };
    let answer = answer.unwrap_or_else(Answer::Refused);
    story.lock().unwrap().answered.push((number, answer.clone()));
    answer
}

fn offered((stream, event): (String, NewEvent)) -> Import {
    Import { stream, event, fault: None }
}

impl Story {
    /// Requests that got no answer and can be asked again, since every event has an id.
    pub fn unanswered(&self) -> Vec<usize> {
        let mut unanswered = vec![true; self.asked.len()];
        self.answered.iter().for_each(|(number, _)| unanswered[*number] = false);
        let can_repeat = |number: &usize| self.asked[*number].events().iter().all(|(_, event)| event.id.is_some());
        (0..self.asked.len()).filter(|number| unanswered[*number]).filter(can_repeat).collect()
    }

    /// Makes a request up, or finds an earlier one to repeat.
    fn next(&mut self, rng: &mut Rng) -> usize {
        let number = self.asked.len();
        let known = self.some_stored(rng);
        let request = match (rng.u8(..24), known) {
            (0..2, Some(known)) => return known,
            (2, Some(known)) => Request::Append(self.append_with_a_known_id(number, known, rng)),
            (3..6, Some(known)) => Request::Import(self.import(number, Some(known), rng)),
            (6, _) => Request::Import(self.import(number, None, rng)),
            (7, _) if rng.u8(..8) == 0 => Request::Close(some_stream(rng)),
            _ => Request::Append(self.append(number, rng)),
        };
        self.asked.push(Arc::new(request));
        number
    }

    /// One stream or some, with expectations that mostly hold.
    fn append(&self, number: usize, rng: &mut Rng) -> Append {
        let mut names = vec![format!("account-{number}")];
        names.extend((0..rng.usize(1..4)).map(|_| some_stream(rng)));
        names.sort_unstable();
        names.dedup();
        rng.shuffle(&mut names);
        names.truncate(rng.usize(1..=names.len()));
        let has_ids = rng.u8(..8) > 0;
        let mut index = 0;
        let mut events = |rng: &mut Rng| {
            index += 1;
            event(number, index, has_ids, rng)
        };
        let streams = names.into_iter().map(|stream| StreamAppend {
            expected: self.expectation(&stream, rng),
            stream,
            events: (0..rng.usize(1..4)).map(|_| events(rng)).collect(),
        });
        Append { streams: streams.collect(), fault: None }
    }

    fn append_with_a_known_id(&self, number: usize, known: usize, rng: &mut Rng) -> Append {
        let mut append = self.append(number, rng);
        append.streams[0].events.push(event(number, 0, true, rng));
        append.streams[0].events[0].id = self.asked[known].events()[0].1.id.clone();
        append
    }

    fn import(&self, number: usize, known: Option<usize>, rng: &mut Rng) -> Vec<(String, NewEvent)> {
        let new = |index, rng: &mut Rng| (some_stream(rng), event(number, index, true, rng));
        let mut events: Vec<_> = (0..rng.usize(1..6)).map(|index| new(index, rng)).collect();
        let again = known.map(|known| self.asked[known].events()).unwrap_or_default();
        events.extend(again.into_iter().map(|(stream, event)| (stream.to_owned(), event.clone())));
        rng.shuffle(&mut events);
        events
    }

    fn expectation(&self, stream: &str, rng: &mut Rng) -> Expected {
        match rng.u8(..16) {
            0 => Expected::NoStream,
            1 => Expected::StreamExists,
            2..5 => {
                let appended = self.answered.iter().rev().take(100).find_map(|(_, answer)| match answer {
                    Answer::Appended(appended) => appended.streams.iter().find(|answer| answer.stream == stream),
                    _ => None,
                });
                appended.and_then(|answer| answer.last_revision).map_or(Expected::NoStream, Expected::Revision)
            }
            _ => Expected::Any,
        }
    }

    /// An append that was stored, with an id for each event.
    fn some_stored(&self, rng: &mut Rng) -> Option<usize> {
        let (number, answer) = rng.choice(&self.answered)?;
        let has_ids = self.asked[*number].events().iter().all(|(_, event)| event.id.is_some());
        (has_ids && matches!(answer, Answer::Appended(_))).then_some(*number)
    }
}

fn some_stream(rng: &mut Rng) -> String {
    format!("order-{}", rng.usize(..STREAMS))
}

fn event(number: usize, index: usize, has_id: bool, rng: &mut Rng) -> NewEvent {
    // Most are small, some need pages of their own.
    let filler = "x".repeat(if rng.u8(..30) == 0 { rng.usize(..20_000) } else { rng.usize(..400) });
    let data = format!(r#"{{"request":{number},"event":{index},"filler":"{filler}"}}"#);
    let mut event = NewEvent::json(*rng.choice(&["Placed", "Paid", "Shipped"]).unwrap(), data);
    event.id = has_id.then(|| format!("{number}.{index}"));
    event.correlation_id = Some(number.to_string());
    event.causation_id = Some(index.to_string());
    event
}

impl Request {
    /// The events, with their streams.
    pub fn events(&self) -> Vec<(&str, &NewEvent)> {
        match self {
            Self::Append(append) => append
                .streams
                .iter()
                .flat_map(|stream| stream.events.iter().map(|event| (stream.stream.as_str(), event)))
                .collect(),
            Self::Import(events) => events.iter().map(|(stream, event)| (stream.as_str(), event)).collect(),
            Self::Close(_) => Vec::new(),
        }
    }
}

/// The events of a log, found by what the callers know of them.
pub struct Standing {
    pub events: Vec<StoredEvent>,
    by_origin: HashMap<(String, String), usize>,
}

impl Standing {
    /// Takes the events in order, and checks that they are a log: positions and revisions without a gap, and time that
    /// never goes back.
    pub fn new(events: Vec<StoredEvent>) -> Self {
        let mut revisions: HashMap<&str, u64> = HashMap::new();
        let mut by_origin = HashMap::new();
        let mut recorded_at_us = 0;
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event.position, index as u64 + 1, "positions run from 1 without a gap");
            let next = revisions.entry(&event.stream).or_default();
            assert_eq!(event.revision, *next, "revisions of {} run from 0 without a gap", event.stream);
            *next += 1;
            assert!(event.recorded_at_us >= recorded_at_us, "recorded_at never decreases");
            recorded_at_us = event.recorded_at_us;
            let twice = by_origin.insert((event.correlation_id.clone(), event.causation_id.clone()), index);
            assert!(twice.is_none(), "stored twice: {event:?}");
        }
        Self { events, by_origin }
    }

    /// Where an event stands, after checking that it stands there as it was offered.
    pub fn find(&self, stream: &str, offered: &NewEvent) -> Option<&StoredEvent> {
        let origin = (offered.correlation_id.clone()?, offered.causation_id.clone()?);
        let stored = &self.events[*self.by_origin.get(&origin)?];
        assert_eq!(stored.stream, stream);
        assert!(offered.id.as_ref().is_none_or(|id| *id == stored.id), "{stored:?}");
        assert_eq!((&stored.event_type, &stored.data), (&offered.event_type, &offered.data));
        Some(stored)
    }

    /// Checks that an append stands there as a whole, in one piece, or not at all; and answers which.
    pub fn holds(&self, request: &Request) -> bool {
        let positions: Vec<_> =
            request.events().iter().map(|(stream, event)| Some(self.find(stream, event)?.position)).collect();
        if let Request::Append(_) = request {
            let in_one_piece = positions.windows(2).all(|pair| pair[1] == pair[0].map(|position| position + 1));
            assert!(in_one_piece, "an append is stored as a whole or not at all: {positions:?}");
        }
        !positions.is_empty() && positions.iter().all(Option::is_some)
    }

    /// Checks that everything that was answered is so.
    pub fn bears_out(&self, log: &Log, story: &Story) {
        let mut reader = log.reader().unwrap();
        for (number, answer) in &story.answered {
            let request = &*story.asked[*number];
            self.bears_out_answer(request, answer);
            if let (Request::Close(stream), Answer::Closed) = (request, answer) {
                assert!(reader.is_closed(stream).unwrap(), "{stream} was closed");
            }
        }
        for request in &story.asked {
            self.holds(request);
        }
    }

    /// Checks that what a caller was told is so.
    fn bears_out_answer(&self, request: &Request, answer: &Answer) {
        match (request, answer) {
            (Request::Append(append), Answer::Appended(appended)) => {
                for (asked, answer) in append.streams.iter().zip(&appended.streams) {
                    let places: Vec<_> = asked
                        .events
                        .iter()
                        .map(|event| self.find(&asked.stream, event).expect("an acknowledged event is stored"))
                        .collect();
                    assert_eq!(answer.first_position, places.first().map(|event| event.position));
                    assert_eq!(answer.last_position, places.last().map(|event| event.position));
                    assert_eq!(answer.last_revision, places.last().map(|event| event.revision));
                }
            }
            (Request::Import(events), Answer::Imported(imported)) => {
                let taken = usize::try_from(imported.stored + imported.skipped).unwrap();
                for (index, (stream, event)) in events.iter().enumerate() {
                    let stored = self.find(stream, event).is_some();
                    assert!(stored || index >= taken, "an acknowledged event is stored");
                }
            }
            (_, Answer::Refused(refusal)) => {
                let stored = request.events().iter().any(|(stream, event)| self.find(stream, event).is_some());
                assert!(!stored, "nothing of a refused request is stored: {refusal}");
            }
            (_, answer) => assert!(matches!(answer, Answer::Closed)),
        }
    }
}
