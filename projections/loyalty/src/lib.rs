//! Who buys for a thousand pounds is a loyal customer, for as long as that is so.
//!
//! Stands beside the projection `retail`, on the same events. Each time when what a customer bought, after cancellations, reaches the
//! sum, `LoyaltyGranted` is appended to the stream `loyalty-<customer_id>`; each time when it falls below again, `LoyaltyRevoked`.
//! Guests have no customer id, and so nobody keeps a sum of theirs.

use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// A thousand pounds, in mils, a thousandth of a pound.
const LOYAL_FROM_MILS: i64 = 1_000_000;

/// The process manager: an instance for each customer, called by the customer's id.
pub struct Loyalty;

#[derive(Deserialize)]
pub enum Shop {
    OrderPlaced(Purchase),
    /// Quantities are negative.
    OrderCancelled(Purchase),
}

#[derive(Deserialize)]
pub struct Purchase {
    /// `None`: a guest.
    customer_id: Option<String>,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    quantity: i64,
    unit_price_mils: i64,
}

#[derive(Serialize)]
enum Granting<'a> {
    LoyaltyGranted { customer_id: &'a str, net_mils: i64 },
    LoyaltyRevoked { customer_id: &'a str, net_mils: i64 },
}

#[derive(Default, Serialize, Deserialize)]
pub struct Customer {
    net_mils: i64,
}

impl ProcessManager for Loyalty {
    type Event = Shop;
    type State = Customer;

    fn manifest() -> ProcessManifest {
        ProcessManifest::new("loyalty", env!("CARGO_PKG_VERSION"))
            .describe("Tells who has become a loyal customer, and who is one no longer.")
            .consume_type("OrderPlaced", "adds to what the customer bought")
            .consume_type("OrderCancelled", "takes from what the customer bought")
            .produce("LoyaltyGranted", "the customer bought for a thousand pounds")
            .produce("LoyaltyRevoked", "after a cancellation it is less than a thousand pounds")
            .from_start()
    }

    fn correlate(event: &Shop, _: &Event<'_>) -> Vec<Key> {
        let (Shop::OrderPlaced(purchase) | Shop::OrderCancelled(purchase)) = event;
        purchase.customer_id.iter().map(Key::starts).collect()
    }

    fn react(customer: &mut Customer, turn: &Turn<'_, Shop>) -> Result<Vec<Action>> {
        let Some(Shop::OrderPlaced(purchase) | Shop::OrderCancelled(purchase)) = turn.event() else {
            return Ok(vec![]);
        };
        let was_loyal = customer.net_mils >= LOYAL_FROM_MILS;
        customer.net_mils += purchase.lines.iter().map(|line| line.quantity * line.unit_price_mils).sum::<i64>();
        let is_loyal = customer.net_mils >= LOYAL_FROM_MILS;

        let (customer_id, net_mils) = (turn.instance(), customer.net_mils);
        let granting = match (was_loyal, is_loyal) {
            (false, true) => Granting::LoyaltyGranted { customer_id, net_mils },
            (true, false) => Granting::LoyaltyRevoked { customer_id, net_mils },
            (false, false) | (true, true) => return Ok(vec![]),
        };
        Ok(vec![Action::append(format!("loyalty-{customer_id}"), &granting)])
    }
}

laterna_sdk::export_process_manager!(Loyalty);

#[cfg(test)]
mod tests {
    use super::*;
    use laterna_sdk::native::{NewEvent, Process};

    /// Real purchases: the sample of the projection `retail`, beside which this stands.
    const PURCHASES: &str = include_str!("../../retail/sample/online_retail.sample2000.events.jsonl");
    /// What comes of them, computed elsewhere.
    const REFERENCE: &str = include_str!("../../retail/sample/online_retail.sample2000.reference.json");

    fn purchases() -> Result<Vec<NewEvent>> {
        let line = |line| {
            let event: Json = serde_json::from_str(line)?;
            let text = |field: &str| event[field].as_str().unwrap_or_default();
            Ok(NewEvent::new(text("stream"), text("type"), event["data"].clone()).id(text("id")))
        };
        PURCHASES.lines().map(line).collect()
    }

    #[test]
    fn each_crossing_in_real_purchases_is_told_once() -> Result<()> {
        // given: a shop's month
        let mut process = Process::<Loyalty>::new();
        // when
        process.give(purchases()?)?;
        // then
        let crossings = process.effects().iter().map(|effect| {
            json!({
                "position": effect.because_of,
                "command": match effect.event_type.as_str() {
                    "LoyaltyGranted" => "GrantLoyalty",
                    "LoyaltyRevoked" => "RevokeLoyalty",
                    other => other,
                },
                "customer_id": effect.data["customer_id"],
                "net_mils": effect.data["net_mils"],
            })
        });
        let reference: Json = serde_json::from_str(REFERENCE)?;
        assert_eq!(Json::from_iter(crossings), reference["process_manager"]["commands"]);
        Ok(())
    }

    #[test]
    fn loyalty_is_revoked_below_the_sum_and_granted_again_at_it() -> Result<()> {
        let purchase = |event_type: &str, quantity: i64| {
            let lines = json!([{ "stock_code": "85123A", "quantity": quantity, "unit_price_mils": 100_000 }]);
            NewEvent::new("order-1", event_type, json!({ "customer_id": "ann", "lines": lines }))
        };
        let mut process = Process::<Loyalty>::new();
        process.give([
            purchase("OrderPlaced", 9),
            purchase("OrderPlaced", 1),
            purchase("OrderPlaced", 5),
            purchase("OrderCancelled", -5),
            purchase("OrderCancelled", -1),
            purchase("OrderCancelled", -1),
            purchase("OrderPlaced", 2),
        ])?;
        let told: Vec<(u64, &str)> =
            process.effects().iter().map(|effect| (effect.because_of, effect.event_type.as_str())).collect();
        assert_eq!(told, [(2, "LoyaltyGranted"), (5, "LoyaltyRevoked"), (7, "LoyaltyGranted")]);
        assert_eq!(process.effects()[0].stream, "loyalty-ann");
        Ok(())
    }

    #[test]
    fn guests_have_no_instance() -> Result<()> {
        let lines = json!([{ "stock_code": "85123A", "quantity": 1_000, "unit_price_mils": 2_550 }]);
        let mut process = Process::<Loyalty>::new();
        process.give([NewEvent::new("order-1", "OrderPlaced", json!({ "customer_id": null, "lines": lines }))])?;
        assert_eq!(process.instances().count(), 0);
        assert!(process.effects().is_empty());
        Ok(())
    }
}
