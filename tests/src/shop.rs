//! A shop's figures at every position of its log, computed from the events alone: what `retail` must have come to there.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Each row of a table by its key, as it was from each position on at which it changed.
#[derive(Default)]
struct Table(BTreeMap<String, Vec<(u64, Value)>>);

impl Table {
    fn row(&self, key: &str, position: u64) -> Option<&Value> {
        let versions = self.0.get(key)?;
        let next = versions.partition_point(|(since, _)| *since <= position);
        next.checked_sub(1).map(|last| &versions[last].1)
    }

    /// All rows, by key.
    fn rows(&self, position: u64) -> impl Iterator<Item = &Value> {
        self.0.keys().filter_map(move |key| self.row(key, position))
    }

    /// Changes a row, which begins as `first` where there is none.
    fn change(&mut self, key: &str, position: u64, first: &Value, change: impl FnOnce(&mut Value)) {
        let mut row = self.row(key, position).unwrap_or(first).clone();
        change(&mut row);
        self.0.entry(key.to_owned()).or_default().push((position, row));
    }
}

fn add(row: &mut Value, column: &str, figure: i64) {
    row[column] = json!(row[column].as_i64().expect("a number") + figure);
}

/// The figures of a shop.
#[derive(Default)]
pub struct Shop {
    head: u64,
    totals: Table,
    countries: Table,
    customers: Table,
}

impl Shop {
    /// The position of the last event that was counted.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Counts the event that stands at the next position.
    pub fn count(&mut self, event: &Value) {
        self.head += 1;
        let (data, of_type) = (&event["data"], event["type"].as_str().expect("a type"));
        let at = &event["occurred_at"];
        let position = self.head;
        if of_type == "CustomerRegistered" {
            let first = customer(data, at);
            let id = data["customer_id"].as_str().expect("an id");
            return self.customers.change(id, position, &first, |row| row["registered_at"] = at.clone());
        }
        let Some(lines) = data["lines"].as_array() else { return };
        let number = |line: &Value, name: &str| line[name].as_i64().expect("a number");
        let units: i64 = lines.iter().map(|line| number(line, "quantity")).sum();
        let mils: i64 = lines.iter().map(|line| number(line, "quantity") * number(line, "unit_price_mils")).sum();
        // What it adds, and to which of the columns.
        let (orders, cancellations, placed, cancelled) = match of_type {
            "OrderPlaced" => (1, 0, (mils, units), (0, 0)),
            "OrderCancelled" => (0, 1, (0, 0), (-mils, -units)),
            _ => (0, 0, (0, 0), (0, 0)),
        };
        let adjusted = if of_type == "StockAdjusted" { units } else { 0 };
        let nothing = json!({
            "id": 1, "placed_mils": 0, "cancelled_mils": 0, "bad_debt_mils": 0, "units_placed": 0, "units_cancelled": 0,
            "units_adjusted": 0, "lines": 0,
        });
        self.totals.change("", position, &nothing, |row| {
            add(row, "placed_mils", placed.0);
            add(row, "cancelled_mils", cancelled.0);
            add(row, "units_placed", placed.1);
            add(row, "units_cancelled", cancelled.1);
            add(row, "units_adjusted", adjusted);
            add(row, "lines", lines.len() as i64);
        });
        if orders + cancellations == 0 {
            return;
        }
        let net = placed.0 - cancelled.0;
        let country = data["country"].as_str().expect("a country");
        let first = json!({ "country": country, "orders": 0, "cancellations": 0, "net_mils": 0 });
        self.countries.change(country, position, &first, |row| {
            add(row, "orders", orders);
            add(row, "cancellations", cancellations);
            add(row, "net_mils", net);
        });
        let Some(id) = data["customer_id"].as_str() else { return };
        self.customers.change(id, position, &customer(data, at), |row| {
            add(row, "orders", orders);
            add(row, "cancellations", cancellations);
            add(row, "placed_mils", placed.0);
            add(row, "cancelled_mils", cancelled.0);
            add(row, "net_mils", net);
            add(row, "units_net", placed.1 - cancelled.1);
            row["last_activity_at"] = at.clone();
        });
    }

    /// The rows of `totals`.
    #[must_use]
    pub fn totals(&self, position: u64) -> Value {
        self.totals.rows(position).cloned().collect()
    }

    /// The rows of `countries`.
    #[must_use]
    pub fn countries(&self, position: u64) -> Value {
        self.countries.rows(position).cloned().collect()
    }

    /// The rows that the query `customer` answers.
    #[must_use]
    pub fn customer(&self, id: &str, position: u64) -> Value {
        self.customers.row(id, position).into_iter().cloned().collect()
    }

    /// The rows that the query `top_customers` answers.
    #[must_use]
    pub fn top_customers(&self, count: usize, position: u64) -> Value {
        let net_mils = |row: &Value| row["net_mils"].as_i64().expect("a number");
        let mut best: Vec<&Value> = self.customers.rows(position).filter(|row| net_mils(row) >= 0).collect();
        // Those who bought as much stay in the order of their ids.
        best.sort_by_key(|row| std::cmp::Reverse(net_mils(row)));
        let shown = ["customer_id", "country", "orders", "net_mils"];
        let show = |row: &&Value| shown.iter().map(|column| (*column, row[column].clone())).collect::<Value>();
        best.iter().take(count).map(show).collect()
    }

    /// What the query `share` answers.
    #[must_use]
    pub fn share(&self, country: &str, position: u64) -> Value {
        let net_mils = |row: &Value| row["net_mils"].as_i64().expect("a number");
        let all: i64 = self.countries.rows(position).map(net_mils).sum();
        let one = self.countries.row(country, position).map_or(0, net_mils);
        let per_mille = if all == 0 { 0 } else { one * 1_000 / all };
        json!({ "country": country, "net_mils": one, "of_mils": all, "per_mille": per_mille })
    }
}

fn customer(data: &Value, at: &Value) -> Value {
    json!({
        "customer_id": data["customer_id"], "country": data["country"], "registered_at": null, "orders": 0,
        "cancellations": 0, "placed_mils": 0, "cancelled_mils": 0, "net_mils": 0, "units_net": 0, "last_activity_at": at,
    })
}
