//! Upcasters: which are in force, and which releases they feed.
//!
//! An upcaster has no store, so nothing is built: it is in force once it is checked. What it feeds is fixed with each release, by its
//! digest; so a new one rebuilds those that it feeds, alongside, and what serves goes on with the old one.

use super::Error;
use super::component::RejectError;
use super::control::Record;
use super::machine::{Event, State};
use super::releases::{Component, InForce};
use super::serving::Serving;
use super::steward::{Happening, Steward};
use crate::plugin::{Manifest, Upcaster};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An upcaster that feeds a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feeds {
    /// Its name.
    pub name: String,
    /// The module that it belongs to; empty for none.
    pub module: String,
    /// Its release.
    pub release: u64,
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
}

impl Steward {
    /// The upcasters in force that feed a component with this manifest.
    pub(super) fn upcasters_of(&self, manifest: &Manifest) -> Vec<Feeds> {
        let in_force = self.components.values().filter_map(|component| Some((component, component.upcaster.as_ref()?)));
        let feeding = in_force.filter(|(_, in_force)| in_force.upcaster.manifest().feeds(manifest));
        feeding
            .map(|(component, in_force)| Feeds {
                name: component.name.clone(),
                module: component.module.clone(),
                release: in_force.release,
                digest: in_force.upcaster.digest().to_owned(),
            })
            .collect()
    }

    /// Whether a new upcaster goes with those in force: each step is taken by one.
    pub(super) fn admit_upcaster(&self, name: &str, module: &str, upcaster: &Upcaster) -> Result<(), RejectError> {
        let others = self.components.values().filter(|component| component.name != name && component.module == module);
        for (other, in_force) in others.filter_map(|other| Some((other, other.upcaster.as_ref()?))) {
            let theirs = &in_force.upcaster.manifest().steps;
            let is_theirs = |step: &&crate::plugin::manifest::Step| {
                theirs
                    .iter()
                    .any(|known| (&known.event_type, known.from_version) == (&step.event_type, step.from_version))
            };
            if let Some(step) = upcaster.manifest().steps.iter().find(is_theirs) {
                return Err(RejectError::StepTwice {
                    event_type: step.event_type.clone(),
                    version: step.from_version,
                    other: other.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Puts an upcaster that was checked in force, and has what it feeds rebuilt.
    pub(super) fn put_in_force(&mut self, name: &str, release: u64, upcaster: Upcaster) -> Result<(), Error> {
        let Some(component) = self.components.get(name) else { return Ok(()) };
        let before = component.in_state(|state| state == State::Live).map(|record| record.release);
        let reason = format!("release {release} is in force in its place");
        let displaced = before.map(|before| Happening::new(before, Event::Expired, reason));
        let in_force = Happening::new(release, Event::InForce, "what it feeds is rebuilt with it, alongside");
        let happenings: Vec<Happening> = displaced.into_iter().chain([in_force]).collect();
        self.happen(name, &happenings)?;
        let Some(mut component) = self.components.get(name).cloned() else { return Ok(()) };
        component.upcaster = Some(Arc::new(InForce { release, upcaster }));
        self.show(component);
        before.into_iter().for_each(|before| self.forget(name, before));
        tracing::info!(component = name, release, "the upcaster is in force");
        self.rebuild_fed(name);
        Ok(())
    }

    /// Rebuilds, alongside, what this upcaster feeds and was built with another release of it, or without.
    pub(super) fn rebuild_fed(&mut self, upcaster: &str) {
        let mut stale = Vec::new();
        for component in self.components.values() {
            let Some((serving, newest)) = fed_now(component) else { continue };
            let by_name = |feeds: &&Feeds| feeds.name == upcaster;
            let wanted = self.upcasters_of(serving.plugin.manifest());
            if wanted.iter().find(by_name) != newest.upcasters.iter().find(by_name) {
                stale.push((component.name.clone(), serving.release));
            }
        }
        for (name, release) in stale {
            // What was given up is tried again: with another upcaster it may be in order.
            match self.build_anew(&name, Some(release)) {
                Ok(_) => tracing::info!(component = name, upcaster, "it is rebuilt, alongside"),
                Err(error) => tracing::error!(component = name, upcaster, %error, "it could not be rebuilt"),
            }
        }
    }

    /// Whether the bytes of an upcaster's release are still run by a release that it feeds.
    pub(super) fn feeds_any(&self, name: &str, release: u64) -> bool {
        let mut records = self.components.values().flat_map(|component| &component.releases);
        records.any(|record| {
            record.state.is_needed()
                && record.upcasters.iter().any(|feeds| feeds.name == name && feeds.release == release)
        })
    }
}

/// What an upcaster's new release is judged by in a component: the newest code that runs, and the newest release, not the one that
/// serves: what was rolled back is not built again. `None` where there is nothing to rebuild, or it is still checked.
pub(super) fn fed_now(component: &Component) -> Option<(&Serving, &Record)> {
    let serving = component.building.as_ref().or(component.live.as_ref()).filter(|_| !component.removed)?;
    let newest = component.releases.iter().find(|record| record.state != State::Rejected)?;
    (!matches!(newest.state, State::Received | State::Checked)).then_some((&**serving, newest))
}
