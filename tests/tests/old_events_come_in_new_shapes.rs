//! Upcasters: components are given the version that they handle, whatever the log holds; what no upcaster leads there is set aside;
//! and a new upcaster rebuilds what it feeds, alongside.

use laterna_tests::guests::{misbehaving, shifting};
use laterna_tests::releases::variant;
use laterna_tests::{Client, Data, component, laterna};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(component(name)).expect("it was built")
}

fn created(number: u64, version: u32) -> String {
    let (id, email) = (format!("u{number}"), format!("U{number}@Example.org"));
    let data = match version {
        1 => json!({ "user_id": id, "name": format!("First{number} Last{number}"), "email": email }),
        _ => {
            json!({ "user_id": id, "first_name": format!("First{number}"), "last_name": format!("Last{number}"), "email": email })
        }
    };
    json!({ "stream": format!("user-{number}"), "type": "UserCreated", "schema_version": version, "data": data })
        .to_string()
}

fn accounts(client: &Client) -> Vec<Value> {
    client.rows("accounts", "accounts")
}

/// The release of a component that serves, with what fed it: names, releases, digests.
fn feeds(client: &Client, name: &str) -> Value {
    let shown = client.projection(name);
    let live = shown["live"]["release"].as_u64().expect("it serves");
    laterna_tests::releases::recorded(&shown, live).expect("a record")["upcasters"].clone()
}

#[test]
fn users_of_both_times_have_accounts() {
    // Given users of the time when they had one name, and of today,
    let data = Data::new();
    let server = data.serve();
    let lines: Vec<String> = (1..=60).map(|number| created(number, 1 + u32::from(number % 3 == 0))).collect();
    server.import(&lines.join("\n")).ok();
    // when the projection comes without its upcaster, then the old ones are set aside, each with its reason.
    data.drop_bytes("accounts", &file("accounts"));
    server.wait_for_release("accounts", 1, "live");
    assert_eq!(accounts(&server).len(), 20);
    let left = server.get("/projections/accounts/parked").ok()["parked"].clone();
    assert_eq!((left.as_array().map(Vec::len), &left[0]["code"]), (Some(40), &json!("unknown-version")));
    assert!(left[0]["reason"].as_str().expect("text").contains("no upcaster leads from there"), "{left}");
    assert_eq!(server.get("/errors/unknown-version").status, 200);

    // When the upcaster comes, the projection is rebuilt with it, while it serves,
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut last = 0;
            while !is_done.load(Ordering::Relaxed) {
                let answer = server.get("/projections/accounts/tables/accounts?limit=1");
                assert!(answer.status == 200 && answer.position() >= last, "{answer:?}");
                last = answer.position();
            }
        });
        data.drop_bytes("accounts-v1", &file("accounts-v1"));
        server.wait_for_release("accounts", 2, "live");
        is_done.store(true, Ordering::Relaxed);
        asking.join().expect("it asked");
    });
    // and every user has an account.
    let all = accounts(&server);
    let whole = |row: &Value| {
        let number = row["user_id"].as_str().expect("text").trim_start_matches('u').to_owned();
        row["first_name"] == format!("First{number}") && row["last_name"] == format!("Last{number}")
    };
    assert!(all.len() == 60 && all.iter().all(whole), "{all:?}");
    assert_eq!(server.projection("accounts")["parked"], 0);
    let fed = feeds(&server, "accounts");
    let digest = blake3(&file("accounts-v1"));
    assert_eq!(fed, json!([{ "name": "accounts-v1", "module": "", "release": 1, "digest": digest }]));
    let upcaster = server.projection("accounts-v1");
    assert_eq!((&upcaster["kind"], &upcaster["live"]["status"]), (&json!("upcaster"), &json!("in-force")));
    // It is no read model, nor will it be one: nobody is told to ask again.
    let asked =
        ["tables/accounts", "tables/accounts?as_of=1", "queries/all?fresh=true", "live?table=accounts", "snapshot"];
    let asked = asked.map(|path| server.get(&format!("/projections/accounts-v1/{path}")));
    let in_sql = server.post("/projections/accounts-v1/sql", &json!({ "sql": "SELECT 1" }));
    for answer in asked.iter().chain([&in_sql]) {
        let refused = answer.refused(404, "projection-not-found");
        assert!(refused["detail"].as_str().expect("text").contains("is an upcaster"), "{refused}");
    }
    assert_eq!((&upcaster["feeds"], upcaster["steps"].as_array().map(Vec::len)), (&json!(["accounts"]), Some(2)));
    // It goes on live, over a restart, and an unknown version is set aside with what follows on it.
    server.import(&created(61, 1)).ok();
    server.kill();
    // Where an upcaster's bytes are lost, those in the folder do as well: they are the same.
    std::fs::remove_file(data.path().join("stores/accounts-v1/1.wasm")).expect("it is kept");
    let server = data.serve();
    server.import(&created(62, 1)).ok();
    let strange = json!({ "stream": "user-63", "type": "UserCreated", "schema_version": 3, "data": {} }).to_string();
    let follows = json!({ "stream": "user-63", "type": "UserDeactivated", "data": { "user_id": "u63" } }).to_string();
    let other = json!({ "stream": "user-1", "type": "UserLoggedIn", "data": {} }).to_string();
    server.import(&[strange, follows, other, created(64, 2)].join("\n")).ok();
    assert_eq!(accounts(&server).len(), 63);
    let left = server.get("/projections/accounts/parked").ok()["parked"].clone();
    assert_eq!((left.as_array().map(Vec::len), &left[0]["events"]), (Some(1), &json!(2)));
    assert!(left[0]["reason"].as_str().expect("text").contains("has version 3, and the component handles version 2"));

    // The same bytes again rebuild nothing; others rebuild what they feed, and nothing else.
    data.drop_bytes("cars", laterna_tests::releases::cars_v2());
    server.wait_for_release("cars", 1, "live");
    data.drop_bytes("accounts-v1", &file("accounts-v1"));
    data.drop_bytes("accounts-v1", &variant(&file("accounts-v1"), 7));
    server.wait_for_release("accounts", 3, "live");
    assert_eq!(feeds(&server, "accounts")[0]["release"], 2);
    assert_eq!(accounts(&server).len(), 63);
    assert_eq!(server.projection("cars")["releases"].as_array().map(Vec::len), Some(1));
    // Going back goes back to the upcaster of that time, too, also after a restart, when its file is long gone.
    server.order("accounts", "rollback").ok();
    assert_eq!(feeds(&server, "accounts")[0]["release"], 1);
    server.stop();
    let server = data.serve();
    server.import(&created(65, 1)).ok();
    assert_eq!((accounts(&server).len(), feeds(&server, "accounts")[0]["release"].clone()), (64, json!(1)));
    for order in ["rebuild", "rollback", "pause"] {
        server.order("accounts-v1", order).refused(409, "release-unfit");
    }
    let status = laterna(["status", "--url", &server.url]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("in-force"), "{status:?}");
    // Withdrawn, it goes on feeding what it fed; the next release does without.
    server.order("accounts-v1", "remove").ok();
    server.import(&created(66, 1)).ok();
    assert_eq!(accounts(&server).len(), 65);
    server.order("accounts", "rebuild").ok();
    // It sets aside again what came before the upcaster, which its operator has to know of.
    let held = server.wait_for_release("accounts", 4, "held");
    assert!(held["reason"].as_str().expect("text").contains("it leaves events of 44 sequences out"), "{held}");
    server.order("accounts", "promote").ok();
    assert_eq!(feeds(&server, "accounts"), json!([]));
}

fn blake3(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn shifted(stream: &str, version: u32, data: &Value) -> String {
    json!({ "stream": stream, "type": "Shifted", "schema_version": version, "data": data }).to_string()
}

fn notes(client: &Client, name: &str) -> Vec<(u64, String)> {
    let rows = client.rows(name, "notes");
    let note =
        |row: &Value| (row["position"].as_u64().expect("a position"), row["note"].as_str().expect("text").to_owned());
    rows.iter().map(note).collect()
}

#[test]
fn steps_chain_and_drop_and_fail_for_the_event_alone() {
    for batch in ["1", "7", "1000"] {
        let data = Data::new();
        let server = data.serve_with(&["--batch-events", batch, "--fuel", "30000000"]);
        // Two upcasters make the way from 1 to 4; `to-3` handles 3, `newest` takes what comes.
        data.drop_bytes("odd", &shifting(&json!({ "name": "odd", "steps": [["Shifted", 1], ["Shifted", 3]] })));
        data.drop_bytes("even", &shifting(&json!({ "name": "even", "steps": [["Shifted", 2], ["Other", 1]] })));
        for (name, versions) in [("to-3", json!([["Shifted", 3]])), ("newest", json!([]))] {
            let says = json!({ "name": name, "versions": versions, "consumes": if name == "newest" { json!(["Shifted"]) } else { json!([]) },
                "parks": true });
            data.drop_bytes(name, &misbehaving(&says));
        }
        let is_fed = |answer: &laterna_tests::Answer| {
            let fed = answer.json()["releases"][0]["upcasters"].as_array().map_or(0, Vec::len);
            fed == 2
                && (answer.json()["releases"][0]["state"] == "live" || answer.json()["releases"][0]["state"] == "held")
        };
        let lines = [
            shifted("a", 1, &json!({})),
            shifted("b", 2, &json!({})),
            shifted("c", 3, &json!({})),
            shifted("d", 1, &json!({ "at_2": "drop" })),
            shifted("e", 1, &json!({ "at_2": "fail" })),
            shifted("e", 3, &json!({})),
            shifted("f", 1, &json!({ "at_1": "panic" })),
            shifted("g", 1, &json!({ "at_1": "loop" })),
            shifted("h", 4, &json!({})),
            shifted("i", 1, &json!({ "at_3": "fail" })),
            // It would be at fault itself, and follows on one that was.
            shifted("e", 1, &json!({ "at_1": "fail" })),
        ];
        server.import(&lines.join("\n")).ok();
        for name in ["to-3", "newest"] {
            // With one upcaster some fail that did not without: those are held.
            let shown = server.wait_for(&format!("/projections/{name}"), is_fed).ok();
            server.promote_held(name, shown["releases"][0]["release"].as_u64().expect("a number"));
        }
        let expected = |ways: &[(u64, &str)]| ways.iter().map(|(at, way)| (*at, (*way).to_owned())).collect::<Vec<_>>();
        assert_eq!(
            notes(&server, "to-3"),
            expected(&[(1, "odd:1>even:2>3"), (2, "even:2>3"), (3, "3"), (10, "odd:1>even:2>3")])
        );
        let newest = [(1, "odd:1>even:2>odd:3>4"), (2, "even:2>odd:3>4"), (3, "odd:3>4"), (9, "4")];
        assert_eq!(notes(&server, "newest"), expected(&newest), "batches of {batch}");
        let left = |name: &str| {
            let left = server.get(&format!("/projections/{name}/parked")).ok()["parked"].clone();
            let left = left.as_array().expect("a list").iter().map(|left| {
                let text = |member: &str| left[member].as_str().expect("text").to_owned();
                (text("sequence"), left["events"].as_u64().expect("a number"), text("code"), text("reason"))
            });
            left.collect::<Vec<_>>()
        };
        let (three, newest) = (left("to-3"), left("newest"));
        let of = |left: &[(String, u64, String, String)]| {
            left.iter().map(|(sequence, events, ..)| format!("{sequence}{events}")).collect::<Vec<_>>()
        };
        assert_eq!(
            (of(&three), of(&newest)),
            (
                vec!["e3".into(), "f1".into(), "g1".into(), "h1".into()],
                vec!["e3".into(), "f1".into(), "g1".into(), "i1".into()]
            )
        );
        let reasons = [
            "the upcaster `even`: it says that it fails at 2",
            "the upcaster `odd`: it trapped",
            "the upcaster `odd`: it used up its budget",
        ];
        for ((_, _, code, reason), words) in three.iter().zip(reasons) {
            assert!(code == "event-failed" && reason.contains(words), "{code}: {reason}");
        }
        assert_eq!(three[3].2, "unknown-version");
        assert!(three[3].3.contains("versions are not led back"), "{:?}", three[3]);
    }
}

#[test]
fn a_bad_upcaster_is_refused_or_harms_only_what_it_feeds() {
    let data = Data::new();
    let server = data.serve();
    data.drop_bytes("counter", &misbehaving(&json!({ "name": "counter", "consumes": ["Shifted"], "parks": true })));
    data.drop_bytes("bystander", &misbehaving(&json!({ "name": "bystander", "consumes": ["Counted"] })));
    data.drop_bytes("good", &shifting(&json!({ "name": "good", "steps": [["Shifted", 1]] })));
    server.wait_for_release("good", 1, "live");
    let is_fed = |answer: &laterna_tests::Answer| {
        let newest = &answer.json()["releases"][0];
        newest["state"] == "live" && newest["upcasters"][0]["name"] == "good"
    };
    server.wait_for("/projections/counter", is_fed);
    server.import(&shifted("a", 1, &json!({}))).ok();
    assert_eq!(notes(&server, "counter"), [(1, "good:1>2".to_owned())]);

    // Another one for the same step, one that says nothing, one of another name, one that is a projection already.
    let refused = |name: &str, bytes: &[u8], code: &str, words: &str| {
        data.drop_bytes(name, bytes);
        let is_refused = |answer: &laterna_tests::Answer| {
            answer.status == 200 && answer.json()["releases"][0]["state"] == "rejected"
        };
        let shown = server.wait_for(&format!("/projections/{name}"), is_refused).ok();
        let newest = &shown["releases"][0];
        assert_eq!(newest["code"], code, "{newest}");
        assert!(newest["reason"].as_str().expect("text").contains(words), "{newest}");
    };
    refused(
        "twin",
        &shifting(&json!({ "name": "twin", "steps": [["Shifted", 1]] })),
        "bad-manifest",
        "by the upcaster `good` already",
    );
    refused("idle", &shifting(&json!({ "name": "idle", "steps": [] })), "bad-manifest", "it has 0 steps");
    refused(
        "zero",
        &shifting(&json!({ "name": "zero", "steps": [["T", 0]] })),
        "bad-manifest",
        "versions count from 1",
    );
    refused("renamed", &shifting(&json!({ "name": "original", "steps": [["T", 1]] })), "wrong-name", "`original`");
    refused(
        "bystander",
        &shifting(&json!({ "name": "bystander", "steps": [["T", 1]] })),
        "wrong-world",
        "is a projection",
    );
    refused("good", &misbehaving(&json!({ "name": "good" })), "wrong-world", "is an upcaster");
    assert_eq!(server.projection("bystander")["live"]["release"], 1);

    // One that lies about how many events it answers for, or points beyond its bytes, convicts the events that it was given.
    let mut release = server.projection("counter")["live"]["release"].as_u64().expect("a number");
    for (lies, words) in
        [("too few", "it answered for 0 events, and was given 1"), ("beyond", "data that is not there")]
    {
        data.drop_bytes("good", &shifting(&json!({ "name": "good", "steps": [["Shifted", 1]], "lies": lies })));
        release += 1;
        // What one leaves out and the one before did not, its operator has to know of.
        server.promote_held("counter", release);
        let left = server.get("/projections/counter/parked").ok()["parked"].clone();
        assert!(left[0]["reason"].as_str().expect("text").contains(words), "{left}");
    }
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn an_upcaster_takes_the_events_of_its_module_first() {
    let data = Data::new();
    let folder = data.path().join("components/sales");
    std::fs::create_dir_all(&folder).expect("a folder");
    let ours = shifting(&json!({ "name": "ours", "steps": [["Shifted", 1]] }));
    std::fs::write(folder.join("ours.wasm"), ours).expect("a file");
    data.drop_bytes("any", &shifting(&json!({ "name": "any", "steps": [["Shifted", 1]] })));
    data.drop_bytes("counter", &misbehaving(&json!({ "name": "counter", "consumes": ["Shifted"] })));
    let server = data.serve();
    server.wait_for("/projections/counter", |answer| {
        let newest = &answer.json()["releases"][0];
        newest["state"] == "live" && newest["upcasters"].as_array().is_some_and(|fed| fed.len() == 2)
    });
    for module in [Some("sales"), Some("stock"), None] {
        let body = json!({ "events": [{ "type": "Shifted", "data": {} }] });
        server.with_token(&["append"], module).post("/streams/a/events", &body).ok();
    }
    let ways: Vec<String> = notes(&server, "counter").into_iter().map(|(_, way)| way).collect();
    assert_eq!(ways, ["ours:1>2", "any:1>2", "any:1>2"]);
}
