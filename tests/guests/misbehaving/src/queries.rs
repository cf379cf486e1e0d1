//! What it answers to a computed query, by the query's name.

use crate::deeds;
use laterna_sdk::prelude::*;
use serde_json::{Value, json};
use std::hint::black_box;

pub fn answer(name: &str, store: &Store) -> Result<Value> {
    match name {
        "events" => {
            let events: Option<(i64,)> = store.query_one("SELECT count(*) FROM seen", ())?;
            Ok(json!({ "events": events.map(|(events,)| events) }))
        }
        "failed" => Err(Error::new("nobody ever asked me that")),
        "trapped" => panic!("not before breakfast"),
        "looped" => deeds::endless(),
        "grew" => deeds::grow(),
        "recursed" => Ok(json!(black_box(deeds::recurse(1)))),
        "wrote" => {
            store.execute("DELETE FROM seen", ())?;
            Ok(json!("done"))
        }
        "spied" => {
            let position: Option<(i64,)> = store.query_one("SELECT position FROM laterna_checkpoint", ())?;
            Ok(json!(position.map(|(position,)| position)))
        }
        "burned" => {
            let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
            let counted: Option<(i64,)> = store.query_one(endless, ())?;
            Ok(json!(counted.map(|(counted,)| counted)))
        }
        other => Err(Error::new(format_args!("no code answers the query `{other}`"))),
    }
}

/// Answers that the SDK would not let through.
pub fn answer_raw(name: &str) -> Option<String> {
    match name {
        "garbled" => Some("{\"events\": 1".to_owned()),
        "two_answers" => Some("1 2".to_owned()),
        "silent" => Some(String::new()),
        "endless" => Some(format!("\"{}\"", "a".repeat(2 << 20))),
        _ => None,
    }
}
