use super::{Action, Turn};
use crate::Result;

/// A small state machine, one of several that follow the same instance. Its own fields are its state.
///
/// Several small ones are easier to get right than one that does everything: each keeps what it needs to know, sees every turn, and says
/// what it wants done. An instance's state is a struct of them, and [`together`] lets them all take a turn.
///
/// ```
/// use laterna_sdk::prelude::*;
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// enum Shop {
///     OrderPlaced,
///     OrderPaid,
/// }
///
/// #[derive(Serialize)]
/// enum Selling {
///     PaymentReminded,
///     ShipmentRequested,
/// }
///
/// /// Reminds of a payment that does not come.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Reminder {}
///
/// impl Machine<Shop> for Reminder {
///     fn take(&mut self, turn: &Turn<'_, Shop>) -> Result<Vec<Action>> {
///         Ok(match turn.happened() {
///             Happened::Event(Shop::OrderPlaced) => vec![Action::after("remind", Duration::from_hours(24))],
///             Happened::Event(Shop::OrderPaid) => vec![Action::cancel("remind")],
///             Happened::Fired(_) => vec![Action::append(turn.instance(), &Selling::PaymentReminded)],
///             Happened::Refused(_) => vec![],
///         })
///     }
/// }
///
/// /// Ships what is placed and paid, whichever comes first.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Shipment {
///     placed: bool,
///     paid: bool,
///     requested: Once,
/// }
///
/// impl Machine<Shop> for Shipment {
///     fn take(&mut self, turn: &Turn<'_, Shop>) -> Result<Vec<Action>> {
///         match turn.event() {
///             Some(Shop::OrderPlaced) => self.placed = true,
///             Some(Shop::OrderPaid) => self.paid = true,
///             None => {}
///         }
///         Ok(match self.requested.when(self.placed && self.paid) {
///             true => vec![Action::append(turn.instance(), &Selling::ShipmentRequested)],
///             false => vec![],
///         })
///     }
/// }
///
/// /// An instance's state.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Order {
///     reminder: Reminder,
///     shipment: Shipment,
/// }
///
/// /// Stands in `ProcessManager::react`.
/// fn react(order: &mut Order, turn: &Turn<'_, Shop>) -> Result<Vec<Action>> {
///     together(turn, [&mut order.reminder, &mut order.shipment])
/// }
/// ```
pub trait Machine<E> {
    /// Takes a turn: changes its state, and answers what it wants done.
    ///
    /// # Errors
    /// It cannot; then the instance cannot, either.
    fn take(&mut self, turn: &Turn<'_, E>) -> Result<Vec<Action>>;
}

/// Lets machines take the same turn, one after the other. What they want done is collected in their order.
///
/// ```
/// use laterna_sdk::{Action, Machine, Result, Turn, together};
///
/// /// Whatever two machines want done.
/// fn both<E>(turn: &Turn<'_, E>, one: &mut impl Machine<E>, other: &mut impl Machine<E>) -> Result<Vec<Action>> {
///     together(turn, [one, other])
/// }
/// ```
///
/// # Errors
/// One of them cannot take it; then none of them has.
pub fn together<E, const N: usize>(turn: &Turn<'_, E>, machines: [&mut dyn Machine<E>; N]) -> Result<Vec<Action>> {
    let mut actions = Vec::new();
    for machine in machines {
        actions.append(&mut machine.take(turn)?);
    }
    Ok(actions)
}
