//! What is done by night: every read model is proved to be the fold of the log, one after another.

use super::proof::Prover;
use super::releases::Board;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Proves all that serves, each day at this time (UTC), until the host is stopped.
pub(super) async fn prove_each_day(at: Time, prover: Arc<Prover>, board: Arc<Board>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(until(at, Timestamp::now())) => {}
            () = prover.stopped() => return,
        }
        let serving = board.all().into_iter().filter(|component| !component.removed && component.live.is_some());
        for component in serving {
            match prover.begin(&component) {
                Ok(proof) => proof.ended().await,
                Err(error) => tracing::warn!(component = component.name, %error, "it was not proved"),
            }
        }
    }
}

/// How long it is until a time of day comes again.
fn until(at: Time, now: Timestamp) -> Duration {
    let today = now.to_zoned(TimeZone::UTC).date();
    let due = |date: jiff::civil::Date| date.to_datetime(at).to_zoned(TimeZone::UTC).map(|due| due.timestamp());
    let next = [Ok(today), today.tomorrow()].into_iter().flatten().filter_map(|date| due(date).ok());
    let next = next.filter(|due| *due > now).min();
    let left = next.map_or(SignedDuration::from_hours(24), |next| next.duration_since(now));
    Duration::try_from(left).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_today_or_tomorrow() {
        let now: Timestamp = "2026-02-28T22:15:00Z".parse().expect("a moment");
        let seconds = |at: &str| until(at.parse().expect("a time"), now).as_secs();
        assert_eq!(seconds("22:15:10"), 10);
        assert_eq!(seconds("03:00"), 4 * 3600 + 45 * 60);
        // Not twice at one moment.
        assert_eq!(seconds("22:15"), 24 * 3600);
    }
}
