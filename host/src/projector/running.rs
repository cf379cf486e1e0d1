//! The threads of one projection, and how it stands.

use super::feed::{self, Fed};
use super::fold::{Folder, Halt};
use super::{Options, consumed};
use crate::log::Log;
use crate::plugin::Plugin;
use crate::store::{self, Store};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It folds what comes.
    Folding,
    /// It stopped at a fault.
    Halted(Halt),
    /// It was stopped.
    Stopped,
}

/// A projection that follows the log.
pub struct Running {
    state: watch::Receiver<State>,
    stop: CancellationToken,
    /// Empty once they were joined.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Why a projection could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its store is out of order.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Running {
    /// Starts folding the log into `store` from its checkpoint on. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The store cannot be opened, or the machine has no thread left.
    pub fn start(plugin: &Plugin, store: &Store, log: &Log, options: &Options) -> Result<Self, Error> {
        let name = plugin.manifest().name.clone();
        let stop = CancellationToken::new();
        let filter = consumed(plugin.manifest());
        let after = store.progress().written;
        let head = log.head();
        let (pieces, feed) = feed::start(&name, log, filter, after, options, stop.clone(), Handle::current())?;
        let (state, watched) = watch::channel(State::Folding);
        let (plugin, store) = (plugin.clone(), store.clone());
        let (stopped, checkpoint_positions) = (stop.clone(), options.checkpoint_positions);
        let fold = std::thread::Builder::new().name(format!("fold-{name}")).spawn(move || {
            // The session is opened here, since its statements stay on this thread.
            let ended = match Folder::new(plugin, store, checkpoint_positions) {
                Ok(folder) if after > head => State::Halted(folder.machine(format!(
                    "its store is ahead of the log, which ends at {head}: was the log replaced by an older one?"
                ))),
                Ok(folder) => fold(folder, &pieces, &stopped),
                Err(error) => State::Halted(Halt::Machine { position: after, reason: error.to_string() }),
            };
            if let State::Halted(halt) = &ended {
                tracing::error!(projection = name, %halt, "the projection halted");
            }
            stopped.cancel();
            state.send_replace(ended);
        })?;
        Ok(Self { state: watched, stop, threads: Mutex::new(vec![feed, fold]) })
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> State {
        let state = self.state.borrow().clone();
        if state == State::Folding && self.state.has_changed().is_err() {
            let reason = "its thread died; standard error says why".to_owned();
            return State::Halted(Halt::Machine { position: 0, reason });
        }
        state
    }

    /// Watches how it stands.
    #[must_use]
    pub fn watch_state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Stops it behind the batch under way, and waits for that.
    pub fn stop(&self) {
        self.stop.cancel();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

fn fold(mut folder: Folder, pieces: &Receiver<Fed>, stop: &CancellationToken) -> State {
    // Ends when the feed does, too: at a stop, or at a fault of the log.
    for piece in pieces {
        if stop.is_cancelled() {
            break;
        }
        let folded = match piece {
            Ok(piece) => folder.fold(&piece),
            Err(error) => Err(folder.machine(error.to_string())),
        };
        if let Err(halt) = folded {
            return State::Halted(halt);
        }
    }
    match folder.flush() {
        Ok(()) => State::Stopped,
        Err(error) => State::Halted(folder.machine(error.to_string())),
    }
}
