//! The threads of one projection, and how it stands.

use super::feed::{self, Fed, Wanted};
use super::fold::{Folder, Halt};
use super::pace::{self, Held, Rein, Turns};
use super::tally::{Covered, Tally};
use super::{Projector, Terms, consumed};
use crate::log::Log;
use crate::plugin::Plugin;
use crate::store::{self, Durability, Progress, Store};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the threads have ended.
const STOP_PAUSE: Duration = Duration::from_millis(1);

/// How a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It folds what comes, and has not been at the log's head yet.
    CatchingUp,
    /// It folds what comes, and has been at the log's head with everything durable.
    Following,
    /// It stopped at a fault.
    Halted(Halt),
    /// It was stopped.
    Stopped,
}

impl State {
    /// It goes on.
    #[must_use]
    pub fn is_folding(&self) -> bool {
        matches!(self, Self::CatchingUp | Self::Following)
    }
}

/// A projection that follows the log.
pub struct Running {
    state: watch::Receiver<State>,
    rein: Rein,
    stop: CancellationToken,
    progress: watch::Receiver<Progress>,
    /// The position behind which it began.
    began: u64,
    tally: Arc<Tally>,
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

impl Projector {
    /// Starts folding the log into `store` from its checkpoint on, unless it is to begin `paused`, and never ahead of `behind`.
    ///
    /// # Errors
    /// The store cannot be opened, or the machine has no thread left.
    pub fn start(
        &self,
        plugin: &Plugin,
        terms: &Terms,
        store: &Store,
        durability: Durability,
        paused: bool,
        behind: Option<watch::Receiver<Progress>>,
    ) -> Result<Running, Error> {
        let Self { log, options, window, runtime } = self;
        let name = plugin.manifest().name.clone();
        let stop = CancellationToken::new();
        let after = store.progress().written;
        let wanted = Wanted { filter: consumed(plugin.manifest(), &terms.module), after };
        let (pieces, feed) = feed::start(&name, log, window, wanted, options, stop.clone(), runtime.clone())?;
        let (state, watched) = watch::channel(State::CatchingUp);
        let (rein, turns) = pace::pair(paused, behind, &stop, runtime);
        let progress = store.watch_progress();
        let (plugin, terms, store, log) = (plugin.clone(), terms.clone(), store.clone(), log.clone());
        let checkpoint_positions = options.checkpoint_positions;
        let stopped = stop.clone();
        let tally = Arc::new(Tally::new(paused));
        let counted = Arc::clone(&tally);
        let fold = std::thread::Builder::new().name(format!("fold-{name}")).spawn(move || {
            // The session is opened here, since its statements stay on this thread.
            let head = log.head();
            let ended = match Folder::new(plugin, &terms, store, durability, checkpoint_positions) {
                Ok(folder) if after > head => State::Halted(folder.machine(format!(
                    "its store is ahead of the log, which ends at {head}: was the log replaced by an older one?"
                ))),
                Ok(folder) => fold(folder.counting(counted), &log, &pieces, turns, &state),
                Err(error) => State::Halted(Halt::machine(after, error.to_string())),
            };
            if let State::Halted(halt) = &ended {
                tracing::error!(projection = name, %halt, "the projection halted");
            }
            stopped.cancel();
            state.send_replace(ended);
        })?;
        let threads = Mutex::new(vec![feed, fold]);
        Ok(Running { state: watched, rein, stop, progress, began: after, tally, threads })
    }
}

impl Running {
    /// How it stands.
    #[must_use]
    pub fn state(&self) -> State {
        let state = self.state.borrow().clone();
        if state.is_folding() && self.state.has_changed().is_err() {
            let reason = "its thread died; standard error says why".to_owned();
            return State::Halted(Halt::machine(0, reason));
        }
        state
    }

    /// Watches how it stands.
    #[must_use]
    pub fn watch_state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// What it covered since it was started, and how long that took.
    #[must_use]
    pub fn covered(&self) -> Covered {
        let applied = self.progress.borrow().applied;
        self.tally.covered(applied.saturating_sub(self.began))
    }

    /// Stops folding behind the batch under way, or goes on.
    pub fn pause(&self, paused: bool) {
        self.tally.pause(paused);
        self.rein.pause(paused);
    }

    /// It was told to pause.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.rein.is_paused()
    }

    /// Folds from now on only up to where another one stands, or, with `None`, as far as there is something.
    pub fn follow(&self, leader: Option<watch::Receiver<Progress>>) {
        self.rein.follow(leader);
    }

    /// Keeps it where it stands once the batch under way has ended. `None` where that takes longer than `patience`. Blocks; must not
    /// be called on a thread of tokio's.
    #[must_use]
    pub fn hold(&self, patience: Duration) -> Option<Held<'_>> {
        self.rein.hold(patience)
    }

    /// Tells it to stop behind the batch under way.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Stops it behind the batch under way, and waits for that until `deadline`; answers whether it has ended. What is cut off then
    /// is rolled back when its store is opened again.
    pub fn stop_until(&self, deadline: Instant) -> bool {
        self.begin_stop();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(STOP_PAUSE);
        }
        for thread in threads.drain(..) {
            // One that panicked has said so on standard error.
            let _ = thread.join();
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

fn fold(
    mut folder: Folder,
    log: &Log,
    pieces: &Receiver<Fed>,
    mut turns: Turns,
    state: &watch::Sender<State>,
) -> State {
    // Ends when the feed does, too: at a stop, or at a fault of the log.
    for piece in pieces {
        let folded = match piece {
            Ok(piece) => fold_piece(&mut folder, log, piece, &mut turns, state),
            Err(error) => Err(folder.machine(error.to_string())),
        };
        match folded {
            Ok(true) => {}
            Ok(false) => break,
            Err(halt) => return State::Halted(halt),
        }
    }
    match folder.flush() {
        Ok(()) => State::Stopped,
        Err(error) => State::Halted(folder.machine(error.to_string())),
    }
}

/// Folds a piece, turn by turn; answers false at a stop.
fn fold_piece(
    folder: &mut Folder,
    log: &Log,
    mut piece: feed::Piece,
    turns: &mut Turns,
    state: &watch::Sender<State>,
) -> Result<bool, Halt> {
    loop {
        let Some(turn) = turns.wait(folder.applied(), piece.through) else { return Ok(false) };
        if turn.up_to >= piece.through {
            folder.fold(&piece)?;
            break;
        }
        let (first, rest) = piece.split(turn.up_to);
        folder.fold(&first)?;
        piece = rest;
    }
    if piece.at_head && *state.borrow() == State::CatchingUp {
        // Sealing a large store takes a while: what came meanwhile has to be folded first.
        let was_sealed = folder.is_sealed();
        folder.seal()?;
        if was_sealed || folder.applied() >= log.head() {
            state.send_replace(State::Following);
        }
    }
    Ok(true)
}
