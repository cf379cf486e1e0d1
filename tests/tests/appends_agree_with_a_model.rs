//! Random requests, thousands of them, to the log and to a model of its rules: what is answered, and what is read, agree.

use laterna_tests::model::{Expected, Line, MODULE, Model, Part, Refused, Stored};
use laterna_tests::random::seed;
use laterna_tests::{Answer, Data, Server, encoded};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

const CASES: u32 = 400;
const REQUESTS_PER_CASE: usize = 30;
/// Streams of one case.
const STREAMS: usize = 6;
/// What ids and streams are called besides: alike to people, or to careless code, and yet distinct.
const WEIRD: &[&str] = &[
    "",
    "a",
    "A",
    "a ",
    "\u{e9}",
    "e\u{301}",
    "\u{0}",
    "a\u{0}",
    "\n",
    "\r\n",
    "/",
    "%2F",
    "+",
    "&=?#",
    "\u{1f3ee}",
    "\u{202e}",
    "\u{ffff}",
    "';--",
    "\"\\",
    "\u{10ffff}",
    "-",
    ",",
];
/// Half of the events have the first of these types, the others share the rest.
const TYPES: &[&str] = &["Happened", "Changed", "\u{dc}blich <&> \u{3a9}\u{0}", "Rare1", "Rare2", "Rare3", "Rare4"];

/// A case: requests in terms of what is there when they are made, then how it is read.
#[derive(Debug, Clone)]
struct Case {
    requests: Vec<Request>,
    /// Which of [`WEIRD`] its first stream has in its name.
    weird: usize,
    limit: usize,
    from: u64,
}

#[derive(Debug, Clone)]
enum Request {
    Append { through: Door, parts: Vec<(usize, Guess, Vec<Event>)> },
    Again { which: Index, through: Door, guess: Guess, change: Change },
    Import { lines: Vec<ImportLine> },
    Close { stream: usize },
}

/// How an append goes in; through a stream's door goes what is for one stream alone.
#[derive(Debug, Clone, Copy)]
enum Door {
    Stream,
    Log,
}

/// An expectation, in terms of the stream's last revision.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Right,
    Off(i64),
    Word(Expected),
}

#[derive(Debug, Clone, Copy)]
struct Event {
    id: Id,
    of_type: usize,
    more: u8,
}

#[derive(Debug, Clone, Copy)]
enum Id {
    Fresh,
    /// The log makes it.
    Made,
    /// One of a few, each as likely to be new as to be known.
    Few(usize),
    /// One that is known, from this case or another.
    Known(Index),
    /// One that cannot be.
    Unfit(usize),
}

/// How an append that was made, taken or refused, is made again.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    StreamsReversed,
    EventsReversed,
    WithoutFirst,
    WithoutLast,
    WithoutSecond,
    WithOneMore(Event),
    ToAnotherStream(usize),
    WithAnEmptyStream(usize),
    StreamTwice,
}

#[derive(Debug, Clone, Copy)]
enum ImportLine {
    Event(usize, Event),
    Blank,
    Nonsense(usize),
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![
        8 => Just(Guess::Right),
        1 => prop_oneof![Just(-1), Just(1), Just(i64::MAX)].prop_map(Guess::Off),
        4 => Just(Guess::Word(Expected::Any)),
        1 => Just(Guess::Word(Expected::NoStream)),
        1 => Just(Guess::Word(Expected::StreamExists)),
        1 => prop_oneof![0..4_u64, Just(u64::MAX)].prop_map(|revision| Guess::Word(Expected::Revision(revision))),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let id = prop_oneof![
        40 => Just(Id::Fresh),
        8 => Just(Id::Made),
        5 => (0..WEIRD.len()).prop_map(Id::Few),
        4 => any::<Index>().prop_map(Id::Known),
        1 => (0..2_usize).prop_map(Id::Unfit),
    ];
    let of_type = prop_oneof![Just(0), 0..TYPES.len()];
    (id, of_type, any::<u8>()).prop_map(|(id, of_type, more)| Event { id, of_type, more })
}

fn request() -> impl Strategy<Value = Request> {
    use proptest::collection::vec;
    let door = || prop_oneof![Just(Door::Stream), Just(Door::Log)];
    let events = || prop_oneof![1 => Just(Vec::new()), 6 => vec(event(), 1..5)];
    let part = move || (0..STREAMS, guess(), events());
    let change = prop_oneof![
        6 => Just(Change::Nothing),
        1 => Just(Change::StreamsReversed),
        1 => Just(Change::EventsReversed),
        1 => Just(Change::WithoutFirst),
        1 => Just(Change::WithoutLast),
        2 => Just(Change::WithoutSecond),
        1 => event().prop_map(Change::WithOneMore),
        1 => (0..STREAMS).prop_map(Change::ToAnotherStream),
        2 => (0..STREAMS).prop_map(Change::WithAnEmptyStream),
        1 => Just(Change::StreamTwice),
    ];
    let line = prop_oneof![
        40 => (0..STREAMS, event()).prop_map(|(stream, event)| ImportLine::Event(stream, event)),
        3 => Just(ImportLine::Blank),
        1 => (0..NONSENSE.len()).prop_map(ImportLine::Nonsense),
    ];
    prop_oneof![
        6 => (part(), door()).prop_map(|(part, through)| Request::Append { through, parts: vec![part] }),
        5 => vec(part(), 0..5).prop_map(|parts| Request::Append { through: Door::Log, parts }),
        6 => (any::<Index>(), door(), guess(), change)
            .prop_map(|(which, through, guess, change)| Request::Again { which, through, guess, change }),
        3 => vec(line, 0..12).prop_map(|lines| Request::Import { lines }),
        1 => (0..STREAMS).prop_map(|stream| Request::Close { stream }),
    ]
}

const NONSENSE: &[&str] =
    &["{", "null", "[]", "{\"stream\":\"s\"}", "{\"stream\":\"s\",\"type\":7}", "{\"type\":\"T\"}", "\u{feff}{}"];

/// A host, and the model of its log.
struct World {
    server: Server,
    model: Model,
    /// Ids that were given, and that the log made.
    ids: Vec<String>,
    /// How often each request was answered in each way.
    answers: BTreeMap<String, u64>,
    cases: usize,
    fresh: u64,
    _data: Data,
}

/// What one case holds on to.
struct Names {
    case: usize,
    weird: usize,
    appends: Vec<Vec<Part>>,
}

impl Names {
    fn stream(&self, number: usize) -> String {
        let Self { case, weird, .. } = self;
        let weird = WEIRD[(weird + number) % WEIRD.len()];
        match number {
            0 | 1 => format!("order-{case}-{number}{weird}"),
            2 => format!("cart-{weird}{case}"),
            3 => format!("\u{fc}n\u{ef} code-{case}-{weird}"),
            4 => format!("solo{case}"),
            _ => format!("rare{}-{case}{weird}", case % 7),
        }
    }
}

impl World {
    fn new() -> Self {
        let data = Data::in_memory();
        let mut server = data.serve();
        // Inside the module that all of it belongs to, so that internal events are read, too.
        server.client = server.with_token(&["append", "read"], Some(MODULE));
        Self {
            server,
            model: Model::default(),
            ids: Vec::new(),
            answers: BTreeMap::new(),
            cases: 0,
            fresh: 0,
            _data: data,
        }
    }

    fn run(&mut self, case: &Case) {
        let begun_at = self.model.head();
        let mut names = Names { case: self.cases, weird: case.weird, appends: Vec::new() };
        self.cases += 1;
        for request in &case.requests {
            self.request(request, &mut names);
        }
        self.read_log(begun_at, &[], &[], case.limit);
        self.read_log(begun_at.saturating_sub(700), &[TYPES[case.limit % TYPES.len()]], &[], case.limit + 20);
        for number in 0..STREAMS {
            let stream = names.stream(number);
            self.read_stream(&stream, None, "forwards", case.limit);
            self.read_stream(&stream, None, "backwards", case.limit);
            self.read_stream(&stream, Some(case.from), "forwards", case.limit);
            self.read_stream(&stream, Some(case.from), "backwards", case.limit);
        }
    }

    fn request(&mut self, request: &Request, names: &mut Names) {
        match request {
            Request::Append { through, parts } => {
                let part = |(stream, guess, events): &(usize, Guess, Vec<Event>)| {
                    let stream = names.stream(*stream);
                    let expected = self.expected(&stream, *guess);
                    Part { expected, events: events.iter().map(|event| self.event(*event, names)).collect(), stream }
                };
                let mut parts: Vec<Part> = parts.iter().map(part).collect();
                // A stream that stands twice has a change of its own.
                let mut streams = HashSet::new();
                parts.retain(|part| streams.insert(part.stream.clone()));
                self.append(*through, parts, names);
            }
            Request::Again { which, through, guess, change } => {
                if names.appends.is_empty() {
                    return;
                }
                let parts = self.changed(which.get(&names.appends).clone(), *guess, *change, names);
                self.append(*through, parts, names);
            }
            Request::Import { lines } => {
                let line = |line: &ImportLine| match line {
                    ImportLine::Event(stream, event) => Line::Event(names.stream(*stream), self.event(*event, names)),
                    ImportLine::Blank => Line::Blank,
                    ImportLine::Nonsense(which) => Line::Nonsense(NONSENSE[*which]),
                };
                let lines: Vec<Line> = lines.iter().map(line).collect();
                self.import(&lines);
            }
            Request::Close { stream } => self.close(&names.stream(*stream)),
        }
    }

    fn expected(&self, stream: &str, guess: Guess) -> Expected {
        let last = self.model.last_revision(stream);
        match guess {
            Guess::Word(expected) => expected,
            Guess::Right => last.map_or(Expected::NoStream, Expected::Revision),
            Guess::Off(by) => Expected::Revision(last.unwrap_or(0).wrapping_add_signed(by)),
        }
    }

    fn event(&mut self, event: Event, names: &Names) -> Value {
        let Event { id, of_type, more } = event;
        self.fresh += 1;
        let mut json = json!({ "type": TYPES[of_type] });
        let id = match id {
            Id::Made => None,
            Id::Fresh => Some(format!("fresh {}", self.fresh)),
            Id::Few(which) => Some(format!("few {} {}", names.case, WEIRD[which])),
            Id::Known(which) if self.ids.is_empty() => Some(format!("early {}", which.index(10))),
            // The last ones are those of this case.
            Id::Known(which) => self.ids.iter().rev().nth(which.index(self.ids.len().min(40))).cloned(),
            Id::Unfit(which) => Some(["".to_owned(), "\u{e9}".repeat(128)][which].clone()),
        };
        if let Some(id) = id {
            json["id"] = id.into();
        }
        if more & 1 != 0 {
            json["data"] =
                json!({ "fresh": self.fresh, "text": WEIRD[usize::from(more) % WEIRD.len()], "deep": [[{}]] });
        }
        if more & 2 != 0 {
            json["metadata"] = json!([null, more]);
        }
        if more & 4 != 0 {
            json["occurred_at"] = "2010-12-01T08:26:00.5+01:00".into();
        }
        if more & 8 != 0 {
            json["visibility"] = ["internal", "public"][usize::from(more >> 7)].into();
        }
        if more & 16 != 0 {
            json["correlation_id"] = WEIRD[1 + usize::from(more) % (WEIRD.len() - 1)].into();
            json["causation_id"] = "what led to it".into();
        }
        if more & 32 != 0 {
            json["schema_version"] = json!(u32::from(more));
        }
        json
    }

    fn changed(&mut self, mut parts: Vec<Part>, guess: Guess, change: Change, names: &Names) -> Vec<Part> {
        match change {
            Change::Nothing => {}
            Change::StreamsReversed => parts.reverse(),
            Change::EventsReversed => parts.iter_mut().for_each(|part| part.events.reverse()),
            Change::WithoutFirst => {
                parts.iter_mut().take(1).for_each(|part| part.events = part.events.split_off(part.events.len().min(1)))
            }
            Change::WithoutLast => parts.iter_mut().for_each(|part| drop(part.events.pop())),
            Change::WithoutSecond => {
                parts.iter_mut().filter(|part| part.events.len() > 2).for_each(|part| drop(part.events.remove(1)))
            }
            Change::WithOneMore(event) => {
                let event = self.event(event, names);
                parts.iter_mut().take(1).for_each(|part| part.events.push(event.clone()));
            }
            Change::ToAnotherStream(number) => {
                parts.iter_mut().take(1).for_each(|part| part.stream = names.stream(number));
            }
            Change::WithAnEmptyStream(number) => {
                parts.push(Part { stream: names.stream(number), expected: Expected::Any, events: Vec::new() });
            }
            Change::StreamTwice => parts.extend(parts.first().cloned()),
        }
        for part in &mut parts {
            part.expected = self.expected(&part.stream, guess);
        }
        parts
    }

    fn append(&mut self, through: Door, parts: Vec<Part>, names: &mut Names) {
        let wanted = self.model.append(&parts);
        let body = |part: &Part| json!({ "expected": part.expected.json(), "events": part.events });
        let (door, answer) = match (through, parts.as_slice()) {
            (Door::Stream, [part]) => {
                let path = format!("/streams/{}/events", encoded(&part.stream));
                ("stream", self.server.post(&path, &body(part)))
            }
            _ => {
                let streams = parts.iter().map(|part| {
                    let mut body = body(part);
                    body["stream"] = part.stream.as_str().into();
                    body
                });
                ("log", self.server.post("/events", &json!({ "streams": streams.collect::<Vec<_>>() })))
            }
        };
        match wanted {
            Err(refused) => self.check_problem(door, &answer, &refused),
            Ok(appended) => {
                let mut wanted: Vec<Value> = appended.streams.iter().map(|part| part.json()).collect();
                let wanted = if door == "stream" {
                    let mut wanted = wanted.remove(0);
                    wanted["repeated"] = appended.repeated.into();
                    wanted
                } else {
                    for (wanted, part) in wanted.iter_mut().zip(&appended.streams) {
                        wanted["stream"] = part.stream.as_str().into();
                    }
                    json!({ "streams": wanted, "repeated": appended.repeated })
                };
                assert_eq!(answer.json(), wanted);
                assert_eq!((answer.status, answer.position()), (appended.status(), appended.position));
                let how = match appended.status() {
                    201 => "appended",
                    _ if appended.repeated => "repeated",
                    _ => "nothing to do",
                };
                let kind = if parts.len() > 1 { "several streams" } else { "one stream" };
                self.count(format!("{door}: {how}, {kind}"));
                let events = parts.iter().flat_map(|part| &part.events);
                self.ids.extend(events.filter_map(|event| event["id"].as_str()).map(str::to_owned));
            }
        }
        names.appends.push(parts);
    }

    fn import(&mut self, lines: &[Line]) {
        let wanted = self.model.import(lines);
        let line = |line: &Line| match line {
            Line::Blank => "  ".to_owned(),
            Line::Nonsense(text) => (*text).to_owned(),
            Line::Event(stream, event) => {
                let mut event = event.clone();
                event["stream"] = stream.as_str().into();
                event.to_string()
            }
        };
        let body: Vec<String> = lines.iter().map(line).collect();
        let answer = self.server.import(&body.join("\n"));
        let done = wanted.as_ref().map_or_else(|(_, done)| *done, |done| *done);
        let found = answer.json();
        let found = [&found["stored"], &found["skipped"], &found["last_position"]].map(Value::as_u64);
        assert_eq!(found, [done.stored, done.skipped, self.model.head()].map(Some), "{answer:?}");
        match wanted {
            Err((refused, _)) => self.check_problem("import", &answer, &refused),
            Ok(_) => {
                assert_eq!((answer.status, answer.position()), (200, self.model.head()));
                self.count(format!("import: {}", if done.skipped > 0 { "skipped" } else { "stored" }));
            }
        }
    }

    fn close(&mut self, stream: &str) {
        let wanted = self.model.close(stream);
        let answer = self.server.delete(&format!("/streams/{}", encoded(stream)));
        match wanted {
            Err(refused) => self.check_problem("close", &answer, &refused),
            Ok(last) => {
                assert_eq!(answer.ok(), json!({ "last_revision": last }));
                assert_eq!((answer.status, answer.position()), (200, self.model.head()));
                self.count("close: closed".to_owned());
            }
        }
    }

    fn check_problem(&mut self, door: &str, answer: &Answer, wanted: &Refused) {
        assert_eq!((answer.problem().as_str(), answer.status), (wanted.problem, wanted.status), "{answer:?}");
        let found = answer.json();
        for (name, value) in wanted.members.as_object().expect("members") {
            assert_eq!(&found[name], value, "{name} of {found}");
        }
        self.count(format!("{door}: {}", wanted.problem));
    }

    fn count(&mut self, how: String) {
        *self.answers.entry(how).or_default() += 1;
    }

    /// Reads a stream page by page, and compares.
    fn read_stream(&mut self, stream: &str, from: Option<u64>, direction: &str, limit: usize) {
        let mut wanted = self.model.in_stream(stream);
        let mut path = format!("/streams/{}/events?limit={limit}&direction={direction}", encoded(stream));
        if let Some(from) = from {
            path += &format!("&from={from}");
        }
        // A revision is the place in the list.
        let from = from.map(|from| usize::try_from(from).expect("a place in memory"));
        if direction == "forwards" {
            wanted.drain(..from.unwrap_or(0).min(wanted.len()));
        } else {
            wanted.truncate(from.map_or(wanted.len(), |from| from + 1));
            wanted.reverse();
        }
        let problem = match (self.model.is_closed(stream), self.model.last_revision(stream)) {
            (true, _) => Some(("stream-closed", 410)),
            (false, None) => Some(("stream-not-found", 404)),
            (false, Some(_)) => None,
        };
        if let Some((problem, status)) = problem {
            let answer = self.server.get(&path);
            assert_eq!((answer.problem().as_str(), answer.status), (problem, status));
            return;
        }
        let head = self.model.head();
        self.read(path, &wanted, limit, |_, page| page.iter().copied().max().unwrap_or(head));
    }

    /// Reads what is wanted of the log page by page, and compares.
    fn read_log(&mut self, after: u64, types: &[&str], categories: &[&str], limit: usize) -> usize {
        let is_wanted = |event: &Stored| {
            (types.is_empty() || types.contains(&event.event_type()))
                && (categories.is_empty() || categories.contains(&event.category()))
        };
        let wanted = self.model.positions(after, is_wanted);
        let mut path = format!("/events?after={after}&limit={limit}");
        for (name, list) in [("type", types), ("category", categories)] {
            if !list.is_empty() {
                let list: Vec<String> = list.iter().map(|name| encoded(name)).collect();
                path += &format!("&{name}={}", list.join(","));
            }
        }
        let head = self.model.head();
        self.read(path, &wanted, limit, |more, page| if more { page[page.len() - 1] } else { head });
        wanted.len()
    }

    /// Reads from page to page, each as full as it may be, and compares the events; `as_of` says what position a page is as of.
    fn read(&mut self, path: String, wanted: &[u64], limit: usize, as_of: impl Fn(bool, &[u64]) -> u64) {
        let (mut read, mut next) = (0, Some(path));
        while let Some(path) = next {
            let answer = self.server.get(&path);
            let page = answer.ok();
            let events = page["events"].as_array().expect("events");
            let positions: Vec<u64> = events.iter().filter_map(|event| event["position"].as_u64()).collect();
            let due = &wanted[read..wanted.len().min(read + limit)];
            assert_eq!(positions, due, "{path}");
            for (position, event) in positions.iter().zip(events) {
                self.model.check(*position, event);
            }
            next = page["next"].as_str().map(str::to_owned);
            assert!(next.is_none() || events.len() == limit, "{path} is not full");
            assert_eq!(answer.position(), as_of(next.is_some(), &positions), "{path}");
            read += events.len();
        }
        assert_eq!(read, wanted.len());
    }
}

#[test]
fn whatever_is_asked_in_whatever_order() {
    let seed = seed("appends_agree_with_a_model");
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..Config::default()
    };
    let requests = proptest::collection::vec(request(), 1..REQUESTS_PER_CASE);
    let case = (requests, 0..WEIRD.len(), 1..9_usize, 0..6_u64);
    let case = case.prop_map(|(requests, weird, limit, from)| Case { requests, weird, limit, from });

    // One host serves all cases, since their names differ; one that was wrong once is not asked again.
    let host = RefCell::new(None);
    let run = TestRunner::new(config).run(&case, |case| {
        let mut world = host.borrow_mut().take().unwrap_or_else(World::new);
        world.run(&case);
        host.replace(Some(world));
        Ok(())
    });
    if let Err(TestError::Fail(reason, case)) = run {
        let Case { requests, weird, limit, from } = case;
        let requests: Vec<String> = requests.iter().map(|request| format!("{request:?}")).collect();
        let requests = requests.join("\n");
        panic!(
            "LATERNA_SEED={seed}: {reason}\nweird {weird}, limit {limit}, from {from}, and these requests:\n{requests}"
        );
    }
    let mut world = host.take().expect("a host is left where nothing failed");
    assert_everything_came_up(&world);
    read_everything(&mut world);
}

#[test]
fn an_import_of_many_chunks() {
    let mut world = World::new();
    let event = |number: usize| json!({ "id": format!("line {number}"), "type": "Happened", "data": number });
    let line = |number: usize| Line::Event(format!("order-{}", number % 5), event(number));
    let lines: Vec<Line> = (0..2_500).map(line).collect();

    // Given that some of the events are known, when all are imported, then the others are stored, each once.
    world.import(&lines[900..1_100]);
    world.import(&lines);
    world.import(&lines);
    assert_eq!(world.model.head(), 2_500);

    // When it meets a closed stream, and further on nonsense, then what stands before the first of them is stored.
    world.close("order-3");
    let mut more: Vec<Line> = (2_400..4_900).filter(|number| number % 5 != 3).map(line).collect();
    more.insert(1_500, line(3_003));
    more.insert(1_700, Line::Nonsense("nonsense"));
    world.import(&more);
    world.read_log(0, &[], &[], 1_000);
    assert!(world.answers.contains_key("import: stream-closed"));
}

#[test]
fn what_is_no_append_is_refused_and_leaves_no_trace() {
    let data = Data::in_memory();
    let server = data.serve_with(&["--event-bytes", "1000", "--request-bytes", "10000"]);
    let with = |member: &str, value: Value| {
        let mut event = json!({ "type": "Happened" });
        event[member] = value;
        json!({ "events": [{ "type": "Happened" }, event] })
    };
    let long = "\u{e9}".repeat(128);
    for (status, problem, body) in [
        (400, "bad-request", json!({ "events": [{ "type": "Happened" }, {}] })),
        (400, "bad-request", with("type", json!(""))),
        (400, "bad-request", with("type", json!(long))),
        (400, "bad-request", with("id", json!(""))),
        (400, "bad-request", with("id", json!(7))),
        (400, "bad-request", with("id", json!(long))),
        (400, "bad-request", with("correlation_id", json!(long))),
        (400, "bad-request", with("causation_id", json!(""))),
        (400, "bad-request", with("schema_version", json!(0))),
        (400, "bad-request", with("schema_version", json!(-1))),
        (400, "bad-request", with("occurred_at", json!("yesterday"))),
        (400, "bad-request", with("occurred_at", json!("2010-12-01T08:26:00"))),
        (400, "bad-request", with("visibility", json!("secret"))),
        (400, "bad-request", with("position", json!(1))),
        (413, "event-too-large", with("data", json!("x".repeat(999)))),
        (413, "event-too-large", with("metadata", json!("x".repeat(999)))),
        (413, "request-too-large", with("data", json!("x".repeat(10_000)))),
        (400, "bad-request", json!({ "events": [{ "type": "Happened" }], "expected": -1 })),
        (400, "bad-request", json!({ "events": [{ "type": "Happened" }], "expected": 1.5 })),
        (400, "bad-request", json!({ "events": [{ "type": "Happened" }], "expected": null })),
        (400, "bad-request", json!({ "events": [{ "type": "Happened" }], "expected": "latest" })),
        (400, "bad-request", json!({ "events": [{ "type": "Happened" }], "unknown": 1 })),
        (400, "bad-request", json!({ "events": { "type": "Happened" } })),
        (400, "bad-request", json!({})),
        (400, "bad-request", json!(null)),
    ] {
        let mut for_log = body.clone();
        if let Some(part) = for_log.as_object_mut() {
            part.insert("stream".to_owned(), json!("order-2"));
        }
        let taken = json!({ "stream": "order-1", "events": [{ "type": "Happened" }] });
        for answer in [
            server.post("/streams/order-1/events", &body),
            server.post("/events", &json!({ "streams": [taken, for_log] })),
        ] {
            assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{body}: {answer:?}");
        }
    }
    let empty = server.get("/events");
    assert_eq!((empty.ok(), empty.position()), (json!({ "events": [], "next": null }), 0));
}

/// A run that does not come by here is worth little.
fn assert_everything_came_up(world: &World) {
    println!("{:#?} in {} events", world.answers, world.model.head());
    for how in [
        "close: closed",
        "close: stream-not-found",
        "import: bad-import-line",
        "import: bad-request",
        "import: skipped",
        "import: stored",
        "import: stream-closed",
        "log: appended, one stream",
        "log: appended, several streams",
        "log: bad-request",
        "log: id-conflict",
        "log: nothing to do, several streams",
        "log: repeated, one stream",
        "log: repeated, several streams",
        "log: stream-closed",
        "log: wrong-expected-revision",
        "stream: appended, one stream",
        "stream: bad-request",
        "stream: id-conflict",
        "stream: nothing to do, one stream",
        "stream: repeated, one stream",
        "stream: stream-closed",
        "stream: wrong-expected-revision",
    ] {
        assert!(world.answers.contains_key(how), "no request was answered by {how}");
    }
}

/// The whole log, and through filters: dense and sparse ones, over ranges that are worth an index and over shorter ones.
fn read_everything(world: &mut World) {
    let head = world.model.head();
    assert!(head > 2_000, "only {head} events: too few for the index");
    world.read_log(0, &[], &[], 997);
    world.read_log(head - 10, &[], &[], 3);
    world.read_log(head, &[], &[], 3);
    for beyond in [head + 10, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        world.read_log(beyond, &[], &[], 3);
        world.read_log(beyond, &["Rare1"], &[], 3);
    }
    for (index, event_type) in TYPES.iter().enumerate() {
        for after in [0, head / 2, head - 512, head - 513] {
            assert!(world.read_log(after, &[event_type], &[], 40 + index) > 0);
        }
    }
    let solo = (0..world.cases).map(|case| format!("solo{case}"));
    let solos: Vec<String> = solo.filter(|solo| world.model.last_revision(solo).is_some()).collect();
    let categories = ["order", "cart", "\u{fc}n\u{ef} code", &solos[0], "rare0", "rare6"];
    for category in categories {
        assert!(world.read_log(0, &[], &[category], 77) > 0);
        world.read_log(head - 600, &[], &[category], 7);
        world.read_log(0, &["Rare1"], &[category], 7);
        world.read_log(0, &["Happened", "Never"], &[category], 77);
    }
    assert!(world.read_log(0, &TYPES[3..], &[], 50) > 0);
    assert!(world.read_log(0, &[], &categories[2..], 50) > 0);
    assert!(world.read_log(0, TYPES, &categories, 500) > 0);
    assert_eq!(world.read_log(0, &["Never"], &[], 5), 0);
    assert_eq!(world.read_log(0, &["Happened"], &["never"], 5), 0);
    // More names than an index is asked for at once.
    let many: Vec<&str> = solos.iter().map(String::as_str).collect();
    assert!(many.len() > 100 && world.read_log(0, &[], &many, 100) > 0);
}
