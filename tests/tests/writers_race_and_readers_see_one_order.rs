//! Many writers at once, who want the same revisions, repeat each other's requests and take each other's ids, while readers look
//! on: what each was told goes together with one order of events, and every reader sees that order.

use laterna_tests::feed::Said;
use laterna_tests::model::{Expected, Part};
use laterna_tests::random::seed;
use laterna_tests::{Answer, Client, Data};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

const WRITERS: usize = 12;
const REQUESTS_PER_WRITER: usize = 200;
const RACES: u64 = 20;
/// Streams that everyone appends to.
const HOT: u64 = 5;
/// Streams that everyone wants to begin.
const NEW: u64 = 60;
const IMPORTED: usize = 150;

/// An append, and where it goes in. It may be sent many times, by anyone.
#[derive(Clone)]
struct Ask {
    parts: Vec<Part>,
    path: String,
    body: Value,
    /// It uses an id of another one, or another one uses one of its.
    shares_ids: bool,
}

/// One time that an append was sent.
struct Sent {
    ask: usize,
    /// Up to here somebody had been told of events, before it was sent.
    known: u64,
    answer: Answer,
}

/// What all writers share.
struct Race {
    client: Client,
    asks: Mutex<Vec<Ask>>,
    /// The last position that anybody was told of.
    known: AtomicU64,
    imported: AtomicU64,
    ended: AtomicBool,
}

impl Race {
    /// A writer's work.
    fn write(&self, mut random: fastrand::Rng) -> Vec<Sent> {
        let mut sent = Vec::new();
        for _ in 0..REQUESTS_PER_WRITER {
            match random.u8(0..100) {
                0..2 => self.import(),
                2..40 => {
                    let asks = self.asks.lock().expect("nobody failed");
                    // One of the latest, which may be under way.
                    let Some(back) = asks.len().checked_sub(1).map(|most| random.usize(0..=most.min(WRITERS))) else {
                        continue;
                    };
                    let number = asks.len() - 1 - back;
                    drop(asks);
                    sent.push(self.send(number));
                }
                _ => {
                    let number = self.think_of(&mut random);
                    sent.push(self.send(number));
                }
            }
        }
        sent
    }

    /// A new append, by what is known now of the streams.
    fn think_of(&self, random: &mut fastrand::Rng) -> usize {
        let mut streams: Vec<String> = (0..HOT).map(|number| format!("hot-{number}")).collect();
        random.shuffle(&mut streams);
        streams.truncate(random.usize(1..=3));
        let mut parts: Vec<Part> = Vec::new();
        for stream in streams {
            let expected = match random.u8(0..10) {
                0..3 => Expected::Any,
                3..4 => Expected::StreamExists,
                _ => match self.last_revision(&stream) {
                    None => Expected::NoStream,
                    Some(last) => Expected::Revision(last),
                },
            };
            parts.push(Part { stream, expected, events: Vec::new() });
        }
        if random.u8(0..10) == 0 {
            let stream = format!("new-{}", random.u64(0..NEW));
            parts[0] = Part { stream, expected: Expected::NoStream, events: Vec::new() };
        }

        let mut asks = self.asks.lock().expect("nobody failed");
        let number = asks.len();
        for part in &mut parts {
            for index in 0..random.usize(1..4) {
                let id = format!("{number} {} {index}", part.stream);
                part.events.push(json!({ "id": id, "type": "Raced", "data": { "ask": number } }));
            }
        }
        let other = number.checked_sub(1 + random.usize(0..WRITERS)).filter(|_| random.u8(0..8) == 0);
        // Neither may come to be known as a whole by way of the other: then it would be a repeat, not a conflict.
        let other = other.filter(|other| asks[*other].parts.iter().map(|part| part.events.len()).sum::<usize>() > 1);
        if let Some(other) = other {
            asks[other].shares_ids = true;
            let taken = asks[other].parts[0].events[0]["id"].clone();
            parts[0].events.push(json!({ "id": taken, "type": "Raced", "data": { "ask": number } }));
        }
        let body = |part: &Part| json!({ "expected": part.expected.json(), "events": part.events });
        let (path, body) = match parts.as_slice() {
            [part] => (format!("/streams/{}/events", part.stream), body(part)),
            parts => {
                let streams = parts.iter().map(|part| {
                    let mut body = body(part);
                    body["stream"] = part.stream.as_str().into();
                    body
                });
                ("/events".to_owned(), json!({ "streams": streams.collect::<Vec<_>>() }))
            }
        };
        asks.push(Ask { parts, path, body, shares_ids: other.is_some() });
        number
    }

    fn last_revision(&self, stream: &str) -> Option<u64> {
        let answer = self.client.get(&format!("/streams/{stream}/events?direction=backwards&limit=1"));
        if answer.status == 404 { None } else { answer.ok()["events"][0]["revision"].as_u64() }
    }

    fn send(&self, number: usize) -> Sent {
        let Ask { path, body, .. } = self.asks.lock().expect("nobody failed")[number].clone();
        let known = self.known.load(Ordering::SeqCst);
        let answer = self.client.post(&path, &body);
        if answer.status < 300 {
            self.known.fetch_max(answer.position(), Ordering::SeqCst);
        }
        Sent { ask: number, known, answer }
    }

    /// Imports the same file as everyone.
    fn import(&self) {
        let line = |number| json!({ "stream": format!("import-{number}"), "id": format!("line {number}"), "type": "Imported" });
        let lines: Vec<String> = (0..IMPORTED).map(|number| line(number).to_string()).collect();
        let answer = self.client.import(&lines.join("\n")).ok();
        let [stored, skipped] = [&answer["stored"], &answer["skipped"]].map(|count| count.as_u64().expect("a count"));
        assert_eq!(stored + skipped, IMPORTED as u64);
        self.imported.fetch_add(stored, Ordering::SeqCst);
    }

    /// Everyone wants the same revision of one stream at the same time; answers what they were told.
    fn race(&self, round: u64) -> Vec<Answer> {
        let start = Barrier::new(WRITERS);
        let run = |writer| {
            let id = format!("race {round} of {writer}");
            let expected = round.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
            let event = json!({ "id": id, "type": "Won", "data": { "writer": writer } });
            start.wait();
            self.client.post("/streams/race/events", &json!({ "expected": expected.json(), "events": [event] }))
        };
        let run = &run;
        thread::scope(|scope| {
            let runs: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || run(writer))).collect();
            runs.into_iter().map(|run| run.join().expect("the host answers")).collect()
        })
    }

    /// Reads the last page again and again: it never lacks what somebody was told of, and has no gap.
    fn read_pages(&self) {
        while !self.ended.load(Ordering::SeqCst) {
            let known = self.known.load(Ordering::SeqCst);
            let after = known.saturating_sub(5);
            let answer = self.client.get(&format!("/events?after={after}&limit=1000"));
            assert!(
                answer.position() >= known,
                "{known} was acknowledged, and the page is as of {}",
                answer.position()
            );
            let page = answer.ok();
            let positions = page["events"].as_array().expect("events").iter().map(|event| event["position"].as_u64());
            let wanted: Vec<Option<u64>> = (after + 1..=answer.position()).map(Some).collect();
            assert_eq!(positions.collect::<Vec<_>>(), wanted);
        }
    }

    /// Follows from the start until the last event.
    fn follow(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        for said in self.client.feed("/events", &[]) {
            if see(&mut seen, &said.expect("the feed does not break off")) {
                return seen;
            }
        }
        panic!("the feed ended")
    }

    /// Follows from the start until the last event, and loses the connection again and again.
    fn follow_and_break_off(&self, mut random: fastrand::Rng) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let mut feed = self.client.resume("/events", seen.len() as u64);
            for _ in 0..random.u32(1..60) {
                if see(&mut seen, &feed.event()) {
                    return seen;
                }
            }
        }
    }
}

/// The end of the race, whatever became of the writers: the readers come to an end too.
struct End<'a>(&'a Race);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let body = json!({ "events": [{ "type": "Ended" }] }).to_string();
        let _ = self.0.client.try_post("/streams/end/events", "application/json", body);
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

/// Takes note of an event; answers whether it was the last one.
fn see(seen: &mut Vec<Value>, said: &Said) -> bool {
    if said.is_heartbeat() {
        assert_eq!(said.position(), seen.len() as u64);
        return false;
    }
    seen.push(said.json());
    assert_eq!(said.position(), seen.len() as u64, "positions come one after the other");
    said.json()["type"] == "Ended"
}

#[test]
fn everyone_was_told_the_truth() {
    let seed = seed("writers_race_and_readers_see_one_order");
    let data = Data::new();
    let server = data.serve_with(&["--heartbeat-ms", "20"]);
    let race = Race {
        client: server.client.clone(),
        asks: Mutex::default(),
        known: AtomicU64::new(0),
        imported: AtomicU64::new(0),
        ended: AtomicBool::new(false),
    };
    let (sent, races, feeds) = thread::scope(|scope| {
        let random = |number: usize| fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
        let race = &race;
        let end = End(race);
        let pages = scope.spawn(|| race.read_pages());
        let steady = scope.spawn(|| race.follow());
        let broken = scope.spawn(move || race.follow_and_break_off(random(WRITERS)));
        let writers: Vec<_> = (0..WRITERS).map(|number| scope.spawn(move || race.write(random(number)))).collect();
        let sent: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        let races = (0..RACES).map(|round| race.race(round)).collect::<Vec<_>>();
        race.import();
        drop(end);
        pages.join().expect("every page was right");
        let feeds = [steady.join(), broken.join()].map(|feed| feed.expect("the feed was right"));
        let sent: Vec<Sent> = sent.into_iter().flat_map(|sent| sent.expect("the writer was right")).collect();
        (sent, races, feeds)
    });

    let log = read_log(&server);
    for feed in feeds {
        assert!(feed == log, "a feed showed another log");
    }
    assert_in_order(&log);
    assert_eq!(race.imported.load(Ordering::SeqCst), IMPORTED as u64);
    assert_eq!(log.iter().filter(|event| event["type"] == "Imported").count(), IMPORTED);
    for (round, answers) in races.iter().enumerate() {
        assert_one_won(round as u64, answers, &log);
    }
    assert_answers_were_true(&race.asks.into_inner().expect("nobody failed"), &sent, &log);
}

/// The whole log, by pages.
fn read_log(client: &Client) -> Vec<Value> {
    let (mut log, mut next) = (Vec::new(), Some("/events?limit=300".to_owned()));
    while let Some(path) = next {
        let page = client.get(&path).ok();
        log.extend(page["events"].as_array().expect("events").iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
    }
    log
}

/// Positions and each stream's revisions have no gaps, time does not go back, and each id stands there once.
fn assert_in_order(log: &[Value]) {
    let (mut revisions, mut ids, mut recorded_at) = (HashMap::new(), HashSet::new(), "");
    for (event, position) in log.iter().zip(1_u64..) {
        assert_eq!(event["position"], position);
        let next = revisions.entry(event["stream"].as_str()).or_insert(0_u64);
        assert_eq!(event["revision"], *next, "{event}");
        *next += 1;
        assert!(ids.insert(event["id"].as_str()), "{event} stands there twice");
        let at = event["recorded_at"].as_str().expect("a time");
        assert!(recorded_at <= at, "{event} was recorded before the one before it");
        recorded_at = at;
    }
}

/// One writer got the revision that all of them wanted, and the others were told so.
fn assert_one_won(round: u64, answers: &[Answer], log: &[Value]) {
    let won: Vec<usize> = (0..answers.len()).filter(|writer| answers[*writer].status == 201).collect();
    let [winner] = won.as_slice() else { panic!("{won:?} won round {round}") };
    let event = log.iter().find(|event| event["stream"] == "race" && event["revision"] == round);
    let event = event.expect("the winner's event stands there");
    assert_eq!(event["data"]["writer"], *winner);
    assert_eq!(event["position"], answers[*winner].json()["first_position"]);
    for (writer, answer) in answers.iter().enumerate().filter(|(writer, _)| writer != winner) {
        assert_eq!((answer.problem().as_str(), answer.status), ("wrong-expected-revision", 409), "{writer}");
        assert_eq!(answer.json()["current_revision"], round);
    }
}

/// Every answer goes together with the log as it is.
fn assert_answers_were_true(asks: &[Ask], sent: &[Sent], log: &[Value]) {
    let mut by_ask: HashMap<u64, Vec<&Value>> = HashMap::new();
    for event in log.iter().filter(|event| event["type"] == "Raced") {
        by_ask.entry(event["data"]["ask"].as_u64().expect("a number")).or_default().push(event);
    }
    let mut stored: HashMap<usize, &Sent> = HashMap::new();
    for sent in sent.iter().filter(|sent| sent.answer.status == 201) {
        assert!(stored.insert(sent.ask, sent).is_none(), "the same append was stored twice");
    }
    // No trace of what nobody was told of; each append as a whole, in one piece, as it was sent.
    assert!(by_ask.keys().all(|ask| stored.contains_key(&(*ask as usize))), "a refused append left a trace");
    for (number, first) in &stored {
        let events: Vec<&Value> = asks[*number].parts.iter().flat_map(|part| &part.events).collect();
        let standing = &by_ask[&(*number as u64)];
        assert_eq!(standing.len(), events.len());
        let begin = standing[0]["position"].as_u64().expect("a position");
        assert!(begin > first.known, "{begin} was given after {} was acknowledged", first.known);
        for ((offered, found), position) in events.iter().zip(standing).zip(begin..) {
            assert_eq!((&found["id"], &found["position"]), (&offered["id"], &json!(position)));
        }
        let mut events = standing.iter();
        let told = answers(&first.answer);
        assert_eq!((told.len(), &first.answer.json()["repeated"]), (asks[*number].parts.len(), &json!(false)));
        for (part, told) in asks[*number].parts.iter().zip(&told) {
            let events: Vec<&&Value> = events.by_ref().take(part.events.len()).collect();
            let (begin, end) = (events[0], events[events.len() - 1]);
            assert!(events.iter().all(|event| event["stream"] == part.stream));
            assert_eq!(told["first_position"], begin["position"]);
            assert_eq!(told["last_position"], end["position"]);
            assert_eq!(told["last_revision"], end["revision"]);
            match part.expected {
                Expected::Any => {}
                Expected::NoStream => assert_eq!(begin["revision"], 0),
                Expected::StreamExists => assert_ne!(begin["revision"], 0),
                Expected::Revision(revision) => assert_eq!(begin["revision"], revision + 1),
            }
        }
    }

    let mut ways = HashMap::new();
    for Sent { ask, known, answer } in sent {
        let Ask { parts, shares_ids, .. } = &asks[*ask];
        let way = match answer.status {
            201 => "stored".to_owned(),
            200 => {
                let first = stored.get(ask).expect("what is repeated was stored once");
                assert_eq!(answer.json()["repeated"], true);
                assert_eq!(answers(answer), answers(&first.answer));
                assert_eq!(answer.position(), first.answer.position());
                "repeated".to_owned()
            }
            _ => answer.problem(),
        };
        if let Some(first) = stored.get(ask).filter(|first| first.answer.position() <= *known) {
            assert_eq!(answer.status, 200, "it was acknowledged at {} before: {answer:?}", first.answer.position());
        }
        let body = answer.json();
        if way == "id-conflict" {
            assert!(shares_ids, "{body}");
            let holder = log.iter().find(|event| event["id"] == body["id"]).expect("somebody has it");
            assert_ne!(holder["data"]["ask"], *ask);
        }
        if way == "wrong-expected-revision" {
            let part = parts.iter().find(|part| body["stream"] == *part.stream).expect("one of its streams");
            let current = body["current_revision"].as_u64();
            assert!(!is_as_expected(part.expected, current), "{body}");
            // The stream did stand there, at a time after what was known when it was sent.
            let at = |revision: u64| {
                log.iter().find(|event| event["stream"] == *part.stream && event["revision"] == revision)
            };
            assert!(current.is_none_or(|current| at(current).is_some()), "{body}");
            let next = at(current.map_or(0, |current| current + 1)).and_then(|next| next["position"].as_u64());
            assert!(next.is_none_or(|next| next > *known), "{body} was no longer true at {known}");
        }
        *ways.entry(way).or_insert(0) += 1;
    }
    println!("{ways:?}");
    for way in ["stored", "repeated", "wrong-expected-revision", "id-conflict"] {
        assert!(ways.contains_key(way), "nothing was {way}");
    }
}

/// What was told for each stream.
fn answers(answer: &Answer) -> Vec<Value> {
    let body = answer.ok();
    body["streams"].as_array().cloned().unwrap_or_else(|| {
        let mut only = body.clone();
        only.as_object_mut().expect("an object").remove("repeated");
        vec![only]
    })
}

fn is_as_expected(expected: Expected, last: Option<u64>) -> bool {
    match expected {
        Expected::Any => true,
        Expected::NoStream => last.is_none(),
        Expected::StreamExists => last.is_some(),
        Expected::Revision(revision) => last == Some(revision),
    }
}
