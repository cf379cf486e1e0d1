//! What a release changes is shown before readers see it: it is compared with the one that serves, row by row, at one position, and
//! held where its policy says so, or where it leaves events out.

use laterna_tests::guests::misbehaving;
use laterna_tests::releases::{cars_events, cars_v1, cars_v2, recorded, variant};
use laterna_tests::{Client, Data, laterna};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

fn import(client: &Client, lines: &[String]) {
    client.import(&lines.join("\n")).ok();
}

/// What a release changes.
fn diff(client: &Client, name: &str) -> Value {
    client.get(&format!("/projections/{name}/diff")).ok()
}

fn table<'d>(difference: &'d Value, name: &str) -> &'d Value {
    let tables = difference["tables"].as_array().expect("a list");
    tables.iter().find(|table| table["table"] == name).unwrap_or_else(|| panic!("no table {name}: {difference}"))
}

fn counts(difference: &Value, name: &str) -> [u64; 3] {
    let table = table(difference, name);
    ["added", "removed", "changed"].map(|kind| table[kind].as_u64().expect("a number"))
}

fn customer(client: &Client, car: &str) -> Value {
    let answer = client.get(&format!("/projections/cars/tables/cars?car_id=eq.{car}")).ok();
    answer["rows"][0]["customer"].clone()
}

/// A component that notes what it is told to, and applies `consumes`.
fn noting(consumes: &[&str], more: &Value) -> Vec<u8> {
    let mut says = json!({ "name": "noting", "consumes": consumes });
    let members = more.as_object().expect("members").clone();
    says.as_object_mut().expect("members").extend(members);
    misbehaving(&says)
}

fn event(stream: &str, event_type: &str) -> String {
    json!({ "stream": stream, "type": event_type, "data": {} }).to_string()
}

#[test]
fn what_is_held_is_looked_at_then_promoted() {
    // Given a host whose operator wants to see every change,
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold"]);
    import(&server, &cars_events()[..6]);
    // when the first release is built, then it waits, too, and there is nothing to compare it with.
    data.drop_bytes("cars", cars_v1());
    let held = server.wait_for_release("cars", 1, "held");
    assert_eq!((&held["policy"], &held["policy_by"]), (&json!("hold"), &json!("operator")));
    server.get("/projections/cars/tables/cars").refused(503, "projection-not-live");
    server.get("/projections/cars/diff").refused(404, "difference-not-found");
    server.order("cars", "promote").ok();
    assert_eq!(customer(&server, "hrxs21"), "Bob");

    // When the next one comes, then readers notice nothing, and what it changes is told cell by cell.
    data.drop_bytes("cars", cars_v2());
    let held = server.wait_for_release("cars", 2, "held");
    assert_eq!(held["reason"], "policy `hold` of the host; what differs: 2 rows");
    let difference = diff(&server, "cars");
    assert_eq!(
        (&difference["before"], &difference["after"]),
        (
            &json!({ "release": 1, "version": "1.0.0", "position": 6 }),
            &json!({ "release": 2, "version": "2.0.0", "position": 6 })
        )
    );
    assert_eq!((counts(&difference, "cars"), counts(&difference, "customers")), ([0, 0, 1], [0, 0, 1]));
    assert_eq!(
        table(&difference, "cars")["samples"]["changed"],
        json!([{ "key": { "car_id": "hrxs21" }, "columns": {
            "customer": { "before": "Bob", "after": "Charlie" }, "position": { "before": 5, "after": 6 } } }])
    );
    let digests = ["before", "after"].map(|side| table(&difference, "cars")[side]["digest"].clone());
    assert_ne!(digests[0], digests[1]);
    assert_eq!(difference["same"], false);
    assert_eq!(
        (customer(&server, "hrxs21"), server.projection("cars")["live"]["release"].clone()),
        (json!("Bob"), json!(1))
    );

    // It follows what comes, never ahead of the one that serves, and the other release cannot be promoted by mistake.
    import(&server, &cars_events()[6..]);
    server.rows("cars", "cars");
    server.wait_for("/projections/cars", |answer| answer.json()["building"]["checkpoint"] == 9);
    server.order("cars", "promote?release=3").refused(409, "release-unfit");
    assert_eq!(server.order("cars", "promote?release=1").ok()["unchanged"], true);
    let promoted = server.order("cars", "promote?release=2").ok();
    assert_eq!((&promoted["state"], &promoted["live"]["release"]), (&json!("live"), &json!(2)));
    assert_eq!((customer(&server, "hrxs21"), customer(&server, "tye24p")), (json!("Charlie"), json!("Dan")));
    let states: Vec<Value> = recorded(&promoted, 2).expect("a record")["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["state"].clone())
        .collect();
    assert_eq!(states, ["received", "checked", "building", "verifying", "held", "verifying", "live"]);
    // Nothing is left to promote, and what it changed is told as long as it is there.
    server.order("cars", "promote").refused(409, "release-unfit");
    assert_eq!(diff(&server, "cars"), difference);
}

#[test]
fn policies_of_the_manifest_and_of_the_operator() {
    let data = Data::new();
    std::fs::write(data.path().join("laterna.toml"), "[policies]\nfree = \"auto\"\nbound = \"hold\"\n")
        .expect("a file");
    let named = |name: &str, policy: &str, variant: &str| {
        misbehaving(&json!({ "name": name, "consumes": ["Shifted"], "policy": policy, "version": variant }))
    };
    let server = data.serve();
    server.import(&event("a", "Shifted")).ok();
    // Whose manifest says nothing, whose says something, and of whom the operator says otherwise.
    let cases = [
        ("plain", "", "live", "auto", "manifest"),
        ("careful", "hold", "held", "hold", "manifest"),
        ("curious", "hold-if-different", "live", "hold-if-different", "manifest"),
        ("free", "hold", "live", "auto", "operator"),
        ("bound", "", "held", "hold", "operator"),
    ];
    for (name, policy, state, ruled, by) in cases {
        data.drop_bytes(name, &named(name, policy, "1.0.0"));
        let record = server.wait_for_release(name, 1, state);
        assert_eq!((&record["policy"], &record["policy_by"]), (&json!(ruled), &json!(by)), "{name}");
    }
    drop(server);
    // For all of them, but where it says so of one.
    let server = data.serve_with(&["--policy", "hold-if-different"]);
    for (name, policy, state, ruled) in
        [("plain", "", "live", "hold-if-different"), ("free", "hold", "live", "auto"), ("bound", "", "held", "hold")]
    {
        let release = server.deploy(name, &named(name, policy, "1.0.1")).ok()["release"].as_u64().expect("a number");
        let record = server.wait_for_release(name, release, state);
        assert_eq!((&record["policy"], &record["policy_by"]), (&json!(ruled), &json!("operator")), "{name}");
    }
    // What was fixed with a release stays so.
    assert_eq!(recorded(&server.projection("careful"), 1).expect("a record")["policy"], "hold");
    let refused = std::process::Command::new(laterna_tests::binary()).args(["serve", "--policy", "maybe"]).output();
    assert_eq!(refused.expect("laterna runs").status.code(), Some(2));
}

#[test]
fn what_differs_in_nothing_serves_and_what_differs_is_held() {
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold-if-different"]);
    import(&server, &cars_events()[..6]);
    server.deploy("cars", cars_v1()).ok();
    server.wait_for_release("cars", 1, "live");
    server.deploy("cars", &variant(cars_v1(), 1)).ok();
    server.wait_for_release("cars", 2, "live");
    let difference = diff(&server, "cars");
    assert_eq!((&difference["same"], counts(&difference, "cars")), (&json!(true), [0, 0, 0]));
    let [before, after] = ["before", "after"].map(|side| table(&difference, "cars")[side].clone());
    assert_eq!(before, after);
    server.deploy("cars", cars_v2()).ok();
    server.wait_for_release("cars", 3, "held");

    // Not only rows: what can be asked, too. An index changes no answer.
    let schema = |more: &str| {
        format!(
            "CREATE TABLE seen (position INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;
             CREATE TABLE counts (type TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE notes (position INTEGER, line INTEGER, note TEXT NOT NULL, PRIMARY KEY (position, line)) STRICT, WITHOUT ROWID;
             {more}"
        )
    };
    let ids = json!([{ "name": "ids", "sql": "SELECT id FROM seen" }]);
    let fewer = json!([{ "name": "ids", "sql": "SELECT id FROM seen LIMIT 1" }]);
    let releases = [
        (json!({ "schema": schema(""), "queries": ids }), "live", json!([])),
        (json!({ "schema": schema("CREATE INDEX by_id ON seen (id);"), "queries": ids }), "live", json!([])),
        (
            json!({ "schema": schema("CREATE VIEW all_ids AS SELECT id FROM seen;"), "queries": ids }),
            "held",
            json!([{ "kind": "view", "name": "all_ids" }]),
        ),
        (json!({ "schema": schema(""), "queries": fewer }), "held", json!([])),
    ];
    for (release, (more, state, added)) in (1..).zip(releases) {
        server.deploy("noting", &noting(&["Shifted"], &more)).ok();
        server.wait_for_release("noting", release, state);
        if state == "held" {
            assert_eq!(diff(&server, "noting")["surface"]["added"], added);
        }
    }
    assert_eq!(
        diff(&server, "noting")["surface"]["changed"],
        json!([{ "kind": "query", "name": "ids", "changes": ["it is defined otherwise"] }])
    );
}

#[test]
fn what_leaves_events_out_that_were_not_is_always_held() {
    let data = Data::new();
    let server = data.serve();
    import(&server, &[event("a", "Shifted"), event("b", "Failed"), event("b", "Shifted"), event("c", "Shifted")]);
    // The first one takes nobody's place.
    data.drop_bytes("noting", &noting(&["Shifted"], &json!({ "parks": true })));
    server.wait_for_release("noting", 1, "live");
    data.drop_bytes("noting", &noting(&["Shifted", "Failed", "Judged"], &json!({ "parks": true })));
    let held = server.wait_for_release("noting", 2, "held");
    let reason = held["reason"].as_str().expect("text");
    assert!(
        reason.starts_with(
            "it leaves events of 1 sequence out that the one that serves does not leave out; the first is `b`, by event"
        ) && reason.contains("(Failed) at position 2: an order without a customer"),
        "{reason}"
    );
    let parked = diff(&server, "noting")["parked"].clone();
    assert_eq!((&parked["newly_sequences"], &parked["no_longer_sequences"]), (&json!(1), &json!(0)));
    let newly = &parked["newly"][0];
    assert_eq!(
        (&newly["sequence"], &newly["position"], &newly["type"], &newly["events"]),
        (&json!("b"), &json!(2), &json!("Failed"), &json!(2))
    );
    // What was seen of that is promoted. What it leaves out since then is not.
    server.import(&json!({ "stream": "d", "type": "Judged", "data": { "fails": true } }).to_string()).ok();
    server.wait_for("/projections/noting", |answer| answer.json()["building"]["checkpoint"] == 5);
    server.order("noting", "promote").refused(409, "release-unfit");
    let held = server.wait_for_release("noting", 2, "held");
    let reasons: Vec<&str> =
        held["steps"].as_array().expect("steps").iter().filter_map(|step| step["reason"].as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("the first is `d`")), "{held}");
    assert_eq!(server.projection("noting")["live"]["release"], 1);
    // It is compared once more, so that what its operator looks at next has that, too; then it can be promoted.
    let all = server.wait_for("/projections/noting/diff", |answer| answer.json()["parked"]["newly_sequences"] == 2);
    assert_eq!(
        (&all.json()["after"]["position"], &all.json()["parked"]["newly"][1]["sequence"]),
        (&json!(5), &json!("d"))
    );
    server.order("noting", "promote").ok();
    assert_eq!(server.projection("noting")["live"]["release"], 2);
    server.order("noting", "rollback").ok();
    server.order("noting", "abort").refused(409, "release-unfit");

    // One that was held for that, and promoted, serves.
    server.order("noting", "rebuild").ok();
    server.wait_for_release("noting", 3, "live");
    server.deploy("noting", &noting(&["Shifted", "Failed"], &json!({ "parks": true }))).ok();
    server.wait_for_release("noting", 4, "held");
    server.order("noting", "promote").ok();
    assert_eq!(server.projection("noting")["parked"], 2);
    // One that leaves out no more than that takes its place, and one that mends it, and what it mends is told.
    server.order("noting", "rebuild").ok();
    server.wait_for_release("noting", 5, "live");
    server.deploy("noting", &noting(&["Shifted"], &json!({ "parks": true, "version": "1.0.1" }))).ok();
    server.wait_for_release("noting", 6, "live");
    let parked = diff(&server, "noting")["parked"].clone();
    assert_eq!((&parked["newly_sequences"], &parked["no_longer"][0]["sequence"]), (&json!(0), &json!("b")));
}

#[test]
fn what_is_held_is_compared_again_as_of_now() {
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold"]);
    import(&server, &cars_events()[..5]);
    server.deploy("cars", cars_v1()).ok();
    server.post("/projections/cars/diff", &Value::Null).refused(409, "release-unfit");
    server.promote_held("cars", 1);
    server.deploy("cars", cars_v2()).ok();
    let held = server.wait_for_release("cars", 2, "held");
    assert_eq!(held["reason"], "policy `hold` of the host; nothing differs");
    // When more comes, then it differs, and whoever asks again is told.
    import(&server, &cars_events()[5..]);
    server.rows("cars", "cars");
    assert_eq!(diff(&server, "cars")["different_rows"], 0);
    let again = server.order("cars", "diff?release=2").ok();
    assert_eq!((&again["different_rows"], &again["after"]["position"]), (&json!(2), &json!(9)));
    assert_eq!(diff(&server, "cars"), again);
    let held = server.wait_for_release("cars", 2, "held");
    assert_eq!(held["reason"], "policy `hold` of the host; what differs: 2 rows");
    server.order("cars", "diff?release=1").refused(409, "release-unfit");
    let path = data.path().display().to_string();
    let shown = laterna(["diff", "cars", "--again", "--data", &path]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("both at position 9"), "{shown:?}");
    server.order("cars", "promote").ok();
    server.order("cars", "diff").refused(409, "release-unfit");
}

#[test]
fn a_command_alone_deploys_nothing_that_was_dropped() {
    // Given a host whose flags say that releases are held,
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold"]);
    import(&server, &cars_events()[..6]);
    server.deploy("cars", cars_v1()).ok();
    server.promote_held("cars", 1);
    server.stop();
    // when a file is dropped while it is down, and commands open the directory alone, then they leave it where it lies,
    data.drop_bytes("cars", cars_v2());
    let path = data.path().display().to_string();
    for command in ["status", "verify"] {
        let ran = laterna([command, "cars", "--data", &path]);
        assert!(ran.status.success(), "{ran:?}");
    }
    let file = data.path().join("components/cars.wasm").display().to_string();
    let plan = laterna(["plan", &file, "--data", &path]);
    assert!(String::from_utf8_lossy(&plan.stdout).contains("against release 1 (1.0.0)"), "{plan:?}");
    // and it is held once the host is back.
    let server = data.serve_with(&["--policy", "hold"]);
    server.wait_for_release("cars", 2, "held");
}

#[test]
fn what_is_given_up_leaves_no_trace_but_its_record() {
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold"]);
    import(&server, &cars_events()[..6]);
    server.deploy("cars", cars_v1()).ok();
    server.promote_held("cars", 1);
    data.drop_bytes("cars", cars_v2());
    server.wait_for_release("cars", 2, "held");
    let store = data.path().join("stores/cars/2.db");
    assert!(store.exists());
    server.order("cars", "abort?release=1").refused(409, "release-unfit");
    let given_up = server.order("cars", "abort").ok();
    assert_eq!((&given_up["state"], &given_up["building"]), (&json!("retired"), &Value::Null));
    assert_eq!(recorded(&given_up, 2).expect("a record")["reason"], "its operator gave it up");
    // Its store goes once nobody writes or reads it any more.
    server.wait_for("/projections/cars", |_| !store.exists());
    server.order("cars", "abort").refused(409, "release-unfit");
    server.get("/projections/cars/diff?release=2").refused(404, "difference-not-found");
    // Its file lies there, and is not taken again by itself, also after a restart; who deploys it means it.
    server.stop();
    let server = data.serve_with(&["--policy", "hold"]);
    assert_eq!(server.projection("cars")["releases"][0]["release"], 2);
    server.deploy("cars", cars_v2()).ok();
    server.wait_for_release("cars", 3, "held");
    // A newer one takes the place of one that is held.
    server.deploy("cars", &variant(cars_v2(), 1)).ok();
    server.wait_for_release("cars", 4, "held");
    server.wait_for_release("cars", 3, "retired");
    assert_eq!(customer(&server, "hrxs21"), "Bob");
}

#[test]
fn what_is_held_outlives_the_host() {
    let data = Data::new();
    let flags = ["--policy", "hold"];
    let server = data.serve_with(&flags);
    import(&server, &cars_events()[..6]);
    server.deploy("cars", cars_v1()).ok();
    server.promote_held("cars", 1);
    server.deploy("cars", cars_v2()).ok();
    server.wait_for_release("cars", 2, "held");
    let difference = diff(&server, "cars");
    server.kill();
    let server = data.serve_with(&flags);
    assert_eq!(recorded(&server.projection("cars"), 2).expect("a record")["state"], "held");
    assert_eq!(diff(&server, "cars"), difference);
    import(&server, &cars_events()[6..]);
    server.wait_for("/projections/cars", |answer| answer.json()["building"]["checkpoint"] == 9);
    server.order("cars", "promote").ok();
    assert_eq!(customer(&server, "tye24p"), "Dan");
    // Dropping the bytes of the warm one is a deploy like any other: it is held, and a rollback is not.
    server.deploy("cars", cars_v1()).ok();
    server.wait_for_release("cars", 3, "held");
    server.order("cars", "rollback").ok();
    assert_eq!((customer(&server, "hrxs21"), &server.projection("cars")["live"]["release"]), (json!("Bob"), &json!(1)));
    server.wait_for_release("cars", 3, "retired");
}

#[test]
fn what_cannot_be_compared_is_held() {
    let data = Data::new();
    let server = data.serve_with(&["--verify-ms", "0"]);
    import(&server, &cars_events()[..6]);
    server.deploy("cars", cars_v1()).ok();
    server.wait_for_release("cars", 1, "live");
    server.deploy("cars", cars_v2()).ok();
    let held = server.wait_for_release("cars", 2, "held");
    let reason = held["reason"].as_str().expect("text");
    assert!(reason.contains("could not be compared") && reason.contains("raise `verify_ms`"), "{reason}");
    server.order("cars", "promote").ok();
    assert_eq!(customer(&server, "hrxs21"), "Charlie");
}

/// What of a million rows is otherwise in a release is said by its schema: `faults` is a view of one number.
fn big(version: &str, fault: u64) -> Vec<u8> {
    let schema = format!(
        "CREATE TABLE seen (position INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;
         CREATE TABLE counts (type TEXT PRIMARY KEY, events INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE notes (position INTEGER, line INTEGER, note TEXT NOT NULL, PRIMARY KEY (position, line)) STRICT, WITHOUT ROWID;
         CREATE TABLE big (id INTEGER PRIMARY KEY, word TEXT NOT NULL, cents INTEGER NOT NULL) STRICT;
         CREATE TABLE heap (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
         CREATE VIEW faults AS SELECT {fault} AS n;"
    );
    misbehaving(&json!({ "name": "noting", "consumes": ["Asked"], "schema": schema, "version": version }))
}

const ROWS: u64 = 1_000_000;
const ROWS_OF_EVENT: u64 = 20_000;

/// Events of which each writes twenty thousand rows. With a fault of 1,000, one in a thousand is missing, one is added, and one is another.
fn big_events() -> String {
    let rows = |event: u64| {
        let (first, last) = (event * ROWS_OF_EVENT + 1, (event + 1) * ROWS_OF_EVENT);
        let from = format!("WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})");
        let sql = [
            format!(
                "{from} INSERT INTO big SELECT i, 'the word of ' || i, i * 7 + (i % 1000 = 500 AND (SELECT n FROM faults) = 1000)
                 FROM n WHERE i % 1000 <> 1 OR (SELECT n FROM faults) <> 1000"
            ),
            format!("{from} INSERT INTO big SELECT -i, 'another', 0 FROM n WHERE i % 1000 = 2 AND (SELECT n FROM faults) = 1000"),
        ];
        json!({ "stream": "big", "type": "Asked", "data": { "sql": sql } }).to_string()
    };
    (0..ROWS / ROWS_OF_EVENT).map(rows).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_million_rows_are_compared_while_more_is_written() {
    // Given a million rows,
    let data = Data::new();
    let server = data.serve_with(&["--verify-samples", "3"]);
    server.import(&big_events()).ok();
    server.deploy("noting", &big("1.0.0", 0)).ok();
    server.wait_for_release("noting", 1, "live");
    // when a release writes some of them otherwise, and events come all the while, then it serves, and each of them is counted.
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                server.import(&json!({ "stream": "more", "type": "Asked", "data": { "sql": [] } }).to_string()).ok();
            }
        });
        server.deploy("noting", &big("2.0.0", 1_000)).ok();
        server.wait_for_release("noting", 2, "live");
        is_done.store(true, Ordering::Relaxed);
        appending.join().expect("it appended");
    });
    let difference = diff(&server, "noting");
    let some = ROWS / 1_000;
    assert_eq!(counts(&difference, "big"), [some, some, some]);
    assert_eq!(
        (table(&difference, "big")["before"]["rows"].clone(), counts(&difference, "seen")),
        (json!(ROWS), [0, 0, 0])
    );
    assert_eq!(difference["before"]["position"], difference["after"]["position"]);
    for (kind, first) in [("added", json!(-999_002)), ("removed", json!(1))] {
        let samples = table(&difference, "big")["samples"][kind].as_array().expect("a list").clone();
        assert_eq!((samples.len(), &samples[0]["id"]), (3, &first), "{samples:?}");
    }
    let changed = &table(&difference, "big")["samples"]["changed"][0];
    assert_eq!(changed, &json!({ "key": { "id": 500 }, "columns": { "cents": { "before": 3500, "after": 3501 } } }));
}

#[test]
fn a_store_that_is_written_too_much_meanwhile_is_compared_again_then_held() {
    let data = Data::new();
    let server = data.serve_with(&["--verify-wal-bytes", "0", "--policy", "hold-if-different"]);
    server.import(&big_events()).ok();
    server.deploy("noting", &big("1.0.0", 0)).ok();
    server.wait_for_release("noting", 1, "live");
    // Somebody looks into the file all the while, so that its write-ahead log only grows.
    let store = Connection::open(data.path().join("stores/noting/1.db")).expect("a store");
    store.execute_batch("BEGIN; SELECT count(*) FROM seen").expect("it is read");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                server.import(&json!({ "stream": "more", "type": "Asked", "data": { "sql": [] } }).to_string()).ok();
            }
        });
        server.deploy("noting", &big("1.0.1", 0)).ok();
        let held = server.wait_for_release("noting", 2, "held");
        let reason = held["reason"].as_str().expect("text");
        assert!(
            reason.contains("grew by more than 0 bytes in each of 3 attempts: raise `verify_wal_bytes`"),
            "{reason}"
        );
        is_done.store(true, Ordering::Relaxed);
        appending.join().expect("it appended");
    });
    // Nothing is written any more, so that the same release can be compared.
    server.order("noting", "abort").ok();
    server.order("noting", "rebuild?release=1").ok();
    server.wait_for_release("noting", 3, "live");
    assert_eq!(diff(&server, "noting")["same"], true);
}
