//! A release's component folded once more, into a store of its own that nobody is served from by name.

use super::component::RejectError;
use super::control::Record;
use super::serving::{Manner, Parts, Serving};
use crate::data_dir::DataDir;
use crate::plugin::Plugin;
use crate::process::Acting;
use crate::store::{self, Durability, Progress};
use std::fs;
use std::io;
use tokio::sync::watch;
use uuid::Uuid;

/// A fold of the log by the terms of a release, from the first event on: so what comes of it is exactly what the release's store is
/// at the same position. It is stopped when it goes out of scope, and its file is removed once nobody holds its store.
pub(super) struct Scratch {
    pub(super) serving: Serving,
}

impl Scratch {
    /// Starts folding, never ahead of `behind`.
    pub(super) fn start(
        parts: &Parts,
        record: &Record,
        plugin: Plugin,
        behind: Option<watch::Receiver<Progress>>,
    ) -> Result<Self, RejectError> {
        // Another name each time: what an earlier one left there may be torn.
        let file = format!("{}-{}-{}.db", plugin.manifest().name, record.release, Uuid::now_v7());
        let path = parts.data.scratch().join(file);
        let manner = Manner { durability: Durability::Building, acting: Acting::never(), paused: false, behind };
        match parts.start(&path, record, plugin, manner) {
            Ok(serving) => {
                serving.store.discard();
                Ok(Self { serving })
            }
            Err(error) => {
                // Where that fails it is swept up at the next start.
                let _ = store::remove(&path);
                Err(error)
            }
        }
    }

    /// Removes what an earlier run left.
    pub(super) fn sweep(data: &DataDir) {
        let sweep = || -> io::Result<()> {
            for file in fs::read_dir(data.scratch())? {
                fs::remove_file(file?.path())?;
            }
            Ok(())
        };
        if let Err(error) = sweep() {
            tracing::warn!(%error, "what an earlier run left in the folder `scratch` could not be removed");
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.serving.running.begin_stop();
    }
}
