//! How much SQLite may do for one statement: steps of its virtual machine for everyone, time for people's queries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Steps between two looks at the meter. SQLite counts them from the start of each execution, so what is interrupted does not
/// depend on what ran before.
pub(super) const GRAIN: i32 = 1_000;

/// Shared with a connection's progress handler, which runs on the connection's own thread.
#[derive(Clone)]
pub(super) struct Meter(Arc<Inner>);

struct Inner {
    started: Instant,
    steps_left: AtomicI64,
    /// Microseconds since `started`; `i64::MAX` for no deadline.
    deadline_us: AtomicI64,
    late: AtomicBool,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            steps_left: AtomicI64::new(i64::MAX),
            deadline_us: AtomicI64::new(i64::MAX),
            late: AtomicBool::new(false),
        }))
    }

    /// Allows the next execution this many steps, to within [`GRAIN`].
    pub(super) fn allow_steps(&self, steps: u64) {
        self.0.steps_left.store(i64::try_from(steps).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Lets what runs from now on take so much time at most; `None` takes the deadline away.
    pub(super) fn allow_time(&self, time: Option<Duration>) {
        let deadline = time.map(|time| self.0.started.elapsed() + time);
        let deadline_us = deadline.and_then(|deadline| i64::try_from(deadline.as_micros()).ok()).unwrap_or(i64::MAX);
        self.0.deadline_us.store(deadline_us, Ordering::Relaxed);
        self.0.late.store(false, Ordering::Relaxed);
    }

    /// Whether an execution was interrupted for its time.
    pub(super) fn is_late(&self) -> bool {
        self.0.late.load(Ordering::Relaxed)
    }

    /// Called every [`GRAIN`] steps; true interrupts the execution.
    pub(super) fn tick(&self) -> bool {
        let inner = &self.0;
        let deadline_us = inner.deadline_us.load(Ordering::Relaxed);
        if deadline_us != i64::MAX && inner.started.elapsed().as_micros() > deadline_us.cast_unsigned().into() {
            inner.late.store(true, Ordering::Relaxed);
            return true;
        }
        inner.steps_left.fetch_sub(GRAIN.into(), Ordering::Relaxed) < GRAIN.into()
    }
}
