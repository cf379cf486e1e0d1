//! What it does to an event, by the event's type.

use crate::says::Says;
use crate::streams;
use laterna_sdk::bindings::exports::laterna::plugin::fold;
use laterna_sdk::bindings::laterna::plugin::sql;
use laterna_sdk::bindings::laterna::plugin::types::ValueParam;
use laterna_sdk::prelude::*;
use serde::Deserialize;
use std::hint::black_box;

/// Whether a batch is applied one event after another, or refused at a glance.
pub enum Company {
    Good,
    /// The position that it names, and what it says.
    Bad(Option<u64>, &'static str),
}

impl Company {
    pub fn of(batch: &fold::Batch) -> Self {
        const POSITION: usize = 0;
        const TYPE: usize = 8;
        let heads = batch.heads.as_chunks::<16>().0;
        let text = |piece: u64| &batch.bytes[(piece >> 32) as usize..][..piece as u32 as usize];
        for head in heads {
            match text(head[TYPE]) {
                // The first event of the batch is innocent, unless it is alone.
                b"BlamedTheFirst" => return Self::Bad(Some(heads[0][POSITION]), "it was the first one"),
                b"BlamedNobodyThere" => return Self::Bad(Some(u64::MAX), "it was one that you never gave me"),
                // Fails in company only: nobody is at fault.
                b"ShiedAway" if heads.len() > 1 => return Self::Bad(None, "too many here"),
                _ => {}
            }
        }
        Self::Good
    }
}

pub fn while_describing(says: &Says) {
    match says.deed.as_str() {
        "trap" => panic!("who am I?"),
        "loop" => endless(),
        "grow" => grow(),
        "recurse" => drop(black_box(recurse(1))),
        "use SQL" => drop(sql::prepare("SELECT 1")),
        "exit" => std::process::exit(1),
        _ => {}
    }
}

/// Applies an event, which is the one with this number in its batch.
pub fn apply(event: &Event<'_>, store: &Store, company: u64) -> Result<()> {
    match event.event_type() {
        "Failed" => Err(Error::new("an order without a customer")),
        "Trapped" => panic!("the warehouse is on fire"),
        "Overflowed" => {
            let most: Option<(i64,)> = store.query_one("SELECT 9223372036854775807", ())?;
            store.execute("UPDATE counts SET events = ?1", (most.map_or(0, |(most,)| most + 1),))?;
            Ok(())
        }
        "Exited" => std::process::exit(0),
        "Looped" => endless(),
        "Recursed" => noted(store, event, &recurse(1).to_string()),
        "Sank" => noted(store, event, &sink(1).to_string()),
        "Grew" => grow(),
        // Its wish for memory is refused, it goes on, and it is another thing that ends it.
        "GrewAndRecursed" => {
            let mut vain: Vec<u8> = Vec::new();
            let refused = black_box(&mut vain).try_reserve_exact(1 << 30).is_err();
            noted(store, event, &format!("{refused} {}", recurse(1)))
        }
        "GrewAndLooped" => {
            let mut vain: Vec<u8> = Vec::new();
            if black_box(&mut vain).try_reserve_exact(1 << 30).is_err() { endless() } else { Ok(()) }
        }
        "Chattered" => loop {
            eprintln!("and another thing");
        },
        "Shouted" => {
            let (stderr, shout) = (streams::stderr(), vec![b'A'; 4 << 20]);
            loop {
                streams::write(stderr, &shout);
            }
        }
        "Flooded" => loop {
            store.execute("UPDATE counts SET events = events WHERE type = 'nothing'", ())?;
        },
        "FloodedInVain" => {
            let one = raw(sql::prepare("SELECT ?1, ?2"))?.statement;
            loop {
                drop(black_box(sql::execute_many(one, &[ValueParam::Null])));
            }
        }
        "Prepared" => loop {
            raw(sql::prepare("SELECT 1"))?;
        },
        "Burned" => {
            let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
            let counted: Option<(i64,)> = store.query_one(endless, ())?;
            noted(store, event, &format!("{counted:?}"))
        }
        // Takes as much as it is told to, and is done.
        "Toiled" => {
            #[derive(Deserialize)]
            struct Toil {
                rounds: u64,
            }
            let Toil { rounds } = event.json()?;
            (0..rounds).for_each(|round| drop(black_box(round)));
            noted(store, event, "done")
        }
        // Says in which version it came, and which way.
        "Shifted" => {
            #[derive(Deserialize)]
            struct Shifted {
                #[serde(default)]
                way: String,
            }
            let way = event.json::<Shifted>()?.way;
            noted(store, event, &format!("{way}{}", event.schema_version()))
        }
        // Fails where its data says so.
        "Judged" => {
            #[derive(Deserialize)]
            struct Judged {
                #[serde(default)]
                fails: bool,
            }
            if event.json::<Judged>()?.fails { Err(Error::new("it says itself that it fails")) } else { Ok(()) }
        }
        // All in one step of SQLite's machine, where nothing ends it.
        "Searched" => {
            let search = "SELECT instr(printf('%.*c', 2000000, 'a'), printf('%.*c', 1000000, 'a') || 'b')";
            let found: Option<(i64,)> = store.query_one(search, ())?;
            noted(store, event, &format!("{found:?}"))
        }
        // Few steps, each of them long.
        "ComparedLong" => {
            let compared = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000),
                                 t (a, b) AS MATERIALIZED (SELECT printf('%.*c', 2000000, 'a'), printf('%.*c', 2000000, 'a'))
                            SELECT count(*) FROM n, t WHERE t.a || n.i <> t.b";
            let counted: Option<(i64,)> = store.query_one(compared, ())?;
            noted(store, event, &format!("{counted:?}"))
        }
        "Answered" => {
            let much = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)
                        SELECT zeroblob(1000000) FROM n";
            let rows = store.query::<(Vec<u8>,)>(much, ())?;
            noted(store, event, &rows.len().to_string())
        }
        "Violated" => {
            store.execute("INSERT INTO ones VALUES (2)", ())?;
            Ok(())
        }
        // A statement that fails undoes itself alone; who expects that may go on.
        "Forgave" => {
            let refused = store.execute("INSERT INTO ones VALUES (1), (2)", ());
            noted(store, event, &format!("{}", refused.is_err_and(|error| error.is_constraint())))
        }
        "RolledBack" => {
            drop(store.execute("INSERT OR ROLLBACK INTO ones VALUES (2)", ()));
            noted(store, event, "went on as if nothing had happened")
        }
        "Forged" => {
            drop(sql::query(12_345, &[]));
            noted(store, event, "went on as if nothing had happened")
        }
        "Hoarded" => loop {
            store.execute("INSERT INTO heap (bytes) VALUES (zeroblob(1000000))", ())?;
        },
        "Asked" => asked(event, store),
        // What it writes depends on who came along.
        "Compared" => noted(store, event, &format!("number {company} of its batch")),
        // A good one.
        _ => Ok(()),
    }
}

/// Runs each statement that the event carries, and notes what became of it.
fn asked(event: &Event<'_>, store: &Store) -> Result<()> {
    #[derive(Deserialize)]
    struct Asked {
        sql: Vec<String>,
    }
    let asked: Asked = event.json()?;
    for (line, text) in asked.sql.iter().enumerate() {
        let prepared = sql::prepare(text);
        let ran = prepared.and_then(|prepared| sql::query(prepared.statement, &[]));
        let note = match ran {
            Ok(cells) => format!("answered {cells:?}"),
            Err(error) => format!("{}: {}", error.code, error.message),
        };
        store.execute("INSERT INTO notes VALUES (?1, ?2, ?3)", (event.position() as i64, line as i64, note))?;
    }
    Ok(())
}

fn noted(store: &Store, event: &Event<'_>, note: &str) -> Result<()> {
    store.execute("INSERT INTO notes VALUES (?1, 0, ?2)", (event.position() as i64, note))?;
    Ok(())
}

fn raw<T>(answer: Result<T, sql::Error>) -> Result<T> {
    answer.map_err(|error| Error::new(error.message))
}

pub fn endless() -> ! {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

pub fn grow() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Goes down for ever, with next to nothing on the stack that Rust keeps in memory: WebAssembly's own runs out.
#[allow(unconditional_recursion)]
#[inline(never)]
pub fn recurse(depth: u64) -> u64 {
    recurse(depth.wrapping_add(1)).wrapping_mul(31) ^ depth
}

/// Goes down for ever, with much on the stack that Rust keeps in memory: that one runs out.
#[allow(unconditional_recursion)]
#[inline(never)]
fn sink(depth: u64) -> u64 {
    let ballast = black_box([depth; 4096]);
    sink(depth.wrapping_add(1)).wrapping_add(ballast[depth as usize % 4096])
}
