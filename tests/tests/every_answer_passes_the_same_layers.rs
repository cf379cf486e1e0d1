//! The shell around all routes: ids of requests, the access log, pages of other origins, compression, and connections that are
//! bounded, in number and in time.

use laterna_tests::wire::Heard;
use laterna_tests::{Data, binary, laterna};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

#[test]
fn every_answer_names_its_request() {
    let data = Data::new();
    let server = data.serve();
    let mut wire = server.connect();
    let requests =
        ["GET /health/live", "HEAD /events", "GET /nothing", "PUT /events", "GET /events?limit=no", "POST /x%ff"];
    for (line, status) in requests.into_iter().zip([200, 200, 404, 405, 400, 400]) {
        // The caller's own id is kept.
        let heard = wire.ask(line, &[("x-request-id", "order-17/retry:2")]);
        assert_eq!(
            (heard.status, heard.header("x-request-id").as_deref()),
            (status, Some("order-17/retry:2")),
            "{line}"
        );
        // Where there is none, or none that could stand in a log, there is a new one.
        let long = "x".repeat(129);
        let unfit: [&[(&str, &str)]; 5] = [
            &[],
            &[("x-request-id", "")],
            &[("x-request-id", "a b")],
            &[("x-request-id", &long)],
            &[("x-request-id", "one"), ("x-request-id", "two")],
        ];
        let mut last = String::new();
        for headers in unfit {
            let heard = wire.ask(line, headers);
            let id = heard.header("x-request-id").expect("an id");
            assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "{line} {headers:?}: {id} is no UUIDv7");
            assert_ne!(id, last);
            last = id;
        }
        if status >= 400 {
            assert_eq!(heard.header("content-type").as_deref(), Some("application/problem+json"), "{line}");
        }
    }
    // What is there is asked for by HEAD, too; and 405 says what is taken.
    let (head, get) = (wire.ask("HEAD /events", &[]), wire.ask("GET /events", &[]));
    assert_eq!(head.header("laterna-position"), get.header("laterna-position"));
    assert_eq!(head.header("content-length").map(|length| length.parse()), Some(Ok(get.body.len())));
    let allowed = wire.ask("PUT /events", &[]).header("allow").expect("methods");
    for method in ["GET", "HEAD", "POST"] {
        assert!(allowed.split(',').any(|allowed| allowed.trim() == method), "{method} is not in {allowed}");
    }
    // Only a head that cannot be read does not come so far.
    let long = format!("GET /{}", "x".repeat(65_534));
    for (line, status) in [("GET /a b", 400), (&long, 414)] {
        let heard = server.connect().ask(line, &[]);
        assert_eq!((heard.status, heard.header("x-request-id")), (status, None));
    }
}

/// What a host says on standard error while it is asked some things; `LATERNA_LOG` is not set.
fn said(data: &Data, flags: &[&str], token: &str) -> String {
    let mut child = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--require-tokens", "--data"])
        .arg(data.path())
        .args(flags)
        .env_remove("LATERNA_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("text");
    let client = laterna_tests::Client::at(line.trim().strip_prefix("listening on ").expect("an address"));
    let headers = [("x-request-id", "mine-17")];
    let asked = client.showing(token).get_with("/events?type=secret.type&limit=1", &headers).expect("an answer");
    assert_eq!(asked.status, 200);
    client.get("/events").refused(401, "token-needed");
    client.get("/nowhere").refused(404, "not-found");
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill runs").success());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("it is ours").success());
    said
}

#[test]
fn the_access_log_says_who_asked_for_what() {
    let data = Data::new();
    let folder = data.path().display().to_string();
    let made = laterna(["token", "create", "--role", "read", "--module", "sales", "--data", &folder]);
    let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    let (id, secret) = token.trim_start_matches("laterna_").split_once('_').expect("a token");

    // Nothing is said of requests unless it was asked for.
    assert!(!said(&data, &[], &token).contains("mine-17"));

    // A line for each: what was asked, by whom, and what came of it; not what for, and no secret.
    let log = said(&data, &["--access-log"], &token);
    let line = |of: &str| log.lines().find(|line| line.contains(of)).unwrap_or_else(|| panic!("no {of} in {log}"));
    let asked = line("mine-17");
    let words = ["laterna::access", "GET", "path=\"/events\"", "status=200", "ms=", "bytes=", id, "sales"];
    words.iter().for_each(|word| assert!(asked.contains(word), "no {word} in {asked}"));
    assert!(!log.contains(secret) && !log.contains("secret.type"), "{log}");
    line("status=401");
    assert!(line("status=404").contains("/nowhere"));
}

#[test]
fn the_demo_says_little_besides_its_access_log() {
    let data = Data::new();
    let mut child = Command::new(binary())
        .args(["demo", "--listen", "127.0.0.1:0", "--access-log", "--data"])
        .arg(data.path())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env_remove("LATERNA_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let shown = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(shown.map(|line| line.expect("text")).any(|line| line == "Ctrl-C ends it."), "it does not come so far");
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill runs").success());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("it is ours").success(), "{said}");
    // What it asked itself to show what it does is in the log.
    assert!(said.lines().any(|line| line.contains("laterna::access") && line.contains("top_customers")), "{said}");
    assert!(!said.contains("laterna::host") && !said.contains("stopping"), "{said}");
}

/// What lets pages of this origin read an answer.
fn allowed(heard: &Heard) -> Option<String> {
    heard.header("access-control-allow-origin")
}

const PAGE: (&str, &str) = ("origin", "https://app.example");
const STRANGER: (&str, &str) = ("origin", "https://evil.example");

#[test]
fn pages_of_named_origins_may_ask() {
    let data = Data::new();
    // Given a host that names nobody, then there is no way in for pages.
    let server = data.serve();
    let mut wire = server.connect();
    assert_eq!(allowed(&wire.ask("GET /events", &[PAGE])), None);
    assert_eq!(wire.ask("OPTIONS /events", &[PAGE, ("access-control-request-method", "POST")]).status, 405);
    server.stop();

    // Given one that names two,
    let server = data.serve_with(&["--cors-origins", "http://localhost:3000,https://app.example"]);
    let mut wire = server.connect();
    // when a browser asks whether it may, then it hears what these may do, and is not asked for a token.
    let asks = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization,ce-mine")];
    let preflight = wire.ask("OPTIONS /streams/a/events", &[PAGE, asks[0], asks[1]]);
    assert_eq!((preflight.status, allowed(&preflight).as_deref()), (200, Some(PAGE.1)));
    let methods = preflight.header("access-control-allow-methods").expect("methods");
    assert!(["GET", "POST", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    assert_eq!(preflight.header("access-control-allow-headers").as_deref(), Some("authorization,ce-mine"));
    assert_eq!(allowed(&wire.ask("OPTIONS /streams/a/events", &[STRANGER, asks[0]])), None);
    // What they ask for they may read, refusals included, and the headers that count.
    for (line, status) in [("GET /events", 200), ("GET /nothing", 404)] {
        let heard = wire.ask(line, &[PAGE]);
        assert_eq!((heard.status, allowed(&heard).as_deref()), (status, Some(PAGE.1)));
        let exposed = heard.header("access-control-expose-headers").expect("headers").to_ascii_lowercase();
        for header in ["laterna-position", "laterna-release", "etag", "x-request-id", "retry-after", "link"] {
            assert!(exposed.contains(header), "no {header} in {exposed}");
        }
        assert_eq!(allowed(&wire.ask(line, &[STRANGER])), None);
    }
    // They may send, and nobody else may.
    let body = json!({ "events": [{ "type": "T" }] }).to_string();
    let sent = |page, host| server.send("/streams/a/events", &[page, ("host", host)], body.as_bytes());
    assert_eq!(sent(PAGE, "localhost").status, 201);
    sent(STRANGER, "localhost").refused(403, "not-allowed");
    // A name that was made to lead here stays shut out: such a page could be anybody's.
    sent(PAGE, "app.example").refused(403, "not-allowed");
    assert_eq!(server.get("/events").position(), 1);
    server.stop();

    // All origins may ask only where everybody shows a token.
    let refused = |flags: &[&str]| {
        let folder = data.path().display().to_string();
        let served = laterna(["serve", "--listen", "127.0.0.1:0", "--data", &folder].iter().chain(flags));
        assert!(!served.status.success());
        String::from_utf8(served.stderr).expect("text")
    };
    assert!(refused(&["--cors-origins", "*"]).contains("require_tokens"));
    assert!(refused(&["--cors-origins", "https://app.example/"]).contains("https://app.example/"));
    laterna(["token", "create", "--role", "read", "--data", &data.path().display().to_string()]);
    let server = data.serve_with(&["--cors-origins", "*", "--require-tokens"]);
    let mut wire = server.connect();
    assert_eq!(wire.ask("OPTIONS /events", &[STRANGER, asks[0]]).status, 200);
    let heard = wire.ask("GET /events", &[STRANGER]);
    assert_eq!((heard.status, allowed(&heard).as_deref()), (401, Some("*")));
}

#[test]
fn large_texts_are_compressed_for_those_who_take_it() {
    let data = Data::new();
    let server = data.serve();
    let events: Vec<Value> = (0..100).map(|_| json!({ "type": "LetterSent", "data": "again and again" })).collect();
    server.post("/streams/letters/events", &json!({ "events": events })).ok();
    let mut wire = server.connect();
    let gzip = ("accept-encoding", "br, gzip");

    let plain = wire.ask("GET /events", &[]);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = wire.ask("GET /events", &[gzip]);
    assert_eq!(packed.header("content-encoding").as_deref(), Some("gzip"));
    assert!(packed.header("vary").is_some_and(|vary| vary.contains("accept-encoding")), "{packed:?}");
    assert!(packed.body.len() * 4 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain.body);
    assert_eq!(packed.header("laterna-position"), plain.header("laterna-position"));
    // Not what is small, and not a feed, whose events would wait for each other.
    assert_eq!(wire.ask("GET /events?limit=1", &[gzip]).header("content-encoding"), None);
    let line = "GET /events HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\naccept: text/event-stream\r\n\r\n";
    wire.send(line);
    let feed = wire.hear_head();
    assert_eq!((feed.status, feed.header("content-encoding")), (200, None));
    // Who takes nothing that there is hears the answer as it is, and not that something was not acceptable that was done.
    let nothing = ("accept-encoding", "identity;q=0, br");
    let heard = server.connect().ask("GET /events", &[nothing]);
    assert_eq!((heard.status, heard.header("content-encoding"), heard.body), (200, None, plain.body));
    let body = json!({ "events": [{ "type": "T" }] }).to_string();
    assert_eq!(server.send("/streams/a/events", &[nothing, ("content-type", "application/json")], body).status, 201);
}

#[test]
fn beyond_the_limit_connections_wait() {
    let data = Data::new();
    let server = data.serve_with(&["--connections", "2"]);
    // Given as many connections as may be,
    let (mut first, mut second) = (server.connect(), server.connect());
    let head = |wire: &mut laterna_tests::wire::Wire| wire.ask("GET /events", &[]).header("laterna-position");
    assert_eq!((head(&mut first), head(&mut second)), (Some("0".to_owned()), Some("0".to_owned())));
    // when another one comes, then nobody listens to it,
    let body = json!({ "events": [{ "type": "T" }] }).to_string();
    let mut third = server.connect();
    third.send(format!(
        "POST /streams/a/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    for _ in 0..200 {
        assert_eq!(head(&mut first).as_deref(), Some("0"), "there are three connections");
    }
    // until one of them ends.
    drop(second);
    assert_eq!(third.hear().status, 201);
    assert_eq!(head(&mut first).as_deref(), Some("1"));
    // Who keeps a connection and asks nothing does not keep the host from ending.
    server.stop();
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let data = Data::new();
    let server = data.serve_with(&["--header-ms", "200", "--body-ms", "200"]);
    // A head that does not come to its end, nor one at all: the connection ends.
    let mut half = server.connect();
    half.send("GET /events HTTP/1.1\r\nhost: localho");
    assert_eq!(server.connect().end(), b"");
    half.end();
    // A body that does not come: the answer says so, and what came before is told as ever.
    let mut wire = server.connect();
    wire.send("POST /streams/a/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{");
    let heard = wire.hear();
    assert_eq!((heard.status, heard.problem().as_str()), (408, "request-too-slow"));
    let mut wire = server.connect();
    let line = json!({ "stream": "a", "type": "T" });
    wire.send("POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 1000\r\n\r\n");
    wire.send(format!("{line}\n"));
    let heard = wire.hear();
    assert_eq!((heard.status, heard.problem().as_str()), (408, "request-too-slow"));
    assert_eq!(serde_json::from_slice::<Value>(&heard.body).expect("JSON")["stored"], 1);
    assert_eq!(server.get("/events").position(), 1);
}

#[test]
fn who_is_still_sending_hears_the_answer() {
    let data = Data::new();
    let server = data.serve_with(&["--request-bytes", "1000"]);
    let head = |path: &str, bytes: usize, more: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n{more}\r\n")
    };
    // A body that nobody wants and that comes late does not cost the connection, whoever it is that does not want it.
    let mut wire = server.connect();
    for (path, status) in
        [("/projections/none/pause", 404), ("/nothing", 404), ("/health/live", 405), ("/streams/a/events", 413)]
    {
        for _ in 0..3 {
            wire.send(head(path, 30_000, ""));
            wire.send(vec![b' '; 10_000]);
            std::thread::yield_now();
            wire.send(vec![b' '; 20_000]);
            assert_eq!(wire.hear().status, status, "{path}");
        }
    }
    // One that is far too large ends it, but is heard out first.
    for path in ["/projections/none/pause", "/streams/a/events"] {
        let mut wire = server.connect();
        wire.send(head(path, 4 << 20, ""));
        wire.send(vec![b' '; 4 << 20]);
        assert!([404, 413].contains(&wire.hear().status), "{path}");
    }
    // Who asks first whether to send hears the answer, and not that they should go on.
    let mut wire = server.connect();
    wire.send(head("/projections/none/pause", 1 << 20, "expect: 100-continue\r\n"));
    assert_eq!(wire.hear().status, 404);
}
