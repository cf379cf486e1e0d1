//! The tables, and what a purchase adds to a row of each.

use crate::purchase::{Figures, ProductPart};
use laterna_sdk::Row;

/// All purchases. One row.
#[derive(Row, Clone)]
#[row(table = "totals")]
pub struct Totals {
    #[row(key)]
    pub id: i64,
    #[row(default)]
    pub placed_mils: i64,
    #[row(default)]
    pub cancelled_mils: i64,
    #[row(default)]
    pub bad_debt_mils: i64,
    #[row(default)]
    pub units_placed: i64,
    #[row(default)]
    pub units_cancelled: i64,
    #[row(default)]
    pub units_adjusted: i64,
    #[row(default)]
    pub lines: i64,
}

impl Totals {
    /// The key of the one row.
    pub const ID: i64 = 1;

    pub fn add(&mut self, figures: &Figures) {
        self.placed_mils += figures.placed_mils;
        self.cancelled_mils += figures.cancelled_mils;
        self.bad_debt_mils += figures.bad_debt_mils;
        self.units_placed += figures.units_placed;
        self.units_cancelled += figures.units_cancelled;
        self.units_adjusted += figures.units_adjusted;
        self.lines += figures.lines;
    }
}

#[derive(Row, Clone)]
#[row(table = "customers", index(net_mils))]
pub struct Customer {
    #[row(key)]
    pub customer_id: String,
    #[row(default)]
    pub country: String,
    /// `None` where an order came before the registration.
    pub registered_at: Option<String>,
    #[row(default)]
    pub orders: i64,
    #[row(default)]
    pub cancellations: i64,
    #[row(default)]
    pub placed_mils: i64,
    #[row(default)]
    pub cancelled_mils: i64,
    #[row(default)]
    pub net_mils: i64,
    #[row(default)]
    pub units_net: i64,
    #[row(default)]
    pub last_activity_at: String,
}

impl Customer {
    pub fn add(&mut self, figures: &Figures, at: &str) {
        self.orders += figures.orders;
        self.cancellations += figures.cancellations;
        self.placed_mils += figures.placed_mils;
        self.cancelled_mils += figures.cancelled_mils;
        self.net_mils += figures.net_mils();
        self.units_net += figures.units_net();
        self.last_activity_at = at.into();
    }
}

#[derive(Row, Clone)]
#[row(table = "products")]
pub struct Product {
    #[row(key)]
    pub stock_code: String,
    pub description: Option<String>,
    #[row(default)]
    pub orders: i64,
    #[row(default)]
    pub units_placed: i64,
    #[row(default)]
    pub units_cancelled: i64,
    #[row(default)]
    pub units_adjusted: i64,
    #[row(default)]
    pub placed_mils: i64,
    #[row(default)]
    pub cancelled_mils: i64,
    #[row(default)]
    pub net_mils: i64,
}

impl Product {
    /// Any event with lines makes its products known.
    pub fn describe(&mut self, part: &ProductPart<'_>) {
        if let Some(description) = part.description {
            self.description = Some(description.into());
        }
    }

    pub fn add_order(&mut self, part: &ProductPart<'_>) {
        self.orders += 1;
        self.units_placed += part.units;
        self.placed_mils += part.amount_mils;
        self.net_mils += part.amount_mils;
    }

    pub fn add_cancellation(&mut self, part: &ProductPart<'_>) {
        self.units_cancelled -= part.units;
        self.cancelled_mils -= part.amount_mils;
        self.net_mils += part.amount_mils;
    }

    pub fn adjust(&mut self, part: &ProductPart<'_>) {
        self.units_adjusted += part.units;
    }
}

#[derive(Row, Clone)]
#[row(table = "months")]
pub struct Month {
    #[row(key)]
    pub month: String,
    #[row(default)]
    pub orders: i64,
    #[row(default)]
    pub guest_orders: i64,
    #[row(default)]
    pub cancellations: i64,
    #[row(default)]
    pub new_customers: i64,
    #[row(default)]
    pub placed_mils: i64,
    #[row(default)]
    pub cancelled_mils: i64,
    #[row(default)]
    pub net_mils: i64,
    #[row(default)]
    pub units_net: i64,
}

impl Month {
    pub fn add(&mut self, figures: &Figures, is_guest: bool) {
        self.orders += figures.orders;
        self.guest_orders += if is_guest { figures.orders } else { 0 };
        self.cancellations += figures.cancellations;
        self.placed_mils += figures.placed_mils;
        self.cancelled_mils += figures.cancelled_mils;
        self.net_mils += figures.net_mils();
        self.units_net += figures.units_net();
    }
}

#[derive(Row, Clone)]
#[row(table = "countries")]
pub struct Country {
    #[row(key)]
    pub country: String,
    #[row(default)]
    pub orders: i64,
    #[row(default)]
    pub cancellations: i64,
    #[row(default)]
    pub net_mils: i64,
}

impl Country {
    pub fn add(&mut self, figures: &Figures) {
        self.orders += figures.orders;
        self.cancellations += figures.cancellations;
        self.net_mils += figures.net_mils();
    }
}
