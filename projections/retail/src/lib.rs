//! What a shop wants to know of its purchases: totals, and figures by customer, product, month and country.
//!
//! Made for the events of the *Online Retail* data set. Money is in integer mils, a thousandth of a pound; cancelled
//! figures are positive.

mod purchase;

use laterna_sdk::prelude::*;
use purchase::{Figures, ProductPart, Purchase};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Default)]
struct Retail;

#[derive(Deserialize)]
struct Registered {
    customer_id: String,
    country: String,
}

#[derive(Deserialize)]
struct CountryChanged {
    customer_id: String,
    to: String,
}

impl Projection for Retail {
    fn manifest() -> Manifest {
        Manifest::new("retail", env!("CARGO_PKG_VERSION"))
            .describe("A shop's purchases: totals, and figures by customer, product, month and country.")
            .consume_type("CustomerRegistered", "a row for each customer, and the month's new customers")
            .consume_type("CustomerCountryChanged", "keeps the customer's country")
            .consume_type("OrderPlaced", "what was sold, to whom, when and where")
            .consume_type("OrderCancelled", "what came back")
            .consume_type("StockAdjusted", "units lost or found")
            .consume_type("BadDebtAdjusted", "what was written off")
            .schema(include_str!("schema.sql"))
            .query(
                NamedQuery::sql(
                    "top_customers",
                    "SELECT customer_id, country, orders, net_mils FROM customers
                     WHERE net_mils >= :at_least ORDER BY net_mils DESC, customer_id LIMIT :count",
                )
                .describe("The customers who bought most, after cancellations.")
                .optional("count", ParameterType::Integer, 10, "how many")
                .optional(
                    "at_least",
                    ParameterType::Integer,
                    0,
                    "only those who bought for so many mils",
                ),
            )
            .query(
                NamedQuery::sql("customer", "SELECT * FROM customers WHERE customer_id = :id")
                    .describe("One customer's row.")
                    .required("id", ParameterType::Text, "the customer's id"),
            )
            .query(
                NamedQuery::computed("share")
                    .describe("What part of the net turnover of all countries one country has, in tenths of a percent.")
                    .required("country", ParameterType::Text, "the country's name"),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        let at = event.occurred_at();
        let month = at.get(..7).ok_or_else(|| Error::new(format_args!("`{at}` has no month")))?;
        store.execute("INSERT INTO months VALUES (?1, 0, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING", (month,))?;
        match event.event_type() {
            "CustomerRegistered" => {
                let customer: Registered = event.json()?;
                store.execute(
                    "INSERT INTO customers (customer_id, country, registered_at, last_activity_at) VALUES (?1, ?2, ?3, ?3)
                     ON CONFLICT DO UPDATE SET registered_at = excluded.registered_at",
                    (&customer.customer_id, &customer.country, at),
                )?;
                store.execute("UPDATE months SET new_customers = new_customers + 1 WHERE month = ?1", (month,))?;
            }
            "CustomerCountryChanged" => {
                let change: CountryChanged = event.json()?;
                store.execute(
                    "UPDATE customers SET country = ?2 WHERE customer_id = ?1",
                    (&change.customer_id, &change.to),
                )?;
            }
            "OrderPlaced" | "OrderCancelled" => {
                let purchase: Purchase = event.json()?;
                let figures =
                    if event.event_type() == "OrderPlaced" { purchase.placed() } else { purchase.cancelled() };
                add_to_totals(store, &figures)?;
                add_to_products(store, &purchase, event.event_type())?;
                add_to_month(store, month, &figures, purchase.customer_id.is_none())?;
                add_to_country(store, &purchase.country, &figures)?;
                if let Some(customer_id) = &purchase.customer_id {
                    add_to_customer(store, customer_id, &purchase.country, at, &figures)?;
                }
            }
            "StockAdjusted" => {
                let purchase: Purchase = event.json()?;
                add_to_totals(store, &purchase.adjusted())?;
                add_to_products(store, &purchase, "StockAdjusted")?;
            }
            "BadDebtAdjusted" => {
                let purchase: Purchase = event.json()?;
                add_to_totals(store, &purchase.written_off())?;
                add_to_products(store, &purchase, "BadDebtAdjusted")?;
            }
            other => return Err(Error::new(format_args!("`{other}` was not subscribed to"))),
        }
        Ok(())
    }

    fn query(&self, name: &str, arguments: &Arguments, store: &Store) -> Result<Value> {
        match name {
            "share" => {
                let country: String = arguments.get("country")?;
                let all: Option<(Option<i64>,)> = store.query_one("SELECT sum(net_mils) FROM countries", ())?;
                let one: Option<(i64,)> =
                    store.query_one("SELECT net_mils FROM countries WHERE country = ?1", (&country,))?;
                let all_mils = all.and_then(|(all,)| all).unwrap_or(0);
                let one_mils = one.map_or(0, |(one,)| one);
                let per_mille = if all_mils == 0 { 0 } else { one_mils * 1_000 / all_mils };
                Ok(json!({ "country": country, "net_mils": one_mils, "of_mils": all_mils, "per_mille": per_mille }))
            }
            other => Err(Error::new(format_args!("no code answers the query `{other}`"))),
        }
    }
}

fn add_to_totals(store: &Store, figures: &Figures) -> Result<()> {
    store.execute(
        "INSERT INTO totals VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
            placed_mils = placed_mils + excluded.placed_mils,
            cancelled_mils = cancelled_mils + excluded.cancelled_mils,
            bad_debt_mils = bad_debt_mils + excluded.bad_debt_mils,
            units_placed = units_placed + excluded.units_placed,
            units_cancelled = units_cancelled + excluded.units_cancelled,
            units_adjusted = units_adjusted + excluded.units_adjusted,
            lines = lines + excluded.lines",
        (
            figures.placed_mils,
            figures.cancelled_mils,
            figures.bad_debt_mils,
            figures.units_placed,
            figures.units_cancelled,
            figures.units_adjusted,
            figures.lines,
        ),
    )?;
    Ok(())
}

fn add_to_products(store: &Store, purchase: &Purchase, event_type: &str) -> Result<()> {
    let rows =
        purchase.by_product().into_iter().map(|(stock_code, ProductPart { description, units, amount_mils })| {
            let [orders, placed, cancelled, adjusted, placed_mils, cancelled_mils] = match event_type {
                "OrderPlaced" => [1, units, 0, 0, amount_mils, 0],
                "OrderCancelled" => [0, 0, -units, 0, 0, -amount_mils],
                "StockAdjusted" => [0, 0, 0, units, 0, 0],
                // A bad debt makes its products known, and counts in no figure of theirs.
                _ => [0; 6],
            };
            let net_mils = placed_mils - cancelled_mils;
            (stock_code, description, orders, placed, cancelled, adjusted, placed_mils, cancelled_mils, net_mils)
        });
    store.execute_many(ADD_TO_PRODUCT, rows)?;
    Ok(())
}

const ADD_TO_PRODUCT: &str =
    "INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET
    description = coalesce(excluded.description, description),
    orders = orders + excluded.orders,
    units_placed = units_placed + excluded.units_placed,
    units_cancelled = units_cancelled + excluded.units_cancelled,
    units_adjusted = units_adjusted + excluded.units_adjusted,
    placed_mils = placed_mils + excluded.placed_mils,
    cancelled_mils = cancelled_mils + excluded.cancelled_mils,
    net_mils = net_mils + excluded.net_mils";

fn add_to_month(store: &Store, month: &str, figures: &Figures, guest: bool) -> Result<()> {
    store.execute(
        "UPDATE months SET
            orders = orders + ?2,
            guest_orders = guest_orders + ?3,
            cancellations = cancellations + ?4,
            placed_mils = placed_mils + ?5,
            cancelled_mils = cancelled_mils + ?6,
            net_mils = net_mils + ?5 - ?6,
            units_net = units_net + ?7
         WHERE month = ?1",
        (
            month,
            figures.orders,
            if guest { figures.orders } else { 0 },
            figures.cancellations,
            figures.placed_mils,
            figures.cancelled_mils,
            figures.units_net(),
        ),
    )?;
    Ok(())
}

fn add_to_country(store: &Store, country: &str, figures: &Figures) -> Result<()> {
    store.execute(
        "INSERT INTO countries VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
            orders = orders + excluded.orders,
            cancellations = cancellations + excluded.cancellations,
            net_mils = net_mils + excluded.net_mils",
        (country, figures.orders, figures.cancellations, figures.net_mils()),
    )?;
    Ok(())
}

fn add_to_customer(store: &Store, customer_id: &str, country: &str, at: &str, figures: &Figures) -> Result<()> {
    store.execute(
        "INSERT INTO customers VALUES (?1, ?2, NULL, ?4, ?5, ?6, ?7, ?6 - ?7, ?8, ?3) ON CONFLICT DO UPDATE SET
            orders = orders + excluded.orders,
            cancellations = cancellations + excluded.cancellations,
            placed_mils = placed_mils + excluded.placed_mils,
            cancelled_mils = cancelled_mils + excluded.cancelled_mils,
            net_mils = net_mils + excluded.net_mils,
            units_net = units_net + excluded.units_net,
            last_activity_at = excluded.last_activity_at",
        (
            customer_id,
            country,
            at,
            figures.orders,
            figures.cancellations,
            figures.placed_mils,
            figures.cancelled_mils,
            figures.units_net(),
        ),
    )?;
    Ok(())
}

laterna_sdk::export!(Retail);
