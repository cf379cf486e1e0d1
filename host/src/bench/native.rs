//! The reference of a rebuild: the loop that a good engineer would write in an afternoon without Laterna. One thread, prepared
//! statements, borrowed fields, one SQL statement for each change, a transaction for each 1,000 events.

use super::Error;
use rusqlite::{Connection, OpenFlags, params};
use serde::Deserialize;
use std::path::Path;
use std::time::{Duration, Instant};

const EVENTS_PER_TRANSACTION: u64 = 1_000;

const TABLES: &str = "
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    status TEXT NOT NULL,
    total_cents INTEGER NOT NULL,
    updated_position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE customers (
    customer_id TEXT PRIMARY KEY,
    orders INTEGER NOT NULL,
    spent_cents INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE products (
    sku TEXT PRIMARY KEY,
    ordered_qty INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

#[derive(Deserialize)]
struct Placed<'a> {
    order_id: &'a str,
    customer_id: &'a str,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    total_cents: i64,
}

#[derive(Deserialize)]
struct Item<'a> {
    sku: &'a str,
    qty: i64,
}

#[derive(Deserialize)]
struct Paid<'a> {
    order_id: &'a str,
    customer_id: &'a str,
    total_cents: i64,
}

#[derive(Deserialize)]
struct Moved<'a> {
    order_id: &'a str,
}

/// Folds the log in the file `log` into a new file `store`; answers the time from opening both to the last commit.
///
/// # Errors
/// SQLite cannot read or write, or an event is not of the workload.
pub fn rebuild(log: &Path, store: &Path) -> Result<Duration, Error> {
    super::remove(store)?;
    let started = Instant::now();
    let log = Connection::open_with_flags(log, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let store = Connection::open_with_flags(
        store,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    store.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;")?;
    store.execute_batch(TABLES)?;

    let mut insert_order = store.prepare("INSERT INTO orders VALUES (?1, ?2, 'placed', ?3, ?4)")?;
    let mut set_status = store.prepare("UPDATE orders SET status = ?2, updated_position = ?3 WHERE order_id = ?1")?;
    let mut count_order =
        store.prepare("INSERT INTO customers VALUES (?1, 1, 0) ON CONFLICT DO UPDATE SET orders = orders + 1")?;
    let mut add_spent = store.prepare("UPDATE customers SET spent_cents = spent_cents + ?2 WHERE customer_id = ?1")?;
    let mut add_ordered = store.prepare(
        "INSERT INTO products VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET ordered_qty = ordered_qty + excluded.ordered_qty",
    )?;

    let types = types(&log)?;
    let mut events = log.prepare("SELECT position, type, data FROM events ORDER BY position")?;
    let mut events = events.query([])?;
    let mut in_transaction = 0;
    while let Some(row) = events.next()? {
        if in_transaction == 0 {
            store.execute_batch("BEGIN")?;
        }
        let (position, event_type): (i64, u32) = (row.get(0)?, row.get(1)?);
        let data = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let event_type = types.get(event_type as usize).map_or("", String::as_str);
        match event_type {
            "OrderPlaced" => {
                let order: Placed = parse(data)?;
                insert_order.execute(params![order.order_id, order.customer_id, order.total_cents, position])?;
                count_order.execute([order.customer_id])?;
                for item in &order.items {
                    add_ordered.execute(params![item.sku, item.qty])?;
                }
            }
            "OrderPaid" => {
                let order: Paid = parse(data)?;
                set_status.execute(params![order.order_id, "paid", position])?;
                add_spent.execute(params![order.customer_id, order.total_cents])?;
            }
            moved => {
                let status = match moved {
                    "OrderShipped" => "shipped",
                    "OrderNoteAdded" => "noted",
                    "OrderDelivered" => "delivered",
                    "OrderCancelled" => "cancelled",
                    other => return Err(Error::Event(format!("its type is `{other}`"))),
                };
                let order: Moved = parse(data)?;
                set_status.execute(params![order.order_id, status, position])?;
            }
        }
        in_transaction += 1;
        if in_transaction == EVENTS_PER_TRANSACTION {
            store.execute_batch("COMMIT")?;
            in_transaction = 0;
        }
    }
    if in_transaction > 0 {
        store.execute_batch("COMMIT")?;
    }
    Ok(started.elapsed())
}

/// The names of the types, by number.
fn types(log: &Connection) -> Result<Vec<String>, Error> {
    let mut types = Vec::new();
    let mut names = log.prepare("SELECT id, name FROM names ORDER BY id")?;
    let mut names = names.query([])?;
    while let Some(row) = names.next()? {
        types.resize(row.get::<_, u32>(0)? as usize, String::new());
        types.push(row.get(1)?);
    }
    Ok(types)
}

fn parse<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(data).map_err(|error| Error::Event(error.to_string()))
}
