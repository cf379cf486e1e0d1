//! A read model is downloaded as one SQLite file with its position, and whoever has it goes on from there with the events that
//! follow: none is missing, none comes twice, whatever is swapped meanwhile. What is kept of such files is bounded.

use fastrand::Rng;
use laterna_tests::cars::{Trade, Version};
use laterna_tests::guests::misbehaving;
use laterna_tests::random::seeded;
use laterna_tests::releases::{cars_v1, cars_v2, variant};
use laterna_tests::snapshot::{Download, cells, open};
use laterna_tests::{BREATH, Client, Data, PATIENCE, Server, assert_names_no_file, laterna};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const CARS: &str = "/projections/cars/snapshot";

fn in_lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// So many things that happen next, told to a host.
fn happen(client: &Client, trade: &mut Trade, random: &mut Rng, events: usize) {
    let lines: Vec<Value> = (0..events).map(|_| trade.invent(random.u16(..))).collect();
    client.import(&in_lines(&lines)).ok();
    trade.count(lines);
}

/// A host that serves cars, and what happened there.
fn serving(data: &Data, flags: &[&str], events: usize) -> (Server, Trade) {
    let mut trade = Trade::default();
    data.drop_bytes("cars", cars_v2());
    let server = data.serve_with(flags);
    server.wait_until("cars", |standing| standing.live == Some(1));
    happen(&server, &mut trade, &mut Rng::with_seed(1), events);
    (server, trade)
}

/// The files that lie there.
fn kept(data: &Data) -> BTreeSet<String> {
    let files = std::fs::read_dir(data.path().join("scratch")).expect("the folder is there");
    files.map(|file| file.expect("an entry").file_name().into_string().expect("text")).collect()
}

/// Waits until so many files lie there.
fn wait_for_files(data: &Data, count: usize) {
    let begun = Instant::now();
    while kept(data).len() != count {
        assert!(begun.elapsed() < PATIENCE, "{:?}", kept(data));
        std::thread::sleep(BREATH);
    }
}

/// A file that was downloaded, in a folder that goes with it.
fn written(bytes: &[u8]) -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cars.db");
    std::fs::write(&file, bytes).expect("it is written");
    let connection = Connection::open(file).expect("a database");
    connection.pragma_update(None, "synchronous", "off").expect("it need not outlive anything");
    (folder, connection)
}

/// A file holds what a trade comes to at its position, and nothing else.
#[track_caller]
fn assert_holds(download: &Download, trade: &Trade, version: Version) {
    assert_eq!(download.answer.status, 200, "{:?}", download.answer);
    let (_folder, database) = written(&download.bytes);
    let sound: String = database.query_one("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
    assert_eq!(sound, "ok");
    let mut tables =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("SQL");
    let tables = tables.query_map([], |row| row.get(0)).expect("rows").collect::<Result<Vec<String>, _>>();
    assert_eq!(tables.expect("names"), ["cars", "customers"]);
    for table in ["cars", "customers"] {
        assert_eq!(cells(&database, table), trade.cells(table, version, download.answer.position()), "{table}");
    }
}

/// What an outside consumer makes of an event: the same as `cars`, in plain SQL.
fn fold(database: &Connection, version: Version, event: &Value) {
    let stream = event["stream"].as_str().expect("a stream");
    let (_, id) = stream.split_once('-').expect("an entity");
    let position = event["position"].as_i64().expect("a position");
    let said = |name: &str| event["data"][name].as_str();
    let run = |sql: &str, arguments: &[&dyn rusqlite::ToSql]| database.execute(sql, arguments).expect("it is written");
    match event["type"].as_str().expect("a type") {
        "car.created" => {
            run(
                "INSERT INTO cars VALUES (?1, ?2, ?3, NULL, NULL, ?4)",
                params![id, said("by"), said("colour"), position],
            );
        }
        "car.repainted" => {
            let sql = "UPDATE cars SET colour = ?2, position = ?3 WHERE car_id = ?1";
            run(sql, params![id, said("colour"), position]);
        }
        "car.sold" => {
            let sql = "UPDATE cars SET customer_id = ?2, position = ?3,
                       customer = (SELECT name FROM customers WHERE customer_id = ?2) WHERE car_id = ?1";
            run(sql, params![id, said("to"), position]);
        }
        of_type @ ("customer.created" | "customer.renamed")
            if of_type == "customer.created" || version == Version::Two =>
        {
            run("INSERT OR REPLACE INTO customers VALUES (?1, ?2)", params![id, said("name")]);
            let sql = "UPDATE cars SET customer = ?2, position = ?3 WHERE customer_id = ?1 AND customer IS NOT ?2";
            run(sql, params![id, said("name"), position]);
        }
        _ => {}
    }
}

/// Downloads a snapshot part by part, each continuing the first one.
fn in_parts(client: &Client, path: &str, part: u64) -> Download {
    let mut whole = client.download(path, &[("range", &format!("bytes=0-{}", part - 1))]);
    assert_eq!(whole.answer.status, 206, "{:?}", whole.answer);
    let tag = whole.header("etag").to_owned();
    let size = |range: &str| range.rsplit('/').next().and_then(|size| size.parse::<u64>().ok()).expect("a size");
    let size = size(whole.header("content-range"));
    while (whole.bytes.len() as u64) < size {
        let begin = whole.bytes.len() as u64;
        let range = format!("bytes={begin}-{}", begin + part - 1);
        let next = client.download(path, &[("range", &range), ("if-range", &tag)]);
        assert_eq!((next.answer.status, next.header("etag")), (206, tag.as_str()), "{:?}", next.answer);
        let end = (begin + part).min(size);
        assert_eq!(next.header("content-range"), format!("bytes {begin}-{}/{size}", end - 1));
        assert_eq!(next.bytes.len() as u64, end - begin);
        whole.bytes.extend(next.bytes);
    }
    whole.answer.status = 200;
    whole
}

/// Says so when it goes, also where something failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A consumer: starts from a snapshot, and goes on with what follows until nothing more comes. Answers where it began, and by which
/// release; its tables must be right in the end.
fn consume(client: &Client, trade: &Mutex<Trade>, all_is_said: &AtomicBool, part: u64) -> u64 {
    let snapshot = in_parts(client, CARS, part);
    let (release, begun) = (snapshot.release(), snapshot.answer.position());
    // Release 1 is the old version, 2 is the new one, and 3 the new one once more.
    let version = if release == 1 { Version::One } else { Version::Two };
    assert_holds(&snapshot, &trade.lock().expect("nobody panicked"), version);
    let (_folder, database) = written(&snapshot.bytes);
    let mut position = begun;
    loop {
        let was_all = all_is_said.load(Ordering::SeqCst);
        let page = client.get(&format!("/events?after={position}&limit=100")).ok();
        let events = page["events"].as_array().expect("events");
        for event in events {
            // No gap, no repeat.
            assert_eq!(event["position"], position + 1);
            fold(&database, version, event);
            position += 1;
        }
        match (events.is_empty(), was_all) {
            (true, true) => break,
            (true, false) => std::thread::sleep(BREATH),
            (false, _) => {}
        }
    }
    let trade = trade.lock().expect("nobody panicked");
    assert_eq!(position, trade.head());
    for table in ["cars", "customers"] {
        assert_eq!(cells(&database, table), trade.cells(table, version, position), "{table} from {begun} by {release}");
    }
    release
}

#[test]
fn consumers_start_while_releases_change_places() {
    let mut random = seeded("a_consumer_starts_from_a_snapshot");
    // Given a host with some history, on which more is appended all the while,
    let data = Data::new();
    data.drop_bytes("cars", cars_v1());
    let server = data.serve_with(&["--batch-events", ["1", "7", "10000"][random.usize(..3)], "--settle-ms", "20"]);
    server.wait_until("cars", |standing| standing.live == Some(1));
    let trade = Mutex::new(Trade::default());
    happen(&server, &mut trade.lock().expect("nobody panicked"), &mut random, 500);
    let (is_over, all_is_said, client) = (AtomicBool::new(false), AtomicBool::new(false), &server.client);
    let releases: Vec<u64> = std::thread::scope(|scope| {
        let end = End(&is_over);
        let (trade, is_over, all_is_said, mut forked) = (&trade, &is_over, &all_is_said, random.fork());
        scope.spawn(move || {
            let _end = End(all_is_said);
            while !is_over.load(Ordering::SeqCst) {
                // The trade is known before anybody can see it.
                let events = forked.usize(1..5);
                happen(client, &mut trade.lock().expect("nobody panicked"), &mut forked, events);
            }
        });
        // when consumers start from a snapshot, in parts of any size, before, while and after a release takes another one's place,
        let mut start = || {
            let part = random.u64(1_000..30_000);
            scope.spawn(move || consume(client, trade, all_is_said, part))
        };
        let mut consumers = vec![start(), start()];
        data.drop_bytes("cars", cars_v2());
        let serves = |release| server.get("/projections/cars").ok()["live"]["release"] == release;
        let begun = Instant::now();
        while !serves(2) {
            assert!(begun.elapsed() < PATIENCE, "it is not swapped");
            if consumers.len() < 10 {
                consumers.push(start());
            }
            std::thread::sleep(BREATH);
        }
        consumers.push(start());
        server.order("cars", "rollback?release=1&timeout=30").ok();
        consumers.push(start());
        data.drop_whole("cars", &variant(cars_v2(), 3));
        server.wait_for_release("cars", 3, "live");
        consumers.extend([start(), start()]);
        let seen = |release: u64| in_parts(client, CARS, 4096).release() == release;
        assert!(seen(3), "what is asked now is of what serves now");
        drop(end);
        // then each of them comes to exactly what its release is the fold of, at the end of the log.
        consumers.into_iter().map(|consumer| consumer.join().expect("it came to the end")).collect()
    });
    println!("consumers began from releases {releases:?}");
    for release in [1, 3] {
        assert!(releases.contains(&release), "{releases:?}");
    }
    // And that is what the host serves.
    let trade = trade.into_inner().expect("nobody panicked");
    assert_eq!(server.rows("cars", "cars"), *trade.rows("cars", Version::Two, trade.head()).as_array().expect("rows"));
    assert_holds(&server.download(&format!("{CARS}?fresh=true"), &[]), &trade, Version::Two);
}

#[test]
fn an_answer_says_what_it_is() {
    let data = Data::new();
    let (server, trade) = serving(&data, &[], 60);
    let whole = server.download(&format!("{CARS}?fresh=true"), &[]);
    assert_holds(&whole, &trade, Version::Two);
    assert_eq!((whole.answer.position(), whole.release()), (60, 1));
    for (name, value) in [
        ("content-type", "application/vnd.sqlite3"),
        ("content-disposition", "attachment; filename=\"cars-1-60.db\""),
        ("content-location", "/projections/cars/snapshot?release=1&position=60"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache"),
    ] {
        assert_eq!(whole.header(name), value);
    }
    let tag = whole.header("etag");
    assert!(tag.starts_with("\"1-60-") && whole.answer.header("last-modified").is_none(), "{:?}", whole.answer);
    // Who has it already is told so, and who only looks gets no body.
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let same = server.download(CARS, &[("if-none-match", &known)]);
        assert_eq!((same.answer.status, same.bytes.len(), same.header("etag")), (304, 0, tag));
    }
    assert_eq!(server.download(CARS, &[("if-none-match", "\"other\"")]).answer.status, 200);
    let head = server.head(CARS);
    assert_eq!((head.status, head.header("etag"), head.position()), (200, Some(tag), 60));
    assert_eq!(head.header("content-length"), Some(whole.bytes.len().to_string().as_str()));
    assert_eq!(kept(&data).len(), 1, "all were answered from one copy");
    // What makes no sense is told so.
    for (parameters, parameter) in [
        ("release=1", "release"),
        ("position=60", "release"),
        ("release=one&position=60", "release"),
        ("release=1&position=60&fresh=true", "fresh"),
        ("min_position=60&as_of=3", "as_of"),
    ] {
        let refused = server.get(&format!("{CARS}?{parameters}")).refused(400, "bad-parameter");
        assert_eq!(refused["parameter"], parameter, "{parameters}");
    }
    server.get("/projections/nobody/snapshot").refused(404, "projection-not-found");
    let refused = server.get(&format!("{CARS}?min_position=61&timeout=0")).refused(503, "not-caught-up");
    assert_eq!(refused["position"], 60);
    for code in ["snapshot-gone", "snapshot-too-large", "snapshots-full", "snapshot-too-slow", "range-not-satisfiable"]
    {
        assert_eq!(server.get(&format!("/errors/{code}")).status, 200);
    }
}

#[test]
fn a_file_is_had_in_parts_and_gone_on_with() {
    let data = Data::new();
    let (server, mut trade) = serving(&data, &[], 300);
    let whole = server.download(&format!("{CARS}?fresh=true"), &[]);
    let (tag, size) = (whole.header("etag").to_owned(), whole.bytes.len());
    let pinned = whole.header("content-location").to_owned();
    // Given that more happened since,
    happen(&server, &mut trade, &mut Rng::with_seed(2), 20);
    server.get("/projections/cars/tables/cars?fresh=true").ok();
    // whoever goes on gets parts of the same file, by its tag, its address, or just so,
    for (path, headers) in [
        (CARS, vec![("if-range", tag.as_str())]),
        (&pinned, vec![]),
        (&pinned, vec![("if-range", &tag)]),
        (CARS, vec![]),
    ] {
        for (range, bytes) in [
            ("bytes=100-199", 100..200),
            ("bytes=4096-", 4096..size),
            ("bytes=-10", size - 10..size),
            ("bytes=100-99999999", 100..size),
            ("Bytes=100-99999999999999999999", 100..size),
            ("bytes=-99999999999999999999", 0..size),
        ] {
            let part = server.download(path, &[&[("range", range)], &headers[..]].concat());
            assert_eq!((part.answer.status, part.answer.position()), (206, 300), "{path} {headers:?} {range}");
            assert_eq!(part.header("content-range"), format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1));
            assert!(part.bytes == whole.bytes[bytes], "{path} {range}");
        }
    }
    // and who begins, or names another file, gets one of now: as a whole where it is not the one that was meant.
    for headers in
        [vec![("range", "bytes=100-"), ("if-range", "\"1-300-other\"")], vec![("range", "lines=1-2")], vec![]]
    {
        let next = server.download(CARS, &headers);
        assert_eq!(next.answer.position(), 320, "{headers:?}");
        assert_holds(&next, &trade, Version::Two);
    }
    assert_eq!(server.download(CARS, &[("range", "bytes=0-9")]).answer.position(), 320);
    let other = server.download(&pinned, &[("range", "bytes=100-"), ("if-range", "\"other\"")]);
    assert!(other.answer.status == 200 && other.bytes == whole.bytes);
    // What is no range, or several, is answered whole.
    for range in ["bytes=0-1,5-6", "bytes=5-1", "bytes=x", "bytes=+1-2", "bytes=-", "bytes=", "lines=1-2"] {
        let all = server.download(&pinned, &[("range", range)]);
        assert!(all.answer.status == 200 && all.bytes == whole.bytes, "{range}: {:?}", all.answer);
    }
    // A range that is not there is told with how much there is.
    for range in [&format!("bytes={size}-"), "bytes=99999999999999999999-", "bytes=-0"] {
        let refused = server.download(&pinned, &[("range", range)]);
        assert_eq!(refused.header("content-range"), format!("bytes */{size}"));
        assert_eq!(refused.refused(416, "range-not-satisfiable")["bytes"], size);
    }
}

#[test]
fn who_asks_for_the_same_moment_shares_one_copy() {
    let data = Data::new();
    let (server, mut trade) = serving(&data, &[], 50);
    let ask = |_| server.download(&format!("{CARS}?fresh=true"), &[]).header("etag").to_owned();
    let all = || -> BTreeSet<String> {
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..12).map(|number| scope.spawn(move || ask(number))).collect();
            asking.into_iter().map(|asked| asked.join().expect("it asked")).collect()
        })
    };
    // Those who ask at once, and those who ask again, have one file,
    let first = all();
    assert_eq!((first.len(), kept(&data).len()), (1, 1), "{first:?}");
    assert_eq!(all(), first);
    // until more has happened.
    happen(&server, &mut trade, &mut Rng::with_seed(2), 1);
    let next = all();
    assert!(next.len() == 1 && next != first && kept(&data).len() == 2, "{next:?} after {first:?}");
}

#[test]
fn what_is_kept_goes_in_its_time() {
    let data = Data::new();
    // Given a host that keeps nothing,
    let (server, mut trade) = serving(&data, &["--snapshot-seconds", "0"], 50);
    let whole = server.download(&format!("{CARS}?fresh=true"), &[]);
    // then a file is answered, and gone once it was;
    assert_holds(&whole, &trade, Version::Two);
    wait_for_files(&data, 0);
    let pinned = whole.header("content-location").to_owned();
    let refused = server.get(&pinned).refused(404, "snapshot-gone");
    assert!(refused["detail"].as_str().expect("text").contains("Begin again with `GET"), "{refused}");
    // who wants to go on with it begins anew.
    let tag = whole.header("etag").to_owned();
    let again = server.download(CARS, &[("range", "bytes=100-"), ("if-range", &tag)]);
    assert_holds(&again, &trade, Version::Two);
    assert_ne!(again.header("etag"), tag);
    server.stop();

    // Nothing of it outlives the host, however that ends.
    let server = data.serve();
    let whole = server.download(&format!("{CARS}?fresh=true"), &[]);
    assert_eq!(server.download(&pinned, &[]).bytes, whole.bytes);
    assert_eq!(kept(&data).len(), 1);
    server.stop();
    assert_eq!(kept(&data).len(), 0);
    let server = data.serve();
    server.download(&format!("{CARS}?fresh=true"), &[]);
    server.kill();
    assert!(!kept(&data).is_empty());
    let server = data.serve();
    assert_eq!(kept(&data).len(), 0);
    server.get(&pinned).refused(404, "snapshot-gone");
    assert_eq!(server.download(&format!("{CARS}?fresh=true"), &[("range", "bytes=5-")]).answer.position(), 50);
    // What another release made is had by its address only, and nothing of what was removed.
    data.drop_whole("cars", &variant(cars_v2(), 2));
    server.wait_for_release("cars", 2, "live");
    happen(&server, &mut trade, &mut Rng::with_seed(2), 5);
    assert_eq!(server.download(&pinned, &[]).release(), 1);
    assert_eq!(server.download(CARS, &[("range", "bytes=5-")]).release(), 2);
    assert_eq!(server.head(CARS).header("laterna-release"), Some("2"));
    server.order("cars", "remove").ok();
    wait_for_files(&data, 0);
    server.get(&pinned).refused(404, "projection-not-found");
    server.get(CARS).refused(404, "projection-not-found");
}

#[test]
fn there_is_no_more_of_it_than_may_be() {
    // Given room for two small files,
    let data = Data::new();
    let (server, mut trade) = serving(&data, &["--snapshot-bytes", "2097152"], 50);
    let mut next = |seed| {
        happen(&server, &mut trade, &mut Rng::with_seed(seed), 1);
        let download = server.download(&format!("{CARS}?fresh=true"), &[]);
        assert_eq!(download.answer.status, 200, "{:?}", download.answer);
        download.header("content-location").to_owned()
    };
    let (first, second) = (next(1), next(2));
    // then the one that was not asked for the longest makes room for the third.
    assert_eq!((server.head(&first).status, kept(&data).len()), (200, 2));
    let third = next(3);
    assert_eq!(kept(&data).len(), 2);
    server.get(&second).refused(404, "snapshot-gone");
    for kept in [&first, &third] {
        assert_eq!(server.head(kept).status, 200);
    }
    server.stop();
    // What could never be there is not begun.
    let server = data.serve_with(&["--snapshot-bytes", "1048575"]);
    let refused = server.get(CARS).refused(507, "snapshot-too-large");
    assert_eq!((&refused["bytes"], &refused["limit"]), (&json!(1_048_576), &json!(1_048_575)));
    assert!(refused["detail"].as_str().expect("text").contains("Raise `snapshot_bytes`"), "{refused}");
    assert_eq!(kept(&data).len(), 0);
}

/// Rows of a large read model: more bytes than there can be on their way between two processes.
const ROWS: i64 = 100_000;

/// A host that serves such a read model.
fn large(data: &Data, flags: &[&str]) -> Server {
    data.drop_bytes("large", &misbehaving(&json!({ "name": "large" })));
    let server = data.serve_with(flags);
    server.wait_until("large", |standing| standing.live == Some(1));
    let events: Vec<Value> =
        (0..ROWS).map(|id| json!({ "stream": "s", "type": "Good", "id": format!("{id:-<200}") })).collect();
    server.import(&in_lines(&events)).ok();
    server.get("/projections/large/tables/counts?fresh=true&timeout=30").ok();
    server
}

#[test]
fn a_download_has_its_file_to_the_end_and_counts_until_then() {
    // Given room for one file, and somebody who has begun to download it,
    let data = Data::new();
    let server = large(&data, &["--snapshot-bytes", "30000000"]);
    let path = "/projections/large/snapshot";
    let (begun, mut body) = server.begin_download(path, &[]);
    assert_eq!(begun.status, 200);
    let size: usize = begun.header("content-length").expect("its size").parse().expect("a number");
    assert!(size > 16 << 20, "it is more than fits on the way: {size}");
    let mut bytes = vec![0; 10];
    body.read_exact(&mut bytes).expect("its beginning");
    // when another one is asked for, then there is no room for it,
    server.import(&in_lines(&[json!({ "stream": "s", "type": "Good" })])).ok();
    let refused = server.get(&format!("{path}?fresh=true")).refused(503, "snapshots-full");
    assert!(refused["detail"].as_str().expect("text").contains("Ask again when they are done"), "{refused}");
    // and the download comes to its end all the same, and makes room.
    body.read_to_end(&mut bytes).expect("the rest");
    assert_eq!(bytes.len(), size);
    let (_folder, database) = written(&bytes);
    assert_eq!(database.query_one("SELECT count(*) FROM seen", [], |row| row.get::<_, i64>(0)), Ok(ROWS));
    drop(body);
    let begun = Instant::now();
    let next = loop {
        let next = server.download(&format!("{path}?fresh=true"), &[]);
        if next.answer.status == 200 {
            break next;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", next.answer);
    };
    assert_eq!((next.answer.position(), kept(&data).len()), (ROWS.cast_unsigned() + 1, 1));
    // One that is broken off makes room, too.
    let (_, mut body) = server.begin_download(path, &[]);
    body.read_exact(&mut [0; 10]).expect("its beginning");
    drop(body);
    server.import(&in_lines(&[json!({ "stream": "s", "type": "Good" })])).ok();
    let begun = Instant::now();
    while server.head(&format!("{path}?min_position={}", ROWS + 2)).status != 200 {
        assert!(begun.elapsed() < PATIENCE, "it makes no room");
        std::thread::sleep(BREATH);
    }
    // It may take longer than files are kept.
    server.stop();
    let server = data.serve_with(&["--snapshot-seconds", "0"]);
    let (begun, mut body) = server.begin_download(path, &[]);
    server.get(begun.header("content-location").expect("its address")).refused(404, "snapshot-gone");
    assert_eq!(kept(&data).len(), 1);
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes).expect("all of it");
    assert_eq!(open_rows(&bytes), ROWS + 2);
    drop(body);
    wait_for_files(&data, 0);
    // To be copied it may not take longer than it may, and then nothing of it stays.
    server.stop();
    let server = data.serve_with(&["--snapshot-ms", "0"]);
    let refused = server.download(path, &[]).refused(503, "snapshot-too-slow");
    assert!(refused["detail"].as_str().expect("text").contains("raise `snapshot_ms`"), "{refused}");
    wait_for_files(&data, 0);
}

fn open_rows(bytes: &[u8]) -> i64 {
    let (folder, _) = written(bytes);
    open(&folder.path().join("cars.db")).query_one("SELECT count(*) FROM seen", [], |row| row.get(0)).expect("a count")
}

#[test]
fn a_copy_does_not_keep_the_write_ahead_log_growing() {
    // Given that nothing may be written while it is copied, and somebody writes all the while,
    let data = Data::new();
    large(&data, &[]).stop();
    let server = data.serve_with(&["--verify-wal-bytes", "0", "--batch-events", "1", "--snapshot-seconds", "0"]);
    let (is_over, client) = (AtomicBool::new(false), &server.client);
    std::thread::scope(|scope| {
        let _end = End(&is_over);
        let is_over = &is_over;
        scope.spawn(move || {
            let lines = in_lines(&vec![json!({ "stream": "s", "type": "Good" }); 50]);
            while !is_over.load(Ordering::SeqCst) {
                client.import(&lines).ok();
            }
        });
        // when it is asked for, then some day it is given up, with what to do, and nothing of it stays.
        let begun = Instant::now();
        let refused = loop {
            let answer = client.download("/projections/large/snapshot", &[("range", "bytes=0-9")]);
            if answer.answer.status != 206 {
                break answer.refused(503, "snapshot-too-slow");
            }
            assert!(begun.elapsed() < PATIENCE, "it is always copied");
        };
        let detail = refused["detail"].as_str().expect("text");
        assert!(detail.contains("raise `verify_wal_bytes`"), "{detail}");
    });
}

#[test]
fn what_is_internal_stays_so() {
    let data = Data::new();
    let folder = data.path().join("components/notifications");
    std::fs::create_dir_all(&folder).expect("a folder");
    let drop_in = |says: Value| {
        let hidden = folder.join(".half");
        std::fs::write(&hidden, misbehaving(&says)).expect("a file");
        std::fs::rename(hidden, folder.join("open.wasm")).expect("it is put there");
    };
    drop_in(json!({ "name": "open" }));
    std::fs::write(folder.join("secretive.wasm"), misbehaving(&json!({ "name": "secretive", "internal": true })))
        .expect("a file");
    let server = data.serve();
    let inside = server.with_token(&["read", "append"], Some("notifications"));
    let elsewhere = server.with_token(&["read"], Some("sales"));
    inside.post("/streams/n-1/events", &json!({ "events": [{ "type": "Good" }] })).ok();
    // A read model that is internal is had inside its module only, by whatever way one asks.
    let secret = inside.download("/projections/secretive/snapshot?fresh=true", &[]);
    assert_eq!(secret.answer.status, 200);
    let (pinned, tag) = (secret.header("content-location"), secret.header("etag"));
    for stranger in [&*server, &elsewhere] {
        for path in ["/projections/secretive/snapshot", pinned] {
            for headers in [vec![], vec![("range", "bytes=5-"), ("if-range", tag)], vec![("if-none-match", tag)]] {
                stranger.download(path, &headers).refused(403, "not-allowed");
            }
        }
    }
    // One that is for everybody is had by everybody, until it becomes internal: then what is kept of before is, too.
    let open = elsewhere.download("/projections/open/snapshot?fresh=true", &[]);
    assert_eq!(open.answer.status, 200);
    let pinned = open.header("content-location");
    assert_eq!(elsewhere.download(pinned, &[]).answer.status, 200);
    drop_in(json!({ "name": "open", "internal": true, "version": "2.0.0" }));
    inside.wait_for_release("open", 2, "live");
    elsewhere.download(pinned, &[]).refused(403, "not-allowed");
    assert_eq!(inside.download(pinned, &[]).release(), 1);
    // And what is kept of when it was internal stays so when it is not any more.
    let internal = inside.download("/projections/open/snapshot?fresh=true", &[]);
    drop_in(json!({ "name": "open", "version": "3.0.0" }));
    inside.wait_for_release("open", 3, "live");
    let (pinned, tag) = (internal.header("content-location"), internal.header("etag"));
    elsewhere.download(pinned, &[]).refused(404, "snapshot-gone");
    assert_eq!(inside.download(pinned, &[]).release(), 2);
    let other = elsewhere.download("/projections/open/snapshot", &[("range", "bytes=5-"), ("if-range", tag)]);
    assert_eq!((other.answer.status, other.release()), (200, 3));
}

#[test]
fn it_is_had_where_the_projection_stands() {
    let data = Data::new();
    let (server, mut trade) = serving(&data, &[], 20);
    server.get("/projections/cars/tables/cars?fresh=true").ok();
    // Where it rests,
    server.order("cars", "pause").ok();
    happen(&server, &mut trade, &mut Rng::with_seed(2), 10);
    assert_holds(&server.download(CARS, &[]), &trade, Version::Two);
    assert_eq!(server.download(CARS, &[]).answer.position(), 20);
    server.get(&format!("{CARS}?fresh=true&timeout=0")).refused(503, "not-caught-up");
    // where it halted,
    data.drop_bytes("halting", &misbehaving(&json!({ "name": "halting" })));
    server.wait_for_release("halting", 1, "live");
    server.import(&in_lines(&["Good", "Failed", "Good"].map(|of_type| json!({ "stream": "s", "type": of_type })))).ok();
    server.wait_for("/projections/halting", |answer| answer.json()["live"]["status"] == "halted");
    let halted = server.download("/projections/halting/snapshot", &[]);
    assert_eq!((halted.answer.status, halted.answer.position()), (200, 31));
    // and not where nothing serves yet.
    data.drop_bytes("failing", &misbehaving(&json!({ "name": "failing", "consumes": ["Failed"] })));
    server.wait_for_release("failing", 1, "failed");
    server.get("/projections/failing/snapshot").refused(503, "projection-not-live");
}

#[test]
fn the_command_line_downloads_one() {
    let data = Data::new();
    let (server, trade) = serving(&data, &[], 40);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.db");
    let run = |name: &str, more: &[&str]| {
        let file = file.to_str().expect("text");
        let given = ["snapshot", name, "-o", file, "--fresh", "--url", &server.url];
        laterna(given.iter().copied().chain(more.iter().copied()))
    };
    let told = run("cars", &["--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!((&told["release"], &told["position"]), (&json!(1), &json!(40)));
    let database = open(Path::new(told["file"].as_str().expect("a file")));
    assert_eq!(cells(&database, "cars"), trade.cells("cars", Version::Two, 40));
    let told = run("cars", &[]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("release 1 of `cars` at position 40"), "{told:?}");
    // What cannot be had leaves nothing behind, and what was there as it was.
    let refused = run("nobody", &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("there is no projection `nobody`"), "{said}");
    assert_names_no_file(&said);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
    assert_eq!(cells(&open(&file), "cars"), trade.cells("cars", Version::Two, 40));
}

#[test]
fn the_command_line_writes_it_where_it_is_told() {
    // Given a link, a pipe and folders,
    let data = Data::new();
    let (server, trade) = serving(&data, &[], 40);
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let run = |output: &str| laterna(["snapshot", "cars", "--fresh", "--url", &server.url, "-o", output]);
    let assert_is_snapshot = |bytes: &[u8]| {
        let (_folder, database) = written(bytes);
        assert_eq!(cells(&database, "cars"), trade.cells("cars", Version::Two, 40));
    };
    let is_link = |name: &str| std::fs::symlink_metadata(at(name)).expect("it is there").is_symlink();
    std::fs::create_dir(at("elsewhere")).expect("a folder");
    symlink("elsewhere/cars.db", at("link")).expect("a link");
    symlink("link", at("link-to-link")).expect("a link");
    assert!(Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo runs").success());
    // a link is followed, where it leads to nothing yet, and where it leads to a file,
    for _ in 0..2 {
        let told = run(&at("link-to-link"));
        assert!(told.status.success() && is_link("link") && is_link("link-to-link"), "{told:?}");
        assert_is_snapshot(&std::fs::read(at("elsewhere/cars.db")).expect("it is there"));
        std::fs::write(at("elsewhere/cars.db"), "old").expect("it is written");
    }
    // what is no file is written into,
    let pipe = at("pipe");
    let reader = std::thread::spawn(move || std::fs::read(pipe).expect("what comes"));
    let told = run(&at("pipe"));
    assert!(told.status.success() && told.stdout.is_empty(), "{told:?}");
    assert!(std::fs::metadata(at("pipe")).expect("it is there").file_type().is_fifo());
    assert_is_snapshot(&reader.join().expect("it reads"));
    // and so is standard output, which has nothing else on it.
    for standard in ["-", "/dev/stdout"] {
        let told = run(standard);
        assert!(told.status.success() && String::from_utf8_lossy(&told.stderr).contains("release 1 of `cars`"));
        assert_is_snapshot(&told.stdout);
    }
    // Where no file can be, that is said.
    for (output, words) in [
        (at("elsewhere"), format!("`{}` is a folder: name a file", at("elsewhere"))),
        (at("nowhere/cars.db"), format!("there is no folder `{}`", at("nowhere"))),
        (at("link/cars.db"), format!("`{}` cannot be written: not a directory", at("link/cars.db"))),
    ] {
        let told = run(&output);
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.code() == Some(1) && said.contains(&words), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 4);
}
