//! P4: while a component is swapped fifty times under constant appends, every query is answered, and rightly.
//!
//! One writes, four ask, one swaps. Each answer is right to the row for exactly the position that it names, by a computation of the
//! test's own; no one is ever told of an earlier position than before, or than they asked for; and the release that answers is one
//! that served while the question was under way.

use fastrand::Rng;
use laterna_tests::files::{self, contents, copy_database};
use laterna_tests::random::seeded;
use laterna_tests::releases::variant;
use laterna_tests::shop::Shop;
use laterna_tests::{Answer, BREATH, Client, Data, PATIENCE, component, online_retail_events};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{RwLock, RwLockReadGuard};
use std::time::Instant;

const SWAPS: usize = 50;
const CLIENTS: usize = 4;
/// Events of an append that is a burst, and how rare these are: what folds slower than another falls behind it then.
const BURST: usize = 40;
const BURSTS_ONE_IN: u8 = 40;
const COUNTRIES: &[&str] = &["United Kingdom", "France", "Germany", "EIRE", "Atlantis"];

/// What everybody knows.
struct World {
    client: Client,
    shop: RwLock<Shop>,
    /// The position of the last append that was answered.
    acknowledged: AtomicU64,
    lives: Lives,
    is_over: AtomicBool,
}

/// Which release serves. As of a swap that has begun either of two may, and nobody can say which.
#[derive(Default)]
struct Lives {
    /// The release that serves after so many swaps, the ones that have begun included.
    releases: RwLock<Vec<u64>>,
    /// Swaps that are known to have happened.
    happened: AtomicUsize,
}

impl Lives {
    fn begin(&self, next: u64) {
        self.releases.write().expect("nobody panicked").push(next);
    }

    fn end(&self) {
        self.happened.fetch_add(1, Ordering::SeqCst);
    }

    fn happened(&self) -> usize {
        self.happened.load(Ordering::SeqCst)
    }

    /// After how many swaps a release may have answered a question that was asked after at least `since` of them.
    fn first(&self, release: u64, since: usize) -> Option<usize> {
        let releases = self.releases.read().expect("nobody panicked");
        (since..releases.len()).find(|swaps| releases[*swaps] == release)
    }
}

/// The others end, too, once this is gone: after the last swap, or where something failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl World {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    fn shop(&self) -> RwLockReadGuard<'_, Shop> {
        self.shop.read().expect("nobody panicked")
    }
}

#[test]
fn fifty_swaps_under_constant_appends() {
    let mut random = seeded("p04_never_down");
    let (retail, sample) = (component("retail"), events());
    let bytes = std::fs::read(&retail).expect("it was built");

    // Given a host that serves the first release,
    let data = Data::new();
    data.drop_component(&retail);
    let server = data.serve_with(&["--settle-ms", "20"]);
    server.wait_until("retail", |standing| standing.live == Some(1));
    let world = World {
        client: server.client.clone(),
        shop: RwLock::default(),
        acknowledged: AtomicU64::new(0),
        lives: Lives::default(),
        is_over: AtomicBool::new(false),
    };
    world.lives.begin(1);

    // when it is swapped again and again, while one appends and several ask, then everyone is answered rightly.
    let asked: usize = std::thread::scope(|scope| {
        let end = End(&world.is_over);
        let (world, sample, forked) = (&world, &sample, random.fork());
        let writer = scope.spawn(move || append(world, sample, forked));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let random = random.fork();
                scope.spawn(move || ask(world, random))
            })
            .collect();
        for swap in 1..=SWAPS {
            let ended = writer.is_finished() || clients.iter().any(|client| client.is_finished());
            assert!(!ended, "someone gave up before swap {swap}");
            swap_once(world, &data, &bytes, swap, &mut random);
        }
        drop(end);
        writer.join().expect("every append is taken");
        clients.into_iter().map(|client| client.join().expect("every answer is right")).sum()
    });
    let head = world.shop().head();
    println!("{asked} answers while {head} events came in");

    // All of it happened,
    let reached = |shown: &Value| shown["checkpoint"] == head;
    server.wait_for("/projections/retail", |answer| {
        let shown = answer.ok();
        reached(&shown["live"]) && reached(&shown["warm"])
    });
    let standing = server.wait_until("retail", |_| true);
    let swapped_in = |steps: &[String]| steps.iter().filter(|step| *step == "live").count();
    assert_eq!(standing.releases.iter().map(|release| swapped_in(&release.steps)).sum::<usize>(), 1 + SWAPS);
    let (live, warm) = (standing.live.expect("one serves"), standing.warm.expect("one is kept"));
    for release in &standing.releases {
        let state = match release.number {
            number if number == live => "live",
            number if number == warm => "warm",
            _ => "retired",
        };
        assert_eq!(release.state, state, "{release:?}");
    }

    // and what serves, and what could again, is what is made of the log from nothing.
    server.stop();
    let folded = fold_anew(&data, &retail);
    for release in [live, warm] {
        let store = data.path().join(format!("stores/retail/{release}.db"));
        assert_eq!(files::checkpoint(&store), head, "release {release}");
        let found = contents(&store);
        for (table, rows) in &folded {
            assert_eq!(found.get(table), Some(rows), "{table} of release {release}");
        }
    }
}

/// The sample's events, and among them some that `retail` does not look at.
fn events() -> Vec<Value> {
    let sample = online_retail_events();
    let lines = sample.lines().enumerate();
    let events = lines.flat_map(|(number, line)| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let ignored = (number % 3 == 0)
            .then(|| json!({ "id": format!("letter {number}"), "type": "LetterSent", "stream": "letters" }));
        [Some(event), ignored]
    });
    events.flatten().collect()
}

/// Appends the events, one by one or in bursts, under new ids each time around; each is counted before it is sent, so that whoever
/// reads it finds it counted.
fn append(world: &World, events: &[Value], mut random: Rng) {
    let mut events = (0..).flat_map(|round| events.iter().map(move |event| (round, event.clone())));
    while world.goes_on() {
        let burst = if random.u8(..BURSTS_ONE_IN) == 0 { BURST } else { 1 };
        let mut lines = String::new();
        for (round, mut event) in events.by_ref().take(burst) {
            event["id"] = format!("{} {round}", event["id"]).into();
            world.shop.write().expect("nobody panicked").count(&event);
            lines += &format!("{event}\n");
        }
        let position = world.client.import(&lines).ok()["last_position"].as_u64().expect("a position");
        assert_eq!(position, world.shop().head());
        world.acknowledged.store(position, Ordering::SeqCst);
    }
}

/// Asks one question after another, and checks the answers; tells how many.
fn ask(world: &World, mut random: Rng) -> usize {
    let (mut position, mut swaps, mut asked) = (0, 0, 0);
    while world.goes_on() {
        // Given what was so before the question,
        let acknowledged = world.acknowledged.load(Ordering::SeqCst);
        let swaps_before = world.lives.happened().max(swaps);
        let (fresh, at_least) = match random.u8(..4) {
            0 => ("fresh=true&timeout=30".to_owned(), acknowledged),
            1 => (format!("min_position={acknowledged}&timeout=30"), acknowledged),
            _ => (String::new(), 0),
        };

        // when it is asked,
        let (path, answer) = question(world, &mut random, &fresh);

        // then the answer is not older than what is known, and comes from a release that served meanwhile.
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let told = answer.position();
        assert!(told >= position, "{path} was answered as of {told}, after {position} had been told");
        assert!(told >= at_least, "{path} was answered as of {told}");
        let release = answer.header("laterna-release").expect("a release").parse().expect("a number");
        let after = world.lives.first(release, swaps_before);
        swaps = after.unwrap_or_else(|| panic!("{path} was answered by release {release} after {swaps_before} swaps"));
        position = told;
        asked += 1;

        if random.u8(..8) == 0 {
            let ready = world.client.get("/health/ready");
            assert_eq!(ready.status, 200, "{ready:?}");
        }
    }
    asked
}

/// Asks any of the questions, and checks that the answer is right for exactly its position.
fn question(world: &World, random: &mut Rng, fresh: &str) -> (String, Answer) {
    let country = COUNTRIES[random.usize(..COUNTRIES.len())];
    let customer = ["17850", "13047", "12583", "nobody"][random.usize(..4)];
    let (which, count) = (random.u8(..5), random.usize(1..20));
    let path = match which {
        0 => "tables/totals?".to_owned(),
        1 => "tables/countries?limit=1000&".to_owned(),
        2 => format!("queries/customer?id={customer}&"),
        3 => format!("queries/top_customers?count={count}&"),
        _ => format!("queries/share?country={}&", country.replace(' ', "%20")),
    };
    let path = format!("/projections/retail/{path}{fresh}");
    let answer = world.client.get(&path);
    if answer.status == 200 {
        let (shop, position, found) = (world.shop(), answer.position(), answer.json());
        let (found, right) = match which {
            0 => (&found["rows"], shop.totals(position)),
            1 => (&found["rows"], shop.countries(position)),
            2 => (&found["rows"], shop.customer(customer, position)),
            3 => (&found["rows"], shop.top_customers(count, position)),
            _ => (&found, shop.share(country, position)),
        };
        assert_eq!(found, &right, "{path} at {position}, by release {:?}", answer.header("laterna-release"));
    }
    (path, answer)
}

/// Swaps in any of the ways, and waits until it has happened.
fn swap_once(world: &World, data: &Data, bytes: &[u8], swap: usize, random: &mut Rng) {
    let client = &world.client;
    let before = client.wait_until("retail", |_| true);
    let newest = before.releases.last().expect("there are some").number;
    let other = variant(bytes, swap as u64);
    let taken = |answer: Answer| assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    let (next, how) = match random.u8(..5) {
        0 if before.warm.is_some() => (before.warm.expect("there is one"), "rolled back"),
        1 => (newest + 1, "rebuilt"),
        2 => (newest + 1, "uploaded"),
        _ => (newest + 1, "dropped"),
    };
    world.lives.begin(next);
    match how {
        "rolled back" => taken(client.order("retail", "rollback")),
        "rebuilt" => taken(client.order("retail", "rebuild")),
        "uploaded" => taken(client.deploy("retail", &other)),
        _ => data.drop_bytes("retail", &other),
    }
    client.wait_until("retail", |standing| standing.live == Some(next));
    world.lives.end();
    // It goes on from there.
    let (begun, swapped_at) = (Instant::now(), world.acknowledged.load(Ordering::SeqCst));
    while world.acknowledged.load(Ordering::SeqCst) == swapped_at {
        assert!(begun.elapsed() < PATIENCE, "nothing is appended any more");
        std::thread::sleep(BREATH);
    }
    let path = format!("/projections/retail/tables/totals?timeout=30&min_position={}", swapped_at + 1);
    let answer = client.get(&path);
    assert_eq!((answer.status, answer.header("laterna-release")), (200, Some(next.to_string().as_str())), "{answer:?}");
    println!("swap {swap}: release {next} is {how}, at {}", world.acknowledged.load(Ordering::SeqCst));
}

/// What comes of the log where nothing is there but the log.
fn fold_anew(data: &Data, retail: &Path) -> BTreeMap<String, files::Rows> {
    let folded = Data::new();
    folded.drop_component(retail);
    copy_database(&data.path().join("log.db"), &folded.path().join("log.db"));
    let server = folded.serve();
    server.wait_for("/health/ready", |answer| answer.status == 200);
    server.stop();
    contents(&folded.path().join("stores/retail/1.db"))
}
