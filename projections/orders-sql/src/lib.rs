//! Where each order stands, what each customer spent, and how much of each product was ordered.
//!
//! The same read model as that of `orders`, written by SQL: one statement for each change. It is also what the benchmarks rebuild.

use laterna_sdk::prelude::*;
use serde::Deserialize;
use std::borrow::Cow;

/// The projection.
#[derive(Default)]
pub struct Orders;

/// Text is a `Cow`: borrowed from the event where it stands there as it is, owned where JSON escapes it.
#[derive(Deserialize)]
struct Placed<'a> {
    #[serde(borrow)]
    order_id: Cow<'a, str>,
    #[serde(borrow)]
    customer_id: Cow<'a, str>,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    total_cents: i64,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    sku: Cow<'a, str>,
    qty: i64,
}

#[derive(Deserialize)]
struct Paid<'a> {
    #[serde(borrow)]
    order_id: Cow<'a, str>,
    #[serde(borrow)]
    customer_id: Cow<'a, str>,
    total_cents: i64,
}

#[derive(Deserialize)]
struct Moved<'a> {
    #[serde(borrow)]
    order_id: Cow<'a, str>,
}

impl Projection for Orders {
    fn manifest() -> Manifest {
        Manifest::new("orders-sql", env!("CARGO_PKG_VERSION"))
            .describe("Where each order stands, what each customer spent, and how much of each product was ordered.")
            .consume_type("OrderPlaced", "a row for each order, the customer's count, each product's quantity")
            .consume_type("OrderPaid", "the order's status, and what its customer spent")
            .consume_type("OrderShipped", "the order's status")
            .consume_type("OrderNoteAdded", "the order's status")
            .consume_type("OrderDelivered", "the order's status")
            .consume_type("OrderCancelled", "the order's status")
            .schema(include_str!("schema.sql"))
            .query(
                NamedQuery::sql("order", "SELECT * FROM orders WHERE order_id = :id")
                    .describe("One order's row.")
                    .required("id", ParameterType::Text, "the order's id"),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        match event.event_type() {
            "OrderPlaced" => place(event, store),
            "OrderPaid" => pay(event, store),
            "OrderShipped" => set_status(event, store, "shipped"),
            "OrderNoteAdded" => set_status(event, store, "noted"),
            "OrderDelivered" => set_status(event, store, "delivered"),
            "OrderCancelled" => set_status(event, store, "cancelled"),
            other => Err(Error::new(format_args!("`{other}` was not subscribed to"))),
        }
    }
}

fn place(event: &Event<'_>, store: &Store) -> Result<()> {
    let order: Placed = event.json()?;
    store.execute(
        "INSERT INTO orders VALUES (?1, ?2, 'placed', ?3, ?4)",
        (&order.order_id, &order.customer_id, order.total_cents, event.position() as i64),
    )?;
    store.execute(
        "INSERT INTO customers VALUES (?1, 1, 0) ON CONFLICT DO UPDATE SET orders = orders + 1",
        (&order.customer_id,),
    )?;
    store.execute_many(
        "INSERT INTO products VALUES (?1, ?2) ON CONFLICT DO UPDATE SET ordered_qty = ordered_qty + excluded.ordered_qty",
        order.items.iter().map(|item| (&item.sku, item.qty)),
    )?;
    Ok(())
}

fn pay(event: &Event<'_>, store: &Store) -> Result<()> {
    let order: Paid = event.json()?;
    store.execute(
        "UPDATE orders SET status = 'paid', updated_position = ?2 WHERE order_id = ?1",
        (&order.order_id, event.position() as i64),
    )?;
    store.execute(
        "UPDATE customers SET spent_cents = spent_cents + ?2 WHERE customer_id = ?1",
        (&order.customer_id, order.total_cents),
    )?;
    Ok(())
}

fn set_status(event: &Event<'_>, store: &Store, status: &str) -> Result<()> {
    let order: Moved = event.json()?;
    store.execute(
        "UPDATE orders SET status = ?2, updated_position = ?3 WHERE order_id = ?1",
        (&order.order_id, status, event.position() as i64),
    )?;
    Ok(())
}

laterna_sdk::export!(Orders);
