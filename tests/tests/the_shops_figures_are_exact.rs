//! The main job on real purchases: events in, a component folds them, and what is read are the right answers, computed elsewhere.

use laterna_tests::{Client, Data, component, online_retail_events, online_retail_reference};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The tables of the reference, by their keys.
const TABLES: &[(&str, &str)] =
    &[("customers", "customer_id"), ("products", "stock_code"), ("months", "month"), ("countries", "country")];

/// A table as the reference holds it: an object by key.
fn table(client: &Client, table: &str, key: &str) -> Value {
    let mut by_key = Map::new();
    for mut row in client.rows("retail", table) {
        let row = row.as_object_mut().expect("a row is an object");
        let Some(Value::String(key)) = row.remove(key) else { panic!("{table} has no {key}") };
        by_key.insert(key, Value::Object(row.clone()));
    }
    Value::Object(by_key)
}

fn totals(client: &Client) -> Value {
    let mut rows = client.rows("retail", "totals");
    assert_eq!(rows.len(), 1);
    let mut totals = rows.remove(0);
    totals.as_object_mut().expect("a row is an object").remove("id");
    totals
}

/// The digest of a table as the reference makes it: over compact JSON with sorted keys, everything beyond ASCII escaped.
fn sha256(table: &Value) -> String {
    let mut ascii = String::new();
    for character in sorted(table).to_string().chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| ascii += &format!("\\u{unit:04x}"));
        }
    }
    Sha256::digest(ascii).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sorted(value: &Value) -> Value {
    let Some(object) = value.as_object() else { return value.clone() };
    let mut members: Vec<_> = object.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Value::Object(members.into_iter().collect())
}

fn assert_checkpoint(client: &Client, position: &str, expected: &Value) {
    assert_eq!(totals(client), expected["totals"], "totals at {position}");
    for (name, key) in TABLES {
        let found = table(client, name, key);
        if let Some(count) = expected[*name].as_u64() {
            assert_eq!(found.as_object().expect("an object").len() as u64, count, "{name} at {position}");
        }
        if let Some(digest) = expected[format!("{name}_sha256")].as_str() {
            assert_eq!(sha256(&found), digest, "{name} at {position}");
        }
    }
}

fn assert_end(client: &Client, reference: &Value) {
    assert_eq!(totals(client), reference["totals"]);
    for (name, key) in TABLES {
        assert_eq!(table(client, name, key), reference[*name], "{name}");
    }
}

#[test]
fn live_at_every_checkpoint_and_at_the_end_and_after_a_rebuild_from_nothing() {
    let (events, reference) = (online_retail_events(), online_retail_reference());
    let lines: Vec<&str> = events.lines().collect();
    let checkpoints = reference["checkpoints"].as_object().expect("checkpoints");
    let mut positions: Vec<usize> = checkpoints.keys().map(|key| key.parse().expect("a position")).collect();
    positions.sort_unstable();
    assert_eq!(positions.last(), Some(&lines.len()));

    // Given a host with the component `retail`, when events come in, then it is right at every checkpoint.
    let data = Data::new();
    data.drop_component(&component("retail"));
    let server = data.serve();
    let mut imported = 0;
    for position in positions {
        let answer = server.import(&lines[imported..position].join("\n"));
        assert_eq!(answer.ok()["last_position"], position);
        imported = position;
        let expected = &checkpoints[&position.to_string()];
        assert_checkpoint(&server, &position.to_string(), expected);
    }
    assert_end(&server, &reference);
    let types = reference["types"].as_object().expect("types");
    assert_eq!(types.values().filter_map(Value::as_u64).sum::<u64>(), imported as u64);
    server.stop();

    // When everything but the log is gone, then the same comes of it.
    for folder in ["stores", "cache"] {
        std::fs::remove_dir_all(data.path().join(folder)).expect("it is there");
    }
    std::fs::remove_file(data.path().join("control.db")).expect("it is there");
    assert_end(&data.serve(), &reference);
}

#[test]
fn at_any_batch_size() {
    let (events, reference) = (online_retail_events(), online_retail_reference());
    let data = Data::new();
    data.drop_component(&component("retail"));
    let server = data.serve();
    server.import(&events).ok();
    assert_end(&server, &reference);
    server.stop();
    for batch in ["1", "7", "1000"] {
        std::fs::remove_dir_all(data.path().join("stores")).expect("it is there");
        let server = data.serve_with(&["--batch-events", batch]);
        assert_end(&server, &reference);
        server.stop();
    }
}

#[test]
fn queries_answer_by_sql_and_by_code() {
    let reference = online_retail_reference();
    let data = Data::new();
    data.drop_component(&component("retail"));
    let server = data.serve();
    server.import(&online_retail_events()).ok();

    let top = server.get("/projections/retail/queries/top_customers?count=1&fresh=true");
    let best = &top.ok()["rows"][0];
    let id = best["customer_id"].as_str().expect("an id");
    assert_eq!(best["net_mils"], reference["customers"][id]["net_mils"]);
    assert_eq!((top.position(), top.header("laterna-release")), (2000, Some("1")));

    let share = server.get("/projections/retail/queries/share?country=France").ok();
    assert_eq!(share["net_mils"], reference["countries"]["France"]["net_mils"]);
}
