//! Points at which the process can be told to die, for tests: as a crash would have it, with nothing unwound or flushed.
//!
//! `LATERNA_DIE_AT=<name>:<n>` has it kill itself with SIGKILL when it passes the point of this name for the n-th time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The variable that names the point.
const VARIABLE: &str = "LATERNA_DIE_AT";

/// The points, along the way from an event to its effect, and from one release to the next.
pub const POINTS: [&str; 15] = [
    "log-commits",
    "log-committed",
    "fold-commits",
    "fold-committed",
    "effects-enter",
    "effects-entered",
    "cursor-moved",
    "timers-enter",
    "timers-entered",
    "overdue-holds",
    "overdue-held",
    "flip-records",
    "flip-recorded",
    "actor-starts",
    "actor-started",
];

static IS_ARMED: AtomicBool = AtomicBool::new(false);
static ARMED: OnceLock<Armed> = OnceLock::new();

/// Where it dies.
struct Armed {
    point: &'static str,
    /// How often it passes the point until then.
    left: AtomicU64,
}

/// The variable says nothing that is understood.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE} is `{0}`: it must be the name of a point, `:`, and a number from 1; the points are {points}", points = POINTS.join(", "))]
pub struct Error(String);

/// Reads the variable. To be called once, before anything is passed.
///
/// # Errors
/// There is no such point.
pub fn arm() -> Result<(), Error> {
    let Some(told) = std::env::var_os(VARIABLE).filter(|told| !told.is_empty()) else { return Ok(()) };
    let told = told.to_string_lossy().into_owned();
    let armed = parse(&told).ok_or(Error(told))?;
    IS_ARMED.store(ARMED.set(armed).is_ok(), Ordering::Relaxed);
    Ok(())
}

fn parse(told: &str) -> Option<Armed> {
    let (name, times) = told.split_once(':')?;
    let point = *POINTS.iter().find(|point| **point == name)?;
    let left = times.parse().ok().filter(|times| *times > 0)?;
    Some(Armed { point, left: AtomicU64::new(left) })
}

/// Passes a point. Costs one relaxed load where the variable is not set.
#[inline]
pub fn pass(point: &'static str) {
    if IS_ARMED.load(Ordering::Relaxed) {
        pass_armed(point);
    }
}

#[cold]
fn pass_armed(point: &str) {
    let Some(armed) = ARMED.get().filter(|armed| armed.point == point) else { return };
    if armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // Nobody goes on behind the point until the signal has come.
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_the_number_of_times() {
        let armed = |told| parse(told).map(|armed| (armed.point, armed.left.into_inner()));
        assert_eq!(armed("flip-recorded:2"), Some(("flip-recorded", 2)));
        for nothing in ["", "flip-recorded", "flip-recorded:0", "flip-recorded:-1", "flip-recorder:1", ":1"] {
            assert_eq!(armed(nothing), None, "{nothing}");
        }
        let told = Error("x".to_owned()).to_string();
        assert!(told.starts_with("LATERNA_DIE_AT is `x`: ") && told.contains(", actor-started"), "{told}");
    }
}
