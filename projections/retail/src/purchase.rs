//! The events that have lines, and the figures that they add.

use serde::Deserialize;
use std::collections::BTreeMap;

/// An order, a cancellation (quantities negative), a stock adjustment or a bad debt.
#[derive(Deserialize)]
pub struct Purchase {
    /// `None`: a guest.
    pub customer_id: Option<String>,
    #[serde(default)]
    pub country: String,
    pub lines: Vec<Line>,
}

#[derive(Deserialize)]
pub struct Line {
    pub stock_code: String,
    pub description: Option<String>,
    pub quantity: i64,
    pub unit_price_mils: i64,
}

/// One product's part of a purchase.
#[derive(Default)]
pub struct ProductPart<'a> {
    /// The last one that is not empty.
    pub description: Option<&'a str>,
    pub units: i64,
    pub amount_mils: i64,
}

/// What an event adds to the running figures.
#[derive(Default)]
pub struct Figures {
    pub orders: i64,
    pub cancellations: i64,
    pub placed_mils: i64,
    pub cancelled_mils: i64,
    pub bad_debt_mils: i64,
    pub units_placed: i64,
    pub units_cancelled: i64,
    pub units_adjusted: i64,
    pub lines: i64,
}

impl Figures {
    pub fn net_mils(&self) -> i64 {
        self.placed_mils - self.cancelled_mils
    }

    pub fn units_net(&self) -> i64 {
        self.units_placed - self.units_cancelled
    }
}

impl Purchase {
    pub fn placed(&self) -> Figures {
        Figures { orders: 1, placed_mils: self.amount_mils(), units_placed: self.units(), ..self.lines_only() }
    }

    pub fn cancelled(&self) -> Figures {
        Figures {
            cancellations: 1,
            cancelled_mils: -self.amount_mils(),
            units_cancelled: -self.units(),
            ..self.lines_only()
        }
    }

    pub fn adjusted(&self) -> Figures {
        Figures { units_adjusted: self.units(), ..self.lines_only() }
    }

    pub fn written_off(&self) -> Figures {
        Figures { bad_debt_mils: self.amount_mils(), ..self.lines_only() }
    }

    /// The lines by product, so that a product counts an order once.
    pub fn by_product(&self) -> BTreeMap<&str, ProductPart<'_>> {
        let mut products: BTreeMap<&str, ProductPart> = BTreeMap::new();
        for line in &self.lines {
            let product = products.entry(&line.stock_code).or_default();
            product.description = line.description.as_deref().filter(|text| !text.is_empty()).or(product.description);
            product.units += line.quantity;
            product.amount_mils += line.quantity * line.unit_price_mils;
        }
        products
    }

    fn lines_only(&self) -> Figures {
        Figures { lines: self.lines.len() as i64, ..Figures::default() }
    }

    fn amount_mils(&self) -> i64 {
        self.lines.iter().map(|line| line.quantity * line.unit_price_mils).sum()
    }

    fn units(&self) -> i64 {
        self.lines.iter().map(|line| line.quantity).sum()
    }
}
