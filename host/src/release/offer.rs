//! What is offered: bytes that lie in the folder, or come over HTTP, become a release, or are one already, or are refused.

use super::Error;
use super::component::{Checked, RejectError};
use super::control::{self, Figures, Paused, Record, Step};
use super::folder::{self, Seen, file_of};
use super::machine::{Event, State};
use super::releases::{Component, Taken};
use super::steward::{AGAIN, Happening, Message, Steward};
use crate::plugin::manifest::Beginning;
use crate::plugin::{Manifest, Policy, is_name};
use std::collections::BTreeSet;
use std::time::Duration;

/// Bytes that somebody wants deployed.
pub(super) struct Offer {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) bytes: Result<Vec<u8>, RejectError>,
    pub(super) origin: Origin,
    /// To what of the history it is to react, where it is the first of a process manager and whoever deploys it says.
    pub(super) begins: Option<Beginning>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// They lie in the folder.
    Found,
    /// They came over HTTP.
    Uploaded,
    /// They are kept from an earlier release.
    Kept,
}

/// What there is already of bytes that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// A release has them that is on its way to serve for the first time.
    Candidate(u64),
    /// The one that serves has them.
    Live(u64),
    /// One has them that served before, and can again.
    Warm(u64),
    /// They become a new release.
    Nothing,
}

impl Steward {
    /// Takes in what was seen in the folder.
    pub(super) fn see(&mut self, seen: Seen) {
        match seen {
            Seen::File(file, bytes) => {
                let folder::Dropped { name, module, .. } = file;
                self.take_found(Box::new(Offer { name, module, bytes, origin: Origin::Found, begins: None }));
            }
            Seen::All(files) => self.note_files(files),
        }
    }

    /// Takes in what was seen in the folder of components that nothing is known of.
    pub(super) fn see_new(&mut self, seen: Seen) {
        if let Seen::File(file, _) = &seen
            && !self.components.contains_key(&file.name)
        {
            self.see(seen);
        }
    }

    /// Takes what lies in the folder. Where it cannot even be recorded, it is tried again: nobody else will tell of it.
    pub(super) fn take_found(&mut self, offer: Box<Offer>) {
        if let Err(error) = self.take(&offer) {
            let file = file_of(&offer.module, &offer.name);
            tracing::error!(file, %error, "a dropped file could not be taken; it is tried again");
            let inbox = self.inbox.clone();
            self.runtime.spawn(async move {
                tokio::time::sleep(AGAIN).await;
                // Where nobody listens any more, the host is being stopped.
                let _ = inbox.send(Message::Again(offer)).await;
            });
        }
    }

    /// Takes bytes: as a new release, as one that is there already, or refused with its reason recorded.
    pub(super) fn take(&mut self, offer: &Offer) -> Result<Taken, Error> {
        let Offer { name, module, bytes, origin, begins } = offer;
        let (origin, begins) = (*origin, *begins);
        let digest = match bytes {
            Ok(bytes) => blake3::hash(bytes).to_hex().to_string(),
            // Remembered by what is wrong with it.
            Err(error) => blake3::hash(error.to_string().as_bytes()).to_hex().to_string(),
        };
        let file = file_of(module, name);
        let is_found = origin == Origin::Found;
        if let Some(files) = self.files.as_mut().filter(|_| is_found) {
            files.insert(file.clone());
        }
        self.forget_refused(Some(name));
        let known = self.components.get(name);
        if is_found && self.control.digest_of(&file)?.as_deref() == Some(&digest) {
            let release = known.and_then(|component| component.releases.first()).map_or(0, |record| record.release);
            return Ok(Taken { release, unchanged: true });
        }
        let bytes = match (bytes, self.admit(name, module)) {
            (Ok(bytes), Ok(())) => bytes,
            (Err(error), _) => return self.refuse(name, module, digest, origin, error),
            (Ok(_), Err(error)) => return self.refuse(name, module, digest, origin, &error),
        };
        let taken = match self.known(name, module, &digest) {
            Known::Candidate(release) => {
                self.place_candidate(offer, &digest, release);
                Taken { release, unchanged: true }
            }
            Known::Live(release) => {
                self.supersede(name, &format!("the bytes of release {release}, which serves, came again"))?;
                self.place(offer, &digest);
                Taken { release, unchanged: true }
            }
            Known::Warm(release) => match self.recall(name, Some(release), "its bytes came again") {
                Ok(_) => {
                    self.place(offer, &digest);
                    Taken { release, unchanged: false }
                }
                // Its store or its bytes are lost: it is built anew.
                Err(Error::Unfit(why)) => {
                    tracing::warn!(component = name, release, why, "it is built anew");
                    return self.receive(name, module, bytes, digest, origin, begins);
                }
                Err(error) => return Err(error),
            },
            Known::Nothing => return self.receive(name, module, bytes, digest, origin, begins),
        };
        if is_found {
            self.control.write(|control| control.file(&file, &digest))?;
        }
        Ok(taken)
    }

    /// What there is already of bytes with this digest.
    pub(super) fn known(&self, name: &str, module: &str, digest: &str) -> Known {
        let Some(component) = self.components.get(name) else { return Known::Nothing };
        let same = |record: &&Record| record.digest == digest && record.module == module;
        let find = |is: &dyn Fn(State) -> bool| component.in_state(is).filter(same).map(|record| record.release);
        // Those that serve or could serve, that is: one that could not be started, or has halted, is built anew.
        let serves = component.live.is_some() || component.upcaster.is_some();
        let live = || find(&|state| state == State::Live).filter(|_| serves).map(Known::Live);
        let is_warm = |record: &&Record| matches!(record.state, State::Warm | State::Returning) && same(record);
        let warm = || {
            let record = component.releases.iter().find(is_warm)?;
            self.can_return(component, record).then_some(Known::Warm(record.release))
        };
        let candidate = find(&State::is_candidate).map(Known::Candidate);
        candidate.or_else(live).or_else(warm).unwrap_or(Known::Nothing)
    }

    /// Whether a release that served before serves again where its bytes are dropped: where the policy would have it built and held, it
    /// is.
    fn can_return(&self, component: &Component, record: &Record) -> bool {
        // A process manager comes back by being built again.
        let may_serve =
            |manifest: &Manifest| manifest.process.is_none() && self.parts.ruling(manifest).policy == Policy::Auto;
        match component.warm.iter().find(|warm| warm.release == record.release) {
            Some(warm) => warm.running.state().is_folding() && may_serve(warm.plugin.manifest()),
            // Nothing of a component runs that was removed, also while another release of it is built.
            None if component.live.is_none() => {
                let kept = self.parts.load(&component.name, record).and_then(Checked::projection);
                kept.is_ok_and(|plugin| may_serve(plugin.manifest()))
            }
            None => false,
        }
    }

    /// Whether a file of this name in this module's folder may be the component.
    pub(super) fn admit(&self, name: &str, module: &str) -> Result<(), RejectError> {
        if !is_name(name) || !(module.is_empty() || is_name(module)) {
            return Err(RejectError::NoName(file_of(module, name).trim_end_matches(".wasm").to_owned()));
        }
        if let Some(component) = self.components.get(name)
            && component.module != module
            && !component.removed
            && component.in_state(|state| state.is_candidate() || state.has_store()).is_some()
        {
            let other = file_of(&component.module, name);
            // A file that was moved to another folder takes its component along.
            if self.parts.data.components().join(&other).exists() {
                return Err(RejectError::Twice(other));
            }
        }
        Ok(())
    }

    /// Records a file that is refused before anything is kept of it.
    pub(super) fn refuse(
        &mut self,
        name: &str,
        module: &str,
        digest: String,
        origin: Origin,
        error: &RejectError,
    ) -> Result<Taken, Error> {
        let mut component = self.component(name, module);
        // Not remembered by its bytes: it may be meant once the other file is gone.
        let is_twice = matches!(error, RejectError::Twice(_));
        if let Some(newest) = component.releases.first().filter(|_| is_twice)
            && newest.state == State::Rejected
            && (&newest.digest, newest.module.as_str()) == (&digest, module)
        {
            return Ok(Taken { release: newest.release, unchanged: true });
        }
        let record = self.record(&component, module, digest, 0, origin);
        let release = record.release;
        component.releases.insert(0, record);
        tracing::warn!(component = name, release, reason = %error, "the component is refused");
        let refused = Happening::new(release, Event::Refused, error.to_string()).with_code(error.code());
        let before = self.components.insert(name.to_owned(), component);
        let file = (origin == Origin::Found && !is_twice).then(|| file_of(module, name));
        if let Err(error) = self.happen_with_file(name, &[refused], file.as_deref()) {
            self.put_back(name, before);
            return Err(error);
        }
        Ok(Taken { release, unchanged: false })
    }

    /// Keeps the bytes of a new release and has them checked. Whatever was on its way before makes room.
    pub(super) fn receive(
        &mut self,
        name: &str,
        module: &str,
        bytes: &[u8],
        digest: String,
        origin: Origin,
        begins: Option<Beginning>,
    ) -> Result<Taken, Error> {
        let mut component = self.component(name, module);
        let record = Record { begins, ..self.record(&component, module, digest, bytes.len(), origin) };
        let release = record.release;
        self.parts.keep(name, release, bytes).map_err(Error::Keep)?;
        let reason = format!("release {release} came before it served");
        let superseded = component.on_its_way().map(|record| Happening::new(record.release, Event::Superseded, reason));
        component.releases.insert(0, record);
        let before = self.components.insert(name.to_owned(), component);
        let file = (origin == Origin::Found).then(|| file_of(module, name));
        if let Err(error) = self.happen_with_file(name, superseded.as_slice(), file.as_deref()) {
            self.put_back(name, before);
            return Err(error);
        }
        superseded.iter().for_each(|superseded| self.let_go(name, superseded.release));
        tracing::info!(component = name, release, "the component is checked");
        self.check(name, release, Duration::ZERO);
        Ok(Taken { release, unchanged: false })
    }

    /// A component as it is, or as it begins.
    pub(super) fn component(&self, name: &str, module: &str) -> Component {
        self.components.get(name).cloned().unwrap_or_else(|| Component {
            name: name.to_owned(),
            module: module.to_owned(),
            paused: Paused::default(),
            removed: false,
            file_gone: false,
            releases: Vec::new(),
            live: None,
            building: None,
            warm: Vec::new(),
            upcaster: None,
        })
    }

    /// The record of a new release, with its first step.
    pub(super) fn record(
        &self,
        component: &Component,
        module: &str,
        digest: String,
        bytes: usize,
        origin: Origin,
    ) -> Record {
        let reason = match origin {
            Origin::Found => format!("dropped as {}", file_of(module, &component.name)),
            Origin::Uploaded => "uploaded".to_owned(),
            Origin::Kept => "rebuilt".to_owned(),
        };
        let first = Step {
            // Numbered once it is taken.
            id: 0,
            state: State::Received,
            code: String::new(),
            reason: reason.clone(),
            internal_to: None,
            position: None,
            figures: Figures::from_iter([("bytes".to_owned(), bytes.into())]),
            at_us: control::now_us(),
        };
        let release = component.releases.first().map_or(0, |newest| newest.release) + 1;
        Record {
            reason,
            steps: vec![first],
            uploaded: origin == Origin::Uploaded,
            boot: self.boot.clone(),
            ..Record::received(release, module.to_owned(), digest, self.parts.limits())
        }
    }

    /// Puts what came over HTTP where it would have been dropped.
    fn place(&mut self, offer: &Offer, digest: &str) {
        if let (Origin::Uploaded, Ok(bytes)) = (offer.origin, &offer.bytes) {
            self.put_into_folder(&offer.name, &offer.module, bytes, digest);
        }
    }

    /// Puts what came over HTTP into the folder once it is checked, where it is on its way already.
    fn place_candidate(&mut self, offer: &Offer, digest: &str, release: u64) {
        match self.release_mut(&offer.name, release) {
            Some(record) if matches!(record.state, State::Received | State::Checked) => {
                record.uploaded |= offer.origin == Origin::Uploaded;
            }
            _ => self.place(offer, digest),
        }
    }

    /// Puts bytes that are deployed into the folder.
    pub(super) fn put_into_folder(&mut self, name: &str, module: &str, bytes: &[u8], digest: &str) {
        let file = file_of(module, name);
        let put = folder::put(&self.parts.data.components(), module, name, bytes).map_err(Error::Keep);
        // Whoever sees the file before that finds that these bytes are known.
        let put = put.and_then(|()| self.control.write(|control| control.file(&file, digest)));
        if let Err(error) = put {
            tracing::warn!(component = name, %error, "what was uploaded is deployed, and could not be put into the folder");
        } else if let Some(files) = &mut self.files {
            files.insert(file);
        }
    }

    /// A release of this module's folder is to serve: the component belongs there from now on, and is back if it was removed. To be
    /// recorded with the next step.
    pub(super) fn adopt(&mut self, name: &str, module: &str) {
        let Some(component) = self.components.get_mut(name) else { return };
        component.removed = false;
        let before = std::mem::replace(&mut component.module, module.to_owned());
        let left = file_of(&before, name);
        if before != module && self.files.as_ref().is_some_and(|files| !files.contains(&left)) {
            self.forget_file(&left);
        }
    }

    /// Notes which files lie in the folder. Deleting one withdraws nothing.
    pub(super) fn note_files(&mut self, files: BTreeSet<String>) {
        self.files = Some(files);
        for component in self.components.values().cloned().collect::<Vec<_>>() {
            let (name, was_gone) = (component.name.clone(), component.file_gone);
            self.show(component);
            let Some(component) = self.components.get(&name).cloned() else { continue };
            if component.file_gone && !was_gone {
                if component.live.is_some() {
                    tracing::warn!(component = name, "its file is gone from the folder; its release goes on serving");
                }
                self.forget_removed(&component);
            }
        }
        self.forget_refused(None);
    }

    /// Withdrawn and deleted, whichever came first: the same file, dropped once more, is meant.
    pub(super) fn forget_removed(&mut self, component: &Component) {
        if component.removed && component.file_gone {
            self.forget_file(&file_of(&component.module, &component.name));
        }
    }

    /// Whatever is dropped under this path is taken.
    fn forget_file(&mut self, file: &str) {
        if let Err(error) = self.control.write(|control| control.forget_file(file)) {
            tracing::warn!(file, %error, "a file that is gone could not be forgotten");
        }
    }

    /// Forgets components of which nothing was ever taken and no file is there, but not the one that is offered now.
    fn forget_refused(&mut self, offered: Option<&str>) {
        let Some(files) = &self.files else { return };
        let is_refused = |component: &&Component| {
            let mut releases = component.releases.iter();
            offered != Some(&component.name)
                && releases.all(|record| record.state == State::Rejected)
                // Whichever module it lies in.
                && !files.iter().any(|file| file.rsplit('/').next() == Some(&format!("{}.wasm", component.name)))
        };
        let refused: Vec<Component> = self.components.values().filter(is_refused).cloned().collect();
        refused.iter().for_each(|component| self.forget_component(component));
    }
}
