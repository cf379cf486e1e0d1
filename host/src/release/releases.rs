//! What serves: the components of the drop folder, as they are taken at the start.

use super::component::{Checked, RejectError};
use super::control::{Control, Record, State};
use super::folder::{self, Dropped};
use super::{Error, component};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::log::Log;
use crate::plugin::{ABI, Engine, Limits, Plugin};
use crate::projector::Running;
use crate::store::Store;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A component that was dropped, whatever became of it.
pub struct Component {
    /// Its name: the stem of its file.
    pub name: String,
    /// The module whose folder it lies in; empty for none.
    pub module: String,
    /// Its releases, newest first.
    pub releases: Vec<Record>,
    /// The one that serves, if any does.
    pub live: Option<Live>,
}

/// A release that serves.
pub struct Live {
    /// Its number.
    pub release: u64,
    /// Its code.
    pub plugin: Plugin,
    /// Its read store.
    pub store: Store,
    /// Its threads.
    pub running: Running,
}

/// The components and what serves of them.
pub struct Releases {
    components: BTreeMap<String, Component>,
}

/// What a release needs to be started.
struct Parts<'a> {
    data: &'a DataDir,
    engine: &'a Engine,
    log: &'a Log,
    config: &'a Config,
}

impl Releases {
    /// Takes the components of the drop folder and starts them. A file that is refused harms nothing else.
    ///
    /// # Errors
    /// The folder or `control.db` cannot be read.
    pub fn open(data: &DataDir, engine: &Engine, log: &Log, config: &Config) -> Result<Self, Error> {
        let mut control = Control::open(&data.control())?;
        let parts = Parts { data, engine, log, config };
        let mut components = BTreeMap::new();
        for dropped in folder::list(&data.components())? {
            if components.contains_key(&dropped.name) {
                let twice = RejectError::Twice(dropped.name.clone());
                tracing::warn!(file = %dropped.path.display(), reason = %twice, "the component is refused");
                continue;
            }
            let component = parts.take(&mut control, &dropped)?;
            components.insert(component.name.clone(), component);
        }
        // Deleting a file withdraws nothing.
        for (name, module) in control.live_components()? {
            if !components.contains_key(&name) {
                tracing::warn!(component = %name, "its file is gone from the folder; its last release goes on serving");
                components.insert(name.clone(), parts.go_on(&control, name, module)?);
            }
        }
        let releases = Self { components };
        let digests = releases.iter().filter_map(|component| Some(component.live.as_ref()?.plugin.digest()));
        if let Err(error) = engine.sweep_cache(&digests.collect::<Vec<_>>()) {
            tracing::warn!(%error, "compiled code that nobody needs could not be removed");
        }
        Ok(releases)
    }

    /// A component by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Component> {
        self.components.get(name)
    }

    /// All components, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Component> {
        self.components.values()
    }

    /// Stops everything that runs, and waits for it.
    pub fn stop(&self) {
        for live in self.components.values().filter_map(|component| component.live.as_ref()) {
            live.store.rest();
            live.running.stop();
        }
    }
}

impl Parts<'_> {
    /// Takes a file: as a release that serves, or refused with its reason recorded; then the one before it goes on.
    fn take(&self, control: &mut Control, dropped: &Dropped) -> Result<Component, Error> {
        let Dropped { name, module, path } = dropped;
        let bytes = component::read(path, &self.config.plugin);
        let digest = bytes.as_ref().map_or_else(|_| String::new(), |bytes| blake3::hash(bytes).to_hex().to_string());
        let (release, limits) = self.number(&control.releases(name)?, &digest);
        let mut record = Record {
            release,
            version: String::new(),
            digest,
            limits,
            state: State::Live,
            code: String::new(),
            reason: "taken at the start".to_owned(),
        };
        match bytes.and_then(|bytes| self.start(name, &record, &bytes)) {
            Ok(live) => {
                live.plugin.manifest().version.clone_into(&mut record.version);
                tracing::info!(component = %name, release, version = %record.version, "the component serves");
                control.record(name, module, &record)?;
                let releases = control.releases(name)?;
                Ok(Component { name: name.clone(), module: module.clone(), releases, live: Some(live) })
            }
            Err(error) => {
                tracing::warn!(component = %name, reason = %error, "the component is refused");
                let (code, reason) = (error.code().to_owned(), error.to_string());
                control.record(name, module, &Record { state: State::Rejected, code, reason, ..record })?;
                self.go_on(control, name.clone(), module.clone())
            }
        }
    }

    /// The number of the release with these bytes, and its limits: those of the one that is live or was refused last, or new ones.
    fn number(&self, releases: &[Record], digest: &str) -> (u64, Limits) {
        let now = || self.config.plugin.clone();
        let live = releases.iter().find(|record| record.state == State::Live);
        match (live, releases.first()) {
            (Some(live), _) if live.digest == digest => (live.release, live.limits.clone()),
            (_, Some(last)) if last.digest == digest && last.state == State::Rejected => (last.release, now()),
            (_, Some(last)) => (last.release + 1, now()),
            (_, None) => (1, now()),
        }
    }

    /// Lets a component's last good release serve on, if it has one.
    fn go_on(&self, control: &Control, name: String, module: String) -> Result<Component, Error> {
        let releases = control.releases(&name)?;
        let live = releases.iter().find(|record| record.state == State::Live).and_then(|record| {
            let bytes = component::read(&self.bytes_of(&name, record.release), &record.limits);
            bytes
                .and_then(|bytes| self.start(&name, record, &bytes))
                .inspect_err(
                    |error| tracing::error!(component = %name, %error, "its last release cannot go on serving"),
                )
                .ok()
        });
        Ok(Component { name, module, releases, live })
    }

    fn start(&self, name: &str, record: &Record, bytes: &[u8]) -> Result<Live, RejectError> {
        let Checked { plugin, .. } = component::check(self.engine, name, bytes, &record.limits)?;
        fs::create_dir_all(self.data.stores().join(name))?;
        let kept = self.bytes_of(name, record.release);
        if !kept.exists() {
            let half = kept.with_extension("half");
            fs::write(&half, bytes)?;
            fs::rename(&half, &kept)?;
        }
        let start = |error: &dyn std::fmt::Display| RejectError::Start(error.to_string());
        let store =
            Store::open(&kept.with_extension("db"), &plugin.manifest().schema, &identity(&plugin), &self.config.store)
                .map_err(|error| start(&error))?;
        let running =
            Running::start(&plugin, &store, self.log, &self.config.projector).map_err(|error| start(&error))?;
        Ok(Live { release: record.release, plugin, store, running })
    }

    /// Where a release's bytes are kept, beside its store, so that it can serve whatever becomes of the dropped file.
    fn bytes_of(&self, name: &str, release: u64) -> PathBuf {
        self.data.stores().join(name).join(format!("{release}.wasm"))
    }
}

/// What a read store's content follows from, besides the log.
fn identity(plugin: &Plugin) -> String {
    let limits = plugin.limits();
    format!(
        "{} abi={ABI} sqlite={} fuel={} memory={} answer={}",
        plugin.digest(),
        rusqlite::version(),
        limits.fuel,
        limits.memory_bytes,
        limits.answer_bytes
    )
}
