//! How many orders each customer placed, and for how much.

use laterna_sdk::prelude::*;
use serde::Deserialize;

/// The events that it folds: the type of an event names the variant, its data is the content.
#[derive(Deserialize)]
enum Shop {
    OrderPlaced { customer_id: String, total_cents: i64 },
}

/// A row of the table `customers`.
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

#[derive(Default)]
struct {{type}};

impl Projection for {{type}} {
    fn manifest() -> Manifest {
        Manifest::new("{{name}}", env!("CARGO_PKG_VERSION"))
            .describe("How many orders each customer placed, and for how much.")
            .consume_type("OrderPlaced", "counts it for its customer")
            .table::<Customer>()
            .query(
                NamedQuery::sql("best", "SELECT * FROM customers ORDER BY spent_cents DESC, customer_id LIMIT :count")
                    .describe("The customers who spent most.")
                    .optional("count", ParameterType::Integer, 10, "how many"),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        let customers = store.table::<Customer>();
        match event.decode()? {
            Shop::OrderPlaced { customer_id, total_cents } => customers.upsert(&customer_id, |customer| {
                customer.orders += 1;
                customer.spent_cents += total_cents;
            }),
        }
    }
}

laterna_sdk::export!({{type}});

#[cfg(test)]
mod tests {
    use super::*;
    use laterna_sdk::native::{NewEvent, ReadModel};

    #[test]
    fn an_order_counts_for_its_customer() -> Result<()> {
        let mut model = ReadModel::<{{type}}>::new()?;
        model.apply([
            NewEvent::new("order-1", "OrderPlaced", json!({"customer_id": "ann", "total_cents": 990})),
            NewEvent::new("order-2", "OrderPlaced", json!({"customer_id": "ann", "total_cents": 10})),
        ])?;
        assert_eq!(model.table("customers")?, [json!({"customer_id": "ann", "orders": 2, "spent_cents": 1000})]);
        Ok(())
    }
}
