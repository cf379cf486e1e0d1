//! An order waits for its payment: it is shipped once, or the money goes back once, and never both.
//!
//! `OrderPlaced`, `PaymentReceived`, `PaymentTimedOut` and `OrderCancelled` come in any order, and more than once. The same facts come
//! to the same decision and the same state, since a decision follows from what the facts say, and not from when they came:
//!
//! | paid? | cancelled? | paid by the deadline? | decision |
//! | --- | --- | --- | --- |
//! | no | | | nothing is owed to anybody |
//! | yes | yes | | `RefundRequested` |
//! | yes | no | not known: not placed yet | wait for the order |
//! | yes | no | no | `RefundRequested` |
//! | yes | no | yes | `ShipmentRequested`, when the dispatch window is over |
//!
//! What is shipped does not come back, so a shipment waits for a while, in which a cancellation still counts; one that comes later
//! changes nothing. `PaymentTimedOut` is the word of this process itself, where it has heard of no payment by the deadline. It closes the
//! order for others; a payment that was made in time and told late is one in time.
//!
//! An effect that the log refuses is set aside with its reason, and the other orders go on. So is a second payment that is not the first one
//! told again: an order is placed once and paid once, and whose money that is somebody has to find out.
//!
//! Two small machines make it: [`Deadline`] waits, [`Settlement`] decides.

mod deadline;
mod settlement;

pub use deadline::Deadline;
use laterna_sdk::dates::Timestamp;
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
pub use settlement::Settlement;

/// The process manager: an instance for each order, called by the order's id.
pub struct OrderPayment;

/// The facts.
#[derive(Deserialize)]
pub enum Fact {
    OrderPlaced { order_id: String, pay_by: Timestamp },
    PaymentReceived { order_id: String, amount_cents: i64, paid_at: Timestamp },
    PaymentTimedOut { order_id: String },
    OrderCancelled { order_id: String },
}

/// What it appends to the order's stream.
#[derive(Serialize)]
pub enum Effect<'a> {
    PaymentTimedOut { order_id: &'a str },
    ShipmentRequested { order_id: &'a str },
    RefundRequested { order_id: &'a str, amount_cents: i64 },
}

/// What an instance knows.
#[derive(Default, Serialize, Deserialize)]
pub struct Order {
    deadline: Deadline,
    settlement: Settlement,
}

impl ProcessManager for OrderPayment {
    type Event = Fact;
    type State = Order;

    fn manifest() -> ProcessManifest {
        ProcessManifest::new("order-payment", env!("CARGO_PKG_VERSION"))
            .describe("Ships an order that is paid in time, and sends back the money for any other.")
            .consume_type("OrderPlaced", "its payment is waited for until the deadline")
            .consume_type("PaymentReceived", "the order is shipped, or the money goes back")
            .consume_type("PaymentTimedOut", "its payment is waited for no longer")
            .consume_type("OrderCancelled", "what is paid goes back")
            .produce("PaymentTimedOut", "no payment was heard of by the deadline")
            .produce("ShipmentRequested", "the order is paid in time, and was not cancelled")
            .produce("RefundRequested", "the order is paid, and was cancelled or paid too late")
            .park()
            .from_now()
    }

    fn correlate(fact: &Fact, _: &Event<'_>) -> Vec<Key> {
        let (Fact::OrderPlaced { order_id, .. }
        | Fact::PaymentReceived { order_id, .. }
        | Fact::PaymentTimedOut { order_id }
        | Fact::OrderCancelled { order_id }) = fact;
        vec![Key::starts(order_id)]
    }

    fn react(order: &mut Order, turn: &Turn<'_, Fact>) -> Result<Vec<Action>> {
        match turn.happened() {
            // Money is at stake: somebody has to look at it.
            Happened::Refused(refused) => Err(refused.to_error()),
            Happened::Event(_) | Happened::Fired(_) => together(turn, [&mut order.deadline, &mut order.settlement]),
        }
    }
}

/// Appends to the stream of the order whose turn it is.
fn append(turn: &Turn<'_, Fact>, effect: &Effect<'_>) -> Action {
    Action::append(format!("order-{}", turn.instance()), effect)
}

laterna_sdk::export_process_manager!(OrderPayment);
