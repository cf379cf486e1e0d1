//! Reminds of the payment of an order, once a day and three times at most.

use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);
const REMINDERS_MAX: u32 = 3;

/// The events that it reacts to: the type of an event names the variant, its data is the content.
#[derive(Deserialize)]
enum Shop {
    OrderPlaced { order_id: String },
    OrderPaid { order_id: String },
}

/// The events that it appends, named likewise.
#[derive(Serialize)]
enum Reminding<'a> {
    PaymentReminded { order_id: &'a str, times: u32 },
}

/// What it knows of an order.
#[derive(Default, Serialize, Deserialize)]
struct Order {
    reminded: u32,
}

struct {{type}};

impl ProcessManager for {{type}} {
    type Event = Shop;
    type State = Order;

    fn manifest() -> ProcessManifest {
        ProcessManifest::new("{{name}}", env!("CARGO_PKG_VERSION"))
            .describe("Reminds of the payment of an order, once a day and three times at most.")
            .consume_type("OrderPlaced", "its payment is waited for")
            .consume_type("OrderPaid", "nobody needs to be reminded")
            .produce("PaymentReminded", "a day went by without a payment")
            // Where an order's event cannot be reacted to, it is set aside with its reason and what follows on it, and the others go on. Without
            // this the whole manager halts before it.
            .park()
            // What happened before it was first deployed leads to nothing. Otherwise: `from_start()`.
            .from_now()
    }

    /// An order begins when it is placed. Its payment finds it, where there is one.
    fn correlate(event: &Shop, _: &Event<'_>) -> Vec<Key> {
        match event {
            Shop::OrderPlaced { order_id } => vec![Key::starts(order_id)],
            Shop::OrderPaid { order_id } => vec![Key::finds(order_id)],
        }
    }

    fn react(order: &mut Order, turn: &Turn<'_, Shop>) -> Result<Vec<Action>> {
        Ok(match turn.happened() {
            Happened::Event(Shop::OrderPlaced { .. }) => vec![Timer::after("remind", DAY).every(DAY).into()],
            Happened::Event(Shop::OrderPaid { .. }) => vec![Action::End],
            Happened::Fired(_) => {
                order.reminded += 1;
                let order_id = turn.instance();
                let reminded = Reminding::PaymentReminded { order_id, times: order.reminded };
                let mut actions = vec![Action::append(format!("order-{order_id}"), &reminded)];
                if order.reminded == REMINDERS_MAX {
                    actions.push(Action::End);
                }
                actions
            }
            Happened::Refused(refused) => return Err(refused.to_error()),
        })
    }
}

laterna_sdk::export_process_manager!({{type}});

#[cfg(test)]
mod tests {
    use super::*;
    use laterna_sdk::native::{NewEvent, Process};

    fn placed() -> NewEvent {
        NewEvent::new("order-7", "OrderPlaced", json!({ "order_id": "7" }))
    }

    #[test]
    fn it_reminds_three_times_and_no_more() -> Result<()> {
        let mut process = Process::<{{type}}>::new();
        process.give([placed()])?;
        process.advance(DAY)?;
        assert_eq!(process.effects()[0].event_type, "PaymentReminded");
        assert_eq!(process.effects()[0].data, json!({ "order_id": "7", "times": 1 }));
        process.advance(10 * DAY)?;
        assert_eq!(process.effects().len(), 3);
        assert_eq!(process.instances().count(), 0);
        Ok(())
    }

    #[test]
    fn nobody_is_reminded_of_what_is_paid() -> Result<()> {
        let mut process = Process::<{{type}}>::new();
        process.give([placed()])?;
        process.give([NewEvent::new("order-7", "OrderPaid", json!({ "order_id": "7" }))])?;
        process.advance(10 * DAY)?;
        assert!(process.effects().is_empty());
        Ok(())
    }
}
