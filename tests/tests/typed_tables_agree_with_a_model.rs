//! Typed tables under anything that can be done to them: what is read in between and what stands in the store in the end is what a
//! map in memory says, at any batch size, natively and as a component.

use laterna_sdk::native::{NewEvent, ReadModel};
use laterna_tests::natively::{Content, by_component, natively};
use laterna_tests::random::seed;
use laterna_tests::{build_component, root};
use ledger::Ledger;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Bound;

const PUT: &str = r#"{"owner": "ann", "number": 1, "cents": 5, "rate": 1, "is_open": true, "note": "", "seal": [], "closed_on": null}"#;

/// Few keys, so that they meet often. Some look like each other, or sort in ways that are easily got wrong.
const OWNERS: &[&str] = &["ann", "an", "a\u{0}n", "", "\u{e4}nn", "somebody whose name is longer than most names are"];
const NUMBERS: &[i32] = &[-1, 0, 7, i32::MAX];

type Key = (String, i32);

#[derive(Debug, Clone)]
enum Told {
    Put(Key, u64, f64, bool, Option<String>),
    Insert(Key, u64),
    Add(Key, u64),
    AddOrOpen(Key, u64),
    Remove(Key),
    Get(Key),
    Scan(Option<(Key, bool)>, Option<(Key, bool)>),
    Double(String),
    Count,
    Withdraw(i64),
    PutNaN(String),
    PutTooMuch(String),
}

fn told() -> impl Strategy<Value = Told> {
    let owner = || prop::sample::select(OWNERS).prop_map(str::to_owned);
    let key = move || (owner(), prop::sample::select(NUMBERS));
    let end = move || prop::option::of((key(), any::<bool>()));
    let cents = || 0..1_000_u64;
    let rate = prop::sample::select(&[0.0, -0.0, 1.5, -2.0, f64::MAX, f64::MIN_POSITIVE][..]);
    let closed_on = prop::option::of("[a-z']{0,3}");
    prop_oneof![
        4 => (key(), cents(), rate, any::<bool>(), closed_on).prop_map(|(k, c, r, o, d)| Told::Put(k, c, r, o, d)),
        4 => (key(), cents()).prop_map(|(key, cents)| Told::Insert(key, cents)),
        6 => (key(), cents()).prop_map(|(key, cents)| Told::Add(key, cents)),
        6 => (key(), cents()).prop_map(|(key, cents)| Told::AddOrOpen(key, cents)),
        3 => key().prop_map(Told::Remove),
        4 => key().prop_map(Told::Get),
        3 => (end(), end()).prop_map(|(from, to)| Told::Scan(from, to)),
        1 => owner().prop_map(Told::Double),
        1 => Just(Told::Count),
        1 => (1..500_i64).prop_map(Told::Withdraw),
        1 => owner().prop_map(Told::PutNaN),
        1 => owner().prop_map(Told::PutTooMuch),
    ]
}

impl Told {
    fn event(&self) -> Value {
        let (event_type, data) = match self {
            Self::Put((owner, number), cents, rate, is_open, closed_on) => {
                let seal: Vec<u8> = owner.bytes().collect();
                let account = json!({
                    "owner": owner, "number": number, "cents": cents, "rate": rate, "is_open": is_open, "note": "put",
                    "seal": seal, "closed_on": closed_on,
                });
                ("Put", account)
            }
            Self::Insert((owner, number), cents) => {
                let account = json!({
                    "owner": owner, "number": number, "cents": cents, "rate": 2.5, "is_open": false, "note": "inserted",
                    "seal": [], "closed_on": null,
                });
                ("Insert", account)
            }
            Self::Add((owner, number), cents) => ("Add", json!({ "owner": owner, "number": number, "cents": cents })),
            Self::AddOrOpen((owner, number), cents) => {
                ("AddOrOpen", json!({ "owner": owner, "number": number, "cents": cents }))
            }
            Self::Remove((owner, number)) => ("Remove", json!({ "owner": owner, "number": number })),
            Self::Get((owner, number)) => ("Get", json!({ "owner": owner, "number": number })),
            Self::Scan(from, to) => {
                let end = |end: &Option<(Key, bool)>| {
                    end.as_ref().map(|((owner, number), is_meant)| json!([owner, number, is_meant]))
                };
                ("Scan", json!({ "from": end(from), "to": end(to) }))
            }
            Self::Double(owner) => ("Double", json!({ "owner": owner })),
            Self::Count => ("Count", json!({})),
            Self::Withdraw(cents) => ("Withdraw", json!({ "cents": cents })),
            Self::PutNaN(owner) => ("PutNaN", json!({ "owner": owner })),
            Self::PutTooMuch(owner) => ("PutTooMuch", json!({ "owner": owner })),
        };
        json!({ "stream": "ledger", "type": event_type, "data": data })
    }
}

#[derive(Debug, Clone)]
struct Account {
    cents: u64,
    rate: f64,
    is_open: bool,
    note: String,
    seal: Vec<u8>,
    closed_on: Option<String>,
}

/// What a ledger is, as a map.
#[derive(Default)]
struct Model {
    accounts: BTreeMap<Key, Account>,
    journal: Vec<String>,
}

fn shown((owner, number): &Key, account: &Account) -> String {
    let Account { cents, rate, is_open, note, seal, closed_on } = account;
    format!("{owner} {number} {cents} {rate:?} {is_open} {note} {seal:?} {closed_on:?}")
}

impl Model {
    fn obey(&mut self, told: &Told) {
        let accounts = &mut self.accounts;
        let saw = match told.clone() {
            Told::Put(key, cents, rate, is_open, closed_on) => {
                let seal = key.0.bytes().collect();
                // SQLite keeps no negative zero.
                accounts.insert(key, Account { cents, rate: rate + 0.0, is_open, note: "put".into(), seal, closed_on });
                String::new()
            }
            Told::Insert(key, cents) => {
                let (rate, is_open, note, seal, closed_on) = (2.5, false, "inserted".into(), Vec::new(), None);
                let before = accounts.insert(key, Account { cents, rate, is_open, note, seal, closed_on });
                assert!(before.is_none(), "what cannot be inserted is not asked for");
                String::new()
            }
            Told::Add(key, cents) => {
                let account = accounts.get_mut(&key);
                let is_there = account.is_some();
                account.into_iter().for_each(|account| account.cents += cents);
                is_there.to_string()
            }
            Told::AddOrOpen(key, cents) => {
                let opened = || Account {
                    cents: 0,
                    rate: 0.5,
                    is_open: true,
                    note: "it's new".into(),
                    seal: Vec::new(),
                    closed_on: None,
                };
                accounts.entry(key).or_insert_with(opened).cents += cents;
                String::new()
            }
            Told::Remove(key) => accounts.remove(&key).map_or(String::new(), |account| shown(&key, &account)),
            Told::Get(key) => accounts.get(&key).map_or(String::new(), |account| shown(&key, account)),
            Told::Scan(from, to) => {
                let bound = |end: Option<(Key, bool)>| match end {
                    Some((key, true)) => Bound::Included(key),
                    Some((key, false)) => Bound::Excluded(key),
                    None => Bound::Unbounded,
                };
                let is_in = |key: &Key, from: &Bound<Key>, to: &Bound<Key>| {
                    let after = match from {
                        Bound::Included(from) => key >= from,
                        Bound::Excluded(from) => key > from,
                        Bound::Unbounded => true,
                    };
                    let before = match to {
                        Bound::Included(to) => key <= to,
                        Bound::Excluded(to) => key < to,
                        Bound::Unbounded => true,
                    };
                    after && before
                };
                let (from, to) = (bound(from), bound(to));
                let found = accounts.iter().filter(|(key, _)| is_in(key, &from, &to));
                found.map(|(key, account)| shown(key, account)).collect::<Vec<_>>().join("; ")
            }
            Told::Double(owner) => {
                let doubled = accounts.iter_mut().filter(|(key, _)| key.0 == owner);
                doubled.map(|(_, account)| account.cents *= 2).count().to_string()
            }
            Told::Count => {
                let sum = accounts.values().map(|account| account.cents as i64).reduce(|sum, cents| sum + cents);
                format!("{:?}", Some((accounts.len() as i64, sum)))
            }
            Told::Withdraw(cents) => {
                let rich = accounts.values_mut().filter(|account| account.cents as i64 >= cents);
                rich.map(|account| account.cents -= cents as u64).count().to_string()
            }
            Told::PutNaN(_) => {
                "column `rate` of table `accounts`: it is not a number (NaN), which SQLite takes for NULL".to_owned()
            }
            Told::PutTooMuch(owner) => {
                // Nine bytes a cell, besides what texts and blobs hold.
                let bytes = 8 * 9 + owner.len() + "it's new".len() + (2 << 20);
                format!("a row of table `accounts` has {bytes} bytes; 1048576 are allowed")
            }
        };
        self.journal.push(saw);
    }

    fn assert(&self, found: &Content, what: &str) {
        let journal: Vec<Vec<Cell>> =
            (1..).zip(&self.journal).map(|(at, saw)| vec![at.into(), saw.clone().into()]).collect();
        assert_eq!(*found.rows("journal"), journal, "what was seen, {what}");
        let row = |((owner, number), account): (&Key, &Account)| -> Vec<Cell> {
            vec![
                owner.clone().into(),
                (*number).into(),
                (account.cents as i64).into(),
                account.rate.into(),
                i64::from(account.is_open).into(),
                account.note.clone().into(),
                account.seal.clone().into(),
                account.closed_on.clone().into(),
            ]
        };
        assert_eq!(*found.rows("accounts"), self.accounts.iter().map(row).collect::<Vec<_>>(), "the accounts, {what}");
    }
}

fn check(all: &[Told], batches: &[usize], as_component: bool) {
    let mut model = Model::default();
    let mut events = Vec::new();
    for told in all {
        // Where it is there, the projection would halt; that is another test's.
        if !matches!(told, Told::Insert(key, _) if model.accounts.contains_key(key)) {
            model.obey(told);
            events.push(told.event());
        }
    }
    for batch in batches {
        model.assert(&natively::<Ledger>(&events, *batch), &format!("natively, in batches of {batch}"));
    }
    if as_component {
        let component = build_component(&root().join("tests/guests/ledger"));
        for (batch, content) in batches.iter().zip(by_component(&component, &events, batches)) {
            model.assert(&content, &format!("as a component, in batches of {batch}"));
        }
    }
}

/// Whether what is inserted is there, comes out only when it is written. Whatever becomes of the row in between, and whatever the
/// author makes of an error, the same event is at fault at any batch size.
#[test]
fn what_is_there_cannot_be_inserted() {
    let event =
        |event_type: &str, data: &str| NewEvent::new("ledger", event_type, serde_json::from_str(data).expect("JSON"));
    let key = r#"{"owner": "ann", "number": 1}"#;
    let stories = [
        ("put, then inserted", vec![event("Put", PUT), event("Insert", PUT)]),
        ("inserted twice", vec![event("Insert", PUT), event("Insert", PUT)]),
        ("removed after", vec![event("Put", PUT), event("Insert", PUT), event("Remove", key)]),
        ("put after", vec![event("Put", PUT), event("Insert", PUT), event("Put", PUT)]),
        ("counted after", vec![event("Put", PUT), event("Insert", PUT), event("Count", "{}")]),
    ];
    let empty = || ReadModel::<Ledger>::new().expect("the manifest is in order");
    for (name, events) in stories {
        assert!(empty().apply(events.clone()).is_err(), "{name}, in one batch");
        // What is there stands in the store, and this batch has not read it.
        let mut after = empty();
        after.apply([events[0].clone()]).expect("the first one can be applied");
        assert!(after.apply(events[1..].to_vec()).is_err(), "{name}, the first one in a batch before");
        let mut alone = empty();
        let results: Vec<bool> = events.into_iter().map(|event| alone.apply([event]).is_ok()).take(2).collect();
        assert_eq!(results, [true, false], "{name}, one by one");
    }
    let again =
        [event("Insert", PUT), event("Remove", key), event("Insert", PUT), event("Remove", key), event("Insert", PUT)];
    empty().apply(again).expect("what was removed can be inserted again");
}

fn whatever_is_told(test: &str, cases: u32, events: std::ops::Range<usize>, batches: &[usize], as_component: bool) {
    let seed = seed(test);
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, rng_seed, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let run = TestRunner::new(config).run(&prop::collection::vec(told(), events), |all| {
        check(&all, batches, as_component);
        Ok(())
    });
    if let Err(TestError::Fail(reason, all)) = run {
        panic!("LATERNA_SEED={seed}: {reason}\n{all:#?}");
    }
}

#[test]
fn natively_at_any_batch_size() {
    whatever_is_told("typed tables natively", 300, 1..60, &[1, 3, 7, 1_000], false);
}

#[test]
fn as_a_component_at_any_batch_size() {
    whatever_is_told("typed tables of a component", 2, 400..401, &[1, 7, 1_000], true);
}
