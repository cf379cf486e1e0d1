//! Whether a release may take the place of the one that serves: both are compared, and its policy decides.

use super::Error;
use super::control::{By, Record, Ruling};
use super::machine::{Event, State};
use super::releases::{Component, Taken};
use super::serving::Serving;
use super::steward::{AGAIN, Happening, Message, Steward};
use super::verify::{Difference, Pair, Unverified, is_internal, newly_parked};
use crate::plugin::Policy;
use crate::store::parked::Sequence;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What came of comparing a release with the one that serves.
pub(super) type Reviewed = Result<Difference, Unverified>;

/// Why a release is held.
pub(super) struct Hold {
    reason: String,
    /// The module inside which alone the reason may be read.
    internal_to: Option<String>,
}

impl Steward {
    /// Has a release compared with the one that serves, unless that was done, and lets it serve where it may.
    pub(super) fn review(&mut self, name: &str, release: u64) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let Some(record) = component.release(release) else { return Ok(()) };
        if record.is_promoted() || record.difference.is_some() {
            return self.cut_over(name, release);
        }
        let Some(green) = component.building.clone() else { return Ok(()) };
        let Some(blue) = component.live.clone() else {
            // Nobody reads another one, so there is nothing to compare it with.
            return match record.ruling.policy {
                Policy::Hold => self.hold(name, release, Hold { reason: by_policy(record.ruling), internal_to: None }),
                Policy::Auto | Policy::HoldIfDifferent => self.cut_over(name, release),
            };
        };
        if green.running.is_paused() && green.store.progress().applied < blue.store.progress().applied {
            // It does not get there before it is let go on.
            self.look_again(name, release, AGAIN);
            return Ok(());
        }
        self.compare(name, blue, green);
        Ok(())
    }

    /// Compares two releases on another thread, once it is their turn, unless they are compared already.
    fn compare(&mut self, name: &str, blue: Arc<Serving>, green: Arc<Serving>) {
        let key = (name.to_owned(), green.release);
        if self.reviews.contains_key(&key) {
            return;
        }
        // Said here, and not where they are compared: whoever flips them says otherwise on this thread, too, and must have the last word.
        green.running.follow(Some(blue.store.watch_progress()));
        let unwanted = CancellationToken::new();
        self.reviews.insert(key, unwanted.clone().drop_guard());
        let (turns, inbox, runtime) = (Arc::clone(&self.verifications), self.inbox.clone(), self.runtime.clone());
        let (options, patience) = (self.parts.config.verify.clone(), self.parts.config.cutover);
        let means = Arc::clone(&self.parts.means);
        let (name, release) = (name.to_owned(), green.release);
        self.runtime.spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return };
            let comparing = tokio::task::spawn_blocking(move || {
                let pair = Pair {
                    before: &blue,
                    after: &green,
                    exactly: false,
                    patience,
                    done: Some(&means),
                    unwanted: &unwanted,
                    runtime: &runtime,
                };
                pair.compare(&options)
            });
            // One that panicked has said so on standard error.
            let reviewed = comparing.await.unwrap_or(Err(Unverified::Died));
            // Where nobody listens any more, the host is being stopped.
            let _ = inbox.send(Message::Reviewed(name, release, Box::new(reviewed))).await;
        });
    }

    /// Goes on with a release that was compared: it takes its place, or is held.
    pub(super) fn reviewed(&mut self, name: &str, release: u64, reviewed: Reviewed) -> Result<(), Error> {
        // One that nobody waits for any more.
        if self.reviews.remove(&(name.to_owned(), release)).is_none() {
            return Ok(());
        }
        let Some(component) = self.components.get(name).cloned() else { return Ok(()) };
        let Some(record) = component.release(release) else { return Ok(()) };
        let Record { ruling, module, state, .. } = record;
        let is_promoted = record.is_promoted();
        let hold = match reviewed {
            Err(unverified) => {
                tracing::warn!(component = name, release, %unverified, "it could not be compared");
                let reason = format!("it could not be compared with the one that serves: {unverified}");
                (!is_promoted).then_some(Hold { reason, internal_to: None })
            }
            Ok(difference) => {
                let hold = match why_held(*ruling, &difference, module) {
                    // Its operator has decided, or is yet to: nothing else lets it serve.
                    _ if is_promoted => None,
                    None if *state == State::Held => Some(compared_again(&difference, module)),
                    hold => hold,
                };
                if let Some(record) = self.release_mut(name, release) {
                    record.difference = Some(Arc::new(difference));
                }
                hold
            }
        };
        match hold {
            Some(hold) => self.hold(name, release, hold),
            None => self.cut_over(name, release),
        }
    }

    /// Lets a release wait for its operator. It follows the one that serves, never ahead of it.
    pub(super) fn hold(&mut self, name: &str, release: u64, hold: Hold) -> Result<(), Error> {
        let Hold { reason, internal_to } = hold;
        tracing::info!(component = name, release, reason, "the release is held");
        let held = Happening::new(release, Event::Held, reason).internal_to(internal_to.as_deref());
        self.happen(name, &[held])
    }

    /// Compares the release that is held again with the one that serves, as both are now.
    pub(super) fn compare_again(&mut self, name: &str, release: Option<u64>) -> Result<Taken, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let release = wanted(component, component.candidate(), release, "compared again")?.release;
        match (component.release(release).map(|record| record.state), &component.live, &component.building) {
            (Some(State::Held), Some(blue), Some(green)) => {
                let (blue, green) = (Arc::clone(blue), Arc::clone(green));
                self.compare(name, blue, green);
                Ok(Taken { release, unchanged: false })
            }
            (Some(State::Held), ..) => Err(Error::Unfit(format!(
                "release {release} of `{name}` is the first one: there is nothing to compare it with"
            ))),
            _ => Err(Error::Unfit(format!("release {release} of `{name}` is not held: it is compared before it is"))),
        }
    }

    /// Lets the release serve that is held.
    pub(super) fn promote(&mut self, name: &str, release: Option<u64>) -> Result<Taken, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let live = component.in_state(|state| state == State::Live).map(|record| record.release);
        if let Some(release) = release.filter(|release| live == Some(*release)) {
            return Ok(Taken { release, unchanged: true });
        }
        let candidate = wanted(component, component.candidate(), release, "promoted")?;
        let taken = Taken { release: candidate.release, unchanged: false };
        match candidate.state {
            State::Held => {
                let promoted = Happening::new(taken.release, Event::Promoted, "its operator lets it serve");
                self.happen(name, &[promoted])?;
            }
            State::Verifying if candidate.is_promoted() => {}
            state => {
                return Err(Error::Unfit(format!(
                    "release {} of `{name}` is {}: it can be promoted once it is held, and serves by itself where its policy lets it",
                    taken.release,
                    state.name()
                )));
            }
        }
        self.look_again(name, taken.release, std::time::Duration::ZERO);
        Ok(taken)
    }

    /// Gives up what is on its way to serve.
    pub(super) fn abort(&mut self, name: &str, release: Option<u64>) -> Result<Taken, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let release = wanted(component, component.on_its_way(), release, "given up")?.release;
        self.supersede(name, "its operator gave it up")?;
        Ok(Taken { release, unchanged: false })
    }

    /// Why a release is held at the last moment: it leaves events out that the one that serves does not, and its operator has not seen
    /// that. Both must stand where they are.
    pub(super) fn newly_parked(
        &self,
        component: &Component,
        blue: &Serving,
        green: &Serving,
    ) -> Result<Option<Hold>, Error> {
        let record = component.release(green.release).filter(|record| record.state == State::Verifying);
        let Some(record) = record else { return Ok(None) };
        let seen = match (&record.difference, record.is_promoted()) {
            (_, false) => 0,
            (Some(difference), true) => difference.after.position,
            // It could not be compared, and serves all the same.
            (None, true) => return Ok(None),
        };
        let newly = newly_parked(&blue.store, &green.store, seen)?;
        let module = is_internal(Some(blue), green).then(|| record.module.clone());
        Ok((!newly.is_empty()).then(|| held_for_parked(&newly, newly.len(), module)))
    }
}

/// The release that is meant, where it is said which.
fn wanted<'c>(
    component: &Component,
    found: Option<&'c Record>,
    release: Option<u64>,
    what: &str,
) -> Result<&'c Record, Error> {
    let name = &component.name;
    let Some(found) = found else {
        return Err(Error::Unfit(format!("no release of `{name}` is on its way to serve: nothing can be {what}")));
    };
    match release {
        Some(release) if release != found.release => Err(Error::Unfit(format!(
            "release {} of `{name}` is the one that is on its way to serve, and not {release}",
            found.release
        ))),
        _ => Ok(found),
    }
}

/// Why a release is held after it was compared, if it is.
fn why_held(ruling: Ruling, difference: &Difference, module: &str) -> Option<Hold> {
    let (parked, module) = (&difference.parked, difference.internal.then(|| module.to_owned()));
    if parked.newly_sequences > 0 {
        let module = module.or_else(|| parked.internal_to.clone());
        return Some(held_for_parked(&parked.newly, parked.newly_sequences, module));
    }
    let holds = match ruling.policy {
        Policy::Auto => false,
        Policy::Hold => true,
        Policy::HoldIfDifferent => !difference.same,
    };
    let internal_to = module.or_else(|| parked.internal_to.clone());
    holds.then(|| Hold { reason: format!("{}; {}", by_policy(ruling), difference.summary()), internal_to })
}

fn compared_again(difference: &Difference, module: &str) -> Hold {
    let internal_to = difference.internal.then(|| module.to_owned()).or_else(|| difference.parked.internal_to.clone());
    Hold { reason: format!("it was compared again; {}", difference.summary()), internal_to }
}

fn held_for_parked(newly: &[Sequence], sequences: usize, module: Option<String>) -> Hold {
    let first = newly.first().map_or(String::new(), |first| {
        format!(
            "; the first is `{}`, by event {} ({}) at position {}: {}",
            first.sequence, first.event_id, first.event_type, first.position, first.reason
        )
    });
    let internal = newly.iter().find(|sequence| sequence.internal).map(|sequence| sequence.module.clone());
    let of =
        if sequences == 1 { "events of 1 sequence".to_owned() } else { format!("events of {sequences} sequences") };
    Hold {
        reason: format!("it leaves {of} out that the one that serves does not leave out{first}"),
        internal_to: module.or(internal),
    }
}

fn by_policy(ruling: Ruling) -> String {
    let policy = ruling.policy.name();
    match ruling.by {
        By::Manifest => format!("policy `{policy}` of its manifest"),
        By::Operator => format!("policy `{policy}` of the host"),
    }
}
