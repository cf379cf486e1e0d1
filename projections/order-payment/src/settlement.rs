use super::{Effect, Fact, append};
use laterna_sdk::dates::Timestamp;
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// For so long after a shipment is due a cancellation still counts.
const DISPATCH_WINDOW: Duration = Duration::from_mins(15);

/// Decides whether the order is shipped, or the money goes back.
#[derive(Default, Serialize, Deserialize)]
pub struct Settlement {
    pay_by: Option<Timestamp>,
    payment: Option<Payment>,
    is_cancelled: bool,
    shipped: Once,
    refunded: Once,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Payment {
    paid_at: Timestamp,
    amount_cents: i64,
}

#[derive(PartialEq)]
enum Decision {
    Wait,
    Ship,
    Refund { amount_cents: i64 },
}

impl Settlement {
    const TIMER: &str = "dispatch";

    fn learn(&mut self, fact: &Fact) -> Result<()> {
        match fact {
            Fact::OrderPlaced { pay_by, .. } => self.pay_by = Some(*pay_by),
            Fact::PaymentReceived { paid_at, amount_cents, .. } => {
                let payment = Payment { paid_at: *paid_at, amount_cents: *amount_cents };
                if self.payment.as_ref().is_some_and(|known| *known != payment) {
                    return Err(Error::new("the order is paid by another payment already"));
                }
                self.payment = Some(payment);
            }
            Fact::OrderCancelled { .. } => self.is_cancelled = true,
            Fact::PaymentTimedOut { .. } => {}
        }
        Ok(())
    }

    /// The table: it asks what is known, and never what came first.
    fn decide(&self) -> Decision {
        let Some(Payment { paid_at, amount_cents }) = self.payment else { return Decision::Wait };
        match self.pay_by {
            _ if self.is_cancelled => Decision::Refund { amount_cents },
            None => Decision::Wait,
            Some(pay_by) if paid_at > pay_by => Decision::Refund { amount_cents },
            Some(_) => Decision::Ship,
        }
    }
}

impl Machine<Fact> for Settlement {
    fn take(&mut self, turn: &Turn<'_, Fact>) -> Result<Vec<Action>> {
        let before = self.decide();
        if let Some(fact) = turn.event() {
            self.learn(fact)?;
        }
        let order_id = turn.instance();
        let mut actions = vec![];
        match self.decide() {
            _ if self.shipped.is_done() => {}
            Decision::Wait => {}
            Decision::Ship => {
                if before != Decision::Ship {
                    actions.push(Action::after(Self::TIMER, DISPATCH_WINDOW));
                }
                if self.shipped.when(turn.fired(Self::TIMER).is_some()) {
                    actions.push(append(turn, &Effect::ShipmentRequested { order_id }));
                }
            }
            Decision::Refund { amount_cents } => {
                if self.refunded.when(true) {
                    actions.push(Action::cancel(Self::TIMER));
                    actions.push(append(turn, &Effect::RefundRequested { order_id, amount_cents }));
                }
            }
        }
        Ok(actions)
    }
}
