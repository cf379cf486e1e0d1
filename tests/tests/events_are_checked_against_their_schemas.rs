//! Schemas of events: an event that does not fit is refused with the place of the fault, and the schemas may change while the host serves.

use laterna_tests::{Answer, Client, Data, Server};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Files settle at once, and the folder is looked at often, so that nothing has to be waited for long.
const QUICK: &[&str] = &["--settle-ms", "20", "--rescan-ms", "50"];

fn put(data: &Data, file: &str, schema: &str) {
    let path = data.path().join("schemas").join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, schema).expect("the file is written");
}

fn remove(data: &Data, file: &str) {
    fs::remove_file(data.path().join("schemas").join(file)).expect("it is there");
}

fn schema_of<'a>(listed: &'a Value, file: &str) -> Option<&'a Value> {
    listed["schemas"].as_array().expect("a list").iter().find(|schema| schema["file"] == file)
}

fn problem_of<'a>(listed: &'a Value, file: &str) -> Option<&'a str> {
    let problems = listed["problems"].as_array().expect("a list");
    problems.iter().find(|problem| problem["file"] == file).map(|problem| problem["reason"].as_str().expect("a reason"))
}

/// Waits until `GET /schemas` is as wanted.
fn wait_for_schemas(client: &Client, wanted: impl Fn(&Value) -> bool) -> Value {
    client.wait_for("/schemas", |answer| wanted(&answer.ok())).ok()
}

/// A file that was put there after all that is to be waited for; once it is in force, so is what came before it.
fn wait_until_looked_at(data: &Data, server: &Server, mark: u32) {
    put(data, &format!("Mark/{mark}.json"), "true");
    wait_for_schemas(server, |listed| schema_of(listed, &format!("Mark/{mark}.json")).is_some());
}

fn append(client: &Client, stream: &str, event: &Value) -> Answer {
    client.post(&format!("/streams/{stream}/events"), &json!({ "events": [event] }))
}

/// The place that an event with this data is at fault at; `None` where it is taken.
fn place(client: &Client, event_type: &str, version: u32, data: &Value) -> Option<String> {
    let answer = append(client, "s-1", &json!({ "type": event_type, "schema_version": version, "data": data }));
    if answer.status == 201 {
        return None;
    }
    let problem = answer.refused(422, "schema-violation");
    assert_eq!(problem["pointer"], problem["violations"][0]["pointer"], "{problem}");
    Some(problem["pointer"].as_str().expect("a pointer").to_owned())
}

fn head(client: &Client) -> u64 {
    client.get("/").ok()["head"].as_u64().expect("a position")
}

const ORDER_JSON: &str = r##"{
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "a/b": {"type": "integer"},
        "a~b": {"type": "integer"}
    },
    "required": ["customer"],
    "$defs": {"line": {"properties": {"quantity": {"type": "integer", "minimum": 1}}, "required": ["quantity"]}}
}"##;

const ORDER_AVRO: &str = r#"{
    "type": "record", "name": "OrderPlaced", "namespace": "shop",
    "fields": [
        {"name": "customer", "type": "string"},
        {"name": "note", "type": ["null", "string"], "default": null},
        {"name": "lines", "default": [], "type": {"type": "array", "items":
            {"type": "record", "name": "Line", "fields": [{"name": "quantity", "type": "int"}]}}},
        {"name": "gift", "type": ["null", "Line"], "default": null},
        {"name": "counts", "type": {"type": "map", "values": "long"}, "default": {}}
    ]
}"#;

#[test]
fn a_fault_is_told_with_its_place_in_either_language() {
    let data = Data::new();
    put(&data, "OrderPlaced/1.json", ORDER_JSON);
    put(&data, "OrderPlaced/2.avsc", ORDER_AVRO);
    put(&data, "com.example%2Forder%20placed/1.json", "false");
    let server = data.serve();
    let listed = server.get("/schemas").ok();
    let shown = json!({ "module": "", "type": "OrderPlaced", "version": 2, "format": "avro", "file": "OrderPlaced/2.avsc",
        "visibility": "public" });
    assert_eq!(schema_of(&listed, "OrderPlaced/2.avsc"), Some(&shown));
    assert_eq!(listed["problems"], json!([]));
    let lines = json!([{ "quantity": 1 }, { "quantity": 2 }, { "quantity": "two" }]);
    for (version, of_order, wanted) in [
        (1, json!({ "customer": "17", "lines": [{ "quantity": 1 }], "more": true }), None),
        (1, json!({ "lines": [] }), Some("")),
        (1, json!({ "customer": 17 }), Some("/customer")),
        (1, json!({ "customer": "17", "lines": lines }), Some("/lines/2/quantity")),
        (1, json!({ "customer": "17", "lines": [{ "quantity": 0 }] }), Some("/lines/0/quantity")),
        (1, json!({ "customer": "17", "a/b": "x" }), Some("/a~1b")),
        (1, json!({ "customer": "17", "a~b": "x" }), Some("/a~0b")),
        (2, json!({ "customer": "17", "lines": [{ "quantity": 1 }] }), None),
        (2, json!({ "customer": "17", "note": { "string": "fragile" }, "gift": { "quantity": 1 } }), None),
        (2, json!({ "lines": [] }), Some("")),
        (2, json!({ "customer": "17", "lines": lines }), Some("/lines/2/quantity")),
        (2, json!({ "customer": "17", "gift": { "quantity": 2_147_483_648_u32 } }), Some("/gift/quantity")),
        (2, json!({ "customer": "17", "more": true }), Some("/more")),
        (2, json!({ "customer": "17", "counts": { "a/b~c": 0.5 } }), Some("/counts/a~1b~0c")),
        // There is no schema of the third version, nor of other types.
        (3, json!({ "anything": "goes" }), None),
    ] {
        assert_eq!(place(&server, "OrderPlaced", version, &of_order).as_deref(), wanted, "{version}: {of_order}");
    }
    assert_eq!(place(&server, "orderplaced", 1, &json!(1)), None);
    assert_eq!(place(&server, "com.example/order placed", 1, &json!(1)).as_deref(), Some(""));
    // What is told in full.
    let bad = json!({ "lines": lines, "a/b": "x" });
    let fine = json!({ "type": "OrderPlaced", "data": { "customer": "17" } });
    let events = json!({ "events": [fine, { "type": "OrderPlaced", "data": bad }] });
    let before = head(&server);
    let problem = server.post("/streams/order-9/events", &events).refused(422, "schema-violation");
    assert_eq!(
        (&problem["stream"], &problem["event"], &problem["schema"], &problem["more"]),
        (&json!("order-9"), &json!(1), &json!("OrderPlaced/1.json"), &json!(0))
    );
    let places: Vec<&Value> =
        problem["violations"].as_array().expect("a list").iter().map(|fault| &fault["pointer"]).collect();
    assert_eq!(places.len(), 3, "{problem}");
    for place in ["", "/lines/2/quantity", "/a~1b"] {
        assert!(places.iter().any(|known| *known == place), "{place}: {problem}");
    }
    let quantity = problem["violations"].as_array().expect("a list").iter();
    let quantity = quantity.clone().find(|fault| fault["pointer"] == "/lines/2/quantity").expect("it is there");
    assert_eq!(quantity["schema_pointer"], "/$defs/line/properties/quantity/type");
    assert!(quantity["message"].as_str().is_some_and(|message| message.contains("\"two\"")), "{quantity}");
    assert_eq!(head(&server), before);
    // Nobody is sent back what is large.
    let large = json!({ "customer": "x".repeat(500_000), "lines": "y".repeat(500_000) });
    let answer = append(&server, "order-9", &json!({ "type": "OrderPlaced", "data": large }));
    assert_eq!(answer.refused(422, "schema-violation")["pointer"], "/lines");
    assert!(answer.text.len() < 2_000, "{}", answer.text.len());
    let page = server.get("/errors/schema-violation");
    assert_eq!(page.status, 200);
    assert!(server.get("/").text.contains("\"/schemas\""));
}

#[test]
fn schemas_change_while_the_host_serves() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    let text = json!("a text");
    // Given no schema, anything is taken; when one is added, it counts.
    assert_eq!(place(&server, "Noted", 1, &text), None);
    put(&data, "Noted/1.json", r#"{"type": "integer"}"#);
    wait_for_schemas(&server, |listed| schema_of(listed, "Noted/1.json").is_some());
    assert_eq!(place(&server, "Noted", 1, &text).as_deref(), Some(""));
    // When it is changed, the new one does.
    put(&data, "Noted/1.json", r#"{"type": "string"}"#);
    wait_until_looked_at(&data, &server, 1);
    assert_eq!(place(&server, "Noted", 1, &text), None);
    assert_eq!(place(&server, "Noted", 1, &json!(1)).as_deref(), Some(""));
    // When it is broken, it is told, and the one before stays in force,
    for (broken, why) in [
        (r#"{"type": "#, "not JSON"),
        (r#"{"type": "texts"}"#, "not a JSON Schema"),
        (r#"{"$ref": "https://example.com/text.json"}"#, "example.com"),
        (r#"{"type": "integer", "x-visibility": "secret"}"#, "x-visibility"),
    ] {
        put(&data, "Noted/1.json", broken);
        wait_for_schemas(&server, |listed| {
            problem_of(listed, "Noted/1.json").is_some_and(|reason| reason.contains(why))
        });
        assert_eq!(place(&server, "Noted", 1, &text), None, "{broken}");
        assert_eq!(place(&server, "Noted", 1, &json!(1)).as_deref(), Some(""), "{broken}");
    }
    // until it is mended.
    put(&data, "Noted/1.json", r#"{"type": "boolean"}"#);
    let listed = wait_for_schemas(&server, |listed| problem_of(listed, "Noted/1.json").is_none());
    assert_eq!(listed["problems"], json!([]));
    assert_eq!(place(&server, "Noted", 1, &json!(true)), None);
    // When another file claims the same events, what was in force stays, until one of them is gone.
    put(&data, "Noted/1.avsc", r#""string""#);
    let listed = wait_for_schemas(&server, |listed| problem_of(listed, "Noted/1.avsc").is_some());
    assert!(problem_of(&listed, "Noted/1.json").is_some(), "{listed}");
    assert_eq!(place(&server, "Noted", 1, &json!(true)), None);
    assert_eq!(place(&server, "Noted", 1, &text).as_deref(), Some(""));
    remove(&data, "Noted/1.json");
    let listed = wait_for_schemas(&server, |listed| problem_of(listed, "Noted/1.avsc").is_none());
    assert_eq!(schema_of(&listed, "Noted/1.avsc").map(|schema| &schema["format"]), Some(&json!("avro")));
    assert_eq!(place(&server, "Noted", 1, &text), None);
    assert_eq!(place(&server, "Noted", 1, &json!(true)).as_deref(), Some(""));
    // When the last is removed, anything is taken again.
    remove(&data, "Noted/1.avsc");
    wait_for_schemas(&server, |listed| schema_of(listed, "Noted/1.avsc").is_none());
    assert_eq!(place(&server, "Noted", 1, &json!(true)), None);
    // Where the whole folder is gone, nobody meant each schema to be gone.
    put(&data, "Noted/2.json", "false");
    wait_for_schemas(&server, |listed| schema_of(listed, "Noted/2.json").is_some());
    fs::rename(data.path().join("schemas"), data.path().join("aside")).expect("it is there");
    wait_for_schemas(&server, |listed| problem_of(listed, "").is_some());
    assert_eq!(place(&server, "Noted", 2, &text).as_deref(), Some(""));
    fs::rename(data.path().join("aside"), data.path().join("schemas")).expect("it is there");
    wait_for_schemas(&server, |listed| problem_of(listed, "").is_none());
    assert_eq!(place(&server, "Noted", 2, &text).as_deref(), Some(""));
}

#[test]
fn nothing_gets_in_unchecked_where_a_schema_cannot_be_used() {
    let data = Data::new();
    put(&data, "Broken/1.json", "{");
    put(&data, "Twice/1.json", "true");
    put(&data, "Twice/1.avsc", r#""string""#);
    put(&data, "Large/1.json", &format!("{{\"description\": \"{}\"}}", "x".repeat(2_000)));
    put(&data, "Spelled/01.json", "false");
    put(&data, "1.json", "false");
    put(&data, "a/b/c/1.json", "false");
    put(&data, "Spelled/README.md", "not a schema");
    put(&data, "Spelled/.1.json.swp", "false");
    let flags: Vec<&str> = QUICK.iter().copied().chain(["--schema-bytes", "1000", "--schema-files", "12"]).collect();
    let server = data.serve_with(&flags);
    let listed = server.get("/schemas").ok();
    let files: Vec<&str> =
        listed["problems"].as_array().expect("a list").iter().filter_map(|problem| problem["file"].as_str()).collect();
    let wanted =
        ["1.json", "Broken/1.json", "Large/1.json", "Spelled/01.json", "Twice/1.avsc", "Twice/1.json", "a/b/c/1.json"];
    assert_eq!(files, wanted);
    for event_type in ["Broken", "Twice", "Large"] {
        let answer = append(&server, "s-1", &json!({ "type": event_type, "data": "x" }));
        let problem = answer.refused(422, "schema-violation");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("cannot be used")), "{problem}");
        assert_eq!(place(&server, event_type, 2, &json!("x")), None);
    }
    assert_eq!(place(&server, "Spelled", 1, &json!(1)), None);
    // Mended, it is taken.
    put(&data, "Broken/1.json", "{}");
    wait_for_schemas(&server, |listed| problem_of(listed, "Broken/1.json").is_none());
    assert_eq!(place(&server, "Broken", 1, &json!("x")), None);
    // More files than there may be: no change is taken at all.
    for version in 2..10 {
        put(&data, &format!("Broken/{version}.json"), "false");
    }
    wait_for_schemas(&server, |listed| problem_of(listed, "").is_some_and(|reason| reason.contains("schema_files")));
    assert_eq!(place(&server, "Broken", 1, &json!("x")), None);
}

#[test]
fn a_repeat_is_answered_like_the_first_time_whatever_schema_came_since() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    let event = |id: &str, data: Value| json!({ "id": id, "type": "Counted", "data": data });
    let first = append(&server, "s-1", &event("one", json!("text"))).ok();
    let line = |id: &str, data: Value| {
        let mut event = event(id, data);
        event["stream"] = "s-2".into();
        event.to_string()
    };
    server.import(&line("two", json!("text"))).ok();
    put(&data, "Counted/1.json", r#"{"type": "integer"}"#);
    wait_for_schemas(&server, |listed| schema_of(listed, "Counted/1.json").is_some());
    // Given events from before the schema, when they are sent again, then they are answered like the first time,
    let again = append(&server, "s-1", &event("one", json!("text")));
    assert_eq!(again.status, 200);
    assert_eq!(again.ok()["last_position"], first["last_position"]);
    // also with an expectation that does not hold any more;
    let body = json!({ "expected": "no-stream", "events": [event("one", json!("text"))] });
    assert_eq!(server.post("/streams/s-1/events", &body).status, 200);
    // a new one is refused, before anybody looks at what it expects;
    let body = json!({ "expected": "no-stream", "events": [event("three", json!("text"))] });
    server.post("/streams/s-1/events", &body).refused(422, "schema-violation");
    // an id that is used for two events is told first.
    let body = json!({ "events": [event("one", json!("text")), event("three", json!("text"))] });
    server.post("/streams/s-1/events", &body).refused(409, "id-conflict");
    // An import passes over what is known, and stops at what is new and does not fit.
    let lines =
        [line("two", json!("text")), line("four", json!(4)), line("five", json!("text")), line("six", json!(6))];
    let problem = server.import(&lines.join("\n")).refused(422, "schema-violation");
    assert_eq!(
        (&problem["line"], &problem["stored"], &problem["skipped"], &problem["pointer"]),
        (&json!(3), &json!(1), &json!(1), &json!(""))
    );
    assert!(problem.get("event").is_none(), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.starts_with("line 3: ")), "{problem}");
    let ids: Vec<Value> = server.get("/events").ok()["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["id"].clone())
        .collect();
    assert_eq!(ids, ["one", "two", "four"]);
}

#[test]
fn an_append_to_several_streams_with_one_bad_event_stores_nothing() {
    let data = Data::new();
    put(&data, "Counted/1.json", r#"{"type": "integer"}"#);
    let server = data.serve();
    let counted = |data: Value| json!({ "type": "Counted", "data": data });
    let streams = json!({ "streams": [
        { "stream": "a", "events": [counted(json!(1))] },
        { "stream": "b", "events": [counted(json!(2)), counted(json!("three"))] },
        { "stream": "c", "events": [counted(json!("four"))] },
    ] });
    let problem = server.post("/events", &streams).refused(422, "schema-violation");
    assert_eq!((&problem["stream"], &problem["event"]), (&json!("b"), &json!(1)));
    assert_eq!(head(&server), 0);
    assert_eq!(server.get("/streams/a/events").status, 404);
}

#[test]
fn a_type_can_be_made_internal() {
    let data = Data::new();
    put(&data, "shop/Priced/1.json", r#"{"x-visibility": "internal"}"#);
    let avro = r#"{"type": "record", "name": "Paid", "fields": [], "x-visibility": "internal"}"#;
    put(&data, "shop/Paid/3.avsc", avro);
    put(&data, "shop/Shown/1.json", r#"{"x-visibility": "public"}"#);
    let mut server = data.serve_with(QUICK);
    // Inside its module.
    server.client = server.with_token(&["append", "read"], Some("shop"));
    let listed = server.get("/schemas").ok();
    assert_eq!(listed["problems"], json!([]));
    assert_eq!(schema_of(&listed, "shop/Paid/3.avsc").map(|schema| &schema["visibility"]), Some(&json!("internal")));
    let events = [
        // Whatever the event says, and of whatever version it is.
        (json!({ "type": "Priced", "data": 1 }), "internal"),
        (json!({ "type": "Priced", "data": "x", "visibility": "public" }), "internal"),
        (json!({ "type": "Priced", "schema_version": 2 }), "internal"),
        (json!({ "type": "Paid", "schema_version": 3, "data": {} }), "internal"),
        (json!({ "type": "Shown" }), "public"),
        (json!({ "type": "Shown", "visibility": "internal" }), "internal"),
        (json!({ "type": "Other" }), "public"),
    ];
    let offered: Vec<&Value> = events.iter().map(|(event, _)| event).collect();
    server.post("/streams/s-1/events", &json!({ "events": offered })).ok();
    server.post("/events", &json!({ "streams": [{ "stream": "s-2", "events": offered }] })).ok();
    let lines: Vec<String> = events
        .iter()
        .map(|(event, _)| {
            let mut event = event.clone();
            event["stream"] = "s-3".into();
            event.to_string()
        })
        .collect();
    server.import(&lines.join("\n")).ok();
    for stream in ["s-1", "s-2", "s-3"] {
        let read = server.get(&format!("/streams/{stream}/events")).ok();
        let shown: Vec<&Value> =
            read["events"].as_array().expect("events").iter().map(|event| &event["visibility"]).collect();
        let wanted: Vec<&str> = events.iter().map(|(_, wanted)| *wanted).collect();
        assert_eq!(shown, wanted, "{stream}");
    }
    // What is internal stays so; what comes after the schema is gone is not.
    remove(&data, "shop/Priced/1.json");
    wait_for_schemas(&server, |listed| schema_of(listed, "shop/Priced/1.json").is_none());
    append(&server, "s-4", &json!({ "type": "Priced" })).ok();
    assert_eq!(server.get("/streams/s-4/events").ok()["events"][0]["visibility"], "public");
    assert_eq!(server.get("/streams/s-1/events").ok()["events"][0]["visibility"], "internal");
}

#[test]
fn schemas_survive_a_restart_and_too_many_are_told_at_the_start() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    put(&data, "orders/Placed/1.json", "false");
    put(&data, "Counted/1.json", r#"{"type": "integer"}"#);
    wait_for_schemas(&server, |listed| listed["schemas"].as_array().is_some_and(|schemas| schemas.len() == 2));
    server.kill();
    let server = data.serve();
    assert_eq!(place(&server, "Counted", 1, &json!("x")).as_deref(), Some(""));
    // One of a module says nothing of events that belong to none.
    assert_eq!(
        schema_of(&server.get("/schemas").ok(), "orders/Placed/1.json").map(|schema| &schema["module"]),
        Some(&json!("orders"))
    );
    assert_eq!(place(&server, "Placed", 1, &json!("x")), None);
    server.stop();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--schema-files", "1", "--data"];
    let path: &Path = data.path();
    let refused = laterna_tests::laterna(arguments.iter().map(AsRef::as_ref).chain([path.as_os_str()]));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("schema_files"), "{said}");
}
