use super::{Action, Key, ProcessManifest, Turn};
use crate::{Event, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A component that reacts to events: it appends events, and sets timers.
///
/// It has an instance for each thing that it follows, an order for example. An event finds its instances by [keys](Key); each of them
/// takes a [turn](Turn): it changes its state, and answers with [actions](Action).
///
/// ```
/// use laterna_sdk::prelude::*;
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// struct Reminders;
///
/// #[derive(Deserialize)]
/// enum Shop {
///     OrderPlaced { order_id: String },
///     OrderPaid { order_id: String },
/// }
///
/// #[derive(Serialize)]
/// enum Reminding {
///     PaymentReminded { order_id: String, times: u32 },
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Order {
///     reminded: u32,
/// }
///
/// impl ProcessManager for Reminders {
///     type Event = Shop;
///     type State = Order;
///
///     fn manifest() -> ProcessManifest {
///         ProcessManifest::new("reminders", "1.0.0")
///             .describe("Reminds of a payment once a day.")
///             .consume_type("OrderPlaced", "the payment is waited for")
///             .consume_type("OrderPaid", "nobody needs to be reminded")
///             .produce("PaymentReminded", "a day went by without a payment")
///             .from_now()
///     }
///
///     fn correlate(event: &Shop, _: &Event<'_>) -> Vec<Key> {
///         match event {
///             Shop::OrderPlaced { order_id } => vec![Key::starts(order_id)],
///             Shop::OrderPaid { order_id } => vec![Key::finds(order_id)],
///         }
///     }
///
///     fn react(order: &mut Order, turn: &Turn<'_, Shop>) -> Result<Vec<Action>> {
///         const DAY: Duration = Duration::from_hours(24);
///         Ok(match turn.happened() {
///             Happened::Event(Shop::OrderPlaced { .. }) => vec![Timer::after("remind", DAY).every(DAY).into()],
///             Happened::Event(Shop::OrderPaid { .. }) => vec![Action::End],
///             Happened::Fired(_) => {
///                 order.reminded += 1;
///                 let order_id = turn.instance().to_owned();
///                 let reminded = Reminding::PaymentReminded { order_id, times: order.reminded };
///                 vec![Action::append(format!("order-{}", turn.instance()), &reminded)]
///             }
///             Happened::Refused(refused) => return Err(refused.to_error()),
///         })
///     }
/// }
///
/// laterna_sdk::export_process_manager!(Reminders);
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process manager",
    note = "write `impl ProcessManager for {Self}` with `Event`, `State`, `manifest`, `correlate` and `react`"
)]
pub trait ProcessManager {
    /// What it consumes: an enum, as [`Event::decode`] takes it.
    type Event: DeserializeOwned;

    /// What an instance knows. It is kept as JSON, and begins as its default. What is equal must be written equally: a `BTreeMap` is, a
    /// `HashMap` is not.
    type State: Default + Serialize + DeserializeOwned;

    /// What the component says of itself. Must always be the same.
    fn manifest() -> ProcessManifest;

    /// By what an event finds its instances. Follows from the event alone. Timers and refused effects find theirs by themselves.
    fn correlate(event: &Self::Event, raw: &Event<'_>) -> Vec<Key>;

    /// Lets an instance take its turn: changes its state, and answers what is to be done. Follows from the state and the turn alone.
    ///
    /// # Errors
    /// The instance cannot take the turn. Nothing of it is kept, and the host reports the error with the event's position.
    fn react(state: &mut Self::State, turn: &Turn<'_, Self::Event>) -> Result<Vec<Action>>;
}
