//! A component that parks: an event that it cannot apply is set aside with the later ones of its sequence, the others go on, and the read
//! model is exactly the fold of the log without them, built or live, at any batch size, whatever is killed.

use fastrand::Rng;
use laterna_tests::guests::misbehaving;
use laterna_tests::random::seeded;
use laterna_tests::releases::variant;
use laterna_tests::{Client, Data, Server, laterna};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Low enough that what loops is found out quickly.
const LIMITS: &[&str] = &["--fuel", "30000000", "--memory-bytes", "16777216"];

fn parking(name: &str, sequence: &str) -> Vec<u8> {
    misbehaving(&json!({ "name": name, "parks": true, "sequence": sequence }))
}

/// An event of a stream that fails where it is told to.
#[derive(Debug, Clone)]
struct Told {
    stream: u64,
    customer: u64,
    fails: bool,
    event_type: &'static str,
}

impl Told {
    fn line(&self, number: usize) -> String {
        let Self { stream, customer, fails, event_type } = self;
        json!({ "id": format!("e{number}"), "stream": format!("thing-{stream}"), "type": event_type,
            "correlation_id": format!("c{customer}"), "data": { "fails": fails, "who": { "customer": customer } } })
        .to_string()
    }
}

/// So many events of a few streams and customers, about one in twelve of which fails, in one of several ways.
fn story(random: &mut Rng, events: usize) -> Vec<Told> {
    let kinds = ["Failed", "Trapped", "Looped", "Grew", "Violated", "Searched"];
    let told = |_| {
        let is_bad = random.u64(..60) == 0;
        Told {
            stream: random.u64(..40),
            customer: random.u64(..25),
            fails: random.u64(..12) == 0,
            event_type: if is_bad { kinds[random.usize(..kinds.len())] } else { "Judged" },
        }
    };
    (0..events).map(told).collect()
}

/// What must be in the read model, and what is left out of each sequence: the first at fault, and how many.
fn expected(story: &[Told], sequence_of: impl Fn(&Told) -> String) -> (Vec<u64>, BTreeMap<String, (u64, u64)>) {
    let (mut seen, mut parked) = (Vec::new(), BTreeMap::<String, (u64, u64)>::new());
    for (told, position) in story.iter().zip(1..) {
        let sequence = sequence_of(told);
        if let Some((_, events)) = parked.get_mut(&sequence) {
            *events += 1;
        } else if told.event_type != "Judged" || told.fails {
            parked.insert(sequence, (position, 1));
        } else {
            seen.push(position);
        }
    }
    (seen, parked)
}

fn seen(client: &Client, projection: &str) -> Vec<u64> {
    client.rows(projection, "seen").iter().map(|row| row["position"].as_u64().expect("a position")).collect()
}

fn parked(client: &Client, projection: &str) -> Vec<Value> {
    let mut parked = Vec::new();
    let mut page = Some(format!("/projections/{projection}/parked?limit=7"));
    while let Some(path) = page {
        let answer = client.get(&path).ok();
        parked.extend(answer["parked"].as_array().expect("a list").iter().cloned());
        page = answer["next"].as_str().map(str::to_owned);
    }
    parked
}

fn assert_as_expected(client: &Client, name: &str, story: &[Told], sequence_of: impl Fn(&Told) -> String) {
    let (model, left) = expected(story, sequence_of);
    assert_eq!(seen(client, name), model, "the read model of {name}");
    let found: BTreeMap<String, (u64, u64)> = parked(client, name)
        .iter()
        .map(|left| {
            let number = |member: &str| left[member].as_u64().expect("a number");
            let positions = left["positions"].as_array().expect("a list");
            assert_eq!(positions.len() as u64, number("events").min(100), "{left}");
            assert_eq!((&positions[0], positions.last()), (&left["position"], Some(&left["last_position"])), "{left}");
            (left["sequence"].as_str().expect("text").to_owned(), (number("position"), number("events")))
        })
        .collect();
    assert_eq!(found, left, "what {name} leaves out");
    let events: u64 = left.values().map(|(_, events)| events).sum();
    assert_eq!(client.projection(name)["parked"], events);
}

const SEQUENCES: [(&str, &str); 3] =
    [("by-stream", ""), ("by-correlation", "correlation"), ("by-data", "/who/customer")];

fn sequence_of(name: &str, told: &Told) -> String {
    match name {
        "by-correlation" => format!("c{}", told.customer),
        "by-data" => told.customer.to_string(),
        _ => format!("thing-{}", told.stream),
    }
}

#[test]
fn the_same_in_builds_and_live_at_any_batch_size_whatever_is_killed() {
    let mut random = seeded("parking");
    let story = story(&mut random, 400);
    let lines: Vec<String> = story.iter().enumerate().map(|(number, told)| told.line(number)).collect();
    for batch in ["1", "7", "1000"] {
        let flags = [LIMITS, &["--batch-events", batch]].concat();
        // Built: the log is there before the components.
        let data = Data::new();
        let mut server = data.serve_with(&flags);
        server.import(&lines[..250].join("\n")).ok();
        for (name, sequence) in SEQUENCES {
            data.drop_bytes(name, &parking(name, sequence));
        }
        for (name, _) in SEQUENCES {
            server.wait_for_release(name, 1, "live");
            assert_as_expected(&server, name, &story[..250], |told| sequence_of(name, told));
        }
        // Live, in pieces, with a SIGKILL now and then.
        let mut at = 250;
        while at < lines.len() {
            let next = (at + 1 + random.usize(..40)).min(lines.len());
            server.import(&lines[at..next].join("\n")).ok();
            at = next;
            if random.u64(..3) == 0 {
                server.kill();
                server = data.serve_with(&flags);
            }
        }
        for (name, _) in SEQUENCES {
            assert_as_expected(&server, name, &story, |told| sequence_of(name, told));
        }
        // And once more from the start: the same.
        for (name, _) in SEQUENCES {
            server.order(name, "rebuild").ok();
            server.wait_for_release(name, 2, "live");
            assert_as_expected(&server, name, &story, |told| sequence_of(name, told));
        }
    }
}

fn event(server: &Server, stream: &str, event_type: &str, data: &Value) -> u64 {
    let body = json!({ "events": [{ "type": event_type, "data": data }] });
    server.post(&format!("/streams/{stream}/events"), &body).position()
}

#[test]
fn too_many_halt_it_and_what_is_given_up_counts_no_longer() {
    for batch in ["1", "1000"] {
        let data = Data::new();
        let flags = [LIMITS, &["--batch-events", batch, "--parked-events", "4"]].concat();
        let server = data.serve_with(&flags);
        data.drop_bytes("patient", &parking("patient", ""));
        server.wait_for_release("patient", 1, "live");
        let lines: Vec<String> = ["a", "b", "a", "c", "a", "b", "a", "d", "a"]
            .iter()
            .enumerate()
            .map(|(number, stream)| {
                let fails = [0, 1].contains(&number);
                json!({ "stream": stream, "type": "Judged", "data": { "fails": fails } }).to_string()
            })
            .collect();
        // Left out are 1, 3, 5 of `a`, and 2 of `b`; 6 of `b` would be one more.
        server.import(&lines.join("\n")).ok();
        let is_halted = |answer: &laterna_tests::Answer| answer.json()["live"]["status"] == "halted";
        let shown = server.wait_for("/projections/patient", is_halted).ok();
        let halt = &shown["live"]["halt"];
        assert_eq!(
            (&halt["code"], &halt["position"], &halt["limit"]),
            (&json!("too-many-parked"), &json!(6), &json!(4))
        );
        assert_eq!(shown["live"]["checkpoint"], 5);
        assert_eq!(server.get("/errors/too-many-parked").status, 200);
        let rows = server.get("/projections/patient/tables/seen").ok();
        assert_eq!(rows["rows"].as_array().expect("rows").len(), 1, "only 4, of `c`");
        let refused = server.get("/projections/patient/tables/seen?min_position=6").refused(503, "not-caught-up");
        assert!(refused["detail"].as_str().expect("text").contains("4 events are set aside"), "{refused}");

        // Giving `a` up makes room; it says what it leaves out, and goes on leaving it out.
        server.order("patient", "parked/nobody/discard").refused(404, "parked-not-found");
        let given_up = server.order("patient", "parked/a/discard").ok();
        assert_eq!((&given_up["position"], &given_up["discarded"]), (&json!(1), &json!(true)));
        // It goes on at once, so it may be further than when it was asked.
        assert!((3..=5).contains(&given_up["events"].as_u64().expect("a number")), "{given_up}");
        assert_eq!(seen(&server, "patient"), [4, 8]);
        let left = parked(&server, "patient");
        let told = |left: &Value| [left["sequence"].clone(), left["events"].clone(), left["last_position"].clone()];
        assert_eq!(
            left.iter().map(told).collect::<Vec<_>>(),
            [[json!("a"), json!(5), json!(9)], [json!("b"), json!(2), json!(6)]]
        );
        assert_eq!(server.projection("patient")["parked"], 2);
        assert_eq!(server.order("patient", "parked/a/discard").ok()["events"], 5, "once more changes nothing");
        // It stays given up over a restart, and in a rebuild of the same component.
        server.kill();
        let server = data.serve_with(&flags);
        event(&server, "a", "Judged", &json!({}));
        assert_eq!(seen(&server, "patient"), [4, 8]);
        server.order("patient", "rebuild").ok();
        server.wait_for_release("patient", 2, "live");
        assert_eq!(seen(&server, "patient"), [4, 8]);
        assert_eq!(server.projection("patient")["parked"], 2);
        let given_up = parked(&server, "patient")[0].clone();
        assert_eq!((&given_up["discarded"], &given_up["positions"]), (&json!(true), &json!([1, 3, 5, 7, 9, 10])));
        let status = laterna(["status", "--url", &server.url]);
        let status = String::from_utf8(status.stdout).expect("text");
        assert!(status.contains("patient: 2 events are left out; `laterna parked list patient`"), "{status}");
        let list = laterna(["parked", "list", "patient", "--url", &server.url]);
        let list = String::from_utf8(list.stdout).expect("text");
        assert!(list.contains("given up: it says itself that it fails"), "{list}");
        // Another component starts from nothing, and with nothing given up: four of `a` alone are too many.
        data.drop_bytes("patient", &variant(&parking("patient", ""), 1));
        let failed = server.wait_for_release("patient", 3, "failed");
        assert_eq!(failed["code"], "too-many-parked");
        assert_eq!(server.projection("patient")["live"]["release"], 2);
    }
}

#[test]
fn what_is_tried_again_is_tried_under_other_limits_alongside() {
    let data = Data::new();
    let server = data.serve_with(LIMITS);
    data.drop_bytes("patient", &parking("patient", ""));
    server.wait_for_release("patient", 1, "live");
    event(&server, "work-1", "Toiled", &json!({ "rounds": 10 }));
    event(&server, "work-2", "Toiled", &json!({ "rounds": 20_000_000 }));
    event(&server, "work-2", "Judged", &json!({}));
    let last = event(&server, "work-3", "Judged", &json!({}));
    assert_eq!(seen(&server, "patient"), [1, last]);
    let left = parked(&server, "patient");
    assert!(left[0]["reason"].as_str().expect("text").contains("budget of 30000000 units of fuel"), "{left:?}");
    assert_eq!((left.len(), &left[0]["events"]), (1, &json!(2)));
    // Under the same limits it would come to the same, and that is said.
    let refused = server.order("patient", "parked/work-2/retry").refused(409, "release-unfit");
    assert!(refused["detail"].as_str().expect("text").contains("Raise the limit"), "{refused}");
    server.stop();

    // What serves keeps its limits; what is tried again takes those of now.
    let server = data.serve_with(&["--fuel", "3000000000"]);
    assert_eq!(seen(&server, "patient"), [1, last]);
    let url = server.url.clone();
    let retried = laterna(["parked", "retry", "patient", "work-2", "--url", &url]);
    assert!(retried.status.success(), "{}", String::from_utf8_lossy(&retried.stderr));
    server.wait_for_release("patient", 2, "live");
    assert_eq!(seen(&server, "patient"), [1, 2, 3, last]);
    assert_eq!(parked(&server, "patient"), [json!(null); 0]);
}

#[test]
fn what_depends_on_the_machine_is_never_set_aside() {
    let data = Data::new();
    let server = data.serve_with(&[LIMITS, &["--store-pages", "2000", "--batch-ms", "300"]].concat());
    for name in ["recursed", "hoarded", "compared_long"] {
        data.drop_bytes(
            name,
            &misbehaving(&json!({ "name": name, "parks": true, "consumes": ["Counted", event_of(name)] })),
        );
        server.wait_for_release(name, 1, "live");
    }
    event(&server, "good", "Counted", &json!({}));
    for name in ["recursed", "hoarded", "compared_long"] {
        let position = event(&server, "bad", event_of(name), &json!({}));
        let is_halted = |answer: &laterna_tests::Answer| answer.json()["live"]["status"] == "halted";
        let shown = server.wait_for(&format!("/projections/{name}"), is_halted).ok();
        assert_eq!(shown["live"]["halt"]["code"], "machine", "{shown}");
        assert_eq!((&shown["live"]["checkpoint"], &shown["parked"]), (&json!(position - 1), &json!(0)), "{shown}");
    }
}

fn event_of(name: &str) -> &'static str {
    match name {
        "recursed" => "Recursed",
        "hoarded" => "Hoarded",
        _ => "ComparedLong",
    }
}
