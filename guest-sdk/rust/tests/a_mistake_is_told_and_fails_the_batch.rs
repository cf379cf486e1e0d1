//! What an author can get wrong with typed tables: it is told in words that say what to do, and the batch fails, whether or not the
//! author passes the error on.

use laterna_sdk::native::{NewEvent, ReadModel};
use laterna_sdk::prelude::*;
use serde_json::{Value, json};

#[derive(Row, Clone)]
#[row(table = "accounts")]
struct Account {
    #[row(key)]
    owner: String,
    #[row(default)]
    cents: u64,
}

/// The same table by another type.
#[derive(Row, Clone)]
#[row(table = "accounts")]
struct Twin {
    #[row(key)]
    owner: String,
    cents: u64,
}

#[derive(Row, Clone)]
#[row(table = "forgotten")]
struct Forgotten {
    #[row(key)]
    id: i64,
}

#[derive(Default)]
struct Ledger;

impl Projection for Ledger {
    fn manifest() -> Manifest {
        Manifest::new("ledger", "1.0.0")
            .table::<Account>()
            .query(NamedQuery::computed("total"))
            .query(NamedQuery::computed("meddling"))
    }

    /// Does what the event says, and swallows whatever comes of it.
    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        let accounts = store.table::<Account>();
        let swallowed = match event.event_type() {
            "Put" => accounts.put(Account { owner: event.stream().into(), cents: 5 }),
            "KeyChanged" => accounts.upsert("ann", |account| account.owner = "bob".into()),
            "TooMuch" => accounts.upsert("ann", |account| account.cents = u64::MAX),
            "UsedWithinItself" => accounts.upsert("ann", |_| drop(accounts.get("bob"))),
            "SqlWithin" => {
                let sql = "SELECT count(*) FROM accounts";
                accounts.upsert("ann", |_| drop(store.query_one::<(i64,)>(sql, ())))
            }
            "Twin" => store.table::<Twin>().put(Twin { owner: "ann".into(), cents: 1 }),
            "Forgotten" => store.table::<Forgotten>().put(Forgotten { id: 1 }),
            _ => Ok(()),
        };
        drop(swallowed);
        Ok(())
    }

    fn query(&self, name: &str, _: &Arguments, store: &Store) -> Result<Value> {
        let accounts = store.table::<Account>();
        if name == "meddling" {
            accounts.upsert("ann", |account| account.cents += 1)?;
        }
        Ok(json!(accounts.scan(..)?.iter().map(|account| account.cents).sum::<u64>()))
    }
}

fn said<T>(outcome: Result<T>) -> String {
    outcome.map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
}

#[test]
fn a_mistake_that_is_swallowed_fails_the_batch_all_the_same() {
    let mistakes = [
        ("KeyChanged", "a change of a row of `accounts` changed its key: remove it, and put another"),
        ("TooMuch", "column `cents` of table `accounts`: 18446744073709551615 is more than SQLite's integers hold"),
        ("UsedWithinItself", "table `accounts` cannot be used within a change of one of its rows"),
        ("SqlWithin", "the store cannot be used within a change of a row of `accounts`"),
        ("Twin", "two types are rows of table `accounts`: neither would see what the other puts"),
        ("Forgotten", "table `forgotten` is not in the manifest: add `.table::<Forgotten>()`"),
    ];
    for (name, why) in mistakes {
        let mut model = ReadModel::<Ledger>::new().unwrap_or_else(|error| panic!("{error}"));
        let event = |name: &str| NewEvent::new("ann", name, json!({}));
        let said = said(model.apply([event("Put"), event(name)]));
        assert_eq!(said, format!("the event cannot be applied: {why}"));
        let left = model.table("accounts").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(left, [] as [Value; 0], "nothing of {name} is kept");
    }
}

#[test]
fn a_query_reads_typed_tables_and_cannot_write_them() -> Result<()> {
    let mut model = ReadModel::<Ledger>::new()?;
    model.apply([NewEvent::new("ann", "Put", json!({})), NewEvent::new("bob", "Put", json!({}))])?;
    assert_eq!(model.query("total", &[])?, json!(10));
    assert_eq!(said(model.query("meddling", &[])), "a query cannot write");
    Ok(())
}

#[test]
fn nothing_but_its_key_judges_the_row_of_a_typed_table() {
    /// A component with a schema of its own.
    struct Judged<const INDEX: usize>;

    const INDEXES: [&str; 4] = [
        "/* one each */ CREATE UNIQUE/**/INDEX one_each ON \"Accounts\"(cents)",
        "CREATE INDEX some ON accounts (cents) WHERE json_extract(owner, '$.a') = 1",
        "CREATE INDEX inside ON accounts (json_extract(owner, '$.a'))",
        "CREATE INDEX by_cents ON accounts (cents DESC)",
    ];

    impl<const INDEX: usize> Default for Judged<INDEX> {
        fn default() -> Self {
            Self
        }
    }

    impl<const INDEX: usize> Projection for Judged<INDEX> {
        fn manifest() -> Manifest {
            Manifest::new("judged", "1.0.0").table::<Account>().schema(INDEXES[INDEX])
        }

        fn apply(&mut self, _: &Event<'_>, _: &Store) -> Result<()> {
            Ok(())
        }
    }

    let why = "table `accounts` is typed, so it can have no index that is unique, partial or over an expression";
    assert_eq!(said(ReadModel::<Judged<0>>::new()), why);
    assert_eq!(said(ReadModel::<Judged<1>>::new()), why);
    assert_eq!(said(ReadModel::<Judged<2>>::new()), why);
    assert_eq!(said(ReadModel::<Judged<3>>::new()), "nothing");
}
