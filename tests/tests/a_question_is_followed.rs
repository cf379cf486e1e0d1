//! Live questions: the answer now, and again when it has changed; asked once for all who follow, and never taken back.

use fastrand::Rng;
use laterna_tests::feed::Feed;
use laterna_tests::guests::misbehaving;
use laterna_tests::{Client, Data, PATIENCE, Server, random};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Events of each writer.
const EVENTS: u64 = 400;

/// Counts events by their type, and answers `counted` in SQL and `events` by code; `of` has a parameter that is called like one of the URL's.
fn counting(says: &Value) -> Vec<u8> {
    let mut all = json!({ "name": "counting", "queries": [
        { "name": "counted", "sql": "SELECT events FROM counts WHERE type = :type", "parameters": [{ "name": "type", "type": "text" }] },
        { "name": "of", "sql": "SELECT events FROM counts WHERE type = :query", "parameters": [{ "name": "query", "type": "text" }] },
        { "name": "events" },
    ] });
    let members = says.as_object().expect("an object").clone();
    all.as_object_mut().expect("an object").extend(members);
    misbehaving(&all)
}

fn serve(data: &Data, flags: &[&str]) -> Server {
    data.drop_whole("counting", &counting(&json!({})));
    let server = data.serve_with(&[&["--heartbeat-ms", "50", "--live-ms", "0"], flags].concat());
    server.wait_for("/projections/counting", |answer| answer.status == 200 && !answer.json()["live"].is_null());
    server
}

/// Appends an event of this type; answers its position.
fn append(client: &Client, of_type: &str) -> u64 {
    let event = json!({ "type": of_type, "data": {} });
    client.post("/streams/s/events", &json!({ "events": [event] })).position()
}

/// The next answer, and the position that it is as of.
fn answer(feed: &mut Feed) -> (u64, Value) {
    let said = feed.event();
    assert_eq!(said.name, "", "{said:?}");
    let data = said.json();
    let position = data["position"].as_u64().expect("a position");
    assert!(said.id.starts_with(&format!("{position}-")), "{said:?}");
    (position, data["answer"].clone())
}

fn counted(events: u64) -> Value {
    json!({ "rows": [{ "events": events }], "next": null })
}

/// Heartbeats until one says that the answer holds at this position.
fn holds_at(feed: &mut Feed, position: u64) {
    while feed.heartbeat().json()["position"].as_u64() < Some(position) {}
}

#[test]
fn the_answer_comes_now_and_again_when_it_changed() {
    let data = Data::new();
    let server = serve(&data, &[]);
    append(&server, "Told");
    let paths = ["query=counted&type=Told", "table=counts&type=eq.Told&select=events", "query=of&query=Told"];
    let mut feeds = paths.map(|path| server.feed(&format!("/projections/counting/live?{path}&fresh=true"), &[]));
    for feed in &mut feeds {
        assert_eq!(answer(feed), (1, counted(1)));
    }
    // What is written besides changes no answer; that it holds is said by heartbeats.
    for _ in 0..3 {
        append(&server, "Untold");
    }
    feeds.iter_mut().for_each(|feed| holds_at(feed, 4));
    // What changes it is told, once.
    append(&server, "Told");
    for feed in &mut feeds {
        assert_eq!(answer(feed), (5, counted(2)));
        holds_at(feed, 5);
    }
}

#[test]
fn no_change_is_missed_and_every_answer_is_of_its_position() {
    // Given followers of three questions, who come at random moments, while two write as fast as they can, and a swap happens,
    let seed = random::seed("no_change_is_missed_and_every_answer_is_of_its_position");
    let data = Data::in_memory();
    let server = serve(&data, &[]);
    let types = ["Red", "Green", "Blue"];
    append(&server, types[0]);
    let follow = |which: &str, mut rng: Rng| {
        let path = format!("/projections/counting/live?query=counted&type={which}");
        let (mut seen, mut id): (Vec<(u64, u64)>, Option<String>) = (Vec::new(), None);
        loop {
            // Now and then the connection is lost, and taken up again.
            let headers: Vec<(&str, &str)> = id.iter().map(|id| ("last-event-id", id.as_str())).collect();
            let mut feed = server.feed(&path, &headers);
            for _ in 0..rng.usize(1..20) {
                let said = feed.next().expect("the feed goes on").expect("the feed does not break off");
                assert_ne!(said.name, "problem", "{said:?}");
                let data = said.json();
                if said.name.is_empty() {
                    let events = data["answer"]["rows"][0]["events"].as_u64().unwrap_or(0);
                    seen.push((data["position"].as_u64().expect("a position"), events));
                }
                if !said.id.is_empty() {
                    id = Some(said.id.clone());
                }
                if data["position"].as_u64() >= Some(2 * EVENTS + 2) {
                    return seen;
                }
            }
        }
    };
    let seen: Vec<(&str, Vec<(u64, u64)>)> = std::thread::scope(|scope| {
        let followers: Vec<_> = (0..6_usize)
            .map(|follower| {
                (
                    types[follower % 3],
                    scope.spawn(move || follow(types[follower % 3], Rng::with_seed(seed + follower as u64))),
                )
            })
            .collect();
        let writers = [1, 2].map(|writer| {
            let (client, mut rng) = (server.client.clone(), Rng::with_seed(seed ^ (writer << 32)));
            scope.spawn(move || {
                for _ in 0..EVENTS {
                    let event = json!({ "type": types[rng.usize(..3)], "data": {} });
                    client.post(&format!("/streams/{writer}/events"), &json!({ "events": [event] })).ok();
                }
            })
        });
        let next = counting(&json!({ "version": "2.0.0" }));
        server.try_post("/components?name=counting", "application/wasm", next).expect("an answer").ok();
        for writer in writers {
            writer.join().expect("it writes");
        }
        append(&server, types[0]);
        followers.into_iter().map(|(which, follower)| (which, follower.join().expect("it follows"))).collect()
    });

    // then each answer is what the log says at its position, in order, and the last one is the last there is.
    let events = server.get("/events?limit=10000").ok();
    let types: Vec<&str> =
        events["events"].as_array().expect("events").iter().filter_map(|event| event["type"].as_str()).collect();
    let count =
        |which: &str, position: u64| types[..position as usize].iter().filter(|known| **known == which).count() as u64;
    for (which, seen) in seen {
        assert!(seen.is_sorted_by(|one, other| one.0 <= other.0), "{which}: {seen:?}");
        for (position, events) in &seen {
            assert_eq!(*events, count(which, *position), "{which} at {position}: {seen:?}");
        }
        assert_eq!(seen.last().map(|(_, events)| *events), Some(count(which, 2 * EVENTS + 2)), "{which}: {seen:?}");
    }
}

#[test]
fn what_code_computes_is_followed_by_the_tables_that_it_read() {
    let data = Data::new();
    let server = serve(&data, &[]);
    let mut feed = server.feed("/projections/counting/live?query=events", &[]);
    assert_eq!(answer(&mut feed), (0, json!({ "events": 0 })));
    append(&server, "Told");
    assert_eq!(answer(&mut feed), (1, json!({ "events": 1 })));
}

#[test]
fn who_comes_back_is_told_what_is_new_only() {
    let data = Data::new();
    let server = serve(&data, &[]);
    append(&server, "Told");
    let path = "/projections/counting/live?query=counted&type=Told&fresh=true";
    let first = server.feed(path, &[]).event();

    // Given one who saw the answer and lost the connection: while nothing changed, there is nothing to say.
    let mut feed = server.feed(path, &[("last-event-id", &first.id)]);
    holds_at(&mut feed, 1);
    append(&server, "Told");
    let second = feed.event();
    assert_eq!(second.json()["answer"], counted(2));
    drop(feed);

    // Where it changed meanwhile, also over a restart, the new one comes first.
    append(&server, "Told");
    server.kill();
    let server = data.serve_with(&["--heartbeat-ms", "50"]);
    let mut feed = server.feed(path, &[("last-event-id", &second.id)]);
    assert_eq!(answer(&mut feed), (3, counted(3)));

    // Who has seen later than where the projection stands is told nothing until it is there again.
    server.post("/projections/counting/pause", &json!({})).ok();
    append(&server, "Untold");
    let mut feed = server.feed("/projections/counting/live?query=counted&type=Told", &[("last-event-id", "4-x")]);
    assert_eq!(feed.heartbeat().json()["position"], Value::Null);
    server.post("/projections/counting/resume", &json!({})).ok();
    assert_eq!(answer(&mut feed), (4, counted(3)));

    // An id from behind the log's end is of another log, whatever it stands for: the answer comes at once.
    let newest = server.feed(path, &[]).event().id;
    let (_, mark) = newest.split_once('-').expect("an id");
    let mut feed = server.feed(path, &[("last-event-id", &format!("999999-{mark}"))]);
    assert_eq!(answer(&mut feed), (4, counted(3)));

    // An id of another kind of feed is none of these.
    for id in ["7", "x-y", "-", "\u{e4}"] {
        let refused = server.try_feed(path, &[("last-event-id", id)]).err().expect("it is no id of this feed");
        refused.refused(400, "bad-parameter");
    }
}

#[test]
fn what_cannot_be_followed_is_refused_at_once() {
    let data = Data::new();
    let server = serve(&data, &["--live-queries", "1", "--followers", "2"]);
    for (path, status, code) in [
        ("", 400, "bad-parameter"),
        ("?query=counted&table=counts", 400, "bad-parameter"),
        ("?query=counted", 400, "bad-parameter"),
        ("?query=nobody", 404, "query-not-found"),
        ("?table=nowhere", 404, "table-not-found"),
        ("?table=counts&colour=eq.1", 400, "bad-parameter"),
        ("?table=counts&as_of=1", 400, "bad-parameter"),
    ] {
        let path = format!("/projections/counting/live{path}");
        server.try_feed(&path, &[]).err().expect("there is nothing to follow").refused(status, code);
    }
    for (path, parameter, words) in [
        ("?query=counted&table=counts", "query", "both named"),
        ("?table=counts&as_of=1", "as_of", "leave `as_of` out"),
        ("?query=events&as_of=1", "as_of", "leave `as_of` out"),
    ] {
        let refused = server.get(&format!("/projections/counting/live{path}")).refused(400, "bad-parameter");
        assert_eq!(refused["parameter"], parameter, "{path}");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{path}: {refused}");
    }
    // Another question than the one that is followed is one too many; the same one is not, until there are too many readers.
    let path = "/projections/counting/live?table=counts";
    let mut first = server.feed(path, &[]);
    answer(&mut first);
    let refused = server.try_feed("/projections/counting/live?query=events", &[]).err().expect("one may be followed");
    refused.refused(503, "too-many-followers");
    let mut second = server.feed(path, &[]);
    answer(&mut second);
    server.try_feed(path, &[]).err().expect("two may follow").refused(503, "too-many-followers");

    // Once nobody follows it, another one may be.
    drop((first, second));
    let begun = Instant::now();
    while server.try_feed("/projections/counting/live?query=events", &[]).is_err() {
        assert!(begun.elapsed() < PATIENCE, "its place is not given back");
    }
}

#[test]
fn a_hundred_who_follow_one_question_cost_one_answer() {
    // Given a host that says each time that it asks,
    let data = Data::new();
    data.drop_whole("counting", &counting(&json!({})));
    let server = data.serve_telling("laterna::live=debug,warn", &["--live-ms", "0", "--heartbeat-ms", "50"]);
    let path = "/projections/counting/live?query=counted&type=Told";
    server.wait_for("/projections/counting", |answer| answer.status == 200 && !answer.json()["live"].is_null());

    // when a hundred follow one question while events come that change its answer, and ten times as many that do not touch its tables,
    let mut feeds: Vec<Feed> = (0..100).map(|_| server.feed(path, &[])).collect();
    feeds.iter_mut().for_each(|feed| assert_eq!(answer(feed).1, json!({ "rows": [], "next": null })));
    for events in 1..=5 {
        append(&server, "Told");
        feeds.iter_mut().for_each(|feed| assert_eq!(answer(feed).1, counted(events)));
    }

    // then it was asked once at first, and once for each that changed it.
    server.kill();
    let told = data.told();
    let asked = told.lines().filter(|line| line.contains("a followed question is asked")).count();
    assert_eq!(asked, 6, "{told}");
}

#[test]
fn a_question_is_followed_over_releases() {
    // Given a reader of a question,
    let data = Data::new();
    let server = serve(&data, &[]);
    append(&server, "Told");
    let path = "/projections/counting/live?query=counted&type=Told&fresh=true";
    let mut feed = server.feed(path, &[]);
    assert_eq!(answer(&mut feed), (1, counted(1)));

    // when a release comes that answers the same, then there is nothing to say;
    let deploy = |says: Value| {
        let answer =
            server.try_post("/components?name=counting", "application/wasm", counting(&says)).expect("an answer");
        let release = answer.ok()["release"].as_u64().expect("a release");
        server.wait_for("/projections/counting", |answer| answer.json()["live"]["release"] == release);
    };
    deploy(json!({ "version": "2.0.0" }));
    holds_at(&mut feed, 1);

    // one that answers otherwise is heard at once;
    let sql = "SELECT events * 10 AS events FROM counts WHERE type = :type";
    let queries = json!([{ "name": "counted", "sql": sql, "parameters": [{ "name": "type", "type": "text" }] }]);
    deploy(json!({ "version": "3.0.0", "queries": queries }));
    assert_eq!(answer(&mut feed), (1, counted(10)));

    // one that has no such question says so, and a rollback brings it back;
    deploy(json!({ "version": "4.0.0", "queries": [] }));
    let problem = feed.event();
    assert_eq!((problem.name.as_str(), &problem.json()["type"]), ("problem", &json!("/errors/query-not-found")));
    server.post("/projections/counting/rollback", &json!({})).ok();
    assert_eq!(answer(&mut feed), (1, counted(10)));

    // and where the projection is removed, that is said.
    server.post("/projections/counting/remove", &json!({})).ok();
    let problem = feed.event();
    assert_eq!((problem.name.as_str(), &problem.json()["type"]), ("problem", &json!("/errors/projection-not-found")));
}

#[test]
fn a_release_that_becomes_internal_ends_the_feeds_of_others() {
    let data = Data::new();
    let server = serve(&data, &[]);
    let mut feed = server.feed("/projections/counting/live?query=counted&type=Told", &[]);
    answer(&mut feed);
    let internal = counting(&json!({ "version": "2.0.0", "internal": true }));
    server.try_post("/components?name=counting", "application/wasm", internal).expect("an answer").ok();
    server.wait_for("/projections/counting", |answer| answer.json()["live"]["release"] == 2);
    append(&server, "Told");
    let problem = feed.event();
    assert_eq!((problem.name.as_str(), &problem.json()["type"]), ("problem", &json!("/errors/not-allowed")));
    assert!(feed.next().is_none(), "it ends");
}

#[test]
fn a_slow_reader_gets_the_newest_answer() {
    // Given a reader who does not read,
    let data = Data::new();
    let server = serve(&data, &[]);
    let address = server.url.strip_prefix("http://").expect("an address").to_owned();
    let mut socket = TcpStream::connect(&address).expect("the host listens");
    // Each answer is about 300 KiB.
    let sql = "SELECT printf('%.*c', 300000, 'x') || max(position) AS wide FROM seen";
    let wide = counting(&json!({ "version": "2.0.0", "queries": [{ "name": "wide", "sql": sql }] }));
    server.try_post("/components?name=counting", "application/wasm", wide).expect("an answer").ok();
    server.wait_for("/projections/counting", |answer| answer.json()["live"]["release"] == 2);
    write!(socket, "GET /projections/counting/live?query=wide HTTP/1.1\r\nHost: {address}\r\n\r\n")
        .expect("it is sent");

    // when a thousand answers come and go,
    let mut last = 0;
    for _ in 0..1_000 {
        last = append(&server, "Told");
    }
    let path = format!("/projections/counting/queries/wide?min_position={last}");
    server.get(&path).ok();

    // then what waited for it is a few of them, and the newest one comes.
    let mut answers = 0;
    for line in BufReader::new(socket).lines() {
        let line = line.expect("the feed goes on");
        answers += u32::from(line.starts_with("data: {\"position\""));
        if line.contains(&format!("x{last}\"")) {
            break;
        }
    }
    assert!(answers < 100, "{answers} answers waited in memory for a reader who did not read");
}

#[test]
fn what_is_asked_in_sql_is_bounded_and_ends_with_who_asks() {
    let data = Data::new();
    let server =
        serve(&data, &["--sql-readers", "1", "--query-ms", "600000", "--page-rows", "100", "--answer-bytes", "100000"]);
    append(&server, "Told");
    let ask = |body: Value| server.post("/projections/counting/sql?fresh=true", &body);

    // Parameters by name, by place, of each kind.
    let sql = "SELECT :text AS text, :integer AS integer, :real AS real, :yes AS yes, :none AS none";
    let params = json!({ "text": "ä'", "integer": i64::MIN, "real": 0.5, "yes": true, "none": null });
    let row = json!({ "text": "ä'", "integer": i64::MIN, "real": 0.5, "yes": 1, "none": null });
    assert_eq!(ask(json!({ "sql": sql, "params": params })).ok()["rows"], json!([row]));
    assert_eq!(ask(json!({ "sql": "SELECT ? + ? AS sum", "params": [1, 2] })).ok()["rows"], json!([{ "sum": 3 }]));
    assert_eq!(
        ask(json!({ "sql": "SELECT type, events FROM counts" })).ok()["rows"],
        json!([{ "type": "Told", "events": 1 }])
    );
    let csv = server.send(
        "/projections/counting/sql",
        &[("content-type", "application/json"), ("accept", "text/csv")],
        json!({ "sql": "SELECT type, events FROM counts" }).to_string(),
    );
    assert_eq!(csv.text, "type,events\r\nTold,1\r\n");
    // What is large is compressed for those who take it, although it is asked for by POST.
    let mut wire = server.connect();
    let body = json!({ "sql": "SELECT printf('%.*c', 10000, 'x') AS wide" }).to_string();
    wire.send(format!(
        "POST /projections/counting/sql HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let packed = wire.hear();
    assert_eq!((packed.status, packed.header("content-encoding").as_deref()), (200, Some("gzip")));
    assert!(packed.body.len() < 1_000, "{packed:?}");

    assert_eq!(ask(json!({ "sql": "SELECT 1 AS one", "params": null })).ok()["rows"], json!([{ "one": 1 }]));

    // What does not only read the read model is refused, in words.
    for (sql, words) in [
        ("DELETE FROM counts", "not authorized"),
        ("INSERT INTO counts VALUES ('x', 1) RETURNING 1", "not authorized"),
        ("SELECT * FROM laterna_checkpoint", "prohibited"),
        // Word for word what Laterna itself asks before each answer.
        ("SELECT position FROM laterna_checkpoint", "prohibited"),
        ("SELECT * FROM sqlite_schema", "prohibited"),
        ("SELECT random()", "not authorized"),
        ("PRAGMA table_list", "not authorized"),
        ("ATTACH '/etc/passwd' AS other", "not authorized"),
        ("BEGIN", "not authorized"),
        ("VACUUM", "it does not read"),
        ("SELECT 1; SELECT 2", "ultiple statements"),
        ("", "it does not read"),
        ("SELECT colour", "no such column: colour; there are: counts (type, events)"),
        ("SELECT * FROM colours", "no such table: colours; there are: counts, heap"),
        ("SELECT date('2026-01-01')", "none of times or chance"),
        ("SELECT 1 AS a, 2 AS a", "two columns of the answer are called `a`"),
        ("SELECT ?, :a", "parameters that it takes: 2 (?, :a); that are given: 0"),
        ("SELECT 1\u{0}", "zero byte"),
        ("SELECT CAST(x'ff' AS TEXT)", "not UTF-8"),
    ] {
        let refused = ask(json!({ "sql": sql })).refused(422, "query-failed");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{sql}: {refused}");
    }
    for body in
        [json!({ "sql": "SELECT 1", "params": { "a": 1 } }), json!({ "sql": "SELECT :a", "params": { "b": 1 } })]
    {
        ask(body).refused(422, "query-failed");
    }
    for body in [
        json!({}),
        json!({ "sql": 1 }),
        json!(["SELECT 1", []]),
        json!({ "sql": "SELECT 1", "parms": [] }),
        json!({ "sql": "SELECT 1", "params": 1 }),
        json!({ "sql": "SELECT ?", "params": [[1]] }),
        json!({ "sql": "SELECT ?", "params": [u64::MAX] }),
    ] {
        ask(body).refused(400, "bad-request");
    }
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT";
    ask(json!({ "sql": format!("{numbers} 101) SELECT i FROM n") })).refused(422, "answer-too-large");
    ask(json!({ "sql": format!("{numbers} 99) SELECT printf('%.*c', 2000, 'x') AS x FROM n") }))
        .refused(422, "answer-too-large");

    // Given one who asks what takes for ever, in the only place there is, and goes away,
    let endless =
        json!({ "sql": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n" });
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut socket = TcpStream::connect(address).expect("the host listens");
    let (body, path) = (endless.to_string(), "/projections/counting/sql");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    write!(socket, "{head}{body}").expect("it is sent");
    let (before, begun) = (server.worked(), Instant::now());
    while server.worked() < before + 10 {
        assert!(begun.elapsed() < PATIENCE, "nobody works on it");
    }
    drop(socket);

    // then the next one has the place, long before the time of the first is over.
    assert_eq!(ask(json!({ "sql": "SELECT 1 AS one" })).ok()["rows"], json!([{ "one": 1 }]));
}

#[test]
fn what_takes_too_long_is_ended() {
    let data = Data::new();
    let server = serve(&data, &["--query-ms", "50"]);
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n";
    server.post("/projections/counting/sql", &json!({ "sql": endless })).refused(503, "query-too-slow");
    // Also where each row comes soon, and where nothing but one step takes long.
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";
    server.post("/projections/counting/sql", &json!({ "sql": many })).refused(503, "query-too-slow");
}
