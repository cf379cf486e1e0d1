//! P4: a host that is killed goes on with each release in the state in which it is recorded.

use laterna_tests::files::contents;
use laterna_tests::releases::{cars_events, cars_v1, cars_v2, recorded, variant};
use laterna_tests::{BREATH, Data, PATIENCE, Server, component, online_retail_events};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Instant;

/// Writes into the record of releases of a host that is down.
fn edit_record(data: &Data, sql: &str) {
    let control = Connection::open(data.path().join("control.db")).expect("a record");
    assert_eq!(control.execute(sql, []).expect("it is written"), 1, "{sql}");
}

fn names(server: &Server) -> Vec<Value> {
    server.rows("cars", "cars").iter().map(|row| row["customer"].clone()).collect()
}

#[test]
fn in_every_state_on_the_way() {
    for state in ["received", "checked", "building", "verifying"] {
        // Given a release on its way, in this state, when the host is killed,
        let data = Data::new();
        data.drop_bytes("cars", cars_v1());
        let server = data.serve();
        server.import(&cars_events().join("\n")).ok();
        assert_eq!(names(&server), ["Bob", "Dan"]);
        server.post("/projections/cars/pause?builds=true", &Value::Null).ok();
        data.drop_bytes("cars", cars_v2());
        server.wait_for_release("cars", 2, "building");
        server.kill();
        edit_record(&data, &format!("UPDATE releases SET state = '{state}' WHERE number = 2"));
        // then the one that serves goes on at once, and so does the other.
        let server = data.serve();
        assert_eq!(
            (names(&server), server.projection("cars")["live"]["release"].clone()),
            (vec![json!("Bob"), json!("Dan")], json!(1))
        );
        server.order("cars", "resume").ok();
        server.wait_for_release("cars", 2, "live");
        assert_eq!(names(&server), ["Charlie", "Dan"]);
        assert_eq!(server.projection("cars")["releases"].as_array().expect("a list").len(), 2);
    }
}

#[test]
fn in_every_state_that_serves_or_served() {
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let server = data.serve();
    server.import(&cars_events()[..8].join("\n")).ok();
    server.wait_for_release("cars", 1, "live");
    data.drop_bytes("cars", cars_v2());
    server.wait_for_release("cars", 2, "live");
    assert_eq!(names(&server), [json!("Charlie"), Value::Null]);
    server.kill();
    // Live and warm: both go on, and change places as before.
    let server = data.serve();
    server.import(&cars_events().join("\n")).ok();
    assert_eq!(names(&server), ["Charlie", "Dan"]);
    assert_eq!(server.order("cars", "rollback").ok()["live"]["release"], 1);
    assert_eq!(names(&server), ["Bob", "Dan"]);
    server.kill();
    // One that was called back, and had not come yet, comes.
    edit_record(&data, "UPDATE releases SET state = 'returning' WHERE number = 2");
    let server = data.serve();
    server.wait_for_release("cars", 2, "live");
    assert_eq!(names(&server), ["Charlie", "Dan"]);
    server.stop();
    // A host whose stores are gone makes them anew from the log, and is ready when they are there.
    std::fs::remove_dir_all(data.path().join("stores")).expect("it is there");
    let server = data.serve();
    server.wait_for("/health/ready", |answer| answer.status == 200);
    let cars = server.get("/projections/cars/tables/cars");
    assert_eq!((cars.position(), cars.header("laterna-release")), (9, Some("2")));
    assert_eq!(names(&server), ["Charlie", "Dan"]);
}

/// Starts a build of `retail` alongside, and stops it somewhere in the middle; answers its number and where it stands.
fn build_to_the_middle(server: &Server, head: u64) -> (u64, u64) {
    let begun = Instant::now();
    loop {
        server.order("retail", "resume").ok();
        let release = server.order("retail", "rebuild").ok()["release"].as_u64().expect("a number");
        // It is stopped as soon as something of it is seen. One that is too fast is rebuilt once more.
        loop {
            let shown = server.projection("retail");
            if shown["building"]["checkpoint"].as_u64().is_some_and(|checkpoint| checkpoint > 0) {
                server.post("/projections/retail/pause?builds=true", &Value::Null).ok();
                break;
            }
            if recorded(&shown, release).expect("it is recorded")["state"] == "live" {
                break;
            }
        }
        // It stands still where it stood twice.
        let mut stood = 0;
        loop {
            let checkpoint = server.projection("retail")["building"]["checkpoint"].as_u64();
            match checkpoint {
                Some(checkpoint) if checkpoint == stood && checkpoint > 0 && checkpoint < head => {
                    return (release, checkpoint);
                }
                Some(checkpoint) if checkpoint < head => stood = checkpoint,
                _ => break,
            }
            std::thread::sleep(BREATH);
        }
        assert!(begun.elapsed() < PATIENCE, "no build could be stopped in the middle");
    }
}

#[test]
fn a_build_is_resumed_after_a_kill_and_discarded_after_another_boot() {
    // Given a long history, and a build that was killed in the middle of it,
    let data = Data::new();
    data.drop_component(&component("retail"));
    let flags = ["--batch-events", "1"];
    let server = data.serve_with(&flags);
    for copy in 0..5 {
        let events = online_retail_events().replace("\"id\": \"", &format!("\"id\": \"{copy}-"));
        let events = events.replace("\"id\":\"", &format!("\"id\":\"{copy}-"));
        server.import(&events).ok();
    }
    let totals = server.rows("retail", "totals");
    let head = server.get("/projections").position();
    assert_eq!(head, 10_000);
    let (release, checkpoint) = build_to_the_middle(&server, head);
    server.kill();
    // when the host is started again, then it stands where it stood,
    let server = data.serve_with(&flags);
    let building = server.projection("retail")["building"].clone();
    assert_eq!((&building["release"], &building["checkpoint"]), (&json!(release), &json!(checkpoint)), "{building}");
    // and goes on from there.
    server.order("retail", "resume").ok();
    let record = server.wait_for_release("retail", release, "live");
    let built = record["steps"].as_array().expect("steps").iter().find(|step| step["state"] == "verifying").cloned();
    assert_eq!(built.expect("a step")["figures"]["events"], head - checkpoint);
    assert_eq!(server.rows("retail", "totals"), totals);

    // Given another one, when the machine is started anew, what was not on the disk yet may be torn: so it is not trusted.
    let (release, _) = build_to_the_middle(&server, head);
    server.kill();
    edit_record(&data, &format!("UPDATE releases SET boot = 'an earlier one' WHERE number = {release}"));
    let store = data.path().join(format!("stores/retail/{release}.db"));
    let mut torn = std::fs::read(&store).expect("a store");
    torn.iter_mut().skip(4096).for_each(|byte| *byte = byte.wrapping_add(1));
    std::fs::write(&store, torn).expect("it is written");
    let server = data.serve_with(&flags);
    server.wait_for_release("retail", release, "building");
    let record = recorded(&server.projection("retail"), release).expect("it is recorded");
    let reasons: Vec<&str> =
        record["steps"].as_array().expect("steps").iter().filter_map(|step| step["reason"].as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("started anew")), "{reasons:?}");
    assert_eq!(server.projection("retail")["building"]["checkpoint"], 0);
    server.order("retail", "resume").ok();
    server.wait_for_release("retail", release, "live");
    assert_eq!(server.rows("retail", "totals"), totals);
    server.stop();
    // What serves and what is warm are the same, and nothing is left of the others.
    let stores = data.path().join("stores/retail");
    let mut kept: Vec<u64> = std::fs::read_dir(&stores)
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
        .map(|path| path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).expect("a number"))
        .collect();
    kept.sort_unstable();
    assert_eq!((kept.len(), kept.last()), (2, Some(&release)));
    let [warm, live] = [kept[0], kept[1]].map(|number| contents(&stores.join(format!("{number}.db"))));
    assert_eq!(warm, live);
}

#[test]
fn a_host_that_starts_takes_what_was_dropped_meanwhile() {
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let server = data.serve();
    server.import(&cars_events().join("\n")).ok();
    assert_eq!(names(&server), ["Bob", "Dan"]);
    server.stop();
    data.drop_bytes("cars", cars_v2());
    data.drop_component(&component("retail"));
    // What has never served is ready soon after the start; what serves is there from the first moment on.
    let server = data.serve();
    assert_eq!(server.get("/projections/cars/tables/cars").status, 200);
    server.wait_for("/health/ready", |answer| answer.status == 200);
    assert_eq!(server.get("/projections/retail/tables/totals").status, 200);
    server.wait_for_release("cars", 2, "live");
    assert_eq!(names(&server), ["Charlie", "Dan"]);
    server.stop();
    data.drop_bytes("cars", &variant(cars_v2(), 1));
    let server = data.serve();
    server.wait_for_release("cars", 3, "live");
}
