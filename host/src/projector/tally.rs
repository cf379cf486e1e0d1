//! How much was folded, in how much time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a projection covered since it was started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covered {
    /// Positions of the log.
    pub positions: u64,
    /// Events that its component was given, those among them that were set aside, too.
    pub folded: u64,
    /// Those of them that are public.
    pub folded_public: u64,
    /// The time that it took, in seconds, without that in which it was paused; more than 0.
    pub seconds: f64,
}

/// Counts the events that a component was given, and the time that it was at work.
#[derive(Debug)]
pub(super) struct Tally {
    events: AtomicU64,
    public: AtomicU64,
    time: Mutex<Time>,
}

/// Time without pauses.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// Up to the last pause.
    before: Duration,
    /// Since when it is at work; `None` while it is paused.
    since: Option<Instant>,
}

impl Tally {
    pub(super) fn new(paused: bool) -> Self {
        let time = Time { before: Duration::ZERO, since: (!paused).then(Instant::now) };
        Self { events: AtomicU64::new(0), public: AtomicU64::new(0), time: Mutex::new(time) }
    }

    /// So many events more were given to the component.
    pub(super) fn count(&self, events: usize, internal: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.public.fetch_add((events - internal) as u64, Ordering::Relaxed);
    }

    /// The time runs from now on, or rests.
    pub(super) fn pause(&self, paused: bool) {
        let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        match (time.since, paused) {
            (Some(since), true) => *time = Time { before: time.before + since.elapsed(), since: None },
            (None, false) => time.since = Some(Instant::now()),
            _ => {}
        }
    }

    /// What was covered, these positions of the log.
    pub(super) fn covered(&self, positions: u64) -> Covered {
        let Time { before, since } = *self.time.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = before + since.map_or(Duration::ZERO, |since| since.elapsed());
        Covered {
            positions,
            folded: self.events.load(Ordering::Relaxed),
            folded_public: self.public.load(Ordering::Relaxed),
            seconds: spent.as_secs_f64().max(1e-6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_take_no_time() {
        let pause = Duration::from_millis(30);
        let tally = Tally::new(true);
        std::thread::sleep(pause);
        assert!(tally.covered(0).seconds < pause.as_secs_f64());
        tally.pause(false);
        tally.pause(false);
        std::thread::sleep(pause);
        tally.pause(true);
        tally.pause(true);
        let worked = tally.covered(0).seconds;
        assert!(worked >= pause.as_secs_f64());
        std::thread::sleep(pause);
        assert!((tally.covered(0).seconds - worked).abs() < f64::EPSILON);
    }
}
