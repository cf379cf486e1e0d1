//! A component, and a store of its own for each run of a story.

use super::story::Story;
use crate::log::Filter;
use crate::plugin::{Plugin, Upcaster, Upcasting};
use crate::process;
use crate::projector::{self, Terms, consumed};
use crate::store::{self, Limits, ReadError, Relation, Store};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What stories about one component are told on.
pub struct Stage {
    pub(super) plugin: Plugin,
    upcasters: BTreeMap<String, Upcaster>,
    folder: TempDir,
    /// An empty store, made once: a copy of it costs less than to make it anew.
    empty: PathBuf,
    relations: Vec<Relation>,
    runs: Cell<u64>,
}

/// A story cannot be told to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store is out of order.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What is in the store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be made.
    #[error("a store for the scenario: {0}")]
    File(#[from] std::io::Error),
    /// The machine stopped the component.
    #[error("{0}")]
    Machine(String),
    /// Something follows from what follows, and so on.
    #[error(
        "more than {0} effects and timers follow from one event or `advance`: the process may go round in a circle by its timers; where it \
         does not, advance by less at a time"
    )]
    Restless(usize),
}

impl From<process::Error> for Error {
    fn from(error: process::Error) -> Self {
        Self::Machine(error.to_string())
    }
}

impl Stage {
    /// Prepares a component that was checked, with the upcasters that its stories name.
    ///
    /// # Errors
    /// Its store cannot be made.
    pub fn new(plugin: Plugin, upcasters: BTreeMap<String, Upcaster>) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let empty = folder.path().join("empty.db");
        let store = Store::open(&empty, &plugin.manifest().schema, plugin.digest(), &Limits::default())?;
        let relations = store.relations().to_vec();
        // What is there besides the read model is made by who folds.
        projector::replay(&plugin, &Terms::default(), &store, []).map_err(|halt| Error::Machine(halt.to_string()))?;
        Ok(Self { plugin, upcasters, folder, empty, relations, runs: Cell::new(0) })
    }

    /// The component's name.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.plugin.manifest().name
    }

    pub(super) fn has_upcaster(&self, name: &str) -> bool {
        self.upcasters.contains_key(name)
    }

    /// The tables and views of the component.
    pub(super) fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// What the component is given in a story.
    pub(super) fn consumed(&self, story: &Story) -> Filter {
        consumed(self.plugin.manifest(), &story.module)
    }

    /// What the component's process is called, if it is a process manager.
    pub(super) fn process(&self) -> Option<&str> {
        self.plugin.manifest().process.is_some().then(|| self.component())
    }

    /// What events are led by to the version that the component handles in a story.
    pub(super) fn upcasting(&self, story: &Story) -> Upcasting {
        let upcasters = story.upcasters.iter().filter_map(|name| self.upcasters.get(name));
        // Of no module, so that they take the events of any.
        let upcasters = upcasters.map(|upcaster| (String::new(), upcaster.clone())).collect();
        Upcasting::new(self.plugin.manifest(), upcasters)
    }

    /// A copy of the empty store.
    pub(super) fn new_store(&self) -> Result<PathBuf, Error> {
        let number = self.runs.get();
        self.runs.set(number + 1);
        let path = self.folder.path().join(format!("{number}.db"));
        std::fs::copy(&self.empty, &path)?;
        Ok(path)
    }

    /// Opens a store that was made here.
    pub(super) fn open(&self, path: &Path) -> Result<Store, Error> {
        Ok(Store::open(path, &self.plugin.manifest().schema, self.plugin.digest(), &Limits::default())?)
    }
}
