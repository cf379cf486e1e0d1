//! One projection, two ways to run it: as a component in a host, and its code over rusqlite in a plain test. Both come to the same
//! tables, schema and content, at any batch size.

use laterna::bench::workload::Workload;
use laterna_sdk::Projection;
use laterna_tests::natively::{by_component, natively};
use laterna_tests::releases::cars_events;
use laterna_tests::{component, online_retail_events};
use serde_json::{Value, json};

const BATCHES: &[usize] = &[1, 7, 1_000];

fn assert_same<P: Projection>(name: &str, events: &[Value]) {
    let native = natively::<P>(events, 1);
    for batch in BATCHES {
        assert_eq!(natively::<P>(events, *batch), native, "{name} natively, in batches of {batch}");
    }
    for (batch, content) in BATCHES.iter().zip(by_component(&component(name), events, BATCHES)) {
        assert_eq!(content, native, "{name} as a component, in batches of {batch}");
    }
}

fn orders(events: usize) -> Vec<Value> {
    let line = |(stream, event): (String, laterna::log::NewEvent)| {
        let data: Value = serde_json::from_slice(&event.data).expect("JSON");
        json!({ "stream": stream, "type": event.event_type, "id": event.id, "data": data })
    };
    Workload::default().take(events).map(line).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn retail_on_real_purchases() {
    assert_same::<retail::Retail>("retail", &lines(&online_retail_events()));
}

#[test]
fn orders_in_both_styles() {
    let events = orders(3_000);
    assert_same::<orders::Orders>("orders", &events);
    assert_same::<orders_sql::Orders>("orders-sql", &events);
    let (typed, sql) = (natively::<orders::Orders>(&events, 100), natively::<orders_sql::Orders>(&events, 100));
    for table in ["orders", "customers", "products"] {
        assert_eq!(typed.rows(table), sql.rows(table), "{table}");
    }
}

#[test]
fn cars() {
    assert_same::<cars::Cars>("cars", &lines(&cars_events().join("\n")));
}
