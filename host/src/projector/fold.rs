//! A batch and its checkpoint in one transaction; a batch that fails is narrowed down to its event.

use super::feed::Piece;
use crate::plugin::{Batch, CallError, Plugin, Verdict};
use crate::store::{self, Durability, Progress, Session, Store};
use serde::Serialize;
use std::ops::Range;

/// Why a projection stopped folding. Its read model stays as it was before the event, and can be queried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Halt {
    /// The component cannot apply an event. The same on every machine, and after every restart.
    #[error("event {event_id} ({event_type}) at position {position}: {reason}")]
    EventFailed {
        /// The event's position.
        position: u64,
        /// Its id.
        event_id: String,
        /// Its type.
        event_type: String,
        /// What the component did.
        reason: String,
    },
    /// The machine cannot go on: a full disk, say. No event is to blame.
    #[error("after position {position}: {reason}")]
    Machine {
        /// The checkpoint that it stands at.
        position: u64,
        /// What is wrong.
        reason: String,
    },
}

impl Halt {
    /// Its stable name, with a page in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EventFailed { .. } => "event-failed",
            Self::Machine { .. } => "machine",
        }
    }
}

/// Folds pieces of the log into a store.
pub(super) struct Folder {
    plugin: Plugin,
    store: Store,
    /// `None` only while a call has it.
    session: Option<Session>,
    progress: Progress,
    checkpoint_positions: u64,
    durability: Durability,
}

impl Folder {
    pub(super) fn new(
        plugin: Plugin,
        store: Store,
        durability: Durability,
        checkpoint_positions: u64,
    ) -> Result<Self, store::Error> {
        let session = Some(store.fold(durability)?);
        let progress = store.progress();
        Ok(Self { plugin, store, session, progress, checkpoint_positions, durability })
    }

    /// The position up to which the store is the fold of the log.
    pub(super) fn applied(&self) -> u64 {
        self.progress.applied
    }

    /// What was built is durable.
    pub(super) fn is_sealed(&self) -> bool {
        self.durability == Durability::Serving
    }

    /// Makes durable what was built, if that is still open: from now on the store may serve.
    pub(super) fn seal(&mut self) -> Result<(), Halt> {
        if self.durability == Durability::Serving {
            return Ok(());
        }
        let sealed = self.flush().and_then(|()| self.session.as_mut().map_or(Ok(()), Session::seal));
        sealed.map_err(|error| self.machine(error.to_string()))?;
        self.durability = Durability::Serving;
        Ok(())
    }

    /// Folds a piece. On an error everything before the event at fault is in the store, and nothing of it or after it.
    pub(super) fn fold(&mut self, piece: &Piece) -> Result<(), Halt> {
        if piece.batch.is_empty() {
            return self.advance(piece.through);
        }
        match self.attempt(&piece.batch, piece.through) {
            Ok(()) => Ok(()),
            Err(error) => self.narrow(&piece.batch, piece.through, error),
        }
    }

    /// Writes the checkpoint if it is not written yet.
    pub(super) fn flush(&mut self) -> Result<(), store::Error> {
        let Progress { written, applied } = self.progress;
        if let Some(session) = &mut self.session
            && written < applied
        {
            session.advance(applied)?;
            self.report(Progress { written: applied, applied });
        }
        Ok(())
    }

    /// Moves over events that the component does not consume.
    fn advance(&mut self, through: u64) -> Result<(), Halt> {
        self.report(Progress { applied: through, ..self.progress });
        if through - self.progress.written >= self.checkpoint_positions {
            self.flush().map_err(|error| self.machine(error.to_string()))?;
        }
        Ok(())
    }

    /// Applies a batch that failed as a whole: first around the event that the component named, then by halves. Only a batch of one
    /// convicts its event; what the component says is a hint. What the machine could not do is narrowed down as well, so that the
    /// store is the fold up to the event before it, whatever the size of the batch.
    fn narrow(&mut self, batch: &Batch, through: u64, error: CallError) -> Result<(), Halt> {
        if let (1, Some(position), Some((event_id, event_type))) = (batch.len(), batch.position(0), batch.name(0)) {
            return Err(self.halt(position, event_id, event_type, error));
        }
        let named = match error {
            CallError::Verdict(Verdict::Failed { position: Some(position), .. }) => batch.index_of(position),
            _ => None,
        };
        let parts: Vec<Range<usize>> = match named {
            Some(index) => vec![0..index, index..index + 1, index + 1..batch.len()],
            None => halves(0..batch.len()).into(),
        };
        parts.into_iter().try_for_each(|part| self.fold_part(batch, part, through))
    }

    /// Folds a part of a batch, by halves where it fails.
    fn fold_part(&mut self, batch: &Batch, part: Range<usize>, through: u64) -> Result<(), Halt> {
        if part.is_empty() {
            return Ok(());
        }
        let whole = batch.part(part.clone());
        let through = if part.end == batch.len() { Some(through) } else { batch.position(part.end - 1) };
        let through = through.unwrap_or_default();
        match self.attempt(&whole, through) {
            Ok(()) => Ok(()),
            Err(error) if part.len() == 1 => self.narrow(&whole, through, error),
            Err(_) => halves(0..whole.len()).into_iter().try_for_each(|half| self.fold_part(&whole, half, through)),
        }
    }

    /// What an event that alone cannot be applied means. Everything before it is in the store, and what stands between was not for
    /// the component: its fold stands right before the event.
    fn halt(&mut self, position: u64, event_id: &str, event_type: &str, error: CallError) -> Halt {
        if let Err(halt) = self.advance(position - 1) {
            return halt;
        }
        match error {
            CallError::Verdict(verdict) => Halt::EventFailed {
                position,
                event_id: event_id.to_owned(),
                event_type: event_type.to_owned(),
                reason: verdict.to_string(),
            },
            other => self.machine(format!("event {event_id} ({event_type}) at position {position}: {other}")),
        }
    }

    /// Applies a batch and writes the checkpoint with it, or leaves the store as it was.
    fn attempt(&mut self, batch: &Batch, through: u64) -> Result<(), CallError> {
        let machine = |error: store::Error| CallError::Machine(error.to_string());
        let Some(mut session) = self.session.take() else {
            return Err(CallError::Machine("the store's session is gone".to_owned()));
        };
        if let Err(error) = session.begin() {
            self.session = Some(session);
            return Err(machine(error));
        }
        let (mut session, applied) = self.plugin.apply(batch, session);
        let outcome = match applied {
            Ok(()) => session.commit(through).map_err(machine),
            Err(error) => {
                session.roll_back();
                Err(error)
            }
        };
        self.session = Some(session);
        if outcome.is_ok() {
            self.report(Progress { written: through, applied: through });
        }
        outcome
    }

    fn report(&mut self, progress: Progress) {
        self.progress = progress;
        self.store.report(progress);
    }

    pub(super) fn machine(&self, reason: String) -> Halt {
        Halt::Machine { position: self.progress.applied, reason }
    }
}

fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [range.start..middle, middle..range.end]
}
