//! P1, P2 and P3 under SIGKILL: the host is killed at random moments while events come in and are folded, again and again.
//!
//! After each kill the data directory is looked into as it lies there. What was acknowledged is in the log, once, at its position;
//! and the read store is the fold of the log up to its checkpoint: the same, content for content, as what a host makes that is
//! given the log up to that position and nothing else.

use laterna_tests::files::{self, checkpoint, contents, copy_database, truncate_log};
use laterna_tests::random::seeded;
use laterna_tests::{BREATH, Client, Data, component, online_retail_events, online_retail_reference};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ROUNDS: usize = 12;
const WRITERS: usize = 4;

/// The position at which each event was acknowledged, by its id.
type Acknowledged = Mutex<BTreeMap<String, u64>>;

#[test]
fn a_read_store_is_the_fold_of_the_log_after_any_kill() {
    let mut random = seeded("p03_exact");
    let (events, retail) = (online_retail_events(), component("retail"));
    let lines: Vec<&str> = events.lines().collect();
    let data = Data::new();
    data.drop_component(&retail);
    let acknowledged = Acknowledged::default();
    let imported = AtomicUsize::new(0);

    for round in 0..ROUNDS {
        // Given a host that takes events in from several sides, and folds them in batches of any size
        let batch = ["1", "7", "100", "10000"][random.usize(..4)];
        let server = data.serve_with(&["--batch-events", batch]);
        let progress = AtomicUsize::new(0);
        let enough = random.usize(10..150);
        let moment = Duration::from_micros(random.u64(..20_000));
        let client = server.client.clone();

        // when it is killed at some moment
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (client, lines, acknowledged, progress, imported) =
                    (client.clone(), &lines, &acknowledged, &progress, &imported);
                scope.spawn(move || match writer {
                    0 => import_until_killed(&client, &lines[..1_000], imported, progress),
                    _ => append_until_killed(&client, &lines[1_000..], writer - 1, acknowledged, progress),
                });
            }
            while progress.load(Ordering::Relaxed) < enough && !is_done(&acknowledged, &imported) {
                std::thread::sleep(BREATH);
            }
            std::thread::sleep(moment);
            server.kill();
        });

        // then the log holds what was acknowledged,
        let log = files::events(&data.path().join("log.db"));
        let acknowledged = acknowledged.lock().expect("no writer panicked");
        assert_log_holds(&log, &acknowledged, imported.load(Ordering::Relaxed));
        // and the read store is the fold of it.
        let at = assert_store_is_the_fold(&data, &retail, log.len() as u64);
        println!(
            "round {round}: killed at {} events, {} acknowledged one by one, folded to {at}",
            log.len(),
            acknowledged.len()
        );
    }

    // In the end everything is there once, however often it was sent.
    let server = data.serve();
    let sent = server.import(&events).ok();
    assert_eq!(sent["last_position"], lines.len());
    let mut totals = server.rows("retail", "totals").remove(0);
    totals.as_object_mut().expect("a row is an object").remove("id");
    assert_eq!(totals, online_retail_reference()["totals"]);
}

fn is_done(acknowledged: &Acknowledged, imported: &AtomicUsize) -> bool {
    acknowledged.lock().expect("no writer panicked").len() == 1_000 && imported.load(Ordering::Relaxed) == 1_000
}

/// Imports in small pieces, from a little before where it was each time: what is known is skipped.
fn import_until_killed(client: &Client, lines: &[&str], imported: &AtomicUsize, progress: &AtomicUsize) {
    let mut sent = imported.load(Ordering::Relaxed).saturating_sub(100);
    for chunk in lines[sent..].chunks(50) {
        let Ok(answer) = client.try_post("/events", "application/x-ndjson", chunk.join("\n")) else { return };
        let answer = answer.ok();
        let (stored, skipped) =
            (answer["stored"].as_u64().expect("a number"), answer["skipped"].as_u64().expect("a number"));
        assert_eq!(stored + skipped, chunk.len() as u64);
        let known = imported.load(Ordering::Relaxed).saturating_sub(sent).min(chunk.len());
        assert!(skipped >= known as u64, "{known} of a chunk were acknowledged, and {skipped} are known");
        sent += chunk.len();
        imported.fetch_max(sent, Ordering::Relaxed);
        progress.fetch_add(chunk.len(), Ordering::Relaxed);
    }
}

/// Appends one event after another, and now and then one that was acknowledged before: it is answered like the first time.
fn append_until_killed(
    client: &Client,
    lines: &[&str],
    writer: usize,
    acknowledged: &Acknowledged,
    progress: &AtomicUsize,
) {
    for line in lines.iter().skip(writer).step_by(WRITERS - 1) {
        let mut event: Value = serde_json::from_str(line).expect("JSON");
        let stream = event.as_object_mut().expect("an object").remove("stream").expect("a stream");
        let id = event["id"].as_str().expect("an id").to_owned();
        if acknowledged.lock().expect("no writer panicked").contains_key(&id) && fastrand::u8(..10) > 0 {
            continue;
        }
        let path = format!("/streams/{}/events", stream.as_str().expect("text"));
        let Ok(answer) = client.try_post(&path, "application/json", json!({ "events": [event] }).to_string()) else {
            return;
        };
        let answer = answer.ok();
        let position = answer["last_position"].as_u64().expect("a position");
        let first = acknowledged.lock().expect("no writer panicked").insert(id.clone(), position);
        if let Some(first) = first {
            assert_eq!((position, &answer["repeated"]), (first, &Value::Bool(true)), "{id} was acknowledged before");
        }
        progress.fetch_add(1, Ordering::Relaxed);
    }
}

fn assert_log_holds(log: &[(u64, String)], acknowledged: &BTreeMap<String, u64>, imported: usize) {
    let positions: Vec<u64> = log.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, (1..=log.len() as u64).collect::<Vec<_>>(), "positions have no gaps");
    let by_id: BTreeMap<&str, u64> = log.iter().map(|(position, id)| (id.as_str(), *position)).collect();
    assert_eq!(by_id.len(), log.len(), "each id is there once");
    for (id, position) in acknowledged {
        assert_eq!(by_id.get(id.as_str()), Some(position), "{id} was acknowledged at {position}");
    }
    assert!(log.len() >= imported + acknowledged.len(), "{imported} imported events were acknowledged besides");
}

/// Compares the read store as it lies there with the fold of the log up to its checkpoint; answers the checkpoint.
fn assert_store_is_the_fold(data: &Data, retail: &std::path::Path, head: u64) -> u64 {
    let killed = Data::new();
    let store = killed.path().join("killed.db");
    copy_database(&data.path().join("stores/retail/1.db"), &store);
    let position = checkpoint(&store);
    assert!(position <= head, "the store is at {position}, and the log ends at {head}");

    let folded = Data::new();
    folded.drop_component(retail);
    copy_database(&data.path().join("log.db"), &folded.path().join("log.db"));
    truncate_log(&folded.path().join("log.db"), position);
    let server = folded.serve();
    server.wait_for("/health/ready", |answer| answer.status == 200);
    server.stop();
    let folded = folded.path().join("stores/retail/1.db");
    assert_eq!(checkpoint(&folded), position);
    for (table, rows) in contents(&folded) {
        assert_eq!(contents(&store).get(&table), Some(&rows), "{table} at {position}");
    }
    position
}
