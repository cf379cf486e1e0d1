//! The workload `orders`: shops take orders, and up to 500 of them are under way at a time.
//!
//! The same events in the same order each time, down to their ids. An order's stream is `order-<n>`, which is its `order_id`, too.
//! Events have 100 to 350 bytes of JSON, but for the delivery, whose two fields make about 60.

use super::Error;
use crate::log::{Import, Log, NewEvent};
use fastrand::Rng;
use std::fmt::Write;

const SEED: u64 = 0x6c61_7465_726e_6121;

/// Orders that are under way at a time.
const OPEN: usize = 500;
const CUSTOMERS: u32 = 10_000;
const PRODUCTS: u32 = 1_000;

/// Events that the log takes in one transaction.
const CHUNK: usize = 1_000;

/// 2026-01-01T00:00:00Z in milliseconds: when the first event has its id from.
const FIRST_MS: u64 = 1_767_225_600_000;

const METHODS: &[&str] = &["credit-card-kept-on-file", "bank-transfer-in-advance", "direct-debit-by-mandate"];
const CARRIERS: &[&str] = &["northern-parcel-service", "harbour-freight-lines", "swift-city-couriers"];
const REASONS: &[&str] = &[
    "the customer found the very same article at a lower price elsewhere",
    "the article is out of stock, and the customer did not want to wait",
    "the address could not be reached in all three attempts at delivery",
];
const WORDS: &[&str] = &[
    "please",
    "leave",
    "the",
    "parcel",
    "with",
    "a",
    "neighbour",
    "behind",
    "garden",
    "gate",
    "ring",
    "twice",
    "call",
    "before",
    "delivery",
    "fragile",
    "handle",
    "care",
    "gift",
    "wrap",
    "second",
    "floor",
    "no",
    "lift",
];

/// The events, in order, each with its stream. Never ends.
pub struct Workload {
    rng: Rng,
    open: Vec<Order>,
    placed: u64,
    /// Where the clock stands that the ids take their time from.
    now_ms: u64,
}

/// An order under way.
struct Order {
    number: u64,
    customer: u32,
    total_cents: u32,
    next: Step,
}

/// What becomes of an order after it was placed.
enum Step {
    Pay,
    Ship,
    Note,
    End,
}

impl Default for Workload {
    fn default() -> Self {
        Self { rng: Rng::with_seed(SEED), open: Vec::with_capacity(OPEN), placed: 0, now_ms: FIRST_MS }
    }
}

impl Iterator for Workload {
    type Item = (String, NewEvent);

    fn next(&mut self) -> Option<Self::Item> {
        self.now_ms += self.rng.u64(1..20);
        let (number, event_type, data) = if self.open.len() < OPEN { self.place() } else { self.move_on() };
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let id = uuid::Builder::from_unix_timestamp_millis(self.now_ms, &random).into_uuid().to_string();
        let event = NewEvent { id: Some(id), ..NewEvent::json(event_type, data) };
        Some((format!("order-{number}"), event))
    }
}

impl Workload {
    fn place(&mut self) -> (u64, &'static str, String) {
        self.placed += 1;
        let (number, customer) = (self.placed, self.rng.u32(..CUSTOMERS));
        let mut items = String::new();
        let mut total_cents = 0;
        for item in 0..self.rng.u32(1..=4) {
            let (sku, qty, price_cents) = (self.rng.u32(..PRODUCTS), self.rng.u32(1..=5), self.rng.u32(100..20_000));
            total_cents += qty * price_cents;
            let comma = if item > 0 { "," } else { "" };
            let _ = write!(items, r#"{comma}{{"sku":"sku-{sku:04}","qty":{qty},"price_cents":{price_cents}}}"#);
        }
        let data = format!(
            r#"{{"order_id":"order-{number}","customer_id":"customer-{customer:05}","items":[{items}],"total_cents":{total_cents}}}"#
        );
        self.open.push(Order { number, customer, total_cents, next: Step::Pay });
        (number, "OrderPlaced", data)
    }

    fn move_on(&mut self) -> (u64, &'static str, String) {
        let Self { rng, open, now_ms, .. } = self;
        let index = rng.usize(..open.len());
        let Order { number, customer, total_cents, .. } = open[index];
        let (event_type, rest, next) = match open[index].next {
            Step::Pay => {
                let method = pick(rng, METHODS);
                let rest = format!(
                    r#""customer_id":"customer-{customer:05}","total_cents":{total_cents},"method":"{method}""#
                );
                ("OrderPaid", rest, Some(Step::Ship))
            }
            Step::Ship => {
                let (carrier, tracking) = (pick(rng, CARRIERS), rng.u64(..));
                let rest = format!(r#""carrier":"{carrier}","tracking":"LT-{tracking:020}-NL-72-A0091""#);
                ("OrderShipped", rest, Some(Step::Note))
            }
            Step::Note => ("OrderNoteAdded", format!(r#""text":"{}""#, note(rng)), Some(Step::End)),
            Step::End if rng.u8(..10) == 0 => ("OrderCancelled", format!(r#""reason":"{}""#, pick(rng, REASONS)), None),
            Step::End => {
                let at = crate::plugin::batch::rfc3339((*now_ms * 1_000).cast_signed());
                ("OrderDelivered", format!(r#""at":"{at}""#), None)
            }
        };
        match next {
            Some(next) => open[index].next = next,
            None => drop(open.swap_remove(index)),
        }
        (number, event_type, format!(r#"{{"order_id":"order-{number}",{rest}}}"#))
    }
}

/// A text of about 80 characters.
fn note(rng: &mut Rng) -> String {
    let mut text = pick(rng, WORDS).to_owned();
    while text.len() < 76 {
        text.push(' ');
        text.push_str(pick(rng, WORDS));
    }
    text
}

fn pick(rng: &mut Rng, among: &[&'static str]) -> &'static str {
    among[rng.usize(..among.len())]
}

/// Writes the first so many events of the workload into an empty log.
///
/// # Errors
/// The log is out of order.
pub async fn write(log: &Log, events: usize) -> Result<(), Error> {
    let mut workload = Workload::default().take(events);
    loop {
        let events = workload.by_ref().take(CHUNK);
        let chunk: Vec<Import> = events.map(|(stream, event)| Import { stream, event, fault: None }).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        if let Some(refusal) = log.import(chunk).await??.refused {
            return Err(refusal.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_same_events_come_each_time() {
        let take = || Workload::default().take(5_000).map(|(stream, event)| (stream, event.id, event.data));
        assert!(take().eq(take()));
    }

    #[test]
    fn an_order_takes_five_steps_and_no_more_than_500_are_open() {
        let mut steps: HashMap<String, Vec<String>> = HashMap::new();
        let mut open = 0_usize;
        for (stream, event) in Workload::default().take(20_000) {
            match event.event_type.as_str() {
                "OrderPlaced" => open += 1,
                "OrderDelivered" | "OrderCancelled" => open -= 1,
                _ => {}
            }
            assert!(open <= OPEN);
            let least = if event.event_type == "OrderDelivered" { 50 } else { 100 };
            assert!((least..=350).contains(&event.data.len()), "{}", String::from_utf8_lossy(&event.data));
            steps.entry(stream).or_default().push(event.event_type);
        }
        let whole = steps.values().filter(|steps| steps.len() == 5);
        let ended = whole.inspect(|steps| {
            assert_eq!(steps[..4], ["OrderPlaced", "OrderPaid", "OrderShipped", "OrderNoteAdded"]);
            assert!(matches!(steps[4].as_str(), "OrderDelivered" | "OrderCancelled"), "{steps:?}");
        });
        assert!(ended.count() > 3_000);
        assert!(steps.values().all(|steps| steps.len() <= 5));
    }
}
