use super::{Effect, Fact, append};
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// Waits for the payment until its deadline, and tells where that has passed.
#[derive(Default, Serialize, Deserialize)]
pub struct Deadline {
    /// There is nothing to wait for any more.
    is_over: bool,
}

impl Deadline {
    const TIMER: &str = "payment";
}

impl Machine<Fact> for Deadline {
    fn take(&mut self, turn: &Turn<'_, Fact>) -> Result<Vec<Action>> {
        Ok(match turn.event() {
            Some(Fact::OrderPlaced { pay_by, .. }) if !self.is_over => vec![Action::at(Self::TIMER, *pay_by)],
            Some(Fact::OrderPlaced { .. }) => vec![],
            Some(Fact::PaymentReceived { .. } | Fact::PaymentTimedOut { .. } | Fact::OrderCancelled { .. }) => {
                self.is_over = true;
                vec![Action::cancel(Self::TIMER)]
            }
            None if turn.fired(Self::TIMER).is_some() => {
                vec![append(turn, &Effect::PaymentTimedOut { order_id: turn.instance() })]
            }
            None => vec![],
        })
    }
}
