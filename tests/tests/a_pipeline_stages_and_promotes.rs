//! `docs/stage-and-promote.sh`, as a pipeline runs it: against a host that asks for tokens.

use laterna_tests::guests::misbehaving;
use laterna_tests::releases::{cars_events, cars_v1, cars_v2, variant};
use laterna_tests::{Data, Server, laterna, root};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the script with a component, and so many rows that may differ.
fn stage(server: &Server, token: &str, file: &Path, rows: &str) -> Output {
    let mut script = Command::new("bash");
    script.arg(root().join("docs/stage-and-promote.sh")).arg(file).arg(rows);
    script.env("LATERNA_URL", &server.url).env("LATERNA_TOKEN", token).output().expect("bash runs")
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part)).concat()
}

#[test]
fn it_promotes_what_was_agreed_to_and_gives_up_what_was_not() {
    // Given a host where everybody shows a token, and releases are held,
    let data = Data::new();
    let path = data.path().display().to_string();
    let made = laterna(["token", "create", "--role", "deploy", "--role", "read", "--role", "append", "--data", &path]);
    let token = String::from_utf8_lossy(&made.stdout);
    let token = token.split_whitespace().find(|word| word.starts_with("laterna_")).expect("a token").to_owned();
    let server = data.serve_with(&["--require-tokens", "--policy", "hold"]);
    let client = server.showing(&token);
    client.import(&cars_events()[..6].join("\n")).ok();
    let file = |bytes: &[u8]| {
        let file = data.path().join("cars.wasm");
        std::fs::write(&file, bytes).expect("it is written");
        file
    };
    // when the first version is staged, then it is promoted: nothing can differ.
    let staged = stage(&server, &token, &file(cars_v1()), "0");
    assert!(staged.status.success(), "{}", text(&staged));
    assert_eq!(client.projection("cars")["live"]["release"], 1);
    // One that changes two rows is given up where none may differ, and promoted where two may.
    let staged = stage(&server, &token, &file(cars_v2()), "0");
    assert_eq!(staged.status.code(), Some(1), "{}", text(&staged));
    assert!(text(&staged).contains("2 rows differ: release 2 is given up"));
    assert_eq!(client.projection("cars")["releases"][0]["state"], "retired");
    let staged = stage(&server, &token, &file(cars_v2()), "2");
    assert!(staged.status.success() && text(&staged).contains("release 3 serves"), "{}", text(&staged));
    let rows = client.get("/projections/cars/tables/cars?car_id=eq.hrxs21").ok();
    assert_eq!(rows["rows"][0]["customer"], "Charlie");
    // One that changes nothing needs no allowance; one that is no component, and a token that may not, end it.
    let staged = stage(&server, &token, &file(&variant(cars_v2(), 1)), "0");
    assert!(staged.status.success() && text(&staged).contains("release 4 serves"), "{}", text(&staged));
    let staged = stage(&server, &token, &file(&cars_v2()[..1_000]), "0");
    assert!(!staged.status.success() && text(&staged).contains("component-refused"), "{}", text(&staged));
    let staged = stage(&server, "laterna_nobody", &file(cars_v2()), "0");
    assert!(!staged.status.success() && text(&staged).contains("token-needed"), "{}", text(&staged));
    assert_eq!(client.projection("cars")["live"]["release"], 4);
    // What serves is staged again, and serves.
    let staged = stage(&server, &token, &file(&variant(cars_v2(), 1)), "0");
    assert!(staged.status.success() && text(&staged).contains("release 4 serves"), "{}", text(&staged));
    assert_eq!(stage(&server, &token, Path::new("nowhere.wasm"), "0").status.code(), Some(2));
}

/// Where the host asks for no token, none is needed; and what readers lose is never agreed to by a number of rows.
#[test]
fn what_takes_something_away_is_given_up() {
    let data = Data::new();
    let server = data.serve_with(&["--policy", "hold"]);
    let file = data.path().join("noting.wasm");
    let queries = [json!([{ "name": "ids", "sql": "SELECT id FROM seen" }]), json!([])];
    let staged: Vec<Output> = queries
        .iter()
        .map(|queries| {
            let says = json!({ "name": "noting", "consumes": ["Shifted"], "queries": queries });
            std::fs::write(&file, misbehaving(&says)).expect("it is written");
            stage(&server, "", &file, "1000")
        })
        .collect();
    assert!(staged[0].status.success(), "{}", text(&staged[0]));
    assert_eq!(staged[1].status.code(), Some(1), "{}", text(&staged[1]));
    assert!(
        text(&staged[1]).contains("readers cannot ask what they could: release 2 is given up"),
        "{}",
        text(&staged[1])
    );
    assert_eq!(server.projection("noting")["live"]["release"], 1);
    drop(server);
    // What cannot be compared is given up, too.
    let server = data.serve_with(&["--policy", "hold", "--verify-ms", "0"]);
    let staged = stage(&server, "", &file, "1000");
    assert_eq!(staged.status.code(), Some(1), "{}", text(&staged));
    assert!(text(&staged).contains("it could not be compared: release 3 is given up"), "{}", text(&staged));
}
