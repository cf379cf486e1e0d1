//! A release that runs: its code, its store, its threads.

use super::component::{self, Checked, RejectError};
use super::control::{By, Limits, Record, Ruling};
use super::folder::file_of;
use super::upcasters::Feeds;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::log::Log;
use crate::plugin::{self, ABI, Engine, Loaded, Manifest, Plugin, Upcaster, Upcasting};
use crate::process::{Acting, Actor, Means};
use crate::projector::{Discarded, Projector, Running, Terms};
use crate::store::{self, Durability, Progress, Store};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A release that runs, whether it serves or not. Whoever holds it may read its store.
pub struct Serving {
    /// Its number.
    pub release: u64,
    /// Its code.
    pub plugin: Plugin,
    /// What else it folds by.
    pub terms: Terms,
    /// Its read store.
    pub store: Store,
    /// Its threads.
    pub running: Running,
    /// What it does, where it is a process manager that serves.
    actor: Mutex<Option<Actor>>,
}

impl Serving {
    pub(super) fn new(release: u64, plugin: Plugin, terms: Terms, store: Store, running: Running) -> Self {
        Self { release, plugin, terms, store, running, actor: Mutex::default() }
    }

    pub(super) fn actor(&self) -> MutexGuard<'_, Option<Actor>> {
        self.actor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a release begins to fold.
pub(super) struct Manner {
    pub(super) durability: Durability,
    /// From where on what it decides is to be done.
    pub(super) acting: Acting,
    /// It rests until it is told to go on.
    pub(super) paused: bool,
    /// Whom it never goes ahead of.
    pub(super) behind: Option<watch::Receiver<Progress>>,
}

/// What releases are made from.
pub(super) struct Parts {
    pub(super) data: DataDir,
    pub(super) engine: Engine,
    pub(super) log: Log,
    pub(super) projector: Projector,
    /// What process managers do is done with.
    pub(super) means: Arc<Means>,
    pub(super) config: Config,
}

impl Parts {
    /// Where a release's bytes are kept, beside its store, so that it can serve whatever becomes of the dropped file.
    pub(super) fn bytes_of(&self, name: &str, release: u64) -> PathBuf {
        self.data.stores().join(name).join(format!("{release}.wasm"))
    }

    pub(super) fn store_of(&self, name: &str, release: u64) -> PathBuf {
        self.data.stores().join(name).join(format!("{release}.db"))
    }

    /// Keeps a release's bytes, for good.
    pub(super) fn keep(&self, name: &str, release: u64, bytes: &[u8]) -> io::Result<()> {
        let kept = self.bytes_of(name, release);
        let folder = self.data.stores().join(name);
        fs::create_dir_all(&folder)?;
        let half = kept.with_extension("half");
        fs::write(&half, bytes)?;
        fs::File::open(&half)?.sync_all()?;
        fs::rename(&half, &kept)?;
        fs::File::open(&folder)?.sync_all()
    }

    /// Removes a release's bytes. Where that fails they are swept up at the next start.
    pub(super) fn forget(&self, name: &str, release: u64) {
        let _ = fs::remove_file(self.bytes_of(name, release));
    }

    /// Removes a release's store. Where that fails it is swept up at the next start.
    pub(super) fn remove_store(&self, name: &str, release: u64) {
        if let Err(error) = store::remove(&self.store_of(name, release)) {
            tracing::warn!(%error, "a store that nobody needs could not be removed");
        }
    }

    /// Reads and checks the bytes that are kept of a release.
    pub(super) fn load(&self, name: &str, record: &Record) -> Result<Checked, RejectError> {
        let Record { release, module, digest, limits, .. } = record;
        let bytes = self.read(name, *release, module, digest, &limits.plugin)?;
        component::check(&self.engine, name, &bytes, &limits.plugin)
    }

    /// The bytes that are kept of a release. Where they are lost, those of its file in the folder do as well.
    fn read(
        &self,
        name: &str,
        release: u64,
        module: &str,
        digest: &str,
        limits: &plugin::Limits,
    ) -> Result<Vec<u8>, RejectError> {
        let kept = self.bytes_of(name, release);
        if !kept.exists() {
            let bytes = component::read(&self.data.components().join(file_of(module, name)), limits)?;
            if blake3::hash(&bytes).to_hex().as_str() == digest {
                self.keep(name, release, &bytes)?;
            }
        }
        component::read(&kept, limits)
    }

    /// What a release may use that is made now.
    pub(super) fn limits(&self) -> Limits {
        let Config { plugin, store, parked_events, .. } = &self.config;
        Limits { plugin: plugin.clone(), store_pages: store.pages, parked_events: *parked_events }
    }

    /// The policy of a release that is made now.
    pub(super) fn ruling(&self, manifest: &Manifest) -> Ruling {
        let Config { policy, policies, .. } = &self.config;
        match policies.get(&manifest.name).or(policy.as_ref()) {
            Some(policy) => Ruling { policy: *policy, by: By::Operator },
            None => Ruling { policy: manifest.policy, by: By::Manifest },
        }
    }

    /// The upcasters that feed a release, each with its module.
    fn upcasters(&self, record: &Record) -> Result<Vec<(String, Upcaster)>, RejectError> {
        let mut upcasters = Vec::with_capacity(record.upcasters.len());
        for feeds in &record.upcasters {
            let limits = &record.limits.plugin;
            let lost =
                |why: &dyn std::fmt::Display| RejectError::Start(format!("the upcaster `{}`: {why}", feeds.name));
            let Feeds { name, module, release, digest } = feeds;
            let bytes = self.read(name, *release, module, digest, limits).map_err(|error| lost(&error))?;
            match Loaded::load(&self.engine, &bytes, limits) {
                Ok(Loaded::Upcaster(upcaster)) if upcaster.digest() == *digest => {
                    upcasters.push((module.clone(), upcaster));
                }
                Ok(_) => return Err(lost(&"its bytes are others than those that the release was built with")),
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(upcasters)
    }

    /// Starts a release on this store, which is made where there is none.
    pub(super) fn start(
        &self,
        path: &Path,
        record: &Record,
        plugin: Plugin,
        manner: Manner,
    ) -> Result<Serving, RejectError> {
        let Manner { durability, acting, paused, behind } = manner;
        let failed = |error: &dyn std::fmt::Display| RejectError::Start(error.to_string());
        let limits = store::Limits { pages: record.limits.store_pages, ..self.config.store.clone() };
        let store = Store::open(path, &plugin.manifest().schema, &identity(&plugin, record), &limits)
            .map_err(|error| failed(&error))?;
        let terms = Terms {
            module: record.module.clone(),
            upcasting: Upcasting::new(plugin.manifest(), self.upcasters(record)?),
            parked_events: record.limits.parked_events,
            discarded: Discarded::new(record.discarded.clone()),
            acting,
        };
        let running = self
            .projector
            .start(&plugin, &terms, &store, durability, paused, behind)
            .map_err(|error| failed(&error))?;
        Ok(Serving::new(record.release, plugin, terms, store, running))
    }

    /// Removes what an earlier run left in the stores' folder and no release needs: `is_needed` is asked by component and release.
    pub(super) fn sweep(&self, is_needed: impl Fn(&str, u64) -> bool) -> io::Result<()> {
        for folder in fs::read_dir(self.data.stores())? {
            let folder = folder?.path();
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(&folder)? {
                let file = file?.path();
                let number = file.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
                if number.is_some_and(|number| !is_needed(&name, number)) {
                    fs::remove_file(&file)?;
                }
            }
        }
        Ok(())
    }
}

/// What a read store's content follows from, besides the log.
fn identity(plugin: &Plugin, record: &Record) -> String {
    let limits = plugin.limits();
    let upcasters: Vec<String> =
        record.upcasters.iter().map(|feeds| format!("{}/{}", feeds.module, feeds.digest)).collect();
    format!(
        "{} abi={ABI} sqlite={} fuel={} memory={} answer={} reach={} module={} upcasters={}",
        plugin.digest(),
        rusqlite::version(),
        limits.fuel,
        limits.memory_bytes,
        limits.answer_bytes,
        limits.reach,
        record.module,
        upcasters.join(",")
    )
}
