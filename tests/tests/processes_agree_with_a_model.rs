//! Random scripts for a process manager, against a model that folds the log's events one by one: what its instances are, which timers wait,
//! what was decided and what was done. And the same at all batch sizes.

use fastrand::Rng;
use laterna_tests::guests::dutiful;
use laterna_tests::process_model::{self, Model};
use laterna_tests::processes::effects;
use laterna_tests::{Client, Data, PATIENCE, Server, random};
use serde_json::{Value, json};
use std::fs;
use std::time::Instant;

const SCRIPTS: usize = 6;
const EVENTS: usize = 250;

/// Few enough that events meet often.
const INSTANCES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Some names are those of instances, too.
const NAMES: [&str; 5] = ["x", "y", "z", "a", "b"];
const TIMERS: [&str; 3] = ["t", "u", "v"];
const TABLES: [&str; 4] = ["instances", "associations", "timers", "decisions"];
const BATCHES: [&str; 3] = ["1", "7", "1000"];

fn one_of<'a>(random: &mut Rng, of: &[&'a str]) -> &'a str {
    of[random.usize(..of.len())]
}

fn key(random: &mut Rng) -> Value {
    let name = if random.bool() { one_of(random, &INSTANCES) } else { one_of(random, &NAMES) };
    if random.u32(..3) == 0 { json!({ "finds": name }) } else { json!({ "starts": name }) }
}

fn orders(random: &mut Rng, depth: u32) -> Vec<Value> {
    (0..random.usize(..5)).map(|_| order(random, depth)).collect()
}

fn order(random: &mut Rng, depth: u32) -> Value {
    let mut order = match random.u32(..if depth == 0 { 10 } else { 14 }) {
        0..3 => append(random, depth),
        3..5 => json!({ "associate": one_of(random, &NAMES) }),
        5..7 => json!({ "dissociate": one_of(random, &NAMES) }),
        7 => json!({ "cancel": one_of(random, &TIMERS) }),
        8 => json!({ "end": true }),
        9 => json!({ "otherwise": orders(random, 0) }),
        _ => {
            let mut schedule = json!({
                "timer": one_of(random, &TIMERS), "after_s": random.u32(..90), "then": orders(random, depth - 1)
            });
            if random.u32(..3) == 0 {
                schedule["every_s"] = random.u32(1..40).into();
            }
            json!({ "schedule": schedule })
        }
    };
    if random.u32(..4) == 0 {
        order["of"] = one_of(random, &INSTANCES).into();
    }
    order
}

fn append(random: &mut Rng, depth: u32) -> Value {
    let expected = match random.u32(..8) {
        0 => json!("no-stream"),
        1 => json!("stream-exists"),
        2 => json!(random.u32(..4)),
        _ => json!("any"),
    };
    let mut append = json!({ "stream": format!("s-{}", random.u32(..6)), "expected": expected });
    // Those of one type come back to who consumes it, and may say what is to be done then.
    if random.bool() {
        append["type"] = "Echoed".into();
        match random.u32(..4) {
            0 => append["again"] = true.into(),
            1 if depth > 0 => {
                append["data"] = json!({ "keys": [key(random)], "do": orders(random, depth - 1) });
            }
            _ => {}
        }
    }
    json!({ "append": append })
}

fn told(random: &mut Rng) -> Value {
    let keys: Vec<Value> = (0..random.usize(1..4)).map(|_| key(random)).collect();
    json!({ "type": "Told", "data": { "keys": keys, "do": orders(random, 2) } })
}

fn serve(data: &Data, batch: &str) -> Server {
    // Their own effects lead to further ones; deep circles would make a script long, and no other.
    let flags = ["--clock", "manual", "--batch-events", batch, "--causation-depth", "3"];
    data.serve_logging("error", &flags)
}

/// Waits until nothing more comes of what stands in the log: its head, and what is decided, stay as they are.
fn rest(client: &Client, data: &Data, consumes: &[&str], marks: &mut usize) {
    let begun = Instant::now();
    loop {
        *marks += 1;
        client.settle(&format!("mark-{marks}"));
        let logged = data.logged();
        let mut model = Model::new("errands", consumes);
        logged.iter().for_each(|event| model.fold(event, "v1"));
        let now_us = client.get("/clock").ok()["now"].as_str().expect("a moment").parse::<jiff::Timestamp>();
        let now_us = now_us.expect("a moment").as_microsecond();
        let (done, decided, due) = (effects(&logged, "errands").len(), model.effects().len(), model.due(now_us));
        if (done, due) == (decided, 0) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{done} of {decided} effects are done, and {due} timers are due");
    }
}

fn rows(client: &Client, table: &str) -> Vec<Value> {
    client.rows("errands", table).into_iter().map(process_model::read).collect()
}

#[test]
fn processes_do_what_a_model_says_at_all_batch_sizes() {
    let mut seeds = random::seeded("processes_agree_with_a_model");
    for script in 0..SCRIPTS {
        let seed = seeds.u64(..);
        println!("script {script} of {SCRIPTS}, from {seed}");
        run(Rng::with_seed(seed));
    }
}

fn run(mut random: Rng) {
    // given: a manager that may consume what it does itself
    let consumes: &[&str] = if random.bool() { &["Told", "Echoed"] } else { &["Told"] };
    let component = dutiful(&json!({ "name": "errands", "tag": "v1", "begins": "start", "consumes": consumes }));
    let data = Data::in_memory();
    let server = serve(&data, one_of(&mut random, &BATCHES));
    let deploy_at = random.usize(..EVENTS / 2);
    let mut marks = 0;

    // when: events come one by one or many at once, and time passes
    let mut number = 0;
    let mut deployed = false;
    while number < EVENTS {
        if !deployed && number >= deploy_at {
            server.deploy("errands", &component).ok();
            server.wait_for_release("errands", 1, "live");
            deployed = true;
        }
        let count = if random.u32(..4) == 0 { random.usize(1..40) } else { 1 };
        let events: Vec<Value> = (0..count).map(|_| told(&mut random)).collect();
        server.post(&format!("/streams/script-{}/events", random.u32(..3)), &json!({ "events": events })).ok();
        number += count;
        if random.u32(..6) == 0 {
            server.advance(random.u64(1..60));
        }
        if deployed && random.u32(..20) == 0 {
            rest(&server, &data, consumes, &mut marks);
        }
    }
    rest(&server, &data, consumes, &mut marks);

    // then: what stands there and what was done is what the model says
    let logged = data.logged();
    let mut model = Model::new("errands", consumes);
    logged.iter().for_each(|event| model.fold(event, "v1"));
    let done = effects(&logged, "errands");
    for (effect, expected) in done.iter().zip(model.effects()) {
        assert_eq!(effect.event.id, expected.id);
        if effect.event.event_type == "effect.refused" {
            assert_eq!(effect.event.data["effect"]["data"], expected.data, "{effect:?}");
        } else {
            assert_eq!((&effect.event.stream, &effect.event.event_type), (&expected.stream, &expected.event_type));
            assert_eq!(effect.event.data, expected.data, "{effect:?}");
        }
    }
    for table in TABLES {
        compare(table, &rows(&server, table), &model.rows(table));
    }
    let counted = TABLES.map(|table| model.rows(table).len());
    println!("  {} events, {} effects, {counted:?} of {TABLES:?}", logged.len(), done.len());
    server.verify_exact("errands");
    server.stop();

    // and it is the same at each batch size, folded anew of the same log; and nothing is done again
    for batch in BATCHES {
        let copy = Data::in_memory();
        // What was written last may still stand in the write-ahead log.
        for file in ["log.db", "log.db-wal", "clock"] {
            let (from, to) = (data.path().join(file), copy.path().join(file));
            if from.exists() {
                fs::copy(from, to).expect("the file is copied");
            }
        }
        let server = serve(&copy, batch);
        server.deploy("errands", &component).ok();
        server.wait_for_release("errands", 1, "live");
        for table in TABLES {
            compare(table, &rows(&server, table), &model.rows(table));
        }
        server.settle("the-end");
        assert_eq!(copy.logged().len(), logged.len() + 2, "at batches of {batch}");
        server.verify_exact("errands");
    }
}

fn compare(table: &str, found: &[Value], expected: &[Value]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "in {table}");
    }
    assert_eq!(found.len(), expected.len(), "rows of {table}");
}
