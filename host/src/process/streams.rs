//! The streams in which Laterna itself tells processes what they cannot know from anybody else.
//!
//! They hold timers that are due, and effects that the log refused: internal events of the module that the process belongs to.

use super::ids::RESERVED;
use crate::log::category;

/// The category of the streams in which a process is told something: one of its own, since a category ends at the first `-`.
#[must_use]
pub fn of(process: &str) -> String {
    format!("{RESERVED}{}", process.replace('-', "."))
}

/// The stream in which an instance is told something.
#[must_use]
pub fn of_instance(process: &str, instance: &str) -> String {
    format!("{}-{instance}", of(process))
}

/// Whether a stream is of this category, as [`of`] answers it.
#[must_use]
pub fn is_in(streams: &str, stream: &str) -> bool {
    category(stream) == streams
}

/// Whether an event stays inside its module also for those who may look into this process. What Laterna tells a process of no module does not:
/// there is no module whose it could be.
#[must_use]
pub fn is_secret(process: &str, internal: bool, module: &str, stream: &str) -> bool {
    internal && !(module.is_empty() && is_in(&of(process), stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_processes_share_a_category() {
        assert_ne!(of("a-b"), of("a_b"));
        assert!(is_in(&of("order-payment"), &of_instance("order-payment", "order-1")));
        assert!(!is_in(&of("order"), &of_instance("order-payment", "order-1")));
    }
}
