//! What operators ask: rebuild, pause, resume, promote, abort, roll back, remove.

use super::Error;
use super::control::{Paused, Record};
use super::machine::{Event, State};
use super::offer::Origin;
use super::releases::{Ask, Component, Taken};
use super::serving::Serving;
use super::steward::{Happening, Steward};
use crate::projector;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Steward {
    /// Does what an operator asks.
    pub(super) fn ask(&mut self, name: &str, ask: Ask) -> Result<Taken, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let live = component.in_state(|state| state == State::Live).map_or(0, |record| record.release);
        if component.removed && !matches!(ask, Ask::Remove { .. }) {
            return Err(Error::Unfit(format!("`{name}` was removed: deploy its file again first")));
        }
        if component.upcaster.is_some() && !matches!(ask, Ask::Remove { .. }) {
            return Err(Error::Unfit(format!(
                "`{name}` is an upcaster: it has nothing to build, to pause or to go back to. To go back, deploy its former file"
            )));
        }
        match ask {
            Ask::Retry(sequence) => self.retry(name, &sequence),
            Ask::Discard(sequence) => self.discard(name, sequence),
            Ask::Rebuild(release) => self.rebuild(name, release),
            Ask::RollBack(release) => self.roll_back(name, release),
            Ask::Promote(release) => self.promote(name, release),
            Ask::Abort(release) => self.abort(name, release),
            Ask::Compare(release) => self.compare_again(name, release),
            Ask::Pause(paused) => {
                let unchanged = component.paused == paused;
                self.change(name, |component| component.paused = paused)?;
                self.tell_paused(name);
                if paused == Paused::Nothing {
                    self.restart_halted(name);
                }
                Ok(Taken { release: live, unchanged })
            }
            Ask::Remove { purge } => self.remove(name, purge).map(|()| Taken { release: live, unchanged: false }),
        }
    }

    /// Builds a new release of bytes that are kept. What was given up of them stays so.
    pub(super) fn rebuild(&mut self, name: &str, release: Option<u64>) -> Result<Taken, Error> {
        let (taken, discarded) = self.build_anew(name, release)?;
        self.give_up(name, taken.release, discarded)?;
        Ok(taken)
    }

    /// Builds a new release of bytes that are kept; answers also what was given up of the one that they are of.
    pub(super) fn build_anew(&mut self, name: &str, release: Option<u64>) -> Result<(Taken, BTreeSet<String>), Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let record = match release {
            Some(release) => component.release(release),
            None => component.in_state(|state| matches!(state, State::Live | State::Failed)),
        };
        let kept = record
            .and_then(|record| Some((record.clone(), std::fs::read(self.parts.bytes_of(name, record.release)).ok()?)));
        let Some((record, bytes)) = kept else {
            return Err(Error::Unfit(match release {
                Some(release) if component.release(release).is_none() => format!("`{name}` has no release {release}"),
                Some(release) => {
                    format!("the bytes of release {release} of `{name}` are not kept: deploy its file again")
                }
                None => format!("`{name}` has no release whose bytes are kept: deploy its file again"),
            }));
        };
        let Record { module, digest, discarded, begins, .. } = record;
        Ok((self.receive(name, &module, &bytes, digest, Origin::Kept, begins)?, discarded))
    }

    /// Tries again what is left out of a sequence. A component comes to the same under the same limits, so it takes others.
    fn retry(&mut self, name: &str, sequence: &str) -> Result<Taken, Error> {
        let (live, record) = self.live(name)?;
        if record.limits == self.parts.limits() && record.upcasters == self.upcasters_of(live.plugin.manifest()) {
            return Err(Error::Unfit(format!(
                "release {} of `{name}` would come to the same: it is deterministic, and its limits are those of the host. Raise \
                 the limit that it met (`fuel`, `memory_bytes`) and start the host again, or drop a mended component",
                record.release
            )));
        }
        let (taken, mut discarded) = self.build_anew(name, Some(record.release))?;
        discarded.remove(sequence);
        self.give_up(name, taken.release, discarded)?;
        Ok(taken)
    }

    /// Gives up what is left out of a sequence of the release that serves.
    fn discard(&mut self, name: &str, sequence: String) -> Result<Taken, Error> {
        let (live, _) = self.live(name)?;
        let release = live.release;
        if live.terms.discarded.contains(&sequence) {
            return Ok(Taken { release, unchanged: true });
        }
        self.give_up(name, release, BTreeSet::from([sequence.clone()]))?;
        live.terms.discarded.insert(sequence);
        // One that halted because too much was left out goes on.
        self.restart_halted(name);
        Ok(Taken { release, unchanged: false })
    }

    /// The release that serves, with what is recorded of it.
    pub(super) fn live(&self, name: &str) -> Result<(Arc<Serving>, Record), Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let serving = component.serving().ok_or_else(|| Error::Unfit(format!("no release of `{name}` serves")))?;
        Ok((Arc::clone(serving.0), serving.1.clone()))
    }

    /// Records of a release that these sequences, too, are given up.
    fn give_up(&mut self, name: &str, release: u64, sequences: BTreeSet<String>) -> Result<(), Error> {
        let Some(record) = self.components.get(name).and_then(|component| component.release(release)) else {
            return Ok(());
        };
        let mut record = record.clone();
        record.discarded.extend(sequences);
        self.control.write(|control| control.release(name, &record))?;
        if let Some(kept) = self.release_mut(name, release) {
            *kept = record;
        }
        Ok(())
    }

    /// Lets the warm release serve again, once it stands where the one stands that serves now.
    fn roll_back(&mut self, name: &str, release: Option<u64>) -> Result<Taken, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let of = |state: &dyn Fn(State) -> bool| component.in_state(state).map(|record| record.release);
        let live = of(&|state| state == State::Live);
        if let Some(release) = release.filter(|release| live == Some(*release)) {
            return Ok(Taken { release, unchanged: true });
        }
        let kept: Vec<u64> = component.kept_warm().map(|record| record.release).collect();
        if let Some(wanted) = release
            && !kept.is_empty()
            && !kept.contains(&wanted)
        {
            let kept = kept.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::Unfit(format!(
                "release {wanted} of `{name}` is not kept: {kept} can serve again; deploy the file of the other"
            )));
        }
        if component.live.as_ref().is_some_and(|live| live.plugin.is_process()) {
            return self.build_back(name, release.or(kept.first().copied()));
        }
        Ok(Taken { release: self.recall(name, release, "rolled back")?, unchanged: false })
    }

    /// Builds a process manager anew of the bytes of a release that served before: it folds what came since, with nothing done twice.
    fn build_back(&mut self, name: &str, release: Option<u64>) -> Result<Taken, Error> {
        match release {
            Some(release) => self.rebuild(name, Some(release)),
            None => Err(self.nothing_kept(name)),
        }
    }

    fn nothing_kept(&self, name: &str) -> Error {
        Error::Unfit(format!(
            "`{name}` has no release to go back to: of those that served none is kept any longer (`warm_releases` is {}, `warm_seconds` {})",
            self.parts.config.warm.releases,
            self.parts.config.warm.age.as_secs()
        ))
    }

    /// Has a warm release on its way to serve again, this one or the one that served last; whatever was on its way makes room.
    pub(super) fn recall(&mut self, name: &str, release: Option<u64>, reason: &str) -> Result<u64, Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let is_wanted = |record: &&Record| release.is_none_or(|release| record.release == release);
        let warm = component.kept_warm().find(is_wanted).ok_or_else(|| self.nothing_kept(name))?;
        let (release, module, is_returning) = (warm.release, warm.module.clone(), warm.state == State::Returning);
        if is_returning {
            self.look_again(name, release, Duration::ZERO);
            return Ok(release);
        }
        let find = |component: &Component| component.warm.iter().find(|warm| warm.release == release).cloned();
        if find(component).is_none() {
            self.revive(name, release)?;
        }
        let before = self.components.get(name).cloned();
        let Some(warm) = before.as_ref().and_then(find) else {
            return Err(Error::Unfit(format!("release {release} of `{name}` does not run: start the host again")));
        };
        if let projector::State::Halted(halt) = warm.running.state() {
            return Err(Error::Unfit(format!(
                "release {release} of `{name}` cannot come back: it halted: {}",
                halt.for_anybody()
            )));
        }
        let superseded = before.as_ref().and_then(Component::on_its_way).map(|record| record.release);
        let why = format!("release {release} is called back");
        let mut happenings: Vec<Happening> =
            superseded.map(|superseded| Happening::new(superseded, Event::Superseded, why)).into_iter().collect();
        happenings.push(Happening::new(release, Event::Recalled, reason));
        self.adopt(name, &module);
        if let Err(error) = self.happen(name, &happenings) {
            self.put_back(name, before);
            return Err(error);
        }
        superseded.into_iter().for_each(|superseded| self.let_go(name, superseded));
        self.watch(name, &warm);
        Ok(release)
    }

    /// Withdraws a component: nothing of it serves or folds any more.
    pub(super) fn remove(&mut self, name: &str, purge: bool) -> Result<(), Error> {
        let component = self.components.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        if component.removed && !purge {
            return Err(Error::Unfit(format!(
                "`{name}` was removed already; `laterna remove {name} --purge` deletes its store, too"
            )));
        }
        let in_state = |is: &dyn Fn(State) -> bool| component.in_state(is).map(|record| record.release);
        let live = in_state(&|state| state == State::Live);
        let is_upcaster = component.upcaster.is_some();
        let warm: Vec<u64> = component.kept_warm().map(|record| record.release).collect();
        let superseded = component.on_its_way().map(|record| record.release);
        let expired = "the component was removed";
        let mut happenings: Vec<Happening> =
            superseded.map(|superseded| Happening::new(superseded, Event::Superseded, expired)).into_iter().collect();
        // The one that serves is kept, the one before it only where none does.
        happenings.extend(
            warm.into_iter()
                .filter(|_| purge || live.is_some())
                .map(|warm| Happening::new(warm, Event::Expired, expired)),
        );
        let kept = "the component was removed; its store is kept";
        happenings.extend(live.map(|live| match purge || is_upcaster {
            true => Happening::new(live, Event::Expired, expired),
            false => Happening::new(live, Event::Withdrawn, kept),
        }));
        let gone: Vec<u64> = happenings
            .iter()
            .filter(|happening| happening.event == Event::Expired)
            .map(|happening| happening.release)
            .collect();
        let before = self.components.get(name).cloned();
        if let Some(component) = self.components.get_mut(name) {
            component.removed = true;
        }
        if let Err(error) = self.happen(name, &happenings) {
            self.put_back(name, before);
            return Err(error);
        }
        superseded.into_iter().filter(|release| !gone.contains(release)).for_each(|release| self.let_go(name, release));
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let mut component = component.clone();
        // Releases that it feeds go on with it; the next ones do without.
        component.upcaster = None;
        let ran: Vec<_> = component.live.take().into_iter().chain(std::mem::take(&mut component.warm)).collect();
        self.keep_nothing(name, &gone, &ran);
        for kept in ran.into_iter().filter(|serving| !gone.contains(&serving.release)) {
            kept.rest();
            kept.running.begin_stop();
            // Those that have ended meanwhile need not be waited for.
            self.leaving.retain(|_, serving| !serving.running.stop_until(Instant::now()));
            self.leaving.insert((name.to_owned(), kept.release), kept);
        }
        self.forget_removed(&component);
        tracing::info!(component = name, purge, "the component is removed");
        self.show(component);
        Ok(())
    }

    /// Tells everything of a component whether it rests.
    pub(super) fn tell_paused(&self, name: &str) {
        let Some(component) = self.components.get(name) else { return };
        if let Some(building) = &component.building {
            building.running.pause(component.paused != Paused::Nothing);
        }
        for serving in component.live.iter().chain(&component.warm) {
            serving.running.pause(component.paused == Paused::Everything);
        }
        match (&component.live, component.paused) {
            (Some(live), Paused::Everything) => live.rest(),
            (Some(live), _) => live.act(&self.parts),
            (None, _) => {}
        }
    }
}
