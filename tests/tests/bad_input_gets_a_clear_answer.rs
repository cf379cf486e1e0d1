//! Whatever is sent, the answer says what is wrong and what to do, under a stable code; and nothing is lost of what was right.

use laterna_tests::{Answer, Client, Data, component, encoded, online_retail_events};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// A problem must be whole, and tell nothing of the machine.
fn assert_problem(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("/errors/{code}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
    let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
    assert!(!detail.is_empty(), "{problem}");
    for secret in ["/tmp/", "/home/", "src/", ".rs:", "SqliteFailure"] {
        assert!(!answer.text.contains(secret), "{problem}");
    }
    detail
}

fn append(client: &Client, body: &str) -> Answer {
    client.try_post("/streams/s-1/events", "application/json", body).expect("the host answers")
}

#[test]
fn an_append_that_is_not_as_it_should_be() {
    let data = Data::new();
    let server = data.serve_with(&["--event-bytes", "1000", "--request-bytes", "10000"]);
    let long = "x".repeat(256);
    let event = |members: Value| json!({ "events": [members] }).to_string();
    for (body, part) in [
        ("".to_owned(), "EOF"),
        ("nonsense".to_owned(), "line 1 column"),
        ("{}".to_owned(), "missing field `events`"),
        (r#"{"events": [], "expectd": 1}"#.to_owned(), "unknown field `expectd`"),
        (r#"{"events": [], "expected": "sometimes"}"#.to_owned(), "no-stream"),
        (r#"{"events": [], "expected": -1}"#.to_owned(), "no-stream"),
        (event(json!({ "data": 1 })), "missing field `type`"),
        (event(json!({ "type": "" })), "`type` is empty"),
        (event(json!({ "type": long })), "255 are allowed"),
        (event(json!({ "type": "T", "id": "" })), "`id` is empty"),
        (event(json!({ "type": "T", "id": long })), "255 are allowed"),
        (event(json!({ "type": "T", "schema_version": 0 })), "versions count from 1"),
        (event(json!({ "type": "T", "schema_version": -1 })), "invalid value"),
        (event(json!({ "type": "T", "occurred_at": "yesterday" })), "RFC 3339"),
        (event(json!({ "type": "T", "occurred_at": "2010-12-01 08:26:00Z" })), "RFC 3339"),
        (event(json!({ "type": "T", "visibility": "secret" })), "unknown variant"),
        (event(json!({ "type": "T", "position": 1 })), "unknown field `position`"),
        (r#"{"events": [{"type": "T", "data": "\ud800"}]}"#.to_owned(), "`data` cannot be read back"),
        (r#"{"events": [{"type": "T", "metadata": 1e999}]}"#.to_owned(), "`metadata` cannot be read back"),
    ] {
        let detail = assert_problem(&append(&server, &body), 400, "bad-request");
        assert!(detail.contains(part), "{body}: {detail}");
    }
    let large = event(json!({ "type": "T", "data": "x".repeat(1_000) }));
    assert!(assert_problem(&append(&server, &large), 413, "event-too-large").contains("1000 are allowed"));
    let larger = event(json!({ "type": "T", "data": "x".repeat(10_000) }));
    assert_problem(&append(&server, &larger), 413, "request-too-large");
    let twice = json!({ "streams": [{ "stream": "a", "events": [] }, { "stream": "a", "events": [] }] });
    assert_problem(&server.post("/events", &twice), 400, "bad-request");
    let xml = server.try_post("/events", "text/xml", "<event/>").expect("the host answers");
    assert_problem(&xml, 415, "unsupported-media-type");
    // Of all that, nothing was stored.
    assert_eq!(server.get("/events").ok(), json!({ "events": [], "next": null }));
}

#[test]
fn an_import_with_a_bad_line_keeps_what_came_before_it_and_says_so() {
    let events = online_retail_events();
    let mut lines: Vec<&str> = events.lines().take(1_500).collect();
    let data = Data::new();
    let server = data.serve();
    for (bad, code, part) in [
        (r#"{"stream": "order-1", "type": "#, "bad-import-line", "line 1201: column 30: EOF"),
        (r#"{"type": "T"}"#, "bad-import-line", "missing field `stream`"),
        (r#"{"stream": "s", "type": "T", "weather": "fair"}"#, "bad-import-line", "unknown field `weather`"),
        (r#"{"stream": "s", "type": "", "id": "x"}"#, "bad-request", "line 1201: `type` is empty"),
        (r#"{"stream": "s", "type": "T", "source": "elsewhere"}"#, "bad-request", "there is no `id`"),
        (r#"{"stream": "s", "type": "T", "source": "else where", "id": "x"}"#, "bad-request", "not a URI-reference"),
        (r#"{"stream": "s", "type": "T", "module": "sales"}"#, "bad-request", "`module` is `sales`"),
        (r#"{"stream": "s", "type": "T", "content_type": "text", "data": ""}"#, "bad-request", "not a media type"),
        (r#"{"stream": "s", "type": "T", "content_type": "a/b", "data_base64": "!"}"#, "bad-request", "not Base64"),
        (r#"{"stream": "s", "type": "T", "data": 1, "data_base64": "AA=="}"#, "bad-request", "send one of them"),
    ] {
        let good = lines[1_200];
        lines[1_200] = bad;
        let answer = server.import(&lines.join("\n"));
        let detail = assert_problem(&answer, 400, code);
        assert!(detail.contains(part) && detail.contains("The lines before it are stored"), "{detail}");
        let problem = answer.json();
        let taken =
            problem["stored"].as_u64().zip(problem["skipped"].as_u64()).map(|(stored, skipped)| stored + skipped);
        assert_eq!((taken, &problem["line"], &problem["last_position"]), (Some(1_200), &json!(1_201), &json!(1_200)));
        lines[1_200] = good;
    }
    // A stream that was closed meanwhile is told with its line, too.
    assert_eq!(server.import(r#"{"stream": "closed", "type": "T", "id": "c"}"#).ok()["stored"], 1);
    server.delete("/streams/closed").ok();
    let answer =
        server.import("{\"stream\": \"s\", \"type\": \"T\", \"id\": \"s\"}\n{\"stream\": \"closed\", \"type\": \"T\"}");
    let detail = assert_problem(&answer, 410, "stream-closed");
    assert!(detail.starts_with("line 2: "), "{detail}");
    // Mended and sent again, it is all there once.
    let mended = server.import(&lines.join("\n")).ok();
    assert_eq!((&mended["stored"], &mended["skipped"]), (&json!(300), &json!(1_200)));
}

#[test]
fn an_import_that_breaks_off_keeps_its_whole_chunks_and_can_be_sent_again() {
    let events = online_retail_events();
    let data = Data::new();
    let server = data.serve();
    // The body announces more than comes.
    let mut connection = TcpStream::connect(server.url.trim_start_matches("http://")).expect("the host listens");
    let head = format!(
        "POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        events.len()
    );
    let sent: String = events.lines().take(1_100).map(|line| format!("{line}\n")).collect();
    connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(sent.as_bytes())).expect("it is sent");
    connection.shutdown(std::net::Shutdown::Write).expect("the connection is open");
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer);
    let stored = server.get(&format!("/events?after={}&limit=1", u64::MAX)).position();
    assert!(stored >= 1_000, "{stored} were stored; {answer}");
    let again = server.import(&events).ok();
    assert_eq!((again["stored"].as_u64(), again["skipped"].as_u64()), (Some(2_000 - stored), Some(stored)));
}

#[test]
fn a_question_that_is_not_as_it_should_be() {
    let data = Data::new();
    data.drop_component(&component("retail"));
    let server = data.serve();
    server.import(&online_retail_events()).ok();
    assert_eq!(server.rows("retail", "customers").len(), 717);
    let retail = "/projections/retail";
    for (path, status, code, part) in [
        ("/nowhere".to_owned(), 404, "not-found", "GET /"),
        ("/errors/no-such-error".to_owned(), 404, "not-found", "id-conflict"),
        ("/streams/nobody/events".to_owned(), 404, "stream-not-found", "first event"),
        ("/streams/%FF/events".to_owned(), 400, "bad-parameter", "UTF-8"),
        ("/events?type=%FF".to_owned(), 400, "bad-parameter", "UTF-8"),
        ("/events?after=-1".to_owned(), 400, "bad-parameter", "a position"),
        ("/events?limit=0".to_owned(), 400, "bad-parameter", "from 1 to"),
        ("/events?limit=1&limit=2".to_owned(), 400, "bad-parameter", "twice"),
        ("/events?typ=OrderPlaced".to_owned(), 400, "bad-parameter", "there are: after, type"),
        ("/streams/customer-17850/events?direction=up".to_owned(), 400, "bad-parameter", "backwards"),
        ("/projections/wholesale".to_owned(), 404, "projection-not-found", "there are: retail"),
        (format!("{retail}/tables/clients"), 404, "table-not-found", "customers"),
        (format!("{retail}/tables/customers?city=eq.York"), 400, "bad-parameter", "it has: customer_id, country"),
        (format!("{retail}/tables/customers?orders=above.1"), 400, "bad-parameter", "`eq.value`"),
        (format!("{retail}/tables/customers?orders=eq.many"), 400, "bad-parameter", "a number"),
        (format!("{retail}/tables/customers?order=city"), 400, "bad-parameter", "no column `city`"),
        (format!("{retail}/tables/customers?select=city"), 400, "bad-parameter", "no column `city`"),
        (format!("{retail}/tables/customers?offset=-1"), 400, "bad-parameter", "from 0"),
        (format!("{retail}/tables/customers?limit=100000"), 400, "bad-parameter", "from 1 to"),
        (format!("{retail}/tables/laterna_checkpoint"), 404, "table-not-found", "it has"),
        (format!("{retail}/queries/best"), 404, "query-not-found", "top_customers"),
        (format!("{retail}/queries/customer"), 400, "bad-parameter", "needs `id`"),
        (format!("{retail}/queries/top_customers?count=many"), 400, "bad-parameter", "an integer"),
        (format!("{retail}/queries/top_customers?cuont=1"), 400, "bad-parameter", "there are:"),
        (format!("{retail}/queries/customer?id=1&fresh=maybe"), 400, "bad-parameter", "true or false"),
        (format!("{retail}/queries/customer?id=1&timeout=soon"), 400, "bad-parameter", "250ms"),
        (format!("{retail}/queries/customer?id=1&min_position=2001&timeout=10ms"), 503, "not-caught-up", "is at 2000"),
    ] {
        let detail = assert_problem(&server.get(&path), status, code);
        assert!(detail.contains(part), "{path}: {detail}");
    }
    assert_problem(&server.delete("/events"), 405, "method-not-allowed");
    // Text from outside never becomes SQL.
    let hostile = encoded("x'; DROP TABLE customers; --");
    assert_eq!(server.get(&format!("{retail}/tables/customers?country=eq.{hostile}")).ok()["rows"], json!([]));
    assert_eq!(server.rows("retail", "customers").len(), 717);
}

#[test]
fn any_name_that_is_utf_8_is_a_name() {
    let data = Data::new();
    let server = data.serve();
    for name in ["order 1", "order/1", "пользователь-1", "🦀-🚢", "a%2Fb", "a+b", "?x=1#y", "\"'`;--", "line\nbreak"]
    {
        let path = format!("/streams/{}/events", encoded(name));
        let event = json!({ "type": name, "id": format!("id {name}"), "data": { "of": name }, "correlation_id": name });
        server.post(&path, &json!({ "expected": "no-stream", "events": [event] })).ok();
        let read = server.get(&path).ok();
        let found = &read["events"][0];
        for member in ["stream", "type", "correlation_id"] {
            assert_eq!(found[member], name);
        }
        assert_eq!(found["data"]["of"], name);
        let filtered = server.get(&format!("/events?type={}", encoded(name))).ok();
        assert_eq!(filtered["events"][0]["id"], format!("id {name}"), "{filtered}");
    }
}
