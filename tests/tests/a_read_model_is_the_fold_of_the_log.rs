//! A read model is proved to be the fold of the log: it is folded once more, beside the one that serves, and both are compared. Whoever
//! wrote into its file is found out, row by row.

use laterna_tests::guests::misbehaving;
use laterna_tests::releases::{cars_events, cars_v1, cars_v2};
use laterna_tests::{Answer, BREATH, Client, Data, PATIENCE, binary, laterna};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// `laterna verify` with these arguments.
fn verify(data: &Data, arguments: &[&str]) -> Output {
    let folder = data.path().display().to_string();
    laterna(["verify"].iter().chain(arguments).copied().chain(["--data", &folder]))
}

/// What `laterna verify` says of projections that it proves.
fn proved(data: &Data, arguments: &[&str]) -> String {
    let output = verify(data, arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What `laterna verify --json` says of a projection that it does not prove.
fn not_proved(data: &Data, name: &str) -> Value {
    let output = verify(data, &[name, "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("not proved: {name}")), "{said}");
    let proof: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(proof["same"], false, "{proof}");
    proof
}

/// What was found last.
fn found(client: &Client, name: &str) -> Value {
    client.get(&format!("/projections/{name}/verify")).ok()
}

fn table<'d>(difference: &'d Value, name: &str) -> &'d Value {
    let tables = difference["tables"].as_array().expect("a list");
    tables.iter().find(|table| table["table"] == name).unwrap_or_else(|| panic!("no table {name}: {difference}"))
}

fn counts(difference: &Value, name: &str) -> [u64; 3] {
    let table = table(difference, name);
    ["added", "removed", "changed"].map(|kind| table[kind].as_u64().expect("a number"))
}

/// Writes into the file of a store, as somebody does who should not.
fn tamper(data: &Data, component: &str, release: u64, sql: &str) {
    let store = Connection::open(data.path().join(format!("stores/{component}/{release}.db"))).expect("a store");
    store.busy_timeout(PATIENCE).expect("it waits");
    store.execute_batch(sql).expect("it is written");
}

/// The stores in the folder `scratch`.
fn scratches(data: &Data) -> usize {
    let files = std::fs::read_dir(data.path().join("scratch")).expect("a folder");
    files.filter(|file| file.as_ref().expect("a file").path().extension().is_some_and(|kind| kind == "db")).count()
}

/// Waits until the folder `scratch` is empty: a store goes once nobody reads it any more.
fn wait_until_swept(data: &Data) {
    let begun = Instant::now();
    while std::fs::read_dir(data.path().join("scratch")).expect("a folder").count() > 0 {
        assert!(begun.elapsed() < PATIENCE, "something stays in the folder `scratch`");
        std::thread::sleep(BREATH);
    }
}

fn event(stream: &str, event_type: &str) -> String {
    json!({ "stream": stream, "type": event_type, "data": {} }).to_string()
}

fn deploy(client: &Client, name: &str, component: &[u8]) {
    let release = client.deploy(name, component).ok()["release"].as_u64().expect("a number");
    client.wait_for_release(name, release, "live");
}

/// A component that notes what it is told to, and applies `consumes`.
fn noting(name: &str, consumes: &[&str], parks: bool) -> Vec<u8> {
    misbehaving(&json!({ "name": name, "consumes": consumes, "parks": parks }))
}

/// Says that it is done once it goes out of scope, also where something failed before.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn while_events_come_and_after_a_rollback() {
    let data = Data::new();
    let server = data.serve();
    server.import(&cars_events().join("\n")).ok();
    deploy(&server, "cars", cars_v1());
    assert_eq!(found(&server, "cars")["state"], "never");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            for number in 0.. {
                if is_done.load(Ordering::Relaxed) {
                    return;
                }
                let repainted = json!({ "colour": format!("colour {number}") });
                server
                    .import(&json!({ "stream": "car-hrxs21", "type": "car.repainted", "data": repainted }).to_string())
                    .ok();
            }
        });
        let done = Done(&is_done);
        let mut before = 0;
        for _ in 0..3 {
            let proof: Value = serde_json::from_str(&proved(&data, &["cars", "--json"])).expect("JSON");
            assert_eq!(
                (&proof["state"], &proof["same"], &proof["release"]),
                (&json!("compared"), &json!(true), &json!(1))
            );
            let difference = &proof["difference"];
            let position = difference["before"]["position"].as_u64().expect("a position");
            assert_eq!(difference["after"]["position"], position);
            assert_eq!(table(difference, "cars")["before"], table(difference, "cars")["after"]);
            assert!(position >= before.max(9), "{position} after {before}");
            before = position;
        }
        // However short the moment is in which both are at one position, they are.
        for _ in 0..50 {
            let proof = server.order("cars", "verify?timeout=30").ok();
            assert_eq!(proof["same"], true, "{proof}");
        }
        drop(done);
        appending.join().expect("it appended");
    });
    // A release that followed another one, and serves again, is the fold of its own code.
    deploy(&server, "cars", cars_v2());
    server.order("cars", "rollback").ok();
    server.import(&event("customer-1", "customer.greeted")).ok();
    let said = proved(&data, &["cars"]);
    assert!(
        said.starts_with("cars: release 1 is exactly the fold of the log up to position ")
            && said.contains("rows in 2 tables"),
        "{said}"
    );
    wait_until_swept(&data);
}

#[test]
fn with_what_is_left_out_and_what_is_given_up() {
    let data = Data::new();
    let server = data.serve();
    deploy(&server, "noting", &noting("noting", &["Failed", "Shifted"], true));
    let lines = [event("a", "Failed"), event("b", "Failed"), event("b", "Shifted"), event("c", "Shifted")];
    server.import(&lines.join("\n")).ok();
    server.rows("noting", "seen");
    server.post("/projections/noting/parked/b/discard", &Value::Null).ok();
    server.import(&[event("b", "Shifted"), event("a", "Shifted"), event("c", "Shifted")].join("\n")).ok();
    assert_eq!(server.rows("noting", "seen").len(), 2);
    proved(&data, &["noting"]);

    // Who changes what is said of that is found out, too: how many there are, why, and that there are any.
    let parked = |which: &str| {
        let difference = found(&server, "noting")["difference"].clone();
        let sequences = difference["parked"][which].as_array().expect("a list").clone();
        sequences
            .iter()
            .map(|left| format!("{} {} {}", left["sequence"], left["events"], left["reason"]))
            .collect::<Vec<_>>()
    };
    let a = |events: u64, reason: &str| vec![format!("\"a\" {events} \"{reason}\"")];
    let why = "an order without a customer";
    for (sql, back, newly, no_longer) in [
        ("events = events + 1", "events = events - 1", a(2, why), a(3, why)),
        ("reason = 'a whim'", "reason = 'an order without a customer'", a(2, why), a(2, "a whim")),
        ("sequence = 'z'", "sequence = 'a'", a(2, why), vec![format!("\"z\" 2 \"{why}\"")]),
    ] {
        let update = |set: &str| format!("UPDATE laterna_sequences SET {set} WHERE position = 1");
        tamper(&data, "noting", 1, &update(sql));
        not_proved(&data, "noting");
        assert_eq!((parked("newly"), parked("no_longer")), (newly, no_longer), "{sql}");
        tamper(&data, "noting", 1, &update(back));
        proved(&data, &["noting"]);
    }
    tamper(&data, "noting", 1, "DELETE FROM laterna_sequences WHERE sequence = 'b'");
    not_proved(&data, "noting");
    assert_eq!((parked("newly").len(), parked("no_longer").len()), (1, 0));
}

#[test]
fn who_wrote_into_the_file_is_found_out_row_by_row() {
    let data = Data::new();
    let server = data.serve();
    server.import(&cars_events().join("\n")).ok();
    deploy(&server, "cars", cars_v2());
    proved(&data, &["cars"]);
    // Given one cell that is another, a row that is gone, and one that nobody appended,
    tamper(
        &data,
        "cars",
        1,
        "UPDATE cars SET colour = 'green' WHERE car_id = 'tye24p';
         DELETE FROM customers WHERE customer_id = 'wuionx';
         INSERT INTO customers VALUES ('nobody', 'Eve');",
    );
    // when it is proved, then each of them is told,
    let proof = not_proved(&data, "cars");
    let difference = &proof["difference"];
    assert_eq!((counts(difference, "cars"), counts(difference, "customers")), ([0, 0, 1], [1, 1, 0]));
    assert_eq!(
        table(difference, "cars")["samples"]["changed"],
        json!([{ "key": { "car_id": "tye24p" }, "columns": { "colour": { "before": "green", "after": "blue" } } }])
    );
    let customers = &table(difference, "customers")["samples"];
    assert_eq!(
        (&customers["added"], &customers["removed"]),
        (&json!([{ "customer_id": "wuionx", "name": "Dan" }]), &json!([{ "customer_id": "nobody", "name": "Eve" }]))
    );
    let said = String::from_utf8(verify(&data, &["cars"]).stdout).expect("text");
    for words in
        ["cars: release 1 is NOT the fold of the log up to position 9", "green", "nobody", "`laterna rebuild cars`"]
    {
        assert!(said.contains(words), "no {words} in {said}");
    }
    wait_until_swept(&data);
    // also after a restart,
    let recorded = found(&server, "cars");
    server.stop();
    let server = data.serve();
    let after = found(&server, "cars");
    assert_eq!(
        ["state", "release", "same", "difference"].map(|member| after[member].clone()),
        ["state", "release", "same", "difference"].map(|member| recorded[member].clone())
    );
    assert_eq!((&after["state"], &after["same"]), (&json!("compared"), &json!(false)));
    // and a rebuild mends it.
    let rebuilt = laterna(["rebuild", "cars", "--data", &data.path().display().to_string()]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert_eq!(found(&server, "cars")["state"], "never", "of the release that serves now nothing is known");
    assert!(proved(&data, &["cars"]).starts_with("cars: release 2 is exactly"));
    server.stop();
    let server = data.serve();
    assert_eq!(
        (found(&server, "cars")["same"].clone(), found(&server, "cars")["release"].clone()),
        (json!(true), json!(2))
    );
}

#[test]
fn those_that_do_not_go_on_and_those_that_do_not_serve() {
    let data = Data::new();
    std::fs::write(data.path().join("laterna.toml"), "[policies]\nheld = \"hold\"\n").expect("a file");
    let server = data.serve();
    let nothing = verify(&data, &[]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no projection serves"), "{nothing:?}");

    server.import(&[event("a", "Shifted"), event("b", "Shifted")].join("\n")).ok();
    for name in ["halted", "paused", "removed"] {
        deploy(&server, name, &noting(name, &["Shifted", "Failed"], false));
    }
    server.deploy("held", &noting("held", &["Shifted"], false)).ok();
    server.wait_for_release("held", 1, "held");
    server.order("paused", "pause").ok();
    server.order("removed", "remove").ok();
    server.import(&[event("c", "Shifted"), event("d", "Failed"), event("e", "Shifted")].join("\n")).ok();
    server.wait_for("/projections/halted", |answer| answer.json()["live"]["status"] == "halted");
    // Each is the fold of the log up to where it stands; all that serve are asked where none is named.
    let said = proved(&data, &[]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with("halted: release 1 is exactly the fold of the log up to position 3: 7 rows"),
        "{said}"
    );
    assert!(
        lines[1].starts_with("paused: release 1 is exactly the fold of the log up to position 2: 5 rows"),
        "{said}"
    );
    // One of them that is not makes all of it fail, and the others are told all the same.
    tamper(&data, "halted", 1, "UPDATE counts SET events = 7");
    let output = verify(&data, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let proofs = String::from_utf8(output.stdout).expect("text");
    let proofs: Vec<Value> = proofs.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(
        proofs.iter().map(|proof| (&proof["name"], &proof["same"])).collect::<Vec<_>>(),
        [(&json!("halted"), &json!(false)), (&json!("paused"), &json!(true))]
    );
    assert!(String::from_utf8_lossy(&output.stderr).trim_end().ends_with("not proved: halted"));

    server.order("held", "verify").refused(409, "release-unfit");
    for name in ["removed", "nobody"] {
        server.order(name, "verify").refused(404, "projection-not-found");
        server.get(&format!("/projections/{name}/verify")).refused(404, "projection-not-found");
    }
    assert_eq!(verify(&data, &["nobody"]).status.code(), Some(1));
    for query in ["timeout=soon", "release=1"] {
        server.order("paused", &format!("verify?{query}")).refused(400, "bad-parameter");
    }
    wait_until_swept(&data);
}

/// A component that takes its time, event by event, and a log of so many of them.
fn toiling(server: &Client, events: usize) {
    let toil = json!({ "stream": "a", "type": "Toiled", "data": { "rounds": 200_000_000 } }).to_string();
    server.import(&vec![toil; events].join("\n")).ok();
    deploy(server, "toiling", &noting("toiling", &["Toiled"], false));
}

#[test]
fn who_asks_at_the_same_time_joins() {
    let data = Data::new();
    let server = data.serve_with(&["--batch-events", "1", "--verifications", "2"]);
    toiling(&server, 8);
    let begun = server.order("toiling", "verify?timeout=0");
    assert_eq!(begun.status, 202, "{begun:?}");
    let is_folding = |answer: &Answer| answer.json()["state"] == "folding" && scratches(&data) == 1;
    server.wait_for("/projections/toiling/verify", is_folding);
    // Given one that goes on, when others ask, then they wait for the same one.
    let joined = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..3).map(|_| scope.spawn(|| server.order("toiling", "verify?timeout=30").ok())).collect();
        while !asking.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            assert!(scratches(&data) <= 1, "{} stores are folded", scratches(&data));
            std::thread::sleep(BREATH);
        }
        asking.into_iter().map(|asked| asked.join().expect("it asked")).collect::<Vec<_>>()
    });
    assert!(
        joined.iter().all(|proof| proof["difference"] == joined[0]["difference"] && proof["same"] == true),
        "{joined:?}"
    );
    wait_until_swept(&data);
}

#[test]
fn a_host_that_is_stopped_in_the_midst_ends() {
    let data = Data::new();
    let server = data.serve_with(&["--batch-events", "1"]);
    toiling(&server, 8);
    server.order("toiling", "verify?timeout=0").ok();
    server.wait_for("/projections/toiling/verify", |answer| answer.json()["state"] == "folding");
    server.stop();
    // Nothing was found, and nothing is left of it.
    let server = data.serve();
    assert_eq!(found(&server, "toiling")["state"], "never");
    wait_until_swept(&data);
    proved(&data, &["toiling"]);
}

/// A time of day, UTC.
fn time_of_day(seconds: u64) -> String {
    let of_day = seconds % (24 * 60 * 60);
    format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}

#[test]
fn each_day_by_itself() {
    let data = Data::new();
    std::fs::write(data.path().join("laterna.toml"), "[policies]\nheld = \"hold\"\n").expect("a file");
    let server = data.serve();
    server.import(&[event("a", "Shifted"), event("b", "Failed"), event("c", "Shifted")].join("\n")).ok();
    for (name, consumes) in
        [("a-removed", "Shifted"), ("halted", "Failed"), ("noting", "Shifted"), ("tampered", "Shifted")]
    {
        let component = noting(name, &[consumes], false);
        server.deploy(name, &component).ok();
        // One that halts at its first event never comes to serve unless the event comes later.
        if name == "halted" {
            server.wait_for_release(name, 1, "failed");
        } else {
            server.wait_for_release(name, 1, "live");
        }
    }
    server.deploy("held", &noting("held", &["Shifted"], false)).ok();
    server.wait_for_release("held", 1, "held");
    server.order("a-removed", "remove").ok();
    tamper(&data, "tampered", 1, "DELETE FROM seen");
    server.stop();
    // Given a time of day that comes soon, and that the host is up before,
    let (mut lead, mut server) = (4, None);
    while server.is_none() {
        let due = now() + lead;
        let started = data.serve_with(&["--verify-at", &time_of_day(due)]);
        server = (now() < due).then_some(started);
        lead *= 2;
    }
    let server = server.expect("it is up");
    // when it has come, then what is found is told of each that serves.
    for (name, same) in [("noting", true), ("tampered", false)] {
        let is_compared = |answer: &Answer| answer.json()["state"] == "compared";
        let proof = server.wait_for(&format!("/projections/{name}/verify"), is_compared).ok();
        assert_eq!(proof["same"], same, "{proof}");
    }
    server.stop();
    let server = data.serve();
    assert_eq!(
        ["noting", "tampered", "held", "halted"].map(|name| found(&server, name)["state"].clone()),
        ["compared", "compared", "never", "never"]
    );
}

#[test]
fn a_time_that_is_none_is_refused_at_the_start() {
    let data = Data::new();
    for nonsense in ["nonsense", "25:00", "", "3 o'clock"] {
        let mut serve = Command::new(binary());
        serve.args(["serve", "--listen", "127.0.0.1:0", "--verify-at", nonsense, "--data"]).arg(data.path());
        let mut child =
            serve.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().expect("it runs");
        let begun = Instant::now();
        while child.try_wait().expect("it is ours").is_none() {
            if begun.elapsed() > PATIENCE {
                child.kill().expect("it is ours");
                panic!("it serves at `{nonsense}`");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let refused = child.wait_with_output().expect("it ended");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(matches!(refused.status.code(), Some(1 | 2)), "{refused:?}");
        assert!(said.contains("such as 03:00") && said.contains(&format!("`{nonsense}`")), "{said}");
    }
}
