//! A typed table beside SQL over the same rows, and the ends of what a key can be.

use laterna_sdk::native::{NewEvent, ReadModel};
use laterna_sdk::prelude::*;
use serde_json::json;

#[derive(Row, Clone)]
#[row(table = "counts")]
struct Count {
    #[row(key)]
    number: u64,
    #[row(default)]
    times: i64,
}

#[derive(Default)]
struct Counts;

impl Projection for Counts {
    fn manifest() -> Manifest {
        let schema = "CREATE TABLE log (number INTEGER PRIMARY KEY) STRICT";
        Manifest::new("counts", "1.0.0").table::<Count>().schema(schema)
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        let counts = store.table::<Count>();
        match event.event_type() {
            "CountedWhileListed" => {
                let numbers = (1..=3_u32).inspect(|number| {
                    let counted = counts.upsert((*number).into(), |count| count.times += 1);
                    assert!(counted.is_ok());
                });
                store.execute_many("INSERT INTO log VALUES (?1)", numbers.map(|number| (number,)))?;
            }
            "PutAtBothEnds" => {
                counts.put(Count { number: 0, times: 1 })?;
                counts.put(Count { number: i64::MAX.unsigned_abs(), times: 1 })?;
            }
            "ScannedToTheEnd" => {
                let last = i64::MAX.unsigned_abs();
                assert_eq!(counts.scan(0..=u64::MAX)?.len(), 2);
                assert_eq!(counts.scan(last..u64::MAX)?.len(), 1);
                assert_eq!(counts.scan(last + 1..)?.len(), 0);
                assert!(counts.get(u64::MAX)?.is_none() && counts.remove(last + 1)?.is_none());
                assert!(counts.get(last)?.is_some());
            }
            other => return Err(Error::new(format_args!("`{other}` is not for it"))),
        }
        Ok(())
    }
}

fn event(event_type: &str) -> NewEvent {
    NewEvent::new("counts", event_type, json!({}))
}

#[test]
fn what_is_put_while_the_items_of_a_statement_are_made_up_is_kept() -> Result<()> {
    let mut model = ReadModel::<Counts>::new()?;
    model.apply([event("CountedWhileListed")])?;
    assert_eq!(model.table("counts")?.len(), 3);
    assert_eq!(model.table("log")?.len(), 3);
    Ok(())
}

#[test]
fn a_bound_beyond_what_sqlite_holds_is_a_bound() -> Result<()> {
    let mut in_one = ReadModel::<Counts>::new()?;
    in_one.apply([event("PutAtBothEnds"), event("ScannedToTheEnd")])?;
    let mut one_by_one = ReadModel::<Counts>::new()?;
    one_by_one.apply([event("PutAtBothEnds")])?;
    one_by_one.apply([event("ScannedToTheEnd")])
}

/// Where a batch fails, it is as if it had never come: neither rows nor positions of it are left.
#[test]
fn a_batch_that_fails_leaves_nothing() -> Result<()> {
    let mut model = ReadModel::<Counts>::new()?;
    for _ in 0..2 {
        let said = model
            .apply([event("PutAtBothEnds"), event("Unheard")])
            .map_or_else(|error| error.to_string(), |()| "nothing".into());
        assert_eq!(said, "the event at position 2 cannot be applied: `Unheard` is not for it");
        assert!(model.table("counts")?.is_empty());
    }
    Ok(())
}
