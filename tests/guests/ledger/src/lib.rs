//! A component that does with its typed tables what each event tells it, and keeps a journal of what it saw. So a test can do
//! anything to them, in any order.

use laterna_sdk::prelude::*;
use serde::Deserialize;
use std::ops::Bound;

/// What an event tells it to do.
#[derive(Deserialize)]
enum Told {
    Put(Account),
    Insert(Account),
    Add {
        owner: String,
        number: i32,
        cents: u64,
    },
    AddOrOpen {
        owner: String,
        number: i32,
        cents: u64,
    },
    Remove {
        owner: String,
        number: i32,
    },
    Get {
        owner: String,
        number: i32,
    },
    /// From here, and up to there: `[owner, number, whether it is itself meant]`.
    Scan {
        from: Option<(String, i32, bool)>,
        to: Option<(String, i32, bool)>,
    },
    /// Raw SQL over the same table, which writes.
    Double {
        owner: String,
    },
    /// Raw SQL that reads.
    Count,
    /// SQL that looks as if it read, and writes.
    Withdraw {
        cents: i64,
    },
    /// What cannot be put, and is not passed on.
    PutNaN {
        owner: String,
    },
    PutTooMuch {
        owner: String,
    },
}

/// A row with a column of each kind.
#[derive(Row, Clone, Deserialize)]
#[row(table = "accounts", index(is_open, cents))]
struct Account {
    #[row(key)]
    owner: String,
    #[row(key)]
    number: i32,
    #[row(default)]
    cents: u64,
    #[row(default = 0.5)]
    rate: f64,
    #[row(default = true)]
    is_open: bool,
    #[row(default = "it's new")]
    note: String,
    #[row(default)]
    seal: Vec<u8>,
    closed_on: Option<String>,
}

/// What was seen at an event.
#[derive(Row, Clone)]
#[row(table = "journal")]
struct Entry {
    #[row(key)]
    position: u64,
    saw: String,
}

/// The projection.
#[derive(Default)]
pub struct Ledger;

impl Projection for Ledger {
    fn manifest() -> Manifest {
        Manifest::new("ledger", env!("CARGO_PKG_VERSION")).table::<Account>().table::<Entry>()
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        let saw = obey(event.decode()?, store)?;
        store.table().put(Entry { position: event.position(), saw })
    }
}

fn obey(told: Told, store: &Store) -> Result<String> {
    let accounts = store.table::<Account>();
    Ok(match told {
        Told::Put(account) => {
            accounts.put(account)?;
            String::new()
        }
        Told::Insert(account) => {
            // What it says is not passed on: the batch must fail all the same.
            let refused = accounts.insert(account);
            refused.map_or_else(|error| error.to_string(), |()| String::new())
        }
        Told::Add { owner, number, cents } => {
            accounts.update((&owner, number), |account| account.cents += cents)?.to_string()
        }
        Told::AddOrOpen { owner, number, cents } => {
            accounts.upsert((&owner, number), |account| account.cents += cents)?;
            String::new()
        }
        Told::Remove { owner, number } => accounts.remove((&owner, number))?.map_or(String::new(), shown),
        Told::Get { owner, number } => accounts.get((&owner, number))?.map_or(String::new(), shown),
        Told::Scan { from, to } => {
            fn bound(end: &Option<(String, i32, bool)>) -> Bound<(&str, i32)> {
                match end {
                    Some((owner, number, true)) => Bound::Included((owner, *number)),
                    Some((owner, number, false)) => Bound::Excluded((owner, *number)),
                    None => Bound::Unbounded,
                }
            }
            let found = accounts.scan((bound(&from), bound(&to)))?;
            found.into_iter().map(shown).collect::<Vec<_>>().join("; ")
        }
        Told::Double { owner } => {
            store.execute("UPDATE accounts SET cents = cents * 2 WHERE owner = ?1", (owner,))?.to_string()
        }
        Told::Count => {
            let row: Option<(i64, Option<i64>)> = store.query_one("SELECT count(*), sum(cents) FROM accounts", ())?;
            format!("{row:?}")
        }
        Told::Withdraw { cents } => {
            let sql = "WITH rich AS (SELECT owner, number FROM accounts WHERE cents >= ?1)
                 UPDATE accounts SET cents = cents - ?1 WHERE (owner, number) IN rich RETURNING owner";
            let owners: Vec<(String,)> = store.query(sql, (cents,))?;
            owners.len().to_string()
        }
        Told::PutNaN { owner } => {
            let refused = accounts.put(Account { rate: f64::NAN, ..Account::from_key((&owner, 0)) });
            refused.map_or_else(|error| error.to_string(), |()| "taken".into())
        }
        Told::PutTooMuch { owner } => {
            let refused = accounts.put(Account { seal: vec![7; 2 << 20], ..Account::from_key((&owner, 0)) });
            refused.map_or_else(|error| error.to_string(), |()| "taken".into())
        }
    })
}

fn shown(account: Account) -> String {
    let Account { owner, number, cents, rate, is_open, note, seal, closed_on } = account;
    format!("{owner} {number} {cents} {rate:?} {is_open} {note} {seal:?} {closed_on:?}")
}

laterna_sdk::export!(Ledger);
