//! From where on what was decided is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The position behind which the effects of events are a release's own to do; those up to it were another one's, or nobody's. Cheap to
/// clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Acting {
    behind: Arc<AtomicU64>,
}

impl Acting {
    /// Whatever is decided about events behind this position is to be done.
    #[must_use]
    pub fn behind(position: u64) -> Self {
        Self { behind: Arc::new(AtomicU64::new(position)) }
    }

    /// Nothing is done: for a store that only shows what would be.
    #[must_use]
    pub fn never() -> Self {
        Self::behind(u64::MAX)
    }

    /// The position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.behind.load(Ordering::Acquire)
    }

    /// What was done by another one reaches as far as this position, or farther.
    pub fn move_to(&self, position: u64) {
        self.behind.store(position, Ordering::Release);
    }
}

impl Default for Acting {
    fn default() -> Self {
        Self::never()
    }
}
