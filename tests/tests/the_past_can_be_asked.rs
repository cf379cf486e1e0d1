//! A read model is asked as of a position: it is answered as it was there, by the release that serves now, from a fold of its own,
//! under limits that are said.

use fastrand::Rng;
use laterna_tests::cars::{Trade, Version};
use laterna_tests::guests::{misbehaving, shifting};
use laterna_tests::random::seeded;
use laterna_tests::releases::{cars_v1, cars_v2};
use laterna_tests::shop::Shop;
use laterna_tests::{Answer, Client, Data, PATIENCE, component, laterna, online_retail_events};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

/// The stores that are kept as of positions.
fn kept(data: &Data) -> BTreeSet<String> {
    let names = std::fs::read_dir(data.path().join("scratch")).expect("the folder is there").map(|file| {
        let name = file.expect("an entry").file_name();
        name.into_string().expect("text")
    });
    names.filter(|name| name.ends_with(".db")).collect()
}

/// Everything in the folder.
fn files(data: &Data) -> usize {
    std::fs::read_dir(data.path().join("scratch")).expect("the folder is there").count()
}

/// What a trade in cars comes to, as of a position and by this version, over every door.
fn assert_was(client: &Client, trade: &Trade, version: Version, release: &str, position: u64) {
    for table in ["cars", "customers"] {
        let answer = client.get(&format!("/projections/cars/tables/{table}?as_of={position}"));
        assert_eq!(answer.ok()["rows"], trade.rows(table, version, position), "{table} as of {position}");
        assert_answers(&answer, release, position);
    }
    let answer = client.get(&format!("/projections/cars/queries/of_customer?customer=1&as_of={position}"));
    let mut bought = trade.rows("cars", version, position);
    bought.as_array_mut().expect("rows").retain(|car| car["customer_id"] == "1");
    assert_eq!(answer.ok()["rows"], bought, "the cars of a customer as of {position}");
    assert_answers(&answer, release, position);
}

fn assert_answers(answer: &Answer, release: &str, position: u64) {
    assert_eq!((answer.position(), answer.header("laterna-release")), (position, Some(release)), "{answer:?}");
    let tag = answer.header("etag").expect("a tag");
    assert!(tag.starts_with(&format!("W/\"{release}-{position}-json-")), "{tag}");
}

/// So many things that happen next, told to a host.
fn happen(client: &Client, trade: &mut Trade, random: &mut Rng, events: usize) -> Vec<Value> {
    let mut lines = Vec::new();
    for _ in 0..events {
        let event = trade.invent(random.u16(..));
        trade.count(vec![event.clone()]);
        lines.push(event);
    }
    client.import(&in_lines(&lines)).ok();
    lines
}

fn in_lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[test]
fn as_it_was_at_every_position_by_whichever_release_serves() {
    let mut random = seeded("the_past");
    let (data, mut trade) = (Data::new(), Trade::default());
    data.drop_bytes("cars", cars_v1());
    let server = data.serve_with(&["--batch-events", ["1", "7", "10000"][random.usize(..3)]]);
    let mut events = happen(&server, &mut trade, &mut random, 200);
    let mut some = |head: u64| [0, 1, random.u64(..=head), random.u64(..=head), head];

    // As of the beginning, of the head, and of anything between.
    some(200).into_iter().for_each(|position| assert_was(&server, &trade, Version::One, "1", position));
    // The same when more has happened,
    events.extend(happen(&server, &mut trade, &mut Rng::with_seed(1), 150));
    some(350).into_iter().for_each(|position| assert_was(&server, &trade, Version::One, "1", position));
    // and where it rests.
    server.order("cars", "pause").ok();
    events.extend(happen(&server, &mut trade, &mut Rng::with_seed(2), 50));
    some(400).into_iter().for_each(|position| assert_was(&server, &trade, Version::One, "1", position));
    server.order("cars", "resume").ok();
    // When version 2 serves, it is asked what it would have shown; also about what version 1 was asked before.
    let asked = some(400);
    asked.into_iter().for_each(|position| assert_was(&server, &trade, Version::One, "1", position));
    data.drop_bytes("cars", cars_v2());
    server.wait_for_release("cars", 2, "live");
    asked.into_iter().for_each(|position| assert_was(&server, &trade, Version::Two, "2", position));
    server.order("cars", "rollback").ok();
    asked.into_iter().for_each(|position| assert_was(&server, &trade, Version::One, "1", position));

    // It is what a host shows that was given no more than that.
    for position in some(400) {
        let young = Data::new();
        young.drop_bytes("cars", cars_v1());
        let other = young.serve();
        other.import(&in_lines(&events[..usize::try_from(position).expect("a few")])).ok();
        for asked in ["tables/cars?", "tables/customers?order=name.desc&", "queries/of_customer?customer=0&"] {
            let then = server.get(&format!("/projections/cars/{asked}as_of={position}"));
            let now = other.get(&format!("/projections/cars/{asked}fresh=true"));
            assert_eq!((then.position(), then.ok()), (now.position(), now.ok()), "{asked} as of {position}");
        }
    }
}

#[test]
fn what_a_component_computes_too() {
    let (data, mut shop) = (Data::new(), Shop::default());
    data.drop_component(&component("retail"));
    let server = data.serve();
    let events = online_retail_events();
    server.import(&events).ok();
    events.lines().for_each(|line| shop.count(&serde_json::from_str(line).expect("JSON")));
    for position in [0, 1, 777, 1_500, 2_000] {
        let asked = |asked: &str| server.get(&format!("/projections/retail/{asked}as_of={position}")).ok();
        assert_eq!(asked("queries/share?country=France&"), shop.share("France", position));
        assert_eq!(asked("queries/top_customers?count=7&")["rows"], shop.top_customers(7, position));
        assert_eq!(asked("tables/totals?")["rows"], shop.totals(position));
    }
    // The command line asks in the same words.
    let asked = ["query", "retail", "top_customers", "count=2", "as_of=777", "--json", "--url", &server.url];
    let told: Value = serde_json::from_slice(&laterna(asked).stdout).expect("JSON");
    assert_eq!(told["rows"], shop.top_customers(2, 777));
}

#[test]
fn pages_follow_on_each_other_as_of_the_same_position() {
    let mut random = seeded("pages_of_the_past");
    let (data, mut trade) = (Data::new(), Trade::default());
    data.drop_bytes("cars", cars_v2());
    let server = data.serve();
    happen(&server, &mut trade, &mut random, 100);
    let (mut rows, mut pages) = (Vec::new(), 0);
    let mut page = Some("/projections/cars/tables/cars?limit=1&order=colour&as_of=70".to_owned());
    while let Some(path) = page {
        let answer = server.get(&path);
        assert_answers(&answer, "1", 70);
        rows.extend(answer.ok()["rows"].as_array().expect("rows").iter().cloned());
        page = answer.json()["next"].as_str().map(str::to_owned);
        pages += 1;
        happen(&server, &mut trade, &mut random, 10);
    }
    let mut wanted = trade.rows("cars", Version::Two, 70).as_array().expect("rows").clone();
    wanted.sort_by_key(|car| (car["colour"].to_string(), car["car_id"].to_string()));
    assert_eq!(rows, wanted);
    assert!(pages > 1, "the page is as of a position that has several cars");
}

#[test]
fn what_was_set_aside_or_led_to_a_newer_version_is_so_again() {
    let mut random = seeded("the_past_of_what_is_parked");
    let data = Data::new();
    data.drop_bytes("shifting", &shifting(&json!({ "name": "shifting", "steps": [["Shifted", 1]] })));
    let server = data.serve_with(&["--batch-events", ["1", "7", "1000"][random.usize(..3)]]);
    server.wait_for("/projections/shifting", |answer| answer.json()["live"]["status"] == "in-force");
    let says = json!({ "name": "patient", "parks": true, "versions": [["Shifted", 2]], "consumes": ["Judged"] });
    data.drop_bytes("patient", &misbehaving(&says));
    server.wait_for_release("patient", 1, "live");
    let (mut lines, mut seen, mut notes, mut parked) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    for position in 1..=200_u64 {
        let (stream, fails, shifts) = (random.u64(..30), random.u64(..8) == 0, random.u64(..4) == 0);
        let (event_type, data) =
            if shifts { ("Shifted", json!({ "way": "plain" })) } else { ("Judged", json!({ "fails": fails })) };
        lines.push(json!({ "stream": stream.to_string(), "type": event_type, "data": data }));
        if fails && !shifts {
            parked.insert(stream);
        }
        if !parked.contains(&stream) {
            seen.push(position);
            notes.extend(shifts.then_some(position));
        }
    }
    server.import(&in_lines(&lines)).ok();
    for position in [1, random.u64(1..200), random.u64(1..200), 200] {
        for (table, wanted) in [("seen", &seen), ("notes", &notes)] {
            let path = format!("/projections/patient/tables/{table}?limit=1000&as_of={position}");
            let rows = server.get(&path).ok()["rows"].clone();
            let found: Vec<u64> = rows
                .as_array()
                .expect("rows")
                .iter()
                .map(|row| row["position"].as_u64().expect("a position"))
                .collect();
            let wanted: Vec<u64> = wanted.iter().copied().filter(|wanted| *wanted <= position).collect();
            assert_eq!(found, wanted, "{table} as of {position}");
        }
    }
    let notes = server.get("/projections/patient/tables/notes?as_of=200&limit=1000").ok()["rows"].clone();
    let as_shifted = |note: &Value| note["note"].as_str().is_some_and(|note| note.ends_with('2'));
    assert!(notes.as_array().expect("rows").iter().all(as_shifted), "each comes in version 2: {notes}");
}

#[test]
fn what_was_folded_is_kept_for_those_who_ask_again() {
    let (data, mut trade) = (Data::new(), Trade::default());
    data.drop_bytes("cars", cars_v2());
    let server = data.serve_with(&["--as-of-stores", "2"]);
    happen(&server, &mut trade, &mut seeded("kept"), 60);
    let ask = |position: u64| {
        let answer = server.get(&format!("/projections/cars/tables/cars?as_of={position}"));
        assert_eq!(answer.ok()["rows"], trade.rows("cars", Version::Two, position));
        kept(&data)
    };
    // Those who ask at the same time are answered from one store,
    std::thread::scope(|scope| (0..12).for_each(|_| drop(scope.spawn(|| ask(10)))));
    let first = kept(&data);
    assert_eq!(first.len(), 1, "{first:?}");
    // and those who ask again, too.
    assert_eq!(ask(10), first);
    let both = ask(20);
    assert!(both.len() == 2 && both.is_superset(&first), "{both:?}");
    assert_eq!(ask(10), both);
    // The one that was not asked for the longest makes room.
    let next = ask(30);
    assert!(next.len() == 2 && next.is_superset(&first) && next != both, "{next:?}");
    assert_eq!(ask(10), next);
    assert_eq!(ask(30), next);
    let others = ask(20);
    assert!(others.len() == 2 && others.is_disjoint(&first), "{others:?} after {next:?}");
    for position in 0..=60 {
        assert!(ask(position).len() <= 2);
    }
    // What is removed is not answered, and not kept once anything else is asked for.
    data.drop_bytes("other", &misbehaving(&json!({ "name": "other" })));
    server.wait_for_release("other", 1, "live");
    server.order("cars", "remove").ok();
    server.get("/projections/cars/tables/cars?as_of=60").refused(404, "projection-not-found");
    assert_eq!(server.get("/projections/other/tables/seen?as_of=3").position(), 3);
    assert!(kept(&data).iter().all(|name| name.starts_with("other-")), "{:?}", kept(&data));

    // Nothing of it outlives the host, however that ends.
    assert_eq!(kept(&data).len(), 1);
    server.kill();
    assert!(files(&data) > 0);
    let server = data.serve();
    assert_eq!(files(&data), 0);
    assert_eq!(server.get("/projections/other/tables/seen?as_of=4").position(), 4);
    assert!(files(&data) > 0);
    server.stop();
    assert_eq!(files(&data), 0);
}

#[test]
fn no_more_events_are_folded_than_may_be() {
    let mut random = seeded("too_far");
    let (data, mut trade) = (Data::new(), Trade::default());
    data.drop_bytes("cars", cars_v2());
    let server = data.serve_with(&["--as-of-events", "50"]);
    let events = happen(&server, &mut trade, &mut random, 900);
    // Only what it consumes counts: greetings do not.
    let counts = |event: &&(u64, &Value)| event.1["type"] != "customer.greeted";
    let positions: Vec<(u64, &Value)> = (1..).zip(&events).collect();
    let (beyond, _) = *positions.iter().filter(counts).nth(50).expect("so many");
    assert_was(&server, &trade, Version::Two, "1", beyond - 1);
    for position in [beyond, 900] {
        let refused = server.get(&format!("/projections/cars/tables/cars?as_of={position}"));
        let refused = refused.refused(422, "as-of-too-far");
        assert_eq!((&refused["events"], &refused["limit"]), (&json!(51), &json!(50)));
        let detail = refused["detail"].as_str().expect("text");
        assert!(detail.contains("an earlier position, or raise `as_of_events`"), "{detail}");
    }
    assert_eq!(server.get("/errors/as-of-too-far").status, 200);
    // With room enough it is answered.
    server.stop();
    let server = data.serve();
    assert_was(&server, &trade, Version::Two, "1", 900);
}

#[test]
fn it_takes_no_longer_than_it_may_and_gives_its_place_back() {
    let data = Data::new();
    data.drop_bytes("slow", &misbehaving(&json!({ "name": "slow" })));
    let server = data.serve_with(&["--as-of-builds", "1", "--batch-events", "1"]);
    let toil = |rounds: u64| json!({ "stream": "s", "type": "Toiled", "data": { "rounds": rounds } });
    server.import(&in_lines(&[1, 300_000_000, 300_000_000, 300_000_000, 300_000_000].map(toil))).ok();
    let past = |position: u64, timeout: &str| {
        server.get(&format!("/projections/slow/tables/notes?as_of={position}&timeout={timeout}"))
    };
    // Who does not wait is told so, and the next one goes on as if nobody had asked.
    for _ in 0..3 {
        let refused = past(2, "0").refused(503, "as-of-too-slow");
        assert_eq!((&refused["position"], &refused["wanted"]), (&Value::Null, &json!(2)));
        assert!(refused["detail"].as_str().expect("text").contains("raise `as_of_ms`"), "{refused}");
    }
    assert_eq!(past(1, "30").ok()["rows"], json!([{ "position": 1, "line": 0, "note": "done" }]));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| past(5, "30"));
        // Who asks for the same waits for the same, and is told how far it is.
        let begun = Instant::now();
        while !past(5, "1ms").refused(503, "as-of-too-slow")["position"].is_u64() {
            assert!(begun.elapsed() < PATIENCE, "it does not begin");
        }
        // Others wait for its place.
        let refused = past(2, "1ms").refused(503, "as-of-too-slow");
        assert!(refused["detail"].as_str().expect("text").contains("where 1 are folded at once"), "{refused}");
        assert_eq!(refused["position"], Value::Null);
        assert_eq!(first.join().expect("it asked").ok()["rows"].as_array().map(Vec::len), Some(5));
    });
    assert_eq!(past(2, "30").ok()["rows"].as_array().map(Vec::len), Some(2));
    // However long who asks would wait.
    server.stop();
    let server = data.serve_with(&["--as-of-ms", "0"]);
    let refused = server.get("/projections/slow/tables/notes?as_of=3&timeout=30").refused(503, "as-of-too-slow");
    assert_eq!(refused["wanted"], 3);
    assert_eq!(server.get("/errors/as-of-too-slow").status, 200);
}

#[test]
fn a_question_that_makes_no_sense_is_told_so() {
    let data = Data::new();
    data.drop_bytes("halting", &misbehaving(&json!({ "name": "halting" })));
    let server = data.serve();
    server.order("halting", "pause").ok();
    let event = |event_type: &str| json!({ "stream": "s", "type": event_type });
    server.import(&in_lines(&["Good", "Good", "Failed", "Good"].map(event))).ok();
    let ask = |parameters: &str| server.get(&format!("/projections/halting/tables/seen?{parameters}"));
    let beyond = ask("as_of=5").refused(400, "bad-parameter");
    assert!(beyond["detail"].as_str().expect("text").contains("the log ends at 4"), "{beyond}");
    assert_eq!(beyond["head"], 4);
    for (parameters, parameter) in [
        ("as_of=2&fresh=true", "fresh"),
        ("min_position=1&as_of=2", "min_position"),
        ("as_of=-1", "as_of"),
        ("as_of=", "as_of"),
        ("as_of=1&as_of=2", "as_of"),
        ("as_of=1&timeout=soon", "timeout"),
    ] {
        assert_eq!(ask(parameters).refused(400, "bad-parameter")["parameter"], parameter);
    }
    server.get("/projections/nobody/tables/seen?as_of=1").refused(404, "projection-not-found");
    server.get("/projections/halting/tables/nothing?as_of=1").refused(404, "table-not-found");
    server.get("/projections/halting/queries/nothing?as_of=1").refused(404, "query-not-found");
    // It halts before the third one, then as now: whether what serves came so far, or rests.
    let is_halted = |answer: &Answer| answer.json()["live"]["status"] == "halted";
    let assert_halts = || {
        assert_eq!(ask("as_of=2").ok()["rows"].as_array().map(Vec::len), Some(2));
        for position in [3, 4] {
            let halted = ask(&format!("as_of={position}")).refused(503, "not-caught-up");
            assert_eq!((&halted["position"], &halted["wanted"]), (&json!(2), &json!(position)));
            assert!(halted["detail"].as_str().expect("text").contains("an order without a customer"), "{halted}");
        }
    };
    assert_halts();
    server.order("halting", "resume").ok();
    server.wait_for("/projections/halting", is_halted);
    assert_halts();
    assert_eq!(kept(&data).len(), 2, "what could not be folded is not kept");
}

#[test]
fn what_is_internal_stays_so() {
    let data = Data::new();
    let folder = data.path().join("components/notifications");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, internal) in [("secretive", true), ("open", false)] {
        let says = json!({ "name": name, "internal": internal });
        std::fs::write(folder.join(format!("{name}.wasm")), misbehaving(&says)).expect("a file");
    }
    let server = data.serve();
    let inside = server.with_token(&["read", "append"], Some("notifications"));
    let elsewhere = server.with_token(&["read"], Some("sales"));
    let secret = json!({ "events": [{ "type": "Public" },
        { "type": "Hush", "visibility": "internal" }, { "type": "Failed", "visibility": "internal" }] });
    inside.post("/streams/n-1/events", &secret).ok();
    for (stranger, who) in [(&*server, "no token"), (&elsewhere, "another module")] {
        stranger.get("/projections/secretive/tables/seen?as_of=1").refused(403, "not-allowed");
        stranger.get("/projections/secretive/tables/nothing?as_of=3").refused(403, "not-allowed");
        // Of a read model that is for everybody they are not told what internal event ended it.
        let halted = stranger.get("/projections/open/tables/seen?as_of=3").refused(503, "not-caught-up");
        let detail = halted["detail"].as_str().expect("text");
        assert!(detail.contains("internal to its module") && !detail.contains("Failed"), "{who}: {detail}");
    }
    for name in ["secretive", "open"] {
        let seen = inside.get(&format!("/projections/{name}/tables/seen?as_of=2")).ok();
        assert_eq!(seen["rows"].as_array().map(Vec::len), Some(2));
        let halted = inside.get(&format!("/projections/{name}/tables/seen?as_of=3")).refused(503, "not-caught-up");
        assert!(halted["detail"].as_str().expect("text").contains("Failed"), "{halted}");
    }
}
