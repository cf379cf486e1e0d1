use crate::bindings::process::exports::laterna::plugin::process as wit;

/// A name by which an event finds its instances: each one that is associated with it, and the one that is called so. From 1 to 100
/// bytes, without control characters.
///
/// ```
/// use laterna_sdk::Key;
///
/// // Whoever waits for this team hears of it; and its order begins, where there is none yet.
/// let keys = [Key::finds("team-7"), Key::starts("order-1042")];
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    name: String,
    starts: bool,
}

impl Key {
    /// Where nobody is found by the name, an instance begins, and is called so.
    ///
    /// ```
    /// # use laterna_sdk::Key;
    /// let key = Key::starts("order-1042");
    /// ```
    pub fn starts(name: impl Into<String>) -> Self {
        Self { name: name.into(), starts: true }
    }

    /// Where nobody is found by the name, nothing happens.
    ///
    /// ```
    /// # use laterna_sdk::Key;
    /// let key = Key::finds("team-7");
    /// ```
    pub fn finds(name: impl Into<String>) -> Self {
        Self { name: name.into(), starts: false }
    }

    pub(super) fn into_wit(self, event: u32) -> wit::Key {
        wit::Key { event, name: self.name, starts: self.starts }
    }
}
