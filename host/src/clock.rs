//! The time (to be replaced).
use std::time::Duration;

/// A clock.
#[derive(Clone, Default)]
pub struct Clock;

impl Clock {
    /// Now.
    pub fn now_us(&self) -> i64 {
        jiff::Timestamp::now().as_microsecond()
    }

    /// Sleeps.
    pub async fn sleep_until(&self, due_us: i64) {
        let left = due_us.saturating_sub(self.now_us()).clamp(0, 1_000_000);
        tokio::time::sleep(Duration::from_micros(left.cast_unsigned())).await;
    }
}
