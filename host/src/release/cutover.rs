//! The moment when another release serves: one pointer flips, at a position not behind the one that served.

use super::Error;
use super::machine::{Event, State};
use super::process;
use super::retire::kept_behind;
use super::serving::Serving;
use super::steward::{AGAIN, Happening, Steward};
use crate::failpoint;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How often the time is doubled that a cutover may take.
const MOST_DOUBLINGS: u32 = 4;

impl Steward {
    /// Lets a release serve that stands where the one stands that serves now, or a little behind it. Where it does not get there
    /// in time, nothing has happened, and it is tried again.
    ///
    /// The one that serves (blue) is kept where it stands, P, for the moment: so nobody who asked it was told of more than P. Once the
    /// other one (green) is at P or further, the flip is recorded, then shown: whoever looks from then on is answered by green.
    /// Blue goes on, never ahead of green, so that also one who found it before the flip and asks it after cannot be told of more
    /// than green will tell.
    pub(super) fn cut_over(&mut self, name: &str, release: u64) -> Result<(), Error> {
        let Some(component) = self.components.get(name).cloned() else { return Ok(()) };
        let Some(green) = component.running().find(|serving| serving.release == release).cloned() else {
            return Ok(());
        };
        let begun = Instant::now();
        let attempt = (name.to_owned(), release);
        let attempts = self.attempts.get(&attempt).copied().unwrap_or(0);
        let patience = self.parts.config.cutover * 2_u32.pow(attempts);
        let Some(blue) = component.live.clone() else {
            let first = Happening::new(release, Event::CutOver, "it is the first one that serves");
            let Some(first) = self.take_over(&component, &green, None, patience, first)? else {
                self.try_again(name, release, attempts);
                return Ok(());
            };
            self.flip(name, &green, None, first)?;
            self.revive_warm(name);
            return Ok(());
        };
        if green.running.is_paused() && green.store.progress().applied < blue.store.progress().applied {
            // It does not get there before it is let go on.
            self.look_again(name, release, AGAIN);
            return Ok(());
        }
        let held = blue.running.hold(patience);
        let position = blue.store.progress().applied;
        if held.is_none()
            || !self.reaches(&green, position, patience)
            || !blue.has_done(position, patience, &self.runtime)
        {
            drop(held);
            self.try_again(name, release, attempts);
            return Ok(());
        }
        self.attempts.remove(&attempt);
        if let Some(reason) = self.newly_parked(&component, &blue, &green)? {
            drop(held);
            self.hold(name, release, reason)?;
            // What its operator looks at next tells of them, too.
            return self.compare_again(name, Some(release)).map(drop);
        }
        let took_over = format!("it took over from release {}, which stood at {position}", blue.release);
        let cut_over = Happening::new(release, Event::CutOver, took_over)
            .with_figure("from", blue.release)
            .with_figure("from_position", position);
        let Some(cut_over) = self.take_over(&component, &green, Some((&blue, position)), patience, cut_over)? else {
            drop(held);
            self.try_again(name, release, attempts);
            return Ok(());
        };
        let cut_over = cut_over.with_figure("held_seconds", begun.elapsed().as_secs_f64());
        self.flip(name, &green, Some(&blue), cut_over)
    }

    /// Tries a cutover again that came to nothing. A component whose batches take long is given more time with each attempt.
    fn try_again(&mut self, name: &str, release: u64, attempts: u32) {
        tracing::info!(component = name, release, "not close enough for a cutover yet; it is tried again");
        self.attempts.insert((name.to_owned(), release), (attempts + 1).min(MOST_DOUBLINGS));
        self.look_again(name, release, 2 * self.parts.config.cutover * 2_u32.pow(attempts));
    }

    fn reaches(&self, serving: &Serving, position: u64, patience: Duration) -> bool {
        let mut progress = serving.store.watch_progress();
        let reached = self.runtime.block_on(async {
            timeout(patience, progress.wait_for(|progress| progress.applied >= position)).await.is_ok()
        });
        reached && serving.running.state().is_folding()
    }

    /// Records that `green` serves and what becomes of the others, then shows it. `blue` must be held, or already at its end.
    fn flip(
        &mut self,
        name: &str,
        green: &Arc<Serving>,
        blue: Option<&Arc<Serving>>,
        cut_over: Happening,
    ) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let release = green.release;
        let mut happenings = Vec::new();
        let kept = kept_behind(component, release, blue.map(|blue| blue.release), self.parts.config.warm.releases);
        let others = component.releases.iter().filter(|record| record.release != release);
        for record in others {
            let is_kept = kept.contains(&record.release);
            match record.state {
                State::Live if is_kept => {
                    let reason = format!("release {release} serves in its place");
                    happenings.push(Happening::new(record.release, Event::Displaced, reason));
                }
                // One that is recorded as live, and could not be started, too.
                State::Live | State::Warm if !is_kept => {
                    let reason =
                        format!("release {release} serves now, and {} kept before it", self.parts.config.warm.told());
                    happenings.push(Happening::new(record.release, Event::Expired, reason));
                }
                _ => {}
            }
        }
        let acts_behind = cut_over.figure(process::ACTS_BEHIND);
        happenings.push(cut_over);
        let gone: Vec<u64> = happenings
            .iter()
            .filter(|happening| happening.event == Event::Expired)
            .map(|happening| happening.release)
            .chain(
                component.releases.iter().filter(|record| record.state == State::Failed).map(|record| record.release),
            )
            .collect();

        let shown = self.components.get(name).cloned();
        let Some(mut next) = shown.clone() else { return Ok(()) };
        let before: Vec<Arc<Serving>> = blue.into_iter().cloned().chain(std::mem::take(&mut next.warm)).collect();
        next.live = Some(Arc::clone(green));
        next.building = None;
        // A process manager goes back by being built again: what was kept of it is its bytes.
        let follows = |serving: &&Arc<Serving>| kept.contains(&serving.release) && !serving.plugin.is_process();
        next.warm = before.iter().filter(follows).cloned().collect();
        // Not shown yet: readers see it with the steps, once they are recorded.
        self.components.insert(name.to_owned(), next);
        failpoint::pass("flip-records");
        if let Err(error) = self.happen(name, &happenings) {
            // Not recorded, so it has not happened.
            self.put_back(name, shown);
            return Err(error);
        }
        failpoint::pass("flip-recorded");
        // From here on readers find green. It goes as far as there is something, and blue behind it.
        green.running.follow(None);
        for blue in before.iter().filter(|serving| serving.plugin.is_process()) {
            blue.rest();
            blue.running.begin_stop();
        }
        if let Some(behind) = acts_behind {
            failpoint::pass("actor-starts");
            green.terms.acting.move_to(behind);
            green.act(&self.parts);
            failpoint::pass("actor-started");
        }
        for warm in self.components.get(name).into_iter().flat_map(|component| &component.warm) {
            warm.running.follow(Some(green.store.watch_progress()));
        }
        self.keep_nothing(name, &gone, &before);
        self.reviews.retain(|(of, _), _| of != name);
        self.tell_paused(name);
        self.retire_later(name);
        tracing::info!(component = name, release, "the release serves");
        Ok(())
    }
}
