//! A trade with cars, and what both versions of `cars` must make of it, computed from the events alone.

use rusqlite::types::Value as Cell;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How `cars` folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// It does not know that customers change their names.
    One,
    /// It does.
    Two,
}

const CARS: u16 = 5;
const CUSTOMERS: u16 = 3;
const COLOURS: &[&str] = &["blue", "red", "orange", "h\u{fc}bsch"];
const NAMES: &[&str] = &["Alice", "Bob", "Charlie", "Dan"];

/// The events of a log, in order.
#[derive(Default)]
pub struct Trade {
    events: Vec<Value>,
    /// Cars that were invented: each is created once.
    created: Vec<u16>,
}

struct Car {
    created_by: Value,
    colour: Value,
    customer_id: Value,
    customer: Value,
    position: u64,
}

impl Trade {
    /// The position of the last event.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.events.len() as u64
    }

    /// These events stand in the log, too, from now on.
    pub fn count(&mut self, events: Vec<Value>) {
        self.events.extend(events);
    }

    /// Something that may happen next, as a line of an import.
    pub fn invent(&mut self, choice: u16) -> Value {
        let (what, car, customer) = (choice % 7, choice / 7 % CARS, choice / 50 % CUSTOMERS);
        let pick = |list: &[&str]| list[usize::from(choice / 200) % list.len()].to_owned();
        let event =
            |of_type: &str, stream: String, data: Value| json!({ "type": of_type, "stream": stream, "data": data });
        let of_customer = |of_type| event(of_type, format!("customer-{customer}"), json!({ "name": pick(NAMES) }));
        let of_car = |of_type, data| event(of_type, format!("car-{car}"), data);
        match what {
            0 | 1 if !self.created.contains(&car) => {
                self.created.push(car);
                of_car("car.created", json!({ "by": pick(NAMES), "colour": pick(COLOURS) }))
            }
            0..=2 => of_car("car.repainted", json!({ "colour": pick(COLOURS) })),
            3 => of_car("car.sold", json!({ "to": customer.to_string() })),
            4 => of_customer("customer.created"),
            5 => of_customer("customer.renamed"),
            _ => event("customer.greeted", format!("customer-{customer}"), json!({})),
        }
    }

    /// The rows of a table at a position, as HTTP has them.
    #[must_use]
    pub fn rows(&self, table: &str, version: Version, position: u64) -> Value {
        let (cars, customers) = self.fold(version, position);
        let car = |(id, car): (String, Car)| {
            let Car { created_by, colour, customer_id, customer, position } = car;
            json!({
                "car_id": id, "created_by": created_by, "colour": colour, "customer_id": customer_id,
                "customer": customer, "position": position,
            })
        };
        match table {
            "cars" => cars.into_iter().map(car).collect(),
            _ => customers.into_iter().map(|(id, name)| json!({ "customer_id": id, "name": name })).collect(),
        }
    }

    /// Both versions come to the same at a position.
    #[must_use]
    pub fn is_same_for_both(&self, position: u64) -> bool {
        let rows = |version| ["cars", "customers"].map(|table| self.rows(table, version, position));
        rows(Version::One) == rows(Version::Two)
    }

    /// The rows of a table at a position, as SQLite has them.
    #[must_use]
    pub fn cells(&self, table: &str, version: Version, position: u64) -> Vec<Vec<Cell>> {
        let columns: &[&str] = match table {
            "cars" => &["car_id", "created_by", "colour", "customer_id", "customer", "position"],
            _ => &["customer_id", "name"],
        };
        let cell = |value: &Value| match value {
            Value::String(text) => Cell::Text(text.clone()),
            Value::Number(number) => Cell::Integer(number.as_i64().expect("a position")),
            _ => Cell::Null,
        };
        let rows = self.rows(table, version, position);
        let rows = rows.as_array().expect("rows").iter();
        rows.map(|row| columns.iter().map(|column| cell(&row[column])).collect()).collect()
    }

    fn fold(&self, version: Version, position: u64) -> (BTreeMap<String, Car>, BTreeMap<String, Value>) {
        let (mut cars, mut customers) = (BTreeMap::<String, Car>::new(), BTreeMap::<String, Value>::new());
        for (position, event) in (1..=position).zip(&self.events) {
            let stream = event["stream"].as_str().expect("a stream");
            let (id, data) = (stream.split_once('-').expect("an entity").1.to_owned(), &event["data"]);
            match event["type"].as_str().expect("a type") {
                "car.created" => {
                    let (created_by, colour) = (data["by"].clone(), data["colour"].clone());
                    let car = Car { created_by, colour, customer_id: Value::Null, customer: Value::Null, position };
                    cars.insert(id, car);
                }
                "car.repainted" => {
                    if let Some(car) = cars.get_mut(&id) {
                        (car.colour, car.position) = (data["colour"].clone(), position);
                    }
                }
                "car.sold" => {
                    if let Some(car) = cars.get_mut(&id) {
                        let customer = data["to"].as_str().and_then(|to| customers.get(to));
                        car.customer = customer.cloned().unwrap_or(Value::Null);
                        (car.customer_id, car.position) = (data["to"].clone(), position);
                    }
                }
                "customer.created" | "customer.renamed"
                    if event["type"] == "customer.created" || version == Version::Two =>
                {
                    let name = &data["name"];
                    for car in cars.values_mut().filter(|car| car.customer_id == *id && car.customer != *name) {
                        (car.customer, car.position) = (name.clone(), position);
                    }
                    customers.insert(id, name.clone());
                }
                _ => {}
            }
        }
        (cars, customers)
    }
}
