//! Before a release is built, it is said what it changes; on demand also for a file that nobody deploys, and then nothing else happens.

use laterna_tests::guests::{misbehaving, shifting};
use laterna_tests::releases::{cars_events, cars_v1, cars_v2, recorded, variant};
use laterna_tests::{
    Answer, BREATH, Client, Data, PATIENCE, component, laterna, online_retail_events, online_retail_reference, root,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

fn ask(client: &Client, name: &str, module: &str, bytes: &[u8]) -> Answer {
    let path = format!("/components?name={name}&module={module}&plan=true");
    client.try_post(&path, "application/wasm", bytes).expect("the host answers")
}

fn plan(client: &Client, name: &str, bytes: &[u8]) -> Value {
    ask(client, name, "", bytes).ok()
}

fn serve(client: &Client, name: &str, release: u64, bytes: &[u8]) -> Value {
    client.deploy(name, bytes).ok();
    client.wait_for_release(name, release, "live")
}

/// What was measured when a build was complete.
fn folded(record: &Value) -> Value {
    let steps = record["steps"].as_array().expect("steps");
    let built = steps.iter().find(|step| !step["figures"]["folded"].is_null()).expect("it was built");
    built["figures"]["folded"].clone()
}

fn names(list: &Value) -> Vec<String> {
    let named = |part: &Value| ["name", "type"].iter().find_map(|member| part[member].as_str().map(str::to_owned));
    list.as_array().expect("a list").iter().filter_map(named).collect()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(component(name)).expect("it was built")
}

#[test]
fn first_next_and_again() {
    let data = Data::new();
    let server = data.serve();
    server.import(&cars_events().join("\n")).ok();

    // Of the first release everything is new; nothing was measured yet.
    let first = plan(&server, "cars", cars_v1());
    assert_eq!(
        (&first["against"], &first["same_bytes"], &first["kind"]),
        (&Value::Null, &json!(false), &json!("projection"))
    );
    assert_eq!(names(&first["surface"]["added"]), ["cars", "customers", "cars_of_customer", "of_customer"]);
    assert_eq!((&first["surface"]["removed"], &first["surface"]["changed"]), (&json!([]), &json!([])));
    assert_eq!(
        names(&first["subscriptions"]["added"]),
        ["car.created", "car.repainted", "car.sold", "customer.created"]
    );
    assert_eq!(
        (&first["events"]["count"], &first["events"]["at_least"], &first["events"]["head"]),
        (&json!(8), &json!(false), &json!(9))
    );
    assert_eq!((&first["estimate"], &first["retires"], &first["settings"]), (&Value::Null, &json!([]), &json!([])));
    assert_eq!((&first["policy"], &first["policy_by"]), (&json!("auto"), &json!("manifest")));
    assert!(first["then"].as_str().is_some_and(|then| then.contains("it is the first one")), "{first}");

    // The same is recorded when it is deployed, and it folds as many events as were counted.
    let record = serve(&server, "cars", 1, cars_v1());
    assert_eq!((&record["plan"], folded(&record)), (&first, json!(8)));

    // Its bytes again come to nothing.
    let same = plan(&server, "cars", cars_v1());
    assert_eq!((&same["same_bytes"], &same["against"]["release"]), (&json!(true), &json!(1)));
    assert_eq!(same["then"], "nothing: release 1 serves, and has these bytes");
    assert_eq!((&first["builds"], &same["builds"], &same["estimate"]), (&json!(true), &json!(false), &Value::Null));

    // The next version differs by what it consumes, and is as fast as the one before.
    let second = plan(&server, "cars", cars_v2());
    let against = &second["against"];
    assert_eq!(
        (&against["release"], &against["version"], &against["digest"]),
        (&json!(1), &json!("1.0.0"), &same["digest"])
    );
    assert_eq!(second["surface"], json!({ "added": [], "removed": [], "changed": [] }));
    let renamed = json!([{ "type": "customer.renamed", "why": "the new name" }]);
    assert_eq!((&second["subscriptions"]["added"], &second["subscriptions"]["removed"]), (&renamed, &json!([])));
    assert_eq!((&second["events"]["count"], &second["estimate"]["from"]), (&json!(9), &json!("release 1 of cars")));
    assert!(second["estimate"]["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{second}");
    assert_eq!((&second["retires"], &second["supersedes"]), (&json!([]), &Value::Null));
    let then = "it is built alongside release 1, compared with it, and takes its place";
    assert_eq!(second["then"], then);
    let record = serve(&server, "cars", 2, cars_v2());
    assert_eq!((&record["plan"], folded(&record)), (&second, json!(9)));

    // The warm one serves again where its bytes come; a third one has it retired.
    let warm = plan(&server, "cars", cars_v1());
    assert_eq!(warm["then"], "release 1 has these bytes, and is kept: it serves again, and nothing is built");
    assert_eq!(warm["retires"], json!([]));
    let third = plan(&server, "cars", &variant(cars_v2(), 3));
    assert_eq!((third["retires"].as_array().map(Vec::len), &third["retires"][0]["release"]), (Some(1), &json!(1)));

    // A rebuild has a plan, too.
    server.order("cars", "rebuild").ok();
    let record = server.wait_for_release("cars", 3, "live");
    assert_eq!((&record["plan"]["same_bytes"], &record["plan"]["retires"]), (&json!(true), &third["retires"]));
    assert_eq!(record["plan"]["then"], then.replace("release 1", "release 2"));
    assert_eq!(recorded(&server.projection("cars"), 1).expect("a record")["state"], "retired");

    // All of it survives a restart.
    let before = server.projection("cars")["releases"].clone();
    server.kill();
    let server = data.serve();
    assert_eq!(server.projection("cars")["releases"], before);
}

#[test]
fn what_is_on_its_way_makes_room() {
    let data = Data::new();
    let server = data.serve();
    server.import(&cars_events().join("\n")).ok();
    serve(&server, "cars", 1, cars_v1());
    server.order("cars", "pause?builds=true").ok();
    server.deploy("cars", cars_v2()).ok();
    server.wait_for_release("cars", 2, "building");
    let same = plan(&server, "cars", cars_v2());
    assert_eq!(same["then"], "nothing new: release 2 has these bytes, and is on its way to serve");
    assert_eq!((&same["supersedes"], &same["same_bytes"]), (&Value::Null, &json!(false)));
    let next = plan(&server, "cars", &variant(cars_v2(), 3));
    assert_eq!(next["supersedes"], 2);
    let then = next["then"].as_str().expect("words");
    assert!(then.starts_with("builds are paused until `laterna resume cars`; then it is built alongside"), "{then}");
    assert!(then.ends_with("; release 2, which is on its way, is given up"), "{then}");
    assert_eq!(recorded(&server.projection("cars"), 2).expect("a record")["state"], "building");
}

/// A shelf with tables, a view, an index, queries, and versions of events.
fn shelf(more: &Value) -> Vec<u8> {
    let mut says = json!({
        "name": "shelf",
        "schema": "CREATE TABLE goods (id TEXT PRIMARY KEY, price INTEGER NOT NULL) STRICT, WITHOUT ROWID;
                   CREATE TABLE gone (id INTEGER PRIMARY KEY) STRICT;
                   CREATE INDEX by_price ON goods (price);
                   CREATE INDEX by_nothing ON gone (id);
                   CREATE VIEW dear AS SELECT id FROM goods WHERE price > 100;",
        "queries": [{ "name": "all", "sql": "SELECT * FROM goods" }, { "name": "few", "sql": "SELECT * FROM goods LIMIT 3" },
                    { "name": "old", "sql": "SELECT * FROM gone" }],
        "consumes": ["Sold", "Returned"],
        "versions": [["Priced", 1], ["Named", 4]],
    });
    says.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    misbehaving(&says)
}

#[test]
fn tables_queries_versions_and_settings() {
    let data = Data::new();
    let server = data.serve_with(&["--fuel", "1000000000"]);
    serve(&server, "shelf", 1, &shelf(&json!({})));
    let next = shelf(&json!({
        "version": "2.0.0",
        "schema": "CREATE TABLE goods (id TEXT PRIMARY KEY, price REAL NOT NULL, colour TEXT) STRICT, WITHOUT ROWID;
                   CREATE TABLE shelves (id INTEGER PRIMARY KEY) STRICT;
                   CREATE INDEX by_price ON goods (price, colour);
                   CREATE INDEX by_colour ON goods (colour);
                   CREATE VIEW dear AS SELECT id FROM goods WHERE price > 200;
                   CREATE VIEW cheap AS SELECT id FROM goods WHERE price < 10;",
        "queries": [{ "name": "all", "sql": "SELECT * FROM goods" },
                    { "name": "few", "sql": "SELECT * FROM goods LIMIT :count",
                      "parameters": [{ "name": "count", "type": "integer", "default": 3 }] },
                    { "name": "new" }],
        "consumes": ["Sold", "Lost"],
        "versions": [["Priced", 2], ["Named", 4]],
        "parks": true, "sequence": "/shelf", "policy": "hold",
    }));
    server.stop();
    let server = data.serve_with(&["--fuel", "2000000000"]);
    let plan = plan(&server, "shelf", &next);
    let kinds = |list: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        list.as_array().expect("a list").iter().map(|part| (text(&part["kind"]), text(&part["name"]))).collect()
    };
    let part = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    let surface = &plan["surface"];
    let added = [part("table", "shelves"), part("view", "cheap"), part("index", "by_colour"), part("query", "new")];
    assert_eq!(kinds(&surface["added"]), added);
    let removed = [part("table", "gone"), part("index", "by_nothing"), part("query", "old")];
    assert_eq!(kinds(&surface["removed"]), removed);
    let changed = [part("table", "goods"), part("view", "dear"), part("index", "by_price"), part("query", "few")];
    assert_eq!(kinds(&surface["changed"]), changed);
    let columns = json!(["column `colour` TEXT is added", "column `price` was INTEGER, and is REAL"]);
    assert_eq!(surface["changed"][0]["changes"], columns);

    let subscriptions = &plan["subscriptions"];
    assert_eq!(
        (names(&subscriptions["added"]), names(&subscriptions["removed"])),
        (vec!["Lost".to_owned()], vec!["Returned".to_owned()])
    );
    let priced = json!([{ "type": "Priced", "before": 1, "after": 2, "why": "in this version" }]);
    assert_eq!(subscriptions["changed"], priced);
    assert_eq!((&subscriptions["every_event_before"], &subscriptions["every_event"]), (&json!(false), &json!(false)));
    let settings = json!([
        "on failure was to halt, and is to park",
        "the sequence was the stream, and is `/shelf` of the data",
        "the manifest's policy was `auto`, and is `hold`",
        "the limit `fuel` was 1000000000, and is 2000000000",
    ]);
    assert_eq!(plan["settings"], settings);
    assert_eq!(
        plan["parking"],
        json!({ "on_failure": "park", "sequence": { "data": "/shelf" }, "parked_events": 1000 })
    );
    assert_eq!((&plan["limits"]["fuel"], &plan["policy"]), (&json!(2_000_000_000_u64), &json!("hold")));
    let then = "it is built alongside release 1 and compared with it; then it is held until `laterna promote shelf`";
    assert_eq!(plan["then"], then);

    // In a terminal.
    let folder = Data::new();
    let file = folder.path().join("shelf.wasm");
    std::fs::write(&file, &next).expect("a file");
    let said = laterna(["plan".as_ref(), file.as_os_str(), "--url".as_ref(), server.url.as_ref()]);
    assert!(said.status.success(), "{said:?}");
    let said = String::from_utf8(said.stdout).expect("text");
    for line in [
        "shelf 2.0.0: a projection, against release 1 (1.0.0)\n",
        "+ table `shelves`\n",
        "- query `old`\n",
        "~ table `goods`: column `colour` TEXT is added; column `price` was INTEGER, and is REAL\n",
        "+ Lost: to do something about it\n",
        "- Returned: to do something about it\n",
        "~ Priced: it handled version 1, and handles version 2\n",
        "on failure was to halt, and is to park\n",
        "0 of 0 events\n",
        "what it cannot apply is set aside with what follows of the same value at /shelf, up to 1,000 events\n",
        "`hold`, as its manifest says\n",
        then,
    ] {
        assert!(said.contains(line), "{line:?} in {said}");
    }

    // Whoever names nothing consumes every event.
    let every = shelf(&json!({ "consumes": [], "versions": [] }));
    let plan = plan_of(&server, &every);
    assert_eq!(
        (&plan["every_event_before"], &plan["every_event"], &plan["added"]),
        (&json!(false), &json!(true), &json!([]))
    );
    serve(&server, "shelf", 2, &every);
    let plan = plan_of(&server, &next);
    assert_eq!(
        (&plan["every_event_before"], &plan["every_event"], &plan["removed"]),
        (&json!(true), &json!(false), &json!([]))
    );
    assert_eq!(names(&plan["added"]), ["Sold", "Lost", "Priced", "Named"]);
}

fn plan_of(client: &Client, shelf: &[u8]) -> Value {
    plan(client, "shelf", shelf)["subscriptions"].clone()
}

fn files(data: &Data) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![data.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn nothing_is_done() {
    let data = Data::new();
    let server = data.serve();
    server.import(&cars_events().join("\n")).ok();
    serve(&server, "cars", 1, cars_v1());
    let (shown, found) = (server.get("/projections").ok(), files(&data));
    for bytes in [cars_v2(), cars_v1(), b"nonsense".as_slice()] {
        ask(&server, "cars", "", bytes);
        ask(&server, "cars", "elsewhere", bytes);
    }
    ask(&server, "shelf", "", &shelf(&json!({}))).ok();
    let after = server.get("/projections").ok();
    assert_eq!(after["projections"][0]["releases"], shown["projections"][0]["releases"]);
    assert_eq!((after["projections"].as_array().map(Vec::len), files(&data)), (Some(1), found));
    // What was only planned is taken once it is dropped.
    data.drop_bytes("cars", cars_v2());
    server.wait_for_release("cars", 2, "live");
    let unfit = server.try_post("/components?name=cars&plan=perhaps", "application/wasm", "x");
    unfit.expect("the host answers").refused(400, "bad-parameter");
}

#[test]
fn what_is_refused_is_refused_as_a_deploy_is() {
    let data = Data::new();
    let server = data.serve();
    serve(&server, "cars", 1, cars_v1());
    serve(&server, "shift", 1, &shifting(&json!({ "name": "shift", "steps": [["Sold", 1]] })));
    let bad = root().join("tests/data/bad_components");
    let mut offered: Vec<(String, String, Vec<u8>)> = std::fs::read_dir(bad)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, String::new(), std::fs::read(&path).expect("a file"))
        })
        .filter(|(name, ..)| name.starts_with(|first: char| first.is_ascii_alphabetic()))
        .collect();
    let own = |name: &str, module: &str, bytes: &[u8]| (name.to_owned(), module.to_owned(), bytes.to_vec());
    offered.extend([
        own("wrong", "", cars_v1()),
        own("cars", "elsewhere", cars_v2()),
        own("cars", "elsewhere", b"nonsense"),
        own("cars", "", &shifting(&json!({ "name": "cars", "steps": [["Lost", 1]] }))),
        own("shift", "", &misbehaving(&json!({ "name": "shift" }))),
        own("other", "", &shifting(&json!({ "name": "other", "steps": [["Sold", 1]] }))),
        own("shelf", "", &shelf(&json!({ "schema": "CREATE TABLE goods (id TEXT)" }))),
    ]);
    assert!(offered.len() > 20);
    let mut codes = BTreeSet::new();
    for (name, module, bytes) in &offered {
        let planned = ask(&server, name, module, bytes).refused(422, "component-refused");
        let path = format!("/components?name={name}&module={module}");
        let deployed = server.try_post(&path, "application/wasm", bytes.as_slice()).expect("the host answers");
        let deployed = deployed.refused(422, "component-refused");
        assert_eq!(planned["code"], deployed["code"], "{name}: {planned} {deployed}");
        let reason = planned["detail"].as_str().expect("words");
        assert!(deployed["detail"].as_str().is_some_and(|told| told.ends_with(reason)), "{planned} {deployed}");
        codes.insert(planned["code"].as_str().expect("a code").to_owned());
    }
    assert!(codes.len() >= 6, "{codes:?}");

    // In a terminal as `laterna check` tells it.
    let folder = Data::new();
    let wrong = folder.path().join("wrong.wasm");
    std::fs::write(&wrong, cars_v1()).expect("a file");
    let checked = laterna(["check".as_ref(), wrong.as_os_str()]);
    let planned = laterna(["plan".as_ref(), wrong.as_os_str(), "--url".as_ref(), server.url.as_ref()]);
    assert_eq!((planned.status.code(), &planned.stdout), (Some(1), &checked.stdout));
    assert!(String::from_utf8_lossy(&planned.stderr).contains("docs/errors/wrong-name.md"));
}

#[test]
fn an_upcaster_says_what_it_rebuilds() {
    let data = Data::new();
    let server = data.serve();
    serve(&server, "accounts", 1, &file("accounts"));
    serve(&server, "cars", 1, cars_v1());
    let upcaster = file("accounts-v1");
    let first = plan(&server, "accounts-v1", &upcaster);
    assert_eq!(
        (&first["kind"], &first["feeds"], &first["against"]),
        (&json!("upcaster"), &json!(["accounts"]), &Value::Null)
    );
    assert_eq!((&first["steps"][0]["type"], &first["steps"][0]["from_version"]), (&json!("UserCreated"), &json!(1)));
    assert_eq!(first["then"], "it is in force at once; accounts is rebuilt with it, alongside");
    let record = serve(&server, "accounts-v1", 1, &upcaster);
    assert_eq!(record["plan"], first);
    let rebuilt = server.wait_for_release("accounts", 2, "live");
    let upcasters = &rebuilt["plan"]["upcasters"];
    assert_eq!((&upcasters["added"], &upcasters["feeding"]), (&json!(["accounts-v1"]), &rebuilt["upcasters"]));
    assert_eq!(rebuilt["plan"]["upcasters"]["feeding"][0]["release"], 1);

    let same = plan(&server, "accounts-v1", &upcaster);
    assert_eq!((&same["same_bytes"], &same["feeds"], &same["retires"]), (&json!(true), &json!([]), &json!([])));
    let next = plan(&server, "accounts-v1", &variant(&upcaster, 2));
    assert_eq!((&next["feeds"], &next["retires"][0]["release"]), (&json!(["accounts"]), &json!(1)));
    assert!(next["then"].as_str().is_some_and(|then| then.contains("in the place of release 1")), "{next}");
    serve(&server, "accounts-v1", 2, &variant(&upcaster, 2));
    let rebuilt = server.wait_for_release("accounts", 3, "live");
    assert_eq!(rebuilt["plan"]["upcasters"]["changed"], json!(["accounts-v1"]));
    server.order("accounts-v1", "remove").ok();
    let without = plan(&server, "accounts", &variant(&file("accounts"), 4));
    assert_eq!(
        (&without["upcasters"]["removed"], &without["upcasters"]["feeding"]),
        (&json!(["accounts-v1"]), &json!([]))
    );
}

#[test]
fn its_time_is_estimated_by_what_was_measured() {
    let data = Data::new();
    let server = data.serve();
    let named = |name: &str| misbehaving(&json!({ "name": name }));
    // A build of nothing tells nothing.
    serve(&server, "first", 1, &named("first"));
    server.import(&online_retail_events()).ok();
    assert_eq!(plan(&server, "first", &variant(&named("first"), 2))["estimate"], Value::Null);
    serve(&server, "first", 2, &variant(&named("first"), 2));
    let from = |name: &str, number: u64| {
        let plan = plan(&server, name, &variant(&named(name), number));
        let (estimate, count) = (&plan["estimate"], plan["events"]["count"].as_f64().expect("a number"));
        let (seconds, rate) = (estimate["seconds"].as_f64().expect("time"), estimate["rate"].as_f64().expect("a rate"));
        assert!((seconds * rate / count - 1.0).abs() < 0.01, "{plan}");
        estimate["from"].clone()
    };
    assert_eq!(from("first", 3), "release 2 of first");
    // Another component is as fast as that, until it is measured itself.
    assert_eq!(from("second", 1), "release 2 of first");
    serve(&server, "second", 1, &named("second"));
    server.order("first", "rebuild").ok();
    server.wait_for_release("first", 3, "live");
    assert_eq!(from("second", 2), "release 1 of second");
    assert_eq!(from("third", 1), "release 3 of first");
}

#[test]
fn events_are_counted_up_to_a_bound() {
    let data = Data::new();
    let server = data.serve_with(&["--plan-events", "8"]);
    server.import(&cars_events().join("\n")).ok();
    let events = |bytes: &[u8]| plan(&server, "cars", bytes)["events"].clone();
    assert_eq!((&events(cars_v1())["count"], &events(cars_v1())["at_least"]), (&json!(8), &json!(false)));
    assert_eq!((&events(cars_v2())["count"], &events(cars_v2())["at_least"]), (&json!(8), &json!(true)));
    let folder = data.path().to_str().expect("text").to_owned();
    server.stop();

    // Without a host; the bound is that of the file then.
    std::fs::write(data.path().join("laterna.toml"), "plan_events = 8\n").expect("a file");
    let file = data.path().join("cars.wasm");
    std::fs::write(&file, cars_v2()).expect("a file");
    let said = laterna(["plan".as_ref(), file.as_os_str(), "--data".as_ref(), folder.as_ref()]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.contains("at least 8 of 9 events"), "{said:?}");
    assert!(text.contains("none of it serves yet"), "{text}");
    let json = laterna(["plan".as_ref(), file.as_os_str(), "--json".as_ref(), "--data".as_ref(), folder.as_ref()]);
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&json["name"], &json["against"]), (&json!("cars"), &Value::Null));
}

#[test]
fn what_is_internal_is_told_inside() {
    // Given a module with an internal type, and events of which some are internal,
    let data = Data::new();
    let schema = data.path().join("schemas/sales/Hush");
    std::fs::create_dir_all(&schema).expect("a folder");
    std::fs::write(schema.join("1.json"), r#"{"x-visibility": "internal"}"#).expect("a file");
    let server = data.serve();
    let roles = ["append", "read", "deploy"];
    let inside = server.with_token(&roles, Some("sales"));
    let other = server.with_token(&roles, Some("stock"));
    let append = |of_type: &str| {
        inside.post("/streams/order-1/events", &json!({ "events": [{ "type": of_type, "data": {} }] })).ok();
    };
    ["Hush", "Sold", "Hush", "Sold", "Sold"].into_iter().for_each(append);
    let open = misbehaving(&json!({ "name": "open", "consumes": ["Hush", "Sold"] }));

    // when its component is planned and deployed, then others hear of public events and types only.
    let from = |client: &Client| ask(client, "open", "sales", &open);
    let (told, told_outside) = (from(&inside).ok(), from(&server).ok());
    from(&other).refused(403, "not-allowed");
    let path = "/components?name=open&module=sales";
    inside.try_post(path, "application/wasm", open.as_slice()).expect("the host answers").ok();
    let record = |client: &Client, name: &str, release| recorded(&client.projection(name), release).expect("a record");
    let within = inside.wait_for_release("open", 1, "live");
    assert_eq!((&within["plan"], &told["events"]["count"], folded(&within)), (&told, &json!(5), json!(5)));
    assert_eq!(names(&told["subscriptions"]["added"]), ["Hush", "Sold"]);
    assert_eq!(told_outside, record(&server, "open", 1)["plan"]);
    for outside in [&*server, &other] {
        let record = record(outside, "open", 1);
        let plan = &record["plan"];
        assert_eq!((&plan["events"]["count"], folded(&record)), (&json!(3), json!(3)));
        assert_eq!(
            (&plan["events"]["public"], names(&plan["subscriptions"]["added"])),
            (&json!({ "count": 3, "at_least": false }), vec!["Sold".to_owned()])
        );
        assert!(!record.to_string().contains("Hush"), "{record}");
    }
    // Nor can the internal ones be reckoned from the time that is estimated.
    let next = variant(&open, 2);
    let estimate = |client: &Client| ask(client, "open", "sales", &next).ok()["estimate"].clone();
    let rate = |estimate: &Value| estimate["rate"].as_f64().expect("a rate");
    assert!((rate(&estimate(&server)) / rate(&estimate(&inside)) - 0.6).abs() < 0.01, "{}", estimate(&server));

    // Of an internal read model nothing is told outside, also where the next one is public.
    let closed = misbehaving(&json!({ "name": "closed", "internal": true }));
    let path = "/components?name=closed&module=sales";
    ask(&server, "closed", "sales", &closed).refused(403, "not-allowed");
    inside.try_post(path, "application/wasm", closed.as_slice()).expect("the host answers").ok();
    inside.wait_for_release("closed", 1, "live");
    let opened = misbehaving(&json!({ "name": "closed" }));
    ask(&server, "closed", "sales", &opened).refused(403, "not-allowed");
    let plan = ask(&inside, "closed", "sales", &opened).ok();
    assert_eq!(plan["settings"], json!(["visibility was internal, and is public"]));
    inside.try_post(path, "application/wasm", opened.as_slice()).expect("the host answers").ok();
    inside.wait_for_release("closed", 2, "live");
    for release in [1, 2] {
        assert_eq!(record(&server, "closed", release)["plan"], Value::Null);
        assert_ne!(record(&inside, "closed", release)["plan"], Value::Null);
    }
}

#[test]
fn what_a_process_manager_would_have_done_is_told_before_it_is_built() {
    // given: a history that it knows nothing of
    let data = Data::new();
    let server = data.serve();
    let events = online_retail_events();
    assert_eq!(server.import(&events).ok()["stored"], 2_000);
    let file = component("loyalty");
    let planned = |from: &str, server: &Client| {
        let told = laterna(["plan", file.to_str().expect("a path"), "--from", from, "--url", &server.url]);
        assert!(told.status.success(), "{told:?}");
        String::from_utf8(told.stdout).expect("text")
    };
    // when: it is to react to all of it, then it is told how much it does; and when to nothing of it, what it leaves
    let done = online_retail_reference()["process_manager"]["commands"].as_array().map_or(0, Vec::len);
    let told = planned("start", &server);
    assert!(told.contains(&format!("\nabout the history up to position 2000, it does {done} effects\n")), "{told}");
    let told = planned("now", &server);
    for line in ["up to position 2000, 0 effects were done", "not done, and now it would be, 10 of "] {
        assert!(told.contains(line), "{line} in {told}");
    }
    // and nothing else has happened
    assert_eq!(server.get("/projections/loyalty").status, 404);
    let begun = Instant::now();
    while std::fs::read_dir(data.path().join("scratch")).expect("a folder").count() > 0 {
        assert!(begun.elapsed() < PATIENCE, "what it folded is still there");
        std::thread::sleep(BREATH);
    }
    server.stop();

    // when: there is more than may be folded for it, then that is said, and what to do
    let server = data.serve_with(&["--as-of-events", "100"]);
    let plan = plan(&server, "loyalty", &std::fs::read(&file).expect("a file"));
    let reason = plan["not_replayed"].as_str().expect("a reason");
    assert!(reason.contains("100 may be: raise `as_of_events`"), "{reason}");
    assert_eq!(plan.get("replay"), None);
    let told = planned("start", &server);
    assert!(told.contains(&format!("\nwhat it would have done about the history is not known: {reason}")), "{told}");
}
