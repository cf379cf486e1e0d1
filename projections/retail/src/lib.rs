//! What a shop wants to know of its purchases: totals, and figures by customer, product, month and country.
//!
//! Made for the events of the *Online Retail* data set. Money is in integer mils, a thousandth of a pound; cancelled
//! figures are positive.

mod purchase;
mod tables;

use laterna_sdk::{dates, prelude::*};
use purchase::{Figures, ProductPart, Purchase};
use serde::Deserialize;
use tables::{Country, Customer, Month, Product, Totals};

#[derive(Deserialize)]
enum Shop {
    CustomerRegistered { customer_id: String, country: String },
    CustomerCountryChanged { customer_id: String, to: String },
    OrderPlaced(Purchase),
    OrderCancelled(Purchase),
    StockAdjusted(Purchase),
    BadDebtAdjusted(Purchase),
}

/// The projection.
#[derive(Default)]
pub struct Retail;

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
            .table::<Totals>()
            .table::<Customer>()
            .table::<Product>()
            .table::<Month>()
            .table::<Country>()
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
        let month = dates::month(event.occurred_on()?);
        let months = store.table::<Month>();
        // A month has a row from its first event on, whatever that is.
        months.upsert(&month, |_| {})?;
        match event.decode()? {
            Shop::CustomerRegistered { customer_id, country } => {
                let mut customer = customer(store, &customer_id, &country, at)?;
                customer.registered_at = Some(at.into());
                store.table().put(customer)?;
                months.upsert(&month, |month| month.new_customers += 1)?;
            }
            Shop::CustomerCountryChanged { customer_id, to } => {
                store.table::<Customer>().update(&customer_id, |customer| customer.country = to)?;
            }
            Shop::OrderPlaced(purchase) => {
                change_products(store, &purchase, Product::add_order)?;
                add(store, &purchase, &purchase.placed(), &month, at)?;
            }
            Shop::OrderCancelled(purchase) => {
                change_products(store, &purchase, Product::add_cancellation)?;
                add(store, &purchase, &purchase.cancelled(), &month, at)?;
            }
            Shop::StockAdjusted(purchase) => {
                change_products(store, &purchase, Product::adjust)?;
                store.table::<Totals>().upsert(Totals::ID, |totals| totals.add(&purchase.adjusted()))?;
            }
            Shop::BadDebtAdjusted(purchase) => {
                // It makes its products known, and counts in no figure of theirs.
                change_products(store, &purchase, |_, _| {})?;
                store.table::<Totals>().upsert(Totals::ID, |totals| totals.add(&purchase.written_off()))?;
            }
        }
        Ok(())
    }

    fn query(&self, name: &str, arguments: &Arguments, store: &Store) -> Result<Json> {
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

/// Changes the row of each product that a purchase has lines of.
fn change_products(store: &Store, purchase: &Purchase, change: fn(&mut Product, &ProductPart<'_>)) -> Result<()> {
    let products = store.table::<Product>();
    for (stock_code, part) in purchase.by_product() {
        products.upsert(stock_code, |product| {
            product.describe(&part);
            change(product, &part);
        })?;
    }
    Ok(())
}

/// Adds an order or a cancellation to all that keep figures of both.
fn add(store: &Store, purchase: &Purchase, figures: &Figures, month: &str, at: &str) -> Result<()> {
    store.table::<Totals>().upsert(Totals::ID, |totals| totals.add(figures))?;
    store.table::<Month>().upsert(month, |month| month.add(figures, purchase.customer_id.is_none()))?;
    store.table::<Country>().upsert(&purchase.country, |country| country.add(figures))?;
    if let Some(customer_id) = &purchase.customer_id {
        let mut customer = customer(store, customer_id, &purchase.country, at)?;
        customer.add(figures, at);
        store.table().put(customer)?;
    }
    Ok(())
}

/// The customer's row, or the first one of a customer who was not heard of yet.
fn customer(store: &Store, customer_id: &str, country: &str, at: &str) -> Result<Customer> {
    let known = store.table::<Customer>().get(customer_id)?;
    Ok(known.unwrap_or_else(|| Customer {
        country: country.into(),
        last_activity_at: at.into(),
        ..Customer::from_key(customer_id)
    }))
}

laterna_sdk::export!(Retail);
