//! Where each order stands, what each customer spent, and how much of each product was ordered.
//!
//! Written with typed tables; `orders-sql` is the same by SQL. It is also what the benchmarks rebuild.

use laterna_sdk::prelude::*;
use serde::Deserialize;
use std::borrow::Cow;

/// Text is a `Cow`: borrowed from the event where it stands there as it is, owned where JSON escapes it.
#[derive(Deserialize)]
#[allow(clippy::enum_variant_names, reason = "the names are those of the events")]
enum Shop<'a> {
    OrderPlaced {
        #[serde(borrow)]
        order_id: Cow<'a, str>,
        #[serde(borrow)]
        customer_id: Cow<'a, str>,
        #[serde(borrow)]
        items: Vec<Item<'a>>,
        total_cents: i64,
    },
    OrderPaid {
        #[serde(borrow)]
        order_id: Cow<'a, str>,
        #[serde(borrow)]
        customer_id: Cow<'a, str>,
        total_cents: i64,
    },
    OrderShipped(#[serde(borrow)] Moved<'a>),
    OrderNoteAdded(#[serde(borrow)] Moved<'a>),
    OrderDelivered(#[serde(borrow)] Moved<'a>),
    OrderCancelled(#[serde(borrow)] Moved<'a>),
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    sku: Cow<'a, str>,
    qty: i64,
}

#[derive(Deserialize)]
struct Moved<'a> {
    #[serde(borrow)]
    order_id: Cow<'a, str>,
}

#[derive(Row, Clone)]
#[row(table = "orders")]
struct Order {
    #[row(key)]
    order_id: String,
    customer_id: String,
    status: Cow<'static, str>,
    total_cents: i64,
    updated_position: u64,
}

#[derive(Row, Clone)]
#[row(table = "customers")]
struct Customer {
    #[row(key)]
    customer_id: String,
    #[row(default)]
    orders: i64,
    #[row(default)]
    spent_cents: i64,
}

#[derive(Row, Clone)]
#[row(table = "products")]
struct Product {
    #[row(key)]
    sku: String,
    #[row(default)]
    ordered_qty: i64,
}

/// The projection.
#[derive(Default)]
pub struct Orders;

impl Projection for Orders {
    fn manifest() -> Manifest {
        Manifest::new("orders", env!("CARGO_PKG_VERSION"))
            .describe("Where each order stands, what each customer spent, and how much of each product was ordered.")
            .consume_type("OrderPlaced", "a row for each order, the customer's count, each product's quantity")
            .consume_type("OrderPaid", "the order's status, and what its customer spent")
            .consume_type("OrderShipped", "the order's status")
            .consume_type("OrderNoteAdded", "the order's status")
            .consume_type("OrderDelivered", "the order's status")
            .consume_type("OrderCancelled", "the order's status")
            .table::<Order>()
            .table::<Customer>()
            .table::<Product>()
            .query(
                NamedQuery::sql("order", "SELECT * FROM orders WHERE order_id = :id")
                    .describe("One order's row.")
                    .required("id", ParameterType::Text, "the order's id"),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        let orders = store.table::<Order>();
        let set_status = |order_id: &str, status| -> Result<()> {
            orders.update(order_id, |order| {
                order.status = Cow::Borrowed(status);
                order.updated_position = event.position();
            })?;
            Ok(())
        };
        match event.decode()? {
            Shop::OrderPlaced { order_id, customer_id, items, total_cents } => {
                store.table::<Customer>().upsert(&customer_id, |customer| customer.orders += 1)?;
                let products = store.table::<Product>();
                for Item { sku, qty } in items {
                    products.upsert(&sku, |product| product.ordered_qty += qty)?;
                }
                orders.insert(Order {
                    order_id: order_id.into(),
                    customer_id: customer_id.into(),
                    status: Cow::Borrowed("placed"),
                    total_cents,
                    updated_position: event.position(),
                })?;
            }
            Shop::OrderPaid { order_id, customer_id, total_cents } => {
                set_status(&order_id, "paid")?;
                store.table::<Customer>().update(&customer_id, |customer| customer.spent_cents += total_cents)?;
            }
            Shop::OrderShipped(Moved { order_id }) => set_status(&order_id, "shipped")?,
            Shop::OrderNoteAdded(Moved { order_id }) => set_status(&order_id, "noted")?,
            Shop::OrderDelivered(Moved { order_id }) => set_status(&order_id, "delivered")?,
            Shop::OrderCancelled(Moved { order_id }) => set_status(&order_id, "cancelled")?,
        }
        Ok(())
    }
}

laterna_sdk::export!(Orders);
