//! Whether a read model is the fold of the log: it is folded once more, from the first event on, and both are compared.

use super::control::Record;
use super::releases::Component;
use super::scratch::Scratch;
use super::serving::{Parts, Serving};
use super::steward::Message;
use super::verify::{Difference, Pair, Unverified, is_internal};
use super::{Error, RejectError};
use crate::projector::{Halt, State};
use crate::store::Progress;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A release that serves, folded once more beside it.
pub struct Proof {
    /// Its number.
    pub release: u64,
    /// Its read model is for readers of its module only.
    pub is_internal: bool,
    stage: watch::Sender<Stage>,
    /// How far the fold is, once it has begun.
    progress: OnceLock<watch::Receiver<Progress>>,
}

/// How far a proof is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Others are before it.
    Waiting,
    /// The log is folded.
    Folding,
    /// Both are compared.
    Comparing,
    /// They were compared: this differs, or nothing does.
    Compared(Arc<Difference>),
    /// It came to nothing.
    Failed(Arc<NoProof>),
}

/// Why nothing was proved.
#[derive(Debug, thiserror::Error)]
pub enum NoProof {
    /// The component cannot be folded once more.
    #[error("it cannot be folded once more: {0}")]
    Start(#[from] RejectError),
    /// It halted where the one that serves did not.
    #[error("folded once more, it halts where the one that serves did not: {0}")]
    Halted(Halt),
    /// They could not be compared.
    #[error("the two could not be compared: {0}")]
    Unverified(#[from] Unverified),
}

impl NoProof {
    /// Why it halted, where it did.
    #[must_use]
    pub fn halt(&self) -> Option<&Halt> {
        match self {
            Self::Halted(halt) => Some(halt),
            _ => None,
        }
    }
}

impl Proof {
    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        // It cannot be gone: it is here.
        let _ = self.stage.subscribe().wait_for(Stage::has_ended).await;
    }

    /// The position up to which the log was folded once more.
    #[must_use]
    pub fn checkpoint(&self) -> u64 {
        self.progress.get().map_or(0, |progress| progress.borrow().applied)
    }
}

impl Stage {
    fn has_ended(&self) -> bool {
        matches!(self, Self::Compared(_) | Self::Failed(_))
    }
}

/// The proofs of a host: the newest of each component.
pub(super) struct Prover {
    parts: Arc<Parts>,
    /// Turns for folding, which takes long, apart from those for comparing, which nobody else must wait long for.
    folding: Arc<Semaphore>,
    comparing: Arc<Semaphore>,
    proofs: Mutex<BTreeMap<String, Arc<Proof>>>,
    inbox: mpsc::Sender<Message>,
    /// Ends all of them.
    unwanted: CancellationToken,
}

impl Prover {
    pub(super) fn new(parts: Arc<Parts>, comparing: Arc<Semaphore>, inbox: mpsc::Sender<Message>) -> Self {
        let folding = Arc::new(Semaphore::new(parts.config.verify.at_once));
        Self { parts, folding, comparing, proofs: Mutex::default(), inbox, unwanted: CancellationToken::new() }
    }

    /// The newest proof of a component since the host was started.
    pub(super) fn newest(&self, name: &str) -> Option<Arc<Proof>> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Begins to prove what serves of a component, or joins who does.
    pub(super) fn begin(&self, component: &Component) -> Result<Arc<Proof>, Error> {
        let name = component.name.clone();
        let (live, record) = component.serving().ok_or_else(|| {
            Error::Unfit(match component.upcaster {
                Some(_) => format!("`{name}` is an upcaster: it has no read model"),
                None => format!("no release of `{name}` serves"),
            })
        })?;
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proof) = proofs.get(&name)
            && proof.release == live.release
            && !proof.stage().has_ended()
        {
            return Ok(Arc::clone(proof));
        }
        let (stage, is_internal) = (watch::Sender::new(Stage::Waiting), is_internal(None, live));
        let proof = Arc::new(Proof { release: live.release, is_internal, stage, progress: OnceLock::new() });
        proofs.insert(name.clone(), Arc::clone(&proof));
        let proving = Proving {
            parts: Arc::clone(&self.parts),
            // What was given up meanwhile counts no longer.
            record: Record { discarded: live.terms.discarded.all(), ..record.clone() },
            live: Arc::clone(live),
            proof: Arc::clone(&proof),
            comparing: Arc::clone(&self.comparing),
            unwanted: self.unwanted.clone(),
            runtime: Handle::current(),
        };
        let (folding, inbox, proved) = (Arc::clone(&self.folding), self.inbox.clone(), Arc::clone(&proof));
        tokio::spawn(async move {
            let Ok(_turn) = folding.acquire().await else { return };
            let proving = tokio::task::spawn_blocking(move || proving.run()).await;
            let stage = match proving.unwrap_or(Err(Unverified::Died.into())) {
                Ok(difference) => {
                    tell(&name, &difference);
                    let difference = Arc::new(difference);
                    // Where nobody listens any more, the host is being stopped.
                    let _ = inbox.send(Message::Proved(name, Arc::clone(&difference))).await;
                    Stage::Compared(difference)
                }
                Err(NoProof::Unverified(Unverified::Unwanted)) => Stage::Failed(Arc::new(Unverified::Unwanted.into())),
                Err(error) => {
                    tracing::error!(component = name, release = proved.release, %error, "it was not proved");
                    Stage::Failed(Arc::new(error))
                }
            };
            proved.stage.send_replace(stage);
        });
        Ok(proof)
    }

    /// Ends what goes on.
    pub(super) fn stop(&self) {
        self.unwanted.cancel();
    }

    /// Waits until the host is stopped.
    pub(super) async fn stopped(&self) {
        self.unwanted.cancelled().await;
    }
}

fn tell(name: &str, difference: &Difference) {
    let (release, position) = (difference.before.release, difference.before.position);
    if difference.same {
        tracing::info!(component = name, release, position, "its read model is exactly the fold of the log");
    } else {
        let found = difference.summary();
        tracing::error!(component = name, release, position, found, "its read model is not the fold of the log");
    }
}

/// What it takes to prove a release.
struct Proving {
    parts: Arc<Parts>,
    record: Record,
    live: Arc<Serving>,
    proof: Arc<Proof>,
    comparing: Arc<Semaphore>,
    unwanted: CancellationToken,
    runtime: Handle,
}

impl Proving {
    /// Folds, then compares. Blocks.
    fn run(self) -> Result<Difference, NoProof> {
        let Self { parts, record, live, proof, comparing, unwanted, runtime } = self;
        if unwanted.is_cancelled() {
            return Err(Unverified::Unwanted.into());
        }
        proof.stage.send_replace(Stage::Folding);
        let behind = Some(live.store.watch_progress());
        let scratch = Scratch::start(&parts, &record, live.plugin.clone(), behind)?;
        let serving = &scratch.serving;
        let _ = proof.progress.set(serving.store.watch_progress());
        let pair = Pair {
            before: &live,
            after: serving,
            exactly: true,
            done: None,
            patience: parts.config.cutover,
            unwanted: &unwanted,
            runtime: &runtime,
        };
        // The one that serves goes on meanwhile; what is left then is little.
        pair.catch_up()?;
        if let State::Halted(halt) = serving.running.state() {
            return Err(NoProof::Halted(halt));
        }
        let turn = runtime.block_on(async {
            tokio::select! {
                turn = comparing.acquire() => turn.map_err(|_| Unverified::Unwanted),
                () = unwanted.cancelled() => Err(Unverified::Unwanted),
            }
        })?;
        proof.stage.send_replace(Stage::Comparing);
        let compared = pair.compare(&parts.config.verify);
        drop(turn);
        match (compared, serving.running.state()) {
            (Err(Unverified::Apart { .. }), State::Halted(halt)) => Err(NoProof::Halted(halt)),
            (compared, _) => Ok(compared?),
        }
    }
}
