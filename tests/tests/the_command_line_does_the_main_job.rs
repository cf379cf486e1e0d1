//! The command line, as somebody uses it in a terminal or a script: with a host that runs, and with a data directory alone.

use laterna_tests::{BREATH, Data, PATIENCE, binary, component, laterna, online_retail_events};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// What a command printed that must have succeeded.
fn out(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What a command said that must have failed in this way, in one line with the next step.
fn failure(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&out(output)).expect("JSON")
}

/// The same story, whether the commands find a host or open the directory themselves.
fn story(host: &[&str], events_file: &str) {
    let run = |arguments: &[&str]| laterna(arguments.iter().chain(host));

    // The shop's year is imported, and once more by mistake.
    assert_eq!(
        out(&run(&["import", events_file])),
        "2000 events stored, 0 known already; the log is at position 2000\n"
    );
    let again = json(&run(&["import", events_file, "--json"]));
    assert_eq!((&again["stored"], &again["skipped"]), (&0.into(), &2000.into()));

    // A customer comes, by hand.
    let registered = r#"{"customer_id": "12345", "country": "Norway"}"#;
    let append =
        ["append", "customer-12345", "CustomerRegistered", registered, "--id", "by-hand", "--expected", "no-stream"];
    assert_eq!(out(&run(&append)), "stored at position 2001 (revision 0)\n");
    assert_eq!(out(&run(&append)), "known already, at position 2001 (revision 0)\n");
    let late = failure(&run(&["append", "customer-12345", "X", "--expected", "no-stream"]), 1);
    assert!(late.contains("is at revision 0") && late.contains("wrong-expected-revision"), "{late}");

    // The projection has it, read as a query and as a table.
    let asked = out(&run(&["query", "retail", "customer", "id=12345", "fresh=true"]));
    assert!(asked.contains("12345") && asked.contains("Norway"), "{asked}");
    let rows =
        json(&run(&["query", "retail", "customers", "--table", "country=eq.Norway", "order=customer_id", "--json"]));
    assert_eq!(rows["rows"][0]["customer_id"], "12345");
    let unknown = failure(&run(&["query", "retail", "best_customers"]), 1);
    assert!(unknown.contains("it has: top_customers, customer, share"), "{unknown}");

    let misplaced = failure(&run(&["query", "retail", "customers"]), 1);
    assert!(misplaced.contains("a table of that name: `GET /projections/retail/tables/customers`"), "{misplaced}");

    // The log is read from its end.
    let tail = out(&run(&["tail", "--no-follow", "--after", "2000"]));
    assert!(tail.contains("2001") && tail.contains("customer-12345@0  CustomerRegistered"), "{tail}");
    let filtered = out(&run(&["tail", "--no-follow", "--after", "0", "--type", "StockAdjusted", "--json"]));
    let types = filtered.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["type"].clone());
    assert!(types.clone().count() > 0 && types.into_iter().all(|of_type| of_type == "StockAdjusted"), "{filtered}");

    // And all is well.
    let status = out(&run(&["status"]));
    assert!(status.contains("log: 2001 events") && status.contains("retail") && status.contains("folding"), "{status}");
    assert_eq!(json(&run(&["status", "--json"]))["projections"][0]["live"]["release"], 1);
}

fn data_with_retail() -> (Data, String) {
    let data = Data::new();
    data.drop_component(&component("retail"));
    let file = data.path().join("events.jsonl");
    std::fs::write(&file, online_retail_events()).expect("the file is written");
    let file = file.to_str().expect("text").to_owned();
    (data, file)
}

#[test]
fn with_a_host_that_is_named_by_its_address() {
    let (data, events) = data_with_retail();
    let server = data.serve();
    story(&["--url", &server.url], &events);
}

#[test]
fn with_a_host_that_is_found_by_its_data_directory() {
    let (data, events) = data_with_retail();
    let _server = data.serve();
    story(&["--data", data.path().to_str().expect("text")], &events);
}

#[test]
fn with_a_data_directory_that_no_host_serves() {
    let (data, events) = data_with_retail();
    story(&["--data", data.path().to_str().expect("text")], &events);
}

#[test]
fn a_component_is_checked_without_a_host() {
    let retail = component("retail");
    let checked = out(&laterna(["check".as_ref(), retail.as_os_str()]));
    for part in [
        "retail 1.0.0: A shop's purchases",
        "consumes  CustomerRegistered",
        "tables    countries",
        "queries   top_customers",
    ] {
        assert!(checked.contains(part), "{checked}");
    }
    let folder = Data::new();
    let renamed = folder.path().join("wholesale.wasm");
    std::fs::copy(&retail, &renamed).expect("the file is copied");
    let refused = laterna(["check".as_ref(), renamed.as_os_str(), "--json".as_ref()]);
    let said: Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    assert_eq!((refused.status.code(), &said["ok"]), (Some(1), &Value::Bool(false)));
    assert!(said["reason"].as_str().expect("a reason").contains("rename one of them"), "{said}");
}

#[test]
fn two_hosts_cannot_share_a_data_directory() {
    let data = Data::new();
    let _server = data.serve();
    let path = data.path().to_str().expect("text");
    let second = failure(&laterna(["serve", "--data", path, "--listen", "127.0.0.1:0"]), 1);
    assert!(second.contains("in use by another laterna"), "{second}");
}

#[test]
fn what_cannot_be_done_says_what_to_do() {
    let data = Data::new();
    let path = data.path().to_str().expect("text");
    let nowhere = data.path().join("nowhere");
    let nowhere = nowhere.to_str().expect("text");
    assert!(failure(&laterna(["status", "--data", nowhere]), 1).contains("start a host with `laterna serve --data"));
    assert!(failure(&laterna(["status", "--url", "http://127.0.0.1:1"]), 1).contains("Is the host running?"));
    assert!(failure(&laterna(["status", "--url", "https://example.org"]), 1).contains("TLS ends at the reverse proxy"));
    assert!(failure(&laterna(["import", nowhere, "--data", path]), 1).contains("No such file"));
    assert!(failure(&laterna(["serve", "--data", path, "--listen", "0.0.0.0:0"]), 1).contains("--insecure"));
    std::fs::write(data.path().join("laterna.toml"), "event_byte = 1\n").expect("the file is written");
    let misspelt = failure(&laterna(["serve", "--data", path, "--listen", "127.0.0.1:0"]), 1);
    assert!(misspelt.contains("event_byte") && misspelt.contains("event_bytes"), "{misspelt}");
    failure(&laterna(["serve", "--no-such-flag"]), 2);
    failure(&laterna(["query", "retail"]), 2);
    let no_pair = failure(&laterna(["query", "retail", "customers", "--table", "limit"]), 2);
    assert!(no_pair.contains("not of the form name=value"), "{no_pair}");
}

#[test]
fn what_is_followed_ends_with_its_reader() {
    // Given commands that follow, where nothing more comes,
    let data = Data::new();
    data.drop_component(&component("retail"));
    let server = data.serve_with(&["--heartbeat-ms", "20"]);
    server.import(&online_retail_events()).ok();
    server.rows("retail", "customers");
    for follow in [&["tail", "--after", "1999"][..], &["query", "retail", "top_customers", "--follow", "--json"]] {
        let mut command = Command::new(binary());
        let command = command.args(follow).args(["--url", &server.url]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = command.spawn().expect("laterna runs");
        // when their reader has a line and goes,
        let mut line = String::new();
        BufReader::new(running.stdout.take().expect("piped")).read_line(&mut line).expect("a line of text");
        // then they end as well, as if all were said.
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = running.try_wait().expect("it is ours") {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                running.kill().expect("it is ours");
                panic!("{follow:?} does not end");
            }
            std::thread::sleep(BREATH);
        };
        assert!(status.success() && !line.is_empty(), "{follow:?}: {status}");
    }
}
