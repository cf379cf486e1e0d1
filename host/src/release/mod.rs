//! Components in the drop folder become releases that serve.
//!
//! A *release* is one deployment of a component: its bytes, its manifest and its own read store, numbered from 1 for each
//! component. What is recorded in `control.db` survives; what runs is held in [`Releases`].
//!
//! In reading order:
//! * `folder`: the files in the drop folder
//! * `control`: what was deployed, on the disk
//! * [`component`]: a file's bytes, checked as a whole: component, manifest and schema
//! * [`releases`]: what serves

pub mod component;
mod control;
mod folder;
pub mod releases;

pub use component::{Checked, RejectError, check, read};
pub use control::{Record, State};
pub use releases::{Component, Live, Releases};

use std::path::PathBuf;

/// The releases cannot be managed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `control.db` cannot be read or written.
    #[error("control.db: {0}")]
    Control(#[from] rusqlite::Error),
    /// `control.db` holds what this version does not understand.
    #[error("control.db: {0}")]
    Record(#[from] serde_json::Error),
    /// The drop folder cannot be read.
    #[error("{path}: {source}")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] crate::log::Error),
}
