//! A host whose clock stands still until it is advanced: what is recorded is recorded by that clock, which never goes back.

use laterna_tests::{Client, Data};
use serde_json::{Value, json};
use std::fs;

const HOUR_US: i64 = 3_600_000_000;

/// What the clock shows.
fn now(client: &Client) -> String {
    client.get("/clock").ok()["now"].as_str().expect("a moment").to_owned()
}

fn us(at: &str) -> i64 {
    at.parse::<jiff::Timestamp>().expect("a moment").as_microsecond()
}

/// Appends an event; answers when it was recorded.
fn recorded_at(client: &Client) -> String {
    let position = client.post("/streams/s-1/events", &json!({ "events": [{ "type": "Happened" }] })).position();
    let page = client.get(&format!("/events?after={}", position - 1)).ok();
    page["events"][0]["recorded_at"].as_str().expect("a moment").to_owned()
}

fn advance(client: &Client, body: &Value) -> String {
    client.post("/clock/advance", body).ok()["now"].as_str().expect("a moment").to_owned()
}

#[test]
fn events_are_recorded_by_the_clock_that_was_chosen() {
    // Given a host whose clock stands still.
    let data = Data::new();
    fs::write(data.path().join("laterna.toml"), "clock = \"manual\"\n").expect("a file");
    let server = data.serve_telling("info", &[]);
    assert_eq!(server.get("/clock").ok()["clock"], "manual");
    let begun = now(&server);
    let told = data.told();
    assert!(told.contains("the clock stands still until it is advanced") && told.contains(&begun), "{told}");

    // When events come, then all of them are recorded at the same moment,
    assert_eq!([recorded_at(&server), recorded_at(&server)], [begun.clone(), begun.clone()]);
    // and once it is advanced, at the later one.
    let later = advance(&server, &json!({ "by_seconds": 3_600 }));
    assert_eq!(us(&later), us(&begun) + HOUR_US);
    assert_eq!([recorded_at(&server), now(&server)], [later.clone(), later]);
    let much_later = "2999-12-31T23:59:59.123457Z";
    assert_eq!(advance(&server, &json!({ "to": "3000-01-01T01:59:59.123457+02:00" })), much_later);

    // When the host is killed, then its clock stands where it was told to stand,
    server.kill();
    let server = data.serve();
    assert_eq!([now(&server), recorded_at(&server)], [much_later, much_later]);
    server.kill();

    // and when the system's clock takes its place, time goes on from there.
    let server = data.serve_with(&["--clock", "system"]);
    assert_eq!(server.get("/clock").ok()["clock"], "system");
    let first = recorded_at(&server);
    assert!(*first > *much_later, "{first}");
    assert!(recorded_at(&server) >= first && now(&server) >= first);
    server.post("/clock/advance", &json!({ "by_seconds": 1 })).refused(409, "clock-not-manual");
    let last = recorded_at(&server);
    server.stop();

    // Nor does it go back where it is taken by hand again.
    let server = data.serve();
    assert_eq!([now(&server), recorded_at(&server)], [last.clone(), last]);
}

#[test]
fn it_is_advanced_as_far_as_is_said_and_never_back() {
    let data = Data::new();
    fs::write(data.path().join("clock"), "2010-12-01T08:26:00Z\n").expect("a file");
    let server = data.serve_with(&["--clock", "manual"]);
    let stands = "2010-12-01T08:26:00.000000Z";
    for (body, part) in [
        (json!({}), "either `by_seconds` or `to`"),
        (json!({ "by_seconds": 1, "to": "2010-12-01T08:27:00Z" }), "either `by_seconds` or `to`"),
        (json!({ "by_seconds": -1 }), "invalid value"),
        (json!({ "by_seconds": u64::MAX }), "no further than"),
        (json!({ "by_seconds": 300_000_000_000_u64 }), "no further than"),
        (json!({ "by_minutes": 1 }), "unknown field"),
        (json!({ "to": "tomorrow" }), "RFC 3339"),
        (json!({ "to": "2010-12-01T08:25:59.999999Z" }), "does not go back"),
        (json!({ "to": "2010-12-01T08:26:00+00:01" }), "does not go back"),
    ] {
        let refused = server.post("/clock/advance", &body).refused(400, "bad-request");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(part)), "{body}: {refused}");
        assert_eq!(now(&server), stands, "{body}");
    }
    assert_eq!(server.post("/clock/advance", &json!({ "to": "2010-01-01T00:00:00Z" })).json()["now"], stands);
    // Where it stands is not back.
    assert_eq!(advance(&server, &json!({ "by_seconds": 0 })), stands);
    assert_eq!(advance(&server, &json!({ "to": "2010-12-01T09:26:00+01:00" })), stands);

    // It is that of all modules.
    let of_module = server.with_token(&["deploy"], Some("sales"));
    of_module.post("/clock/advance", &json!({ "by_seconds": 1 })).refused(403, "not-allowed");
    assert_eq!(now(&of_module), stands);
    assert_eq!(
        advance(&server.with_token(&["deploy"], None), &json!({ "by_seconds": 1 })),
        "2010-12-01T08:26:01.000000Z"
    );
}

#[test]
fn nobody_is_told_what_the_disk_does_not_have() {
    // Given a clock whose file cannot be replaced.
    let data = Data::new();
    let server = data.serve_with(&["--clock", "manual"]);
    let (stands, file) = (now(&server), data.path().join("clock"));
    fs::remove_file(&file).expect("it is there");
    fs::create_dir(&file).expect("a folder");
    // When it is advanced, then it stands where it stood,
    let refused = server.post("/clock/advance", &json!({ "by_seconds": 60 })).refused(503, "releases-unavailable");
    laterna_tests::assert_names_no_file(&refused.to_string());
    assert_eq!([now(&server), recorded_at(&server)], [stands.clone(), stands.clone()]);
    // and goes on once it can be.
    fs::remove_dir(&file).expect("it is empty");
    assert_eq!(us(&advance(&server, &json!({ "by_seconds": 60 }))), us(&stands) + 60_000_000);
}
