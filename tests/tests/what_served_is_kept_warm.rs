//! What served is kept warm: the releases that served last, so many, each for so long. They follow the one that serves, can serve again
//! at once, and are gone with their files once they are not kept any longer.

use laterna_tests::releases::{cars_events, cars_v1, recorded, variant};
use laterna_tests::standing::Standing;
use laterna_tests::{BREATH, Client, Data, PATIENCE, laterna};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Deploys another release, and waits until it serves.
fn swap(client: &Client, release: u64) {
    client.deploy("cars", &variant(cars_v1(), release)).ok();
    client.wait_for_release("cars", release, "live");
}

/// The states of all releases, oldest first.
fn states(client: &Client) -> Vec<String> {
    let standing = Standing::of(&client.get("/projections/cars"));
    standing.releases.into_iter().map(|release| release.state).collect()
}

fn reason(client: &Client, release: u64) -> String {
    let record = recorded(&client.projection("cars"), release).expect("a record");
    record["reason"].as_str().expect("text").to_owned()
}

fn is_there(data: &Data, component: &str, release: u64) -> bool {
    data.path().join(format!("stores/{component}/{release}.db")).exists()
}

/// The files of a release that are there: its store, what belongs to that, and its bytes.
fn files(data: &Data, component: &str, release: u64) -> Vec<PathBuf> {
    let folder = data.path().join("stores").join(component);
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let begins = format!("{release}.");
    files.filter(|file| file.file_name().expect("a name").to_string_lossy().starts_with(&begins)).collect()
}

/// Waits until nothing is left of a release: its store goes once nobody reads it any more.
fn wait_until_gone(data: &Data, component: &str, release: u64) {
    let begun = Instant::now();
    while !files(data, component, release).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "there still are {:?}", files(data, component, release));
        std::thread::sleep(BREATH);
    }
}

/// Where a release stands that runs.
fn position(client: &Client, release: u64) -> u64 {
    let answer = client.get(&format!("/projections/cars/parked?release={release}"));
    answer.ok();
    answer.position()
}

fn wait_for_position(client: &Client, release: u64, wanted: u64) {
    let path = format!("/projections/cars/parked?release={release}");
    client.wait_for(&path, |answer| answer.status == 200 && answer.position() == wanted);
}

#[test]
fn those_that_served_last_are_kept() {
    let data = Data::new();
    let server = data.serve_with(&["--warm-releases", "2"]);
    server.import(&cars_events()[..6].join("\n")).ok();
    // When one takes the place of another four times, then the two that served last are kept, and nothing of those before.
    (1..=5).for_each(|release| swap(&server, release));
    assert_eq!(states(&server), ["retired", "retired", "warm", "warm", "live"]);
    for (release, next) in [(1, 4), (2, 5)] {
        assert_eq!(reason(&server, release), format!("release {next} serves now, and 2 are kept before it"));
        wait_until_gone(&data, "cars", release);
    }
    assert!([3, 4, 5].into_iter().all(|release| is_there(&data, "cars", release)));

    // They follow what comes, never ahead of the one that serves.
    server.import(&cars_events()[6..].join("\n")).ok();
    [3, 4].into_iter().for_each(|release| wait_for_position(&server, release, 9));
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            for _ in 0..300 {
                server.import(&json!({ "stream": "customer-1", "type": "customer.greeted" }).to_string()).ok();
            }
            is_done.store(true, Ordering::Relaxed);
        });
        while !is_done.load(Ordering::Relaxed) {
            for release in [3, 4] {
                let (warm, live) = (position(&server, release), position(&server, 5));
                assert!(warm <= live, "release {release} was at {warm} before the one that serves was beyond {live}");
            }
        }
        appending.join().expect("it appended");
    });
    [3, 4, 5].into_iter().for_each(|release| wait_for_position(&server, release, 309));

    // The older one serves again: all three are kept, and it counts as the one that served last with the next swap.
    assert_eq!(server.order("cars", "rollback?release=3").ok()["live"]["release"], 3);
    assert_eq!(states(&server), ["retired", "retired", "live", "warm", "warm"]);
    let refused = server.order("cars", "rollback?release=2").refused(409, "release-unfit");
    assert!(refused["detail"].as_str().expect("text").contains("is not kept: 5, 4 can serve again"), "{refused}");
    swap(&server, 6);
    assert_eq!(states(&server), ["retired", "retired", "warm", "retired", "warm", "live"]);
    wait_until_gone(&data, "cars", 4);
    assert_eq!(server.order("cars", "rollback").ok()["live"]["release"], 3);
    assert_eq!(server.rows("cars", "cars").len(), 2);
}

#[test]
fn those_that_are_kept_outlive_the_host() {
    let data = Data::new();
    let flags = ["--warm-releases", "2"];
    let server = data.serve_with(&flags);
    server.import(&cars_events()[..6].join("\n")).ok();
    (1..=3).for_each(|release| swap(&server, release));
    let before = Standing::of(&server.get("/projections/cars"));
    server.kill();
    // Nothing is lost, and both follow on.
    let server = data.serve_with(&flags);
    assert_eq!(Standing::of(&server.get("/projections/cars")), before);
    server.import(&cars_events()[6..].join("\n")).ok();
    [1, 2, 3].into_iter().for_each(|release| wait_for_position(&server, release, 9));
    server.order("cars", "rollback?release=1").ok();
    server.kill();
    // Who served last is remembered, too: it is not the one with the next number.
    let server = data.serve_with(&flags);
    assert_eq!(states(&server), ["live", "warm", "warm"]);
    assert_eq!(server.order("cars", "rollback").ok()["live"]["release"], 3);
    swap(&server, 4);
    assert_eq!(states(&server), ["warm", "retired", "warm", "live"]);
}

#[test]
fn none_is_kept_where_none_is_wanted() {
    let data = Data::new();
    let server = data.serve_with(&["--warm-releases", "0"]);
    server.import(&cars_events()[..6].join("\n")).ok();
    (1..=2).for_each(|release| swap(&server, release));
    assert_eq!(states(&server), ["retired", "live"]);
    assert_eq!(reason(&server, 1), "release 2 serves now, and none is kept before it");
    wait_until_gone(&data, "cars", 1);
    assert_eq!(server.projection("cars")["warm"], Value::Null);
    for order in ["rollback", "rollback?release=1"] {
        let refused = server.order("cars", order).refused(409, "release-unfit");
        let detail = refused["detail"].as_str().expect("text");
        assert!(detail.contains("of those that served none is kept any longer"), "{detail}");
    }
    assert_eq!(server.rows("cars", "cars").len(), 2);
}

/// A moment as the host writes it, in microseconds since 1970.
fn microseconds(moment: &Value) -> i64 {
    let moment: jiff::Timestamp = moment.as_str().expect("text").parse().expect("a moment");
    moment.as_microsecond()
}

#[test]
fn none_is_kept_longer_than_is_wanted() {
    // Given a release that is kept for an hour,
    let data = Data::new();
    let server = data.serve_with(&["--warm-seconds", "3600"]);
    server.import(&cars_events()[..6].join("\n")).ok();
    (1..=2).for_each(|release| swap(&server, release));
    // then it is told until when,
    let shown = server.projection("cars");
    let since = recorded(&shown, 1).expect("a record")["steps"].as_array().expect("steps").last().cloned();
    let since = microseconds(&since.expect("a step")["at"]);
    assert_eq!(microseconds(&shown["warm"]["retires_at"]), since + 3_600_000_000);
    let until = shown["warm"]["retires_at"].as_str().expect("text")[..16].replace('T', " ");
    let status = laterna(["status", "cars", "--data", &data.path().display().to_string()]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains(&format!("warm, folding, until {until}")), "no {until} in {status}");
    server.stop();

    // and when the host is started after its time, then it is retired by itself.
    let server = data.serve_with(&["--warm-seconds", "1"]);
    server.wait_for_release("cars", 1, "retired");
    assert_eq!(reason(&server, 1), "it was kept for 1 s, which is as long as a release is");
    wait_until_gone(&data, "cars", 1);
    let refused = server.order("cars", "rollback").refused(409, "release-unfit");
    assert!(refused["detail"].as_str().expect("text").contains("has no release to go back to"), "{refused}");

    // So is one whose time comes while the host runs; the one that serves is none of them, whatever its age.
    swap(&server, 3);
    server.wait_for_release("cars", 2, "retired");
    wait_until_gone(&data, "cars", 2);
    let steps = &Standing::of(&server.get("/projections/cars")).releases[1].steps;
    assert_eq!(steps[steps.len() - 3..], ["live", "warm", "retired"]);
    assert_eq!(server.projection("cars")["warm"], Value::Null);
    server.kill();
    let server = data.serve_with(&["--warm-seconds", "1"]);
    assert_eq!(states(&server), ["retired", "retired", "live"]);
    assert_eq!(server.rows("cars", "cars").len(), 2);
}

#[test]
fn as_long_as_can_be() {
    let data = Data::new();
    let most = i64::MAX.to_string();
    let server = data.serve_with(&["--warm-seconds", &most, "--warm-releases", &most]);
    (1..=3).for_each(|release| swap(&server, release));
    assert_eq!(states(&server), ["warm", "warm", "live"]);
    let shown = server.projection("cars");
    assert_eq!((&shown["warm"]["release"], &shown["warm"]["retires_at"]), (&json!(2), &Value::Null));
    assert_eq!(server.order("cars", "rollback?release=1").ok()["live"]["release"], 1);
}

#[test]
fn of_a_component_that_was_removed_the_store_is_kept_whatever_its_age() {
    let data = Data::new();
    let flags = ["--warm-seconds", "1"];
    let server = data.serve_with(&flags);
    server.import(&cars_events()[..6].join("\n")).ok();
    (1..=2).for_each(|release| swap(&server, release));
    let rows = server.rows("cars", "cars");
    server.order("cars", "remove").ok();
    // Another component's release ceases to serve later than that, and is retired meanwhile; so it is again after a restart.
    let other = |release: u64| {
        laterna_tests::guests::misbehaving(&json!({ "name": "other", "version": format!("1.0.{release}") }))
    };
    let swap_other = |client: &Client, release: u64| {
        client.deploy("other", &other(release)).ok();
        client.wait_for_release("other", release, "live");
    };
    swap_other(&server, 1);
    swap_other(&server, 2);
    server.wait_for_release("other", 1, "retired");
    assert!(is_there(&data, "cars", 2));
    server.stop();
    let server = data.serve_with(&flags);
    swap_other(&server, 3);
    server.wait_for_release("other", 2, "retired");
    assert!(is_there(&data, "cars", 2));
    // Deployed again, it goes on where it was.
    server.deploy("cars", &variant(cars_v1(), 2)).ok();
    server.wait_for_release("cars", 2, "live");
    assert_eq!(server.rows("cars", "cars"), rows);
    assert_eq!(states(&server), ["retired", "live"]);
}

#[test]
fn of_a_component_that_comes_back_readers_hear_that_it_does() {
    // Given a component that was removed while it rested behind the log's end,
    let data = Data::new();
    let server = data.serve();
    server.import(&cars_events()[..3].join("\n")).ok();
    swap(&server, 1);
    server.order("cars", "pause").ok();
    server.import(&cars_events()[3..6].join("\n")).ok();
    server.order("cars", "remove").ok();
    // when it is deployed again, then it is not there yet, and nobody is told to mend anything;
    server.deploy("cars", &variant(cars_v1(), 1)).ok();
    let refused = server.get("/projections/cars/tables/cars").refused(503, "projection-not-live");
    let detail = refused["detail"].as_str().expect("text");
    assert!(detail.contains("is called back") && !detail.contains("Mend"), "{detail}");
    // and let go on, it serves.
    server.order("cars", "resume").ok();
    server.wait_for_release("cars", 1, "live");
    assert_eq!(server.get("/projections/cars/tables/cars?fresh=true").position(), 6);
}
