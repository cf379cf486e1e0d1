//! Promise P6, effects once, under a host that dies wherever it can: between each two steps from an event to its effect, and from one
//! release to the next. What must stand in the log then is told by a model that knows nothing of crashes.

use fastrand::Rng;
use laterna::failpoint::POINTS;
use laterna_tests::guests::dutiful;
use laterna_tests::process_model::{self, Model};
use laterna_tests::processes::{effects, tells};
use laterna_tests::standing::Release;
use laterna_tests::{BREATH, Client, Data, PATIENCE, random};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const INSTANCES: usize = 10_000;
const WRITERS: usize = 2;

/// The clock stands still, and files settle at once.
const FLAGS: &[&str] = &["--clock", "manual", "--settle-ms", "20", "--rescan-ms", "50"];

/// Each step of the clock, and how often one is made.
const STEP_S: u64 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Timers are set for up to so long.
const LONGEST_S: u64 = 4 * 3_600;

fn version(number: usize) -> Vec<u8> {
    dutiful(&json!({
        "name": "errands", "version": format!("{number}.0.0"), "tag": format!("v{number}"), "begins": "start",
        "consumes": ["Told", "Echoed"]
    }))
}

/// Versions are dropped in turn; each is compiled once.
const VERSIONS: usize = 3;

/// What an instance is told: something to be done at once, and something later.
fn told(random: &mut Rng, instance: &str) -> Value {
    let door = format!("door-{}", random.u32(..50));
    let later = |random: &mut Rng| {
        let mut then = vec![json!({ "append": { "stream": door } })];
        if random.u32(..10) == 0 {
            then.push(json!({ "end": true }));
        }
        let mut schedule = json!({ "timer": "t", "after_s": random.u64(1..LONGEST_S), "then": then });
        if random.u32(..1_000) == 0 {
            schedule["every_s"] = json!(random.u32(900..3_600));
        }
        json!({ "schedule": schedule })
    };
    let mut orders = vec![json!({ "append": { "stream": door } })];
    match random.u32(..20) {
        0 => orders.push(json!({ "append": { "stream": "once", "expected": "no-stream" } })),
        // Its own effect comes back to it.
        1 => orders.push(json!({ "append": { "stream": door, "type": "Echoed",
            "data": { "keys": [{ "finds": instance }], "do": [{ "append": { "stream": "echoes" } }] } } })),
        2 => orders.push(json!({ "cancel": "t" })),
        _ => {}
    }
    orders.push(later(random));
    tells(instance, &orders)
}

/// How often a point is passed before the host dies at it.
fn times(random: &mut Rng, point: &str) -> u64 {
    match point.split('-').next() {
        Some("log" | "fold" | "effects" | "cursor") => random.u64(1..80),
        Some("timers") => random.u64(1..8),
        // Passed once by each release that comes to serve.
        _ => 1,
    }
}

/// Appends events one by one until it is told to stop, or the host is gone. Whatever is not acknowledged is appended again, later.
struct Writer {
    name: String,
    random: Rng,
    acknowledged: usize,
    waiting: Option<Value>,
}

impl Writer {
    fn write(&mut self, client: &Client, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let event = self.waiting.take().unwrap_or_else(|| {
                let instance = format!("i-{}", self.random.usize(..INSTANCES));
                let mut event = told(&mut self.random, &instance);
                event["id"] = format!("{}-{}", self.name, self.acknowledged).into();
                event
            });
            let body = json!({ "events": [event] }).to_string();
            match client.try_post(&format!("/streams/{}/events", self.name), "application/json", body) {
                Ok(answer) if answer.status < 300 => self.acknowledged += 1,
                _ => {
                    self.waiting = Some(event);
                    return;
                }
            }
            std::thread::sleep(BREATH);
        }
    }
}

/// Tells writers to stop, also where a test fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Another version than the one that serves.
fn other_version(client: &Client) -> usize {
    let shown = client.try_get("/projections/errands").ok().filter(|answer| answer.status == 200);
    let live = shown.and_then(|answer| answer.json()["live"]["version"].as_str()?.split('.').next()?.parse().ok());
    live.map_or(0, |live: usize| (live + 1) % VERSIONS)
}

/// Starts a host that dies at this point; has events come, time pass and another version dropped until it has.
fn run_until_dead(data: &Data, point: &str, writers: &mut [Writer]) {
    let Some(mut server) = data.serve_until(point, FLAGS) else { return };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stops = Stops(&stop);
        let client = server.client.clone();
        for writer in writers {
            let (client, stop) = (client.clone(), &stop);
            scope.spawn(move || writer.write(&client, stop));
        }
        let begun = Instant::now();
        let mut dropped = None;
        while !server.is_dead() {
            let next = other_version(&client);
            if dropped.replace(next) != Some(next) {
                data.drop_whole("errands", &version(next));
            }
            // It may die over it.
            let step = json!({ "by_seconds": STEP_S }).to_string();
            let _ = client.try_post("/clock/advance", "application/json", step);
            assert!(begun.elapsed() < PATIENCE, "it does not die at {point}");
            std::thread::sleep(PAUSE);
        }
    });
}

#[test]
fn whatever_a_process_decides_is_done_once_wherever_the_host_dies() {
    let begun = Instant::now();
    let mut random = random::seeded("p06_killed_anywhere");
    // given: instances with timers, all of them to begin with
    let data = Data::in_memory();
    let server = data.serve_with(FLAGS);
    let lines = (0..INSTANCES).map(|number| {
        let instance = format!("i-{number}");
        let mut event = told(&mut random, &instance);
        event["stream"] = format!("history-{}", number % 100).into();
        event["id"] = format!("history-{number}").into();
        event.to_string()
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(server.import(&lines).ok()["stored"], INSTANCES);
    server.stop();

    // when: a host dies at each point, one after the other, while events come, time passes, and versions change
    let mut points: Vec<&str> = POINTS.to_vec();
    points.extend((0..3).map(|_| POINTS[random.usize(..POINTS.len())]));
    random.shuffle(&mut points);
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer {
            name: format!("writer-{number}"),
            random: Rng::with_seed(random.u64(..)),
            acknowledged: 0,
            waiting: None,
        })
        .collect();
    for point in &points {
        let point = format!("{point}:{}", times(&mut random, point));
        run_until_dead(&data, &point, &mut writers);
        println!("{:>6.1?}: dead at {point}", begun.elapsed());
    }

    // and once more it starts, and all is done that is left, until no timer waits but those that come again and again
    let server = data.serve_with(FLAGS);
    data.drop_whole("errands", &version(other_version(&server)));
    let is_coming = |release: &Release| ["received", "checked", "building", "verifying"].contains(&&*release.state);
    server.wait_until("errands", |standing| standing.live.is_some() && !standing.releases.iter().any(is_coming));
    server.advance(LONGEST_S);
    server.wait_for("/projections/errands/tables/timers?every_us=is.null&limit=1&fresh=true&timeout=60", |answer| {
        answer.status == 200 && answer.json()["rows"] == json!([])
    });
    server.settle("settled");
    server.settle("settled-again");
    let shifts = server.shifts("errands");
    println!("{:>6.1?}: quiet; the versions acted behind {shifts:?}", begun.elapsed());

    // then: what stands in the log is what must follow from it, each once, in the order of what led to it, by the version that served
    let logged = data.logged();
    let mut model = Model::new("errands", &["Told", "Echoed"]);
    for event in &logged {
        let shift = shifts.iter().rfind(|(behind, _)| *behind < event.position).expect("the first begins at the start");
        model.fold(event, &shift.1);
    }
    let effects = effects(&logged, "errands");
    println!("{} events, {} effects", logged.len(), effects.len());
    assert!(effects.len() > 2 * INSTANCES);
    let mut expected = model.effects().iter();
    for effect in &effects {
        let expected = expected.next().unwrap_or_else(|| panic!("nobody decided {effect:?}"));
        assert_eq!(effect.event.id, expected.id, "{effect:?} is not what is due, {expected:?}");
        if effect.event.event_type == "effect.refused" {
            assert_eq!(effect.event.data["effect"]["stream"], expected.stream);
            assert_eq!(
                (effect.event.data["code"].as_str(), &*expected.stream),
                (Some("wrong-expected-revision"), "once")
            );
        } else {
            let Value::Object(_) = &effect.event.data else { panic!("{effect:?}") };
            assert_eq!((&effect.event.event_type, &effect.event.stream), (&expected.event_type, &expected.stream));
            assert_eq!(effect.event.data, expected.data, "{effect:?}");
        }
    }
    assert_eq!(expected.next(), None, "it was never done");
    assert_eq!(model.waiting_once(), 0, "a timer never fired");

    // what is done is forgotten, but for the last of it
    let release = server.projection("errands")["live"]["release"].clone();
    let store = data.path().join(format!("stores/errands/{release}.db"));
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a store");
    let waiting: i64 = store.query_row("SELECT count(*) FROM laterna_outbox", [], |row| row.get(0)).expect("a number");
    assert!(waiting <= 2, "{waiting} effects are still to be done");

    // and the store is the fold of the log, as the model folds it, and as the host does
    for table in ["instances", "timers"] {
        let rows: Vec<Value> = server.rows("errands", table).into_iter().map(process_model::read).collect();
        assert!(rows == model.rows(table), "{table} differ");
    }
    server.verify_exact("errands");
    println!("{:>6.1?}: done", begun.elapsed());
}
