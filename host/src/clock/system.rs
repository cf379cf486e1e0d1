//! The clock that goes on with the system's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one who sleeps does not look: a clock that jumps ahead tells nobody.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where time comes from.
trait Source: Send + Sync {
    /// What the system's clock shows, which may be set to anything.
    fn shows_us(&self) -> i64;

    /// Time that has passed since some moment; it never becomes less.
    fn passed(&self) -> Duration;
}

struct Machine {
    since: Instant,
}

impl Source for Machine {
    fn shows_us(&self) -> i64 {
        jiff::Timestamp::now().as_microsecond()
    }

    fn passed(&self) -> Duration {
        self.since.elapsed()
    }
}

pub(super) struct System {
    source: Box<dyn Source>,
    anchor: Mutex<Anchor>,
    look_again: Duration,
}

/// A moment from which on time is counted, unless the system's clock is ahead. It moves only then: counting anew each time would lose
/// the rest below a microsecond each time.
struct Anchor {
    us: i64,
    passed: Duration,
}

impl Anchor {
    fn counted_us(&self, passed: Duration) -> i64 {
        let since = passed.saturating_sub(self.passed).as_micros();
        self.us.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }
}

impl System {
    pub(super) fn new() -> Self {
        Self::of(Box::new(Machine { since: Instant::now() }), LOOK_AGAIN)
    }

    fn of(source: Box<dyn Source>, look_again: Duration) -> Self {
        let anchor = Mutex::new(Anchor { us: source.shows_us(), passed: source.passed() });
        Self { source, anchor, look_again }
    }

    pub(super) fn now_us(&self) -> i64 {
        let mut anchor = self.anchor();
        self.at_least(&mut anchor, self.source.shows_us())
    }

    pub(super) fn not_before(&self, been_us: i64) {
        let mut anchor = self.anchor();
        self.at_least(&mut anchor, been_us);
    }

    /// Moves the anchor to this moment, unless what is counted is beyond it; answers which of both is later.
    fn at_least(&self, anchor: &mut Anchor, us: i64) -> i64 {
        let passed = self.source.passed();
        let counted_us = anchor.counted_us(passed);
        if us > counted_us {
            *anchor = Anchor { us, passed };
        }
        us.max(counted_us)
    }

    fn anchor(&self) -> MutexGuard<'_, Anchor> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn sleep_until(&self, due_us: i64) {
        loop {
            let left_us = u64::try_from(due_us.saturating_sub(self.now_us())).unwrap_or_default();
            if left_us == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_micros(left_us).min(self.look_again)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
    use tokio::time::timeout;

    /// After so long a sleeper is taken for one who never wakes.
    const WAIT: Duration = Duration::from_secs(30);

    /// A machine whose clocks are set by hand.
    #[derive(Clone, Default)]
    struct Bench {
        shows_us: Arc<AtomicI64>,
        passed_ns: Arc<AtomicU64>,
        looks: Arc<AtomicU64>,
    }

    impl Source for Bench {
        fn shows_us(&self) -> i64 {
            self.looks.fetch_add(1, Ordering::Relaxed);
            self.shows_us.load(Ordering::Relaxed)
        }

        fn passed(&self) -> Duration {
            Duration::from_nanos(self.passed_ns.load(Ordering::Relaxed))
        }
    }

    impl Bench {
        fn set(&self, us: i64) {
            self.shows_us.store(us, Ordering::Relaxed);
        }

        fn pass(&self, time: Duration) {
            let ns = u64::try_from(time.as_nanos()).expect("a short time");
            self.passed_ns.fetch_add(ns, Ordering::Relaxed);
        }

        fn clock(&self) -> System {
            System::of(Box::new(self.clone()), Duration::from_millis(1))
        }
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let bench = Bench::default();
        bench.set(1_000_000);
        let clock = bench.clock();
        assert_eq!(clock.now_us(), 1_000_000);

        // Given that it goes on for a while, and is then set back
        bench.pass(Duration::from_secs(1));
        bench.set(2_000_500);
        assert_eq!(clock.now_us(), 2_000_500);
        bench.set(7);

        // Then time goes on, at its pace, however often somebody looks
        assert_eq!(clock.now_us(), 2_000_500);
        for _ in 0..10_000 {
            bench.pass(Duration::from_nanos(700));
            clock.now_us();
        }
        assert_eq!(clock.now_us(), 2_007_500);

        // Until the system's clock is ahead again
        bench.set(2_007_501);
        assert_eq!(clock.now_us(), 2_007_501);
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_followed_at_once() {
        let bench = Bench::default();
        let clock = bench.clock();
        bench.set(86_400_000_000);
        assert_eq!(clock.now_us(), 86_400_000_000);
        bench.set(0);
        bench.pass(Duration::from_micros(1));
        assert_eq!(clock.now_us(), 86_400_000_001);
    }

    #[test]
    fn it_begins_no_earlier_than_what_has_been() {
        let bench = Bench::default();
        bench.set(100);
        let clock = bench.clock();
        clock.not_before(1_000);
        assert_eq!(clock.now_us(), 1_000);
        bench.pass(Duration::from_micros(5));
        assert_eq!(clock.now_us(), 1_005);
        clock.not_before(500);
        assert_eq!(clock.now_us(), 1_005);
    }

    #[test]
    fn whatever_becomes_of_the_systems_clock_it_never_goes_back() {
        let seed = fastrand::u64(..);
        println!("whatever_becomes_of_the_systems_clock_it_never_goes_back: seed {seed}");
        let (mut random, bench) = (fastrand::Rng::with_seed(seed), Bench::default());
        let clock = bench.clock();
        let mut last = clock.now_us();
        for _ in 0..10_000 {
            let passed = random.u64(..3_000);
            bench.pass(Duration::from_micros(passed));
            match random.u32(..10) {
                0 => bench.set(random.i64(-1_000_000..30_000_000)),
                1 => clock.not_before(random.i64(-1_000_000..30_000_000)),
                _ => bench.set(bench.shows_us() + passed.cast_signed()),
            }
            let now = clock.now_us();
            assert!(now >= last + passed.cast_signed() && now >= bench.shows_us(), "{now} after {last} and {passed}");
            last = now;
        }
    }

    #[tokio::test]
    async fn who_sleeps_looks_again_whether_it_has_jumped() {
        // Given one who sleeps until a moment that is years ahead
        let bench = Bench::default();
        let clock = Arc::new(bench.clock());
        let (sleeper, due_us) = (Arc::clone(&clock), 100_000_000_000_000);
        let sleeping = tokio::spawn(async move { sleeper.sleep_until(due_us).await });
        let looks = bench.looks.load(Ordering::Relaxed);
        while bench.looks.load(Ordering::Relaxed) < looks + 3 {
            tokio::task::yield_now().await;
        }
        assert!(!sleeping.is_finished());

        // When the clock jumps there, then they wake
        bench.set(due_us);
        timeout(WAIT, sleeping).await.expect("they wake").expect("all is well");

        // And nobody waits for what has been
        timeout(WAIT, clock.sleep_until(due_us)).await.expect("it has been");
        timeout(WAIT, clock.sleep_until(i64::MIN)).await.expect("it has been");
    }
}
