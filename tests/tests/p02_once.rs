//! Promise P2, once: an event is stored at most once, ever, and an append that is repeated is answered like the first time.

use laterna::log::{Append, Expected, Import, Log, NewEvent, Options, Refusal, StreamAppend};
use laterna_tests::{Answer, Client, Data, encoded};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The cases; `LATERNA_APPEND_CASES` names another file of the same form.
fn cases() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/append_cases.json");
    let file = std::env::var_os("LATERNA_APPEND_CASES").map_or(file, PathBuf::from);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let cases: Value = serde_json::from_str(&text).expect("the cases are JSON");
    let cases = cases["cases"].as_array().expect("a list of cases").clone();
    assert!(!cases.is_empty());
    cases
}

/// Where appends go in: `/streams/{stream}/events`, or `/events` with one stream in the list.
#[derive(Debug, Clone, Copy)]
enum Door {
    Stream,
    Log,
}

/// What is answered for the stream, whichever door it went through.
#[derive(Debug, PartialEq)]
struct Told {
    first_position: Option<u64>,
    last_position: Option<u64>,
    last_revision: Option<u64>,
    repeated: bool,
}

/// An event that stands in the stream.
#[derive(Debug, Clone, PartialEq)]
struct Standing {
    id: String,
    position: u64,
}

/// One case under way, in a stream of its own.
struct Run<'a> {
    client: &'a Client,
    door: Door,
    /// Case and door: in the names of the stream and of the ids.
    name: String,
    /// What the stream must hold.
    standing: Vec<Standing>,
}

impl Run<'_> {
    fn stream(&self) -> String {
        format!("once-{}", self.name)
    }

    fn id(&self, number: &Value) -> String {
        format!("{} {}", self.name, number)
    }

    fn ids(&self, append: &Value) -> Vec<String> {
        append["events"].as_array().expect("events").iter().map(|number| self.id(number)).collect()
    }

    fn append(&self, append: &Value) -> Answer {
        let events = self.ids(append);
        let events: Vec<Value> = events.iter().map(|id| json!({ "id": id, "type": "Numbered" })).collect();
        let mut body = json!({ "events": events });
        if let Some(expected) = append.get("expected") {
            body["expected"] = expected.clone();
        }
        match self.door {
            Door::Stream => self.client.post(&format!("/streams/{}/events", encoded(&self.stream())), &body),
            Door::Log => {
                body["stream"] = self.stream().into();
                self.client.post("/events", &json!({ "streams": [body] }))
            }
        }
    }

    fn told(&self, answer: &Answer) -> Told {
        let body = answer.json();
        let part = match self.door {
            Door::Stream => &body,
            Door::Log => {
                let [part] = body["streams"].as_array().expect("streams").as_slice() else { panic!("one: {body}") };
                assert_eq!(part["stream"], self.stream());
                part
            }
        };
        let number = |name: &str| {
            assert!(part[name].is_u64() || part[name].is_null() && part.get(name).is_some(), "{name} of {body}");
            part[name].as_u64()
        };
        Told {
            first_position: number("first_position"),
            last_position: number("last_position"),
            last_revision: number("last_revision"),
            repeated: body["repeated"].as_bool().expect("repeated or not"),
        }
    }

    fn last_revision(&self) -> Option<u64> {
        (self.standing.len() as u64).checked_sub(1)
    }

    /// Makes one append of the case, and compares its answer with the outcome and with what stands in the stream.
    fn check(&mut self, append: &Value, outcome: &Value) {
        let before = head(self.client);
        let answer = self.append(append);
        let ids = self.ids(append);
        match outcome["result"].as_str().expect("a result") {
            "appended" => {
                assert_eq!(answer.status, 201, "{answer:?}");
                let positions = before + 1..;
                self.standing
                    .extend(ids.iter().cloned().zip(positions).map(|(id, position)| Standing { id, position }));
                let told = self.told(&answer);
                let last = before + ids.len() as u64;
                let stored = Told {
                    first_position: Some(before + 1),
                    last_position: Some(last),
                    last_revision: self.last_revision(),
                    repeated: false,
                };
                assert_eq!(told, stored);
                assert_eq!((answer.position(), head(self.client)), (last, last));

                // Whatever the case goes on with: said again, it is answered in the same way.
                let again = self.append(append);
                assert_eq!((again.status, again.position()), (200, last), "{again:?}");
                assert_eq!(self.told(&again), Told { repeated: true, ..stored });
            }
            "repeated" => {
                assert_eq!(answer.status, 200, "{answer:?}");
                let place = |id: &String| self.standing.iter().position(|standing| standing.id == *id);
                let (first, last) = (ids.first().and_then(place), ids.last().and_then(place));
                let (first, last) = (first.expect("it stands there"), last.expect("it stands there"));
                let told = Told {
                    first_position: Some(self.standing[first].position),
                    last_position: Some(self.standing[last].position),
                    last_revision: Some(last as u64),
                    repeated: true,
                };
                assert_eq!(self.told(&answer), told);
                assert_eq!(Some(answer.position()), told.last_position);
            }
            "noop" => {
                assert_eq!(answer.status, 200, "{answer:?}");
                let (first_position, last_position, repeated) = (None, None, false);
                let told = Told { first_position, last_position, last_revision: self.last_revision(), repeated };
                assert_eq!(self.told(&answer), told);
                assert_eq!(answer.position(), before);
            }
            refusal => {
                assert_eq!((answer.status, answer.problem().as_str()), (409, refusal), "{answer:?}");
                let body = answer.json();
                if refusal == "wrong-expected-revision" {
                    assert_eq!(body["stream"], self.stream());
                    assert_eq!(body.get("current_revision"), Some(&json!(self.last_revision())));
                } else {
                    assert_eq!(refusal, "id-conflict");
                    assert!(ids.iter().any(|id| body["id"] == *id), "{body}");
                }
            }
        }
        assert_eq!(self.standing.len() as u64, outcome["stream_size_after"].as_u64().expect("a size"));
        assert_eq!(head(self.client), before.max(self.standing.last().map_or(0, |last| last.position)));
        assert_eq!(self.read(), self.standing);
    }

    /// What stands in the stream, revision by revision.
    fn read(&self) -> Vec<Standing> {
        let mut standing = Vec::new();
        let mut next = Some(format!("/streams/{}/events", encoded(&self.stream())));
        while let Some(path) = next {
            let answer = self.client.get(&path);
            if answer.status == 404 {
                assert_eq!(answer.problem(), "stream-not-found");
                return standing;
            }
            let page = answer.ok();
            for event in page["events"].as_array().expect("events") {
                assert_eq!(event["revision"], standing.len());
                let id = event["id"].as_str().expect("an id").to_owned();
                standing.push(Standing { id, position: event["position"].as_u64().expect("a position") });
            }
            next = page["next"].as_str().map(str::to_owned);
        }
        standing
    }
}

fn head(client: &Client) -> u64 {
    client.get("/").ok()["head"].as_u64().expect("a position")
}

fn every_case_through(door: Door) {
    let data = Data::in_memory();
    let server = data.serve();
    for (number, case) in cases().iter().enumerate() {
        let name = case["name"].as_str().expect("a name");
        let (appends, outcomes) = (case["appends"].as_array(), case["outcome"].as_array());
        let (appends, outcomes) = (appends.expect("appends"), outcomes.expect("outcomes"));
        assert_eq!(appends.len(), outcomes.len(), "{name}");
        println!("{number} {name}");
        let mut run = Run { client: &server, door, name: format!("{number} through {door:?}"), standing: Vec::new() };
        for (append, outcome) in appends.iter().zip(outcomes) {
            println!("    {append} is {outcome}");
            run.check(append, outcome);
        }
    }

    // In the end, every id of all cases stands in the log once.
    let mut times: HashMap<String, u64> = HashMap::new();
    let mut next = Some("/events?limit=1000".to_owned());
    while let Some(path) = next {
        let page = server.get(&path).ok();
        for event in page["events"].as_array().expect("events") {
            *times.entry(event["id"].as_str().expect("an id").to_owned()).or_default() += 1;
        }
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(times.len() as u64, head(&server));
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[test]
fn every_case_of_an_append_to_a_stream() {
    every_case_through(Door::Stream);
}

#[test]
fn every_case_of_an_append_to_the_log() {
    every_case_through(Door::Log);
}

/// Given events of several sources with the same ids;
/// when they are appended, repeated and imported;
/// then each is stored once, and each repeat is known by both.
#[tokio::test]
async fn an_event_is_its_source_and_its_id() {
    let data = Data::in_memory();
    let log = Log::open(&data.path().join("log.db"), &Options::default()).expect("the log opens");
    let event = |source: &str, id: &str| NewEvent {
        source: source.to_owned(),
        id: Some(id.to_owned()),
        ..NewEvent::json("Happened", "1")
    };
    let append = async |events: &[NewEvent]| {
        let stream = StreamAppend { stream: "s".to_owned(), expected: Expected::Any, events: events.to_vec() };
        log.append(Append { streams: vec![stream], fault: None }).await.expect("the log is in order")
    };
    let of_three = [event("", "1"), event("/a", "1"), event("/b", "1"), event("/a", "2")];
    let first = append(&of_three).await.expect("all are new");
    assert_eq!((first.position, first.repeated), (4, false));
    let again = append(&of_three).await.expect("all are known");
    assert_eq!((&again.streams, again.repeated), (&first.streams, true));
    let alone = append(&of_three[2..3]).await.expect("it is known");
    assert_eq!((alone.streams[0].first_position, alone.repeated), (Some(3), true));
    let twice = append(&[event("/c", "1"), event("/c", "1")]).await.expect_err("one event twice");
    assert!(matches!(twice, Refusal::IdConflict { .. }), "{twice}");
    let half_new = append(&[event("/a", "1"), event("/c", "1")]).await.expect_err("half of it is known");
    assert!(matches!(half_new, Refusal::IdConflict { .. }), "{half_new}");
    let line = |(source, id)| Import { stream: "s".to_owned(), event: event(source, id), fault: None };
    let lines = [("/a", "1"), ("/c", "1"), ("/c", "1"), ("", "2")].map(line);
    let imported = log.import(lines.to_vec()).await.expect("the log is in order").expect("no stream is closed");
    assert_eq!((imported.stored, imported.skipped, imported.last_position), (2, 2, 6));
    log.close();
}
