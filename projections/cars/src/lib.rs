//! Which cars there are, what they look like, and whom they were sold to.
//!
//! Version 1 did not know that customers change their names. Version 2 does; it is built from the same crate, and swapped in while
//! events arrive: history is folded anew, so the names of those who bought long ago are right, too.

use laterna_sdk::prelude::*;
use serde::Deserialize;
use std::borrow::Cow;

/// The projection.
#[derive(Default)]
pub struct Cars;

#[derive(Deserialize)]
struct Created<'a> {
    #[serde(borrow)]
    by: Cow<'a, str>,
    #[serde(borrow)]
    colour: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Repainted<'a> {
    #[serde(borrow)]
    colour: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Sold<'a> {
    #[serde(borrow)]
    to: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl Projection for Cars {
    fn manifest() -> Manifest {
        let manifest = Manifest::new("cars", if cfg!(feature = "v1") { "1.0.0" } else { env!("CARGO_PKG_VERSION") })
            .describe("Which cars there are, what they look like, and whom they were sold to.")
            .consume_type("car.created", "a row for each car")
            .consume_type("car.repainted", "the car's colour")
            .consume_type("car.sold", "the car's customer")
            .consume_type("customer.created", "the names that sold cars show")
            .schema(include_str!("schema.sql"))
            .query(
                NamedQuery::sql("of_customer", "SELECT * FROM cars WHERE customer_id = :customer ORDER BY car_id")
                    .describe("The cars that a customer bought.")
                    .required("customer", ParameterType::Text, "the customer's id"),
            );
        if cfg!(feature = "v1") { manifest } else { manifest.consume_type("customer.renamed", "the new name") }
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        // The stream is the entity: `car-hrxs21`, `customer-b2dhuw`.
        let (_, id) =
            event.stream().split_once('-').ok_or_else(|| Error::new("the stream names no car and no customer"))?;
        let position = event.position() as i64;
        match event.event_type() {
            "car.created" => {
                let Created { by, colour } = event.json()?;
                store.execute("INSERT INTO cars VALUES (?1, ?2, ?3, NULL, NULL, ?4)", (id, by, colour, position))?;
            }
            "car.repainted" => {
                let Repainted { colour } = event.json()?;
                store
                    .execute("UPDATE cars SET colour = ?2, position = ?3 WHERE car_id = ?1", (id, colour, position))?;
            }
            "car.sold" => {
                let Sold { to } = event.json()?;
                store.execute(
                    "UPDATE cars SET customer_id = ?2, position = ?3,
                            customer = (SELECT name FROM customers WHERE customer_id = ?2)
                     WHERE car_id = ?1",
                    (id, to, position),
                )?;
            }
            "customer.created" | "customer.renamed" => {
                let Named { name } = event.json()?;
                store.execute(
                    "INSERT INTO customers VALUES (?1, ?2) ON CONFLICT DO UPDATE SET name = excluded.name",
                    (id, &name),
                )?;
                // Also a car that was sold before its customer was known.
                store.execute(
                    "UPDATE cars SET customer = ?2, position = ?3 WHERE customer_id = ?1 AND customer IS NOT ?2",
                    (id, &name, position),
                )?;
            }
            other => return Err(Error::new(format_args!("`{other}` was not subscribed to"))),
        }
        Ok(())
    }
}

laterna_sdk::export!(Cars);
