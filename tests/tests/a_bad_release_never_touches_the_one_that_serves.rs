//! P4 and P7: whatever is wrong with a release, it says so, there is a way on, and what serves goes on serving.

use laterna_tests::guests::misbehaving;
use laterna_tests::releases::{cars_events, cars_v1, cars_v2, recorded, variant};
use laterna_tests::{Data, Server, laterna};
use serde_json::{Value, json};

const LIMITS: &[&str] = &["--settle-ms", "20", "--fuel", "30000000", "--memory-bytes", "16777216"];

/// Good events, and one of this type among them.
fn history(server: &Server, event_type: &str) -> u64 {
    let lines = (1..=40).map(|number| {
        let event_type = if number == 20 { event_type } else { "Counted" };
        json!({ "id": format!("{event_type}-{number}"), "stream": "things-1", "type": event_type, "data": {} })
            .to_string()
    });
    server.import(&lines.collect::<Vec<_>>().join("\n")).ok()["last_position"].as_u64().expect("a position")
}

/// A component that counts, and consumes this besides.
fn counting(also: &[&str], more: &Value) -> Vec<u8> {
    let consumes: Vec<&str> = ["Counted"].iter().chain(also).copied().collect();
    let mut says = json!({ "name": "counting", "consumes": consumes });
    says.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    misbehaving(&says)
}

fn counted(server: &Server) -> (Value, String, u64) {
    let counts = server.get("/projections/counting/tables/counts?fresh=true");
    let rows = counts.ok()["rows"].clone();
    (rows, counts.header("laterna-release").expect("a release").to_owned(), counts.position())
}

/// Drops something beside a release that serves; it must end in this state with this code, and say this.
fn check(dropped: &[u8], event_type: &str, flags: &[&str], state: &str, code: &str, says: &str) {
    let data = Data::new();
    data.drop_bytes("counting", &counting(&[], &json!({})));
    let server = data.serve_logging("off", &[LIMITS, flags].concat());
    history(&server, event_type);
    let before = counted(&server);
    assert_eq!(before, (json!([{ "type": "Counted", "events": 39 }]), "1".to_owned(), 40));

    // When something bad is dropped, it ends as it must, and says why,
    data.drop_bytes("counting", dropped);
    let record = server.wait_for_release("counting", 2, state);
    let reason = record["reason"].as_str().expect("a reason");
    assert_eq!(record["code"], code, "{record}");
    assert!(reason.contains(says) && !reason.contains('\n'), "{reason}");
    assert_eq!(server.get(&format!("/errors/{code}")).status, 200);
    let status = laterna(["status", "--url", &server.url]);
    let status = String::from_utf8(status.stdout).expect("text");
    assert!(status.contains(reason) && status.contains("; release 1 goes on serving"), "{status}");
    // and nothing is left of it, and what serves goes on as before.
    server.wait_for("/projections/counting", |answer| answer.json()["building"].is_null());
    assert_eq!(counted(&server), before);
    server.post("/streams/things-1/events", &json!({ "events": [{ "type": "Counted" }] })).ok();
    assert_eq!(counted(&server), (json!([{ "type": "Counted", "events": 40 }]), "1".to_owned(), 41));
    let stores = data.path().join("stores/counting");
    server.wait_for("/projections/counting", |_| !stores.join("2.db").exists());

    // After a restart it is the same, and nothing is tried again by itself.
    server.stop();
    let server = data.serve_logging("off", &[LIMITS, flags].concat());
    assert_eq!(counted(&server).1, "1");
    let shown = server.projection("counting");
    assert_eq!(shown["releases"].as_array().expect("a list").len(), 2, "{shown}");
    // A mended one takes its place.
    data.drop_bytes("counting", &variant(&counting(&[], &json!({})), 3));
    server.wait_for_release("counting", 3, "live");
    assert_eq!(counted(&server), (json!([{ "type": "Counted", "events": 40 }]), "3".to_owned(), 41));
}

#[test]
fn what_is_no_component() {
    check(b"just some text", "Counted2", &[], "rejected", "not-a-component", "not WebAssembly");
}

#[test]
fn what_traps_while_it_describes_itself() {
    check(&counting(&[], &json!({ "deed": "trap" })), "Other", &[], "rejected", "bad-manifest", "who am I?");
}

#[test]
fn what_calls_itself_otherwise() {
    check(&counting(&[], &json!({ "name": "other" })), "Other", &[], "rejected", "wrong-name", "calls itself `other`");
}

#[test]
fn what_wants_tables_that_a_read_model_may_not_have() {
    let schema = "CREATE TABLE seen (position INTEGER PRIMARY KEY, id TEXT NOT NULL)";
    check(&counting(&[], &json!({ "schema": schema })), "Other", &[], "rejected", "bad-schema", "STRICT");
}

#[test]
fn what_traps_at_an_event_of_its_history() {
    let says = "event Trapped-20 (Trapped) at position 20: it trapped";
    check(&counting(&["Trapped"], &json!({})), "Trapped", &[], "failed", "event-failed", says);
}

#[test]
fn what_never_ends_at_an_event_of_its_history() {
    let says = "event Looped-20 (Looped) at position 20: it used up its budget";
    check(&counting(&["Looped"], &json!({})), "Looped", &["--batch-events", "7"], "failed", "event-failed", says);
}

#[test]
fn what_fills_its_store() {
    let flags = &["--store-pages", "300"];
    check(&counting(&["Hoarded"], &json!({})), "Hoarded", flags, "failed", "machine", "position 20");
}

#[test]
fn a_build_that_failed_is_built_again_with_more() {
    // Given a build that failed at its limits: a store of 40 pages has no room for so much,
    let data = Data::new();
    data.drop_bytes("counting", &misbehaving(&json!({ "name": "counting", "consumes": ["Other"] })));
    let server = data.serve_logging("off", &["--store-pages", "40"]);
    let lines = (0..2_000).map(|number| {
        json!({ "id": format!("{number:0200}"), "stream": "things-1", "type": "Counted", "data": {} }).to_string()
    });
    server.import(&lines.collect::<Vec<_>>().join("\n")).ok();
    assert_eq!(counted(&server).0, json!([]));
    data.drop_bytes("counting", &counting(&[], &json!({})));
    let failed = server.wait_for_release("counting", 2, "failed");
    assert_eq!(failed["limits"]["store_pages"], 40, "{failed}");
    // when its limits are raised, it is not tried again by itself,
    server.stop();
    let server = data.serve_logging("off", &[]);
    assert_eq!(server.projection("counting")["releases"].as_array().expect("a list").len(), 2);
    // but when its operator says so, with the limits of now.
    let order = server.order("counting", "rebuild");
    assert_eq!((order.status, &order.ok()["release"]), (202, &json!(3)));
    let live = server.wait_for_release("counting", 3, "live");
    assert_eq!((&live["digest"], &live["limits"]["store_pages"]), (&failed["digest"], &json!(16_777_216)));
    assert_eq!(counted(&server).0, json!([{ "type": "Counted", "events": 2_000 }]));
}

#[test]
fn a_first_release_that_cannot_be_built_serves_nothing_and_says_so() {
    let data = Data::new();
    let server = data.serve_logging("off", LIMITS);
    history(&server, "Failed");
    data.drop_bytes("counting", &counting(&["Failed"], &json!({})));
    server.wait_for_release("counting", 1, "failed");
    let problem = server.get("/projections/counting/tables/counts?fresh=true").refused(503, "projection-not-live");
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("an order without a customer") && detail.contains("position 20"), "{detail}");
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn the_newest_drop_wins() {
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let server = data.serve_with(LIMITS);
    server.import(&cars_events().join("\n")).ok();
    let state = |release: u64| {
        let record = recorded(&server.projection("cars"), release).expect("it is recorded");
        (record["state"].clone(), record["reason"].as_str().expect("a reason").to_owned())
    };
    // Given a build under way, when another file is dropped, then that one is built instead.
    server.post("/projections/cars/pause?builds=true", &Value::Null).ok();
    data.drop_bytes("cars", cars_v2());
    server.wait_for_release("cars", 2, "building");
    data.drop_bytes("cars", &variant(cars_v2(), 3));
    server.wait_for_release("cars", 3, "building");
    assert_eq!(state(2), (json!("retired"), "release 3 came before it served".to_owned()));
    // When the bytes that serve are dropped again, nothing is built.
    data.drop_bytes("cars", cars_v1());
    server.wait_for_release("cars", 3, "retired");
    assert_eq!(state(3).1, "the bytes of release 1, which serves, came again");
    assert_eq!(server.projection("cars")["building"], Value::Null);
    // The first two bytes that were dropped are new ones now: nothing is kept of them.
    data.drop_bytes("cars", cars_v2());
    server.wait_for_release("cars", 4, "building");
    // Rolling back makes an end of a build, too.
    server.order("cars", "rollback").refused(409, "release-unfit");
    server.order("cars", "resume").ok();
    server.wait_for_release("cars", 4, "live");
    server.post("/projections/cars/pause?builds=true", &Value::Null).ok();
    assert_eq!(server.order("cars", "rebuild").ok()["release"], 5);
    assert_eq!(server.order("cars", "rollback").ok()["live"]["release"], 1);
    assert_eq!(state(5), (json!("retired"), "release 1 is called back".to_owned()));
    // So does removing it.
    assert_eq!(server.order("cars", "rebuild").ok()["release"], 6);
    server.order("cars", "remove").ok();
    let again = server.deploy("cars", &variant(cars_v2(), 7));
    assert_eq!((again.status, &again.ok()["release"]), (202, &json!(7)));
    assert_eq!(state(6).1, "the component was removed");
}

#[test]
fn a_release_that_halts_after_it_took_over_gives_way_to_the_one_before() {
    let data = Data::new();
    data.drop_bytes("counting", &counting(&[], &json!({})));
    let server = data.serve_logging("off", LIMITS);
    history(&server, "Other");
    data.drop_bytes("counting", &counting(&["Trapped"], &json!({})));
    server.wait_for_release("counting", 2, "live");
    // Given a release that halts at a new event,
    let events =
        json!({ "events": [{ "type": "Counted" }, { "type": "Trapped", "id": "bad" }, { "type": "Counted" }] });
    server.post("/streams/things-1/events", &events).ok();
    let halted = |answer: &laterna_tests::Answer| answer.json()["live"]["status"] == "halted";
    let shown = server.wait_for("/projections/counting", halted).json();
    assert_eq!(shown["live"]["checkpoint"], 41, "{shown}");
    // the one before waits where it waits: nobody is shown more than the one that serves has shown.
    server.wait_for("/projections/counting", |answer| answer.json()["warm"]["checkpoint"] == 41);
    // Rolled back, the one before goes on from there.
    assert_eq!(server.order("counting", "rollback").ok()["live"]["release"], 1);
    assert_eq!(counted(&server), (json!([{ "type": "Counted", "events": 41 }]), "1".to_owned(), 43));
    // The other one has halted, and cannot come back.
    let problem = server.order("counting", "rollback").refused(409, "release-unfit");
    assert!(problem["detail"].as_str().expect("text").contains("event bad (Trapped) at position 42"), "{problem}");
}

#[test]
fn a_paused_projection_answers_and_stands_still() {
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let server = data.serve_with(LIMITS);
    server.import(&cars_events()[..6].join("\n")).ok();
    assert_eq!(server.rows("cars", "cars").len(), 2);
    server.order("cars", "pause").ok();
    server.import(&cars_events()[6..].join("\n")).ok();
    // Who asks is answered as of where it stands; who wants more is told why there is none.
    assert_eq!(server.get("/projections/cars/tables/cars").position(), 6);
    let problem = server.get("/projections/cars/tables/cars?fresh=true&timeout=50ms").refused(503, "not-caught-up");
    assert!(problem["detail"].as_str().expect("text").contains("laterna resume cars"), "{problem}");
    // It rests after a restart, too,
    server.kill();
    let server = data.serve_with(LIMITS);
    assert_eq!(server.projection("cars")["live"]["status"], "paused");
    assert_eq!(server.get("/projections/cars/tables/cars").position(), 6);
    // until it is let go on.
    server.order("cars", "resume").ok();
    assert_eq!(server.get("/projections/cars/tables/cars?fresh=true").position(), 9);
}

#[test]
fn uploads_are_drops() {
    let data = Data::new();
    let server = data.serve_with(LIMITS);
    server.import(&cars_events().join("\n")).ok();
    let file = data.path().join("components/trade/cars.wasm");
    let upload = |bytes: &[u8]| {
        let path = "/components?name=cars&module=trade";
        server.try_post(path, "application/wasm", bytes).expect("the host answers")
    };
    // Given nothing, when a component is uploaded, it lies in the folder, and serves.
    let answer = upload(cars_v1());
    assert_eq!((answer.status, &answer.ok()["release"]), (202, &json!(1)));
    server.wait_for_release("cars", 1, "live");
    assert_eq!(std::fs::read(&file).expect("it was put there"), cars_v1());
    let again = upload(cars_v1());
    assert_eq!((again.status, &again.ok()["unchanged"]), (200, &json!(true)));
    // One that is refused is told why, and leaves the file as it was.
    let problem = upload(b"no component").refused(422, "component-refused");
    assert_eq!((&problem["code"], &problem["release"]), (&json!("not-a-component"), &json!(2)));
    assert_eq!(std::fs::read(&file).expect("it is there"), cars_v1());
    upload(cars_v2()).ok();
    server.wait_for_release("cars", 3, "live");
    assert_eq!(std::fs::read(&file).expect("it was put there"), cars_v2());
    // What was uploaded is not taken for a new file at a restart.
    server.stop();
    let server = data.serve_with(LIMITS);
    assert_eq!(server.projection("cars")["releases"].as_array().expect("a list").len(), 3);
    // Names that would lead out of the folder are refused.
    for path in ["/components", "/components?name=../cars", "/components?name=cars&module=..%2F..", "/components?name="]
    {
        server.try_post(path, "application/wasm", cars_v1()).expect("the host answers").refused(400, "bad-parameter");
    }
}

#[test]
fn what_halted_at_the_machine_goes_on_once_it_is_mended() {
    let data = Data::new();
    data.drop_bytes("cars", cars_v2());
    let server = data.serve_logging("off", LIMITS);
    server.import(&cars_events()[..6].join("\n")).ok();
    assert_eq!(server.rows("cars", "cars").len(), 2);
    // Given a store that cannot be written, since somebody else has locked it,
    let locked = rusqlite::Connection::open(data.path().join("stores/cars/1.db")).expect("a store");
    locked.execute_batch("BEGIN IMMEDIATE").expect("it is locked");
    server.import(&cars_events()[6..].join("\n")).ok();
    let halted = |answer: &laterna_tests::Answer| answer.json()["live"]["status"] == "halted";
    let shown = server.wait_for("/projections/cars", halted).json();
    assert_eq!(
        (&shown["live"]["halt"]["code"], &shown["live"]["checkpoint"]),
        (&json!("machine"), &json!(6)),
        "{shown}"
    );
    assert_eq!(server.get("/projections/cars/tables/cars").position(), 6);
    // when it is let go, and the operator says so, then it goes on from there.
    locked.execute_batch("ROLLBACK").expect("it is let go");
    assert_eq!(server.order("cars", "resume").ok()["live"]["release"], 1);
    let cars = server.get("/projections/cars/tables/cars?fresh=true");
    assert_eq!((cars.position(), &cars.ok()["rows"][1]["customer"]), (9, &json!("Dan")));
}
