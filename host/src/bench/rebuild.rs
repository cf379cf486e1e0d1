//! A rebuild as a host does it: the projector folds the log into a new read store.

use super::Error;
use crate::log::Log;
use crate::plugin::Plugin;
use crate::projector::{Options, Projector, State, Terms};
use crate::store::{Durability, Limits, Store};
use std::path::Path;
use std::time::{Duration, Instant};

/// Folds the log into a new store in the file `store`; answers the time from opening it until all of it is
/// durable. Must
/// be called within a tokio runtime.
///
/// # Errors
/// The store cannot be written, or the component cannot apply an event.
pub async fn rebuild(log: &Log, plugin: &Plugin, store: &Path) -> Result<Duration, Error> {
    super::remove(store)?;
    let started = Instant::now();
    let store = Store::open(store, &plugin.manifest().schema, plugin.digest(), &Limits::default())?;
    let running = Projector::new(log, &Options::default()).start(
        plugin,
        &Terms::default(),
        &store,
        Durability::Building,
        false,
        None,
    )?;
    let mut state = running.watch_state();
    let stopped =
        state.wait_for(|state| *state != State::CatchingUp).await.is_ok_and(|state| *state != State::Following);
    let took = started.elapsed();
    running.stop_until(Instant::now() + Duration::from_secs(60));
    if stopped { Err(Error::Stopped(format!("{:?}", running.state()))) } else { Ok(took) }
}
