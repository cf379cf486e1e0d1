//! A rebuild as a host does it: the projector folds the log into a new read store.

use super::Error;
use crate::log::Log;
use crate::plugin::Plugin;
use crate::projector::{Options, Running, State};
use crate::store::{Limits, Store};
use std::path::Path;
use std::time::{Duration, Instant};

/// Folds the log into a new store in the file `store`; answers the time from opening it to the commit of the log's head. Must
/// be called within a tokio runtime.
///
/// # Errors
/// The store cannot be written, or the component cannot apply an event.
pub async fn rebuild(log: &Log, plugin: &Plugin, store: &Path) -> Result<Duration, Error> {
    super::remove(store)?;
    let started = Instant::now();
    let store = Store::open(store, &plugin.manifest().schema, plugin.digest(), &Limits::default())?;
    let running = Running::start(plugin, &store, log, &Options::default())?;
    let (mut progress, mut state) = (store.watch_progress(), running.watch_state());
    let stopped = tokio::select! {
        arrived = progress.wait_for(|progress| progress.applied >= log.head()) => arrived.is_err(),
        _ = state.wait_for(|state| *state != State::Folding) => true,
    };
    let took = started.elapsed();
    running.stop();
    if stopped { Err(Error::Stopped(format!("{:?}", running.state()))) } else { Ok(took) }
}
