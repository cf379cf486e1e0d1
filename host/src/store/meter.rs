//! How much SQLite may do for one statement: steps of its virtual machine for everyone, time for people's queries.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Who asked, where somebody did who may go away before there is an answer.
    asker: Mutex<Option<Asker>>,
}

/// Whether somebody still waits for an answer.
#[derive(Clone, Default)]
pub(super) struct Asker(Arc<AtomicBool>);

impl Asker {
    pub(super) fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Meter {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            steps_left: AtomicI64::new(i64::MAX),
            deadline_us: AtomicI64::new(i64::MAX),
            late: AtomicBool::new(false),
            asker: Mutex::new(None),
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

    /// Lets what runs from now on go on only for as long as this one waits for it.
    pub(super) fn answer_to(&self, asker: Option<Asker>) {
        *self.0.asker.lock().unwrap_or_else(PoisonError::into_inner) = asker;
    }

    /// Whether an execution was interrupted for its time.
    pub(super) fn is_late(&self) -> bool {
        self.0.late.load(Ordering::Relaxed)
    }

    /// Called every [`GRAIN`] steps; true interrupts the execution.
    pub(super) fn tick(&self) -> bool {
        let inner = &self.0;
        let deadline_us = inner.deadline_us.load(Ordering::Relaxed);
        let is_over = || inner.started.elapsed().as_micros() > deadline_us.cast_unsigned().into();
        let is_alone =
            || inner.asker.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Asker::has_left);
        if (deadline_us != i64::MAX && is_over()) || is_alone() {
            inner.late.store(true, Ordering::Relaxed);
            return true;
        }
        inner.steps_left.fetch_sub(GRAIN.into(), Ordering::Relaxed) < GRAIN.into()
    }
}
