use serde::{Deserialize, Serialize};

/// Something that is done once: when a condition over what is known has become true, whatever the order in which that became known.
///
/// Part of an instance's state, where it stands as `true` once it is done. Ask it each time when something may have changed.
///
/// ```
/// use laterna_sdk::Once;
///
/// /// Ships what is placed and paid, whichever comes first, and however often.
/// #[derive(Default)]
/// struct Shipment {
///     placed: bool,
///     paid: bool,
///     requested: Once,
/// }
///
/// let mut shipment = Shipment::default();
/// shipment.paid = true;
/// assert!(!shipment.requested.when(shipment.placed && shipment.paid));
/// shipment.placed = true;
/// assert!(shipment.requested.when(shipment.placed && shipment.paid));
/// assert!(!shipment.requested.when(shipment.placed && shipment.paid));
/// assert!(shipment.requested.is_done());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Once(bool);

impl Once {
    /// Whether it is to be done now: the condition holds, and it was not done before. From then on it counts as done.
    ///
    /// ```
    /// # use laterna_sdk::Once;
    /// let mut refund = Once::default();
    /// assert_eq!([false, true, true].map(|is_cancelled| refund.when(is_cancelled)), [false, true, false]);
    /// ```
    #[must_use]
    pub fn when(&mut self, condition: bool) -> bool {
        let is_now = condition && !self.0;
        self.0 |= condition;
        is_now
    }

    /// Whether it was done.
    ///
    /// ```
    /// # use laterna_sdk::Once;
    /// assert!(!Once::default().is_done());
    /// ```
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0
    }
}
