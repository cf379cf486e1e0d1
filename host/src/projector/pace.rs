//! How far one may fold for now: as far as there is something, up to where another one stands, or not at all.

use crate::store::Progress;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the one who folds is told.
#[derive(Clone)]
struct Pace {
    /// Until somebody lets it go on.
    paused: bool,
    /// How many keep it where it stands, for a moment each: a cutover, or a comparison.
    held: u32,
    /// Never ahead of this one.
    behind: Option<watch::Receiver<Progress>>,
}

impl Pace {
    /// The position up to which one may fold, or `None` for not now.
    fn limit(&self) -> Option<u64> {
        if self.paused || self.held > 0 {
            return None;
        }
        Some(self.behind.as_ref().map_or(u64::MAX, |leader| leader.borrow().applied))
    }
}

/// The side that says how far.
pub(super) struct Rein {
    pace: watch::Sender<Pace>,
    busy: watch::Receiver<bool>,
    runtime: Handle,
}

/// The side that folds.
pub(super) struct Turns {
    pace: watch::Receiver<Pace>,
    busy: watch::Sender<bool>,
    stop: CancellationToken,
    runtime: Handle,
}

/// Nothing is folded while one of these lives.
pub struct Held<'a> {
    rein: &'a Rein,
}

/// One turn of folding, up to this position.
pub(super) struct Turn<'a> {
    pub(super) up_to: u64,
    busy: &'a watch::Sender<bool>,
}

/// The two sides, as told from the first turn on: whether it rests, and whom it must not pass.
pub(super) fn pair(
    paused: bool,
    behind: Option<watch::Receiver<Progress>>,
    stop: &CancellationToken,
    runtime: &Handle,
) -> (Rein, Turns) {
    let (pace, told) = watch::channel(Pace { paused, held: 0, behind });
    let (busy, seen) = watch::channel(false);
    let rein = Rein { pace, busy: seen, runtime: runtime.clone() };
    (rein, Turns { pace: told, busy, stop: stop.clone(), runtime: runtime.clone() })
}

impl Rein {
    pub(super) fn pause(&self, paused: bool) {
        self.pace.send_modify(|pace| pace.paused = paused);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pace.borrow().paused
    }

    pub(super) fn follow(&self, leader: Option<watch::Receiver<Progress>>) {
        self.pace.send_modify(|pace| pace.behind = leader);
    }

    /// Lets no turn begin, and waits until the one under way has ended. `None` where that takes longer than `patience`.
    pub(super) fn hold(&self, patience: Duration) -> Option<Held<'_>> {
        let held = Held { rein: self };
        self.pace.send_modify(|pace| pace.held += 1);
        let mut busy = self.busy.clone();
        // Who folds says that it is busy before it looks whether it may: one of the two sees the other.
        let rested = self.runtime.block_on(async { tokio::time::timeout(patience, busy.wait_for(|busy| !busy)).await });
        // One that has ended is at rest, too.
        rested.is_ok().then_some(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.rein.pace.send_modify(|pace| pace.held -= 1);
    }
}

impl Turns {
    /// Waits until something between `applied` and `through` may be folded. `None` at a stop.
    pub(super) fn wait(&mut self, applied: u64, through: u64) -> Option<Turn<'_>> {
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            self.busy.send_replace(true);
            let pace = self.pace.borrow_and_update().clone();
            match pace.limit() {
                Some(up_to) if up_to > applied || up_to >= through => return Some(Turn { up_to, busy: &self.busy }),
                _ => self.busy.send_replace(false),
            };
            let (told, stop) = (&mut self.pace, &self.stop);
            self.runtime.block_on(async {
                let leader_advanced = async {
                    match pace.behind {
                        // A leader that is gone says nothing more: another word will come.
                        Some(mut leader) => match leader.wait_for(|leader| leader.applied > applied).await {
                            Ok(_) if !pace.paused && pace.held == 0 => {}
                            _ => std::future::pending().await,
                        },
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    // Who would tell is gone: so is the reason to wait, and the stop comes with it.
                    told = told.changed() => if told.is_err() { stop.cancelled().await },
                    () = leader_advanced => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.busy.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn the_last_one_who_holds_it_lets_it_go_on() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let stop = CancellationToken::new();
        let (rein, _turns) = pair(false, None, &stop, runtime.handle());
        let may_fold = || rein.pace.borrow().limit().is_some();
        let cutover = rein.hold(PATIENCE).expect("it rests");
        let comparison = rein.hold(PATIENCE).expect("it rests");
        drop(comparison);
        assert!(!may_fold());
        drop(cutover);
        assert!(may_fold());
    }
}
