//! Points at which the process can be told to die, for tests: as a crash would have it, with nothing unwound or flushed. Or to wait, so that
//! another thread gets there first.
//!
//! `LATERNA_DIE_AT=<name>:<n>` has it kill itself with SIGKILL when it passes the point of this name for the n-th time.
//! `LATERNA_WAIT_AT=<name>:<n>:<file>` has the thread that does so make this file, and wait for as long as it is there.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The variables that name the point.
const DIE: &str = "LATERNA_DIE_AT";
const WAIT: &str = "LATERNA_WAIT_AT";

/// How often who waits looks for its file.
const LOOK: Duration = Duration::from_millis(5);

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
static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();

/// Where something happens.
struct Armed {
    point: &'static str,
    /// How often the point is passed until then.
    left: AtomicU64,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Die,
    Wait(PathBuf),
}

/// A variable says nothing that is understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "{variable} is `{told}`: it must be the name of a point, `:`, and a number from 1{more}; the points are {points}",
    points = POINTS.join(", "),
    more = if *variable == WAIT { ", then `:` and a file" } else { "" }
)]
pub struct Error {
    variable: &'static str,
    told: String,
}

/// Reads the variables. To be called once, before anything is passed.
///
/// # Errors
/// There is no such point.
pub fn arm() -> Result<(), Error> {
    let mut all = Vec::new();
    for variable in [DIE, WAIT] {
        if let Some(told) = std::env::var_os(variable).filter(|told| !told.is_empty()) {
            let told = told.to_string_lossy().into_owned();
            all.push(parse(variable, &told).ok_or(Error { variable, told })?);
        }
    }
    IS_ARMED.store(!all.is_empty() && ARMED.set(all).is_ok(), Ordering::Relaxed);
    Ok(())
}

fn parse(variable: &str, told: &str) -> Option<Armed> {
    let (name, told) = told.split_once(':')?;
    let (times, what) = match variable {
        WAIT => told.split_once(':').map(|(times, file)| (times, What::Wait(file.into())))?,
        _ => (told, What::Die),
    };
    let point = *POINTS.iter().find(|point| **point == name)?;
    let left = times.parse().ok().filter(|times| *times > 0)?;
    Some(Armed { point, left: AtomicU64::new(left), what })
}

/// Passes a point. Costs one relaxed load where no variable is set.
#[inline]
pub fn pass(point: &'static str) {
    if IS_ARMED.load(Ordering::Relaxed) {
        pass_armed(point);
    }
}

#[cold]
fn pass_armed(point: &str) {
    for armed in ARMED.get().into_iter().flatten().filter(|armed| armed.point == point) {
        if armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            match &armed.what {
                What::Die => die(),
                What::Wait(file) => wait(file),
            }
        }
    }
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // Nobody goes on behind the point until the signal has come.
    std::process::abort()
}

fn wait(file: &Path) {
    if let Err(error) = std::fs::write(file, "") {
        tracing::error!(%error, file = %file.display(), "nobody can be told that a point is reached");
    }
    while file.exists() {
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_the_number_of_times() {
        let armed =
            |variable, told| parse(variable, told).map(|armed| (armed.point, armed.left.into_inner(), armed.what));
        assert_eq!(armed(DIE, "flip-recorded:2"), Some(("flip-recorded", 2, What::Die)));
        assert_eq!(armed(WAIT, "flip-recorded:1:/a:b"), Some(("flip-recorded", 1, What::Wait("/a:b".into()))));
        for nothing in ["", "flip-recorded", "flip-recorded:0", "flip-recorded:-1", "flip-recorder:1", ":1"] {
            assert_eq!(armed(DIE, nothing), None, "{nothing}");
            assert_eq!(armed(WAIT, nothing), None, "{nothing}");
        }
        let told = Error { variable: DIE, told: "x".to_owned() }.to_string();
        assert!(told.starts_with("LATERNA_DIE_AT is `x`: ") && told.contains(", actor-started"), "{told}");
    }
}
