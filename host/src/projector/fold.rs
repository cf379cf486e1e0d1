//! A batch and its checkpoint in one transaction; a batch that fails is narrowed down to its event.

use super::Terms;
use super::feed::Piece;
use super::parking::{Parking, SetAside, Split};
use super::tally::Tally;
use crate::failpoint;
use crate::plugin::{Batch, CallError, Envelope, Plugin, Upcasting, Verdict, Visibility};
use crate::process::Reactor;
use crate::store::parked::{Aside, Fault};
use crate::store::{self, Durability, Progress, Session, Store};
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;

/// What those are told who may not know why.
pub const HIDDEN: &str = "the reason is internal to its module: ask with a token of that one";

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
        /// The module inside which alone the event is readable; `None` for a public one.
        #[serde(skip)]
        internal_to: Option<String>,
    },
    /// No more events may be set aside. The same on every machine, until some are given up.
    #[error("{limit} events are set aside, and the one at position {position} would be one more: {reason}")]
    TooManyParked {
        /// The event's position.
        position: u64,
        /// How many may be set aside.
        limit: u64,
        /// Why this one would be.
        reason: String,
        /// As above.
        #[serde(skip)]
        internal_to: Option<String>,
    },
    /// The machine cannot go on: a full disk, say. No event is to blame.
    #[error("after position {position}: {reason}")]
    Machine {
        /// The checkpoint that it stands at.
        position: u64,
        /// What is wrong.
        reason: String,
        /// As above.
        #[serde(skip)]
        internal_to: Option<String>,
    },
}

impl Halt {
    /// The machine's fault, with no event in it.
    #[must_use]
    pub fn machine(position: u64, reason: String) -> Self {
        Self::Machine { position, reason, internal_to: None }
    }

    /// Its words as far as they are for anybody.
    #[must_use]
    pub fn for_anybody(&self) -> String {
        match self.internal_to() {
            None => self.to_string(),
            Some(_) => HIDDEN.to_owned(),
        }
    }

    /// The module inside which alone its words may be read, where they tell of an internal event.
    #[must_use]
    pub fn internal_to(&self) -> Option<&str> {
        match self {
            Self::EventFailed { internal_to, .. }
            | Self::TooManyParked { internal_to, .. }
            | Self::Machine { internal_to, .. } => internal_to.as_deref(),
        }
    }

    /// Its stable name, with a page in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EventFailed { .. } => "event-failed",
            Self::TooManyParked { .. } => "too-many-parked",
            Self::Machine { .. } => "machine",
        }
    }
}

/// Why a batch was not folded; nothing of it was.
enum Failed {
    Call(CallError),
    /// More of it would be set aside than may be.
    TooManyParked,
}

impl Failed {
    fn machine(error: &store::Error) -> Self {
        Self::Call(CallError::Machine(error.to_string()))
    }
}

/// Folds pieces of the log into a store.
pub(super) struct Folder {
    plugin: Plugin,
    /// How it reacts, where it is a process manager.
    reactor: Option<Reactor>,
    /// The module that it belongs to.
    module: String,
    upcasting: Upcasting,
    parking: Parking,
    store: Store,
    /// `None` only while a call has it.
    session: Option<Session>,
    progress: Progress,
    checkpoint_positions: u64,
    durability: Durability,
    tally: Arc<Tally>,
}

impl Folder {
    pub(super) fn new(
        plugin: Plugin,
        terms: &Terms,
        store: Store,
        durability: Durability,
        checkpoint_positions: u64,
    ) -> Result<Self, store::Error> {
        let mut session = store.fold(durability)?;
        let reactor = Reactor::open(&plugin, &terms.acting, &mut session)?;
        let mut parking = Parking::new(plugin.manifest(), terms.parked_events, terms.discarded.clone());
        parking.load(&session)?;
        let (session, progress, upcasting) = (Some(session), store.progress(), terms.upcasting.clone());
        let module = terms.module.clone();
        let tally = Arc::new(Tally::new(false));
        Ok(Self {
            plugin,
            reactor,
            module,
            upcasting,
            parking,
            store,
            session,
            progress,
            checkpoint_positions,
            durability,
            tally,
        })
    }

    /// The same, counting here what it folds.
    pub(super) fn counting(self, tally: Arc<Tally>) -> Self {
        Self { tally, ..self }
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
            Err(failed) => self.narrow(&piece.batch, piece.through, failed),
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
    fn narrow(&mut self, batch: &Batch, through: u64, failed: Failed) -> Result<(), Halt> {
        if let (1, Some(event)) = (batch.len(), batch.get(0)) {
            return self.convict(&event, through, failed);
        }
        let named = match &failed {
            Failed::Call(CallError::Verdict(verdict)) => verdict.position().and_then(|at| batch.index_of(at)),
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
            Err(failed) if part.len() == 1 => self.narrow(&whole, through, failed),
            Err(_) => halves(0..whole.len()).into_iter().try_for_each(|half| self.fold_part(&whole, half, through)),
        }
    }

    /// What an event that alone cannot be applied means: it is set aside, or everything ends before it. Everything before it is in the
    /// store, and what stands between was not for the component: its fold stands right before the event.
    fn convict(&mut self, event: &Envelope<'_>, through: u64, failed: Failed) -> Result<(), Halt> {
        // What a component says whose read model is internal may come from there.
        let internal_to = match (self.parking.is_secret(event), self.plugin.manifest().visibility) {
            (true, _) => Some(event.module.to_owned()),
            (false, Visibility::Internal) => Some(self.module.clone()),
            (false, Visibility::Public) => None,
        };
        let reason = match failed {
            Failed::Call(CallError::Verdict(verdict)) if self.parking.parks() => {
                match self.park(event, through, &verdict) {
                    Ok(()) => return Ok(()),
                    Err(Failed::TooManyParked) => verdict.to_string(),
                    Err(Failed::Call(error)) => {
                        self.advance(event.position - 1)?;
                        return Err(self.machine(error.to_string()));
                    }
                }
            }
            Failed::Call(CallError::Verdict(verdict)) => {
                self.advance(event.position - 1)?;
                return Err(Halt::EventFailed {
                    position: event.position,
                    event_id: event.id.to_owned(),
                    event_type: event.event_type.to_owned(),
                    reason: verdict.to_string(),
                    internal_to,
                });
            }
            Failed::Call(other) => {
                self.advance(event.position - 1)?;
                let Envelope { id, event_type, position, .. } = event;
                let reason = format!("event {id} ({event_type}) at position {position}: {other}");
                return Err(Halt::Machine { position: self.progress.applied, reason, internal_to });
            }
            Failed::TooManyParked => "an earlier event of its sequence could not be applied".to_owned(),
        };
        self.advance(event.position - 1)?;
        Err(Halt::TooManyParked { position: event.position, limit: self.parking.limit(), reason, internal_to })
    }

    /// Sets an event aside that alone cannot be applied, and moves beyond it.
    fn park(&mut self, event: &Envelope<'_>, through: u64, verdict: &Verdict) -> Result<(), Failed> {
        let sequence = self.parking.sequence_of(event);
        if !self.parking.has_room(std::iter::once(&*sequence)) {
            return Err(Failed::TooManyParked);
        }
        let reason = verdict.to_string();
        let fault = Fault {
            code: verdict.code(),
            reason: &reason,
            event_id: event.id,
            event_type: event.event_type,
            stream: event.stream,
            module: event.module,
        };
        let aside = Aside {
            sequence: &sequence,
            position: event.position,
            internal: self.parking.is_secret(event),
            discarded: self.parking.is_discarded(&sequence),
            // One whose upcaster fails may follow on one that is set aside already.
            fault: (!self.parking.is_parked(&sequence)).then_some(fault),
        };
        let Some(session) = &mut self.session else { return Err(Failed::Call(gone())) };
        let written = session.begin().and_then(|()| session.set_aside(&aside)).and_then(|()| session.commit(through));
        if let Err(error) = written {
            session.roll_back();
            return Err(Failed::machine(&error));
        }
        tracing::info!(
            projection = self.plugin.manifest().name,
            position = event.position,
            sequence = &*sequence,
            reason,
            "an event is set aside"
        );
        self.parking.count(std::iter::once(&*sequence));
        self.tally.count(1, event.internal.into());
        self.report(Progress { written: through, applied: through });
        Ok(())
    }

    /// Applies a batch and writes the checkpoint with it, or leaves the store as it was.
    fn attempt(&mut self, batch: &Batch, through: u64) -> Result<(), Failed> {
        let upcasted = self.upcasting.upcast(batch).map_err(Failed::Call)?;
        let Split { goes_on, aside } = self.parking.split(upcasted);
        if !self.parking.has_room(aside.iter().map(|aside| aside.sequence.as_str())) {
            return Err(Failed::TooManyParked);
        }
        let Some(mut session) = self.session.take() else { return Err(Failed::Call(gone())) };
        if let Err(error) = session.begin() {
            self.session = Some(session);
            return Err(Failed::machine(&error));
        }
        let (mut session, applied) = if goes_on.is_empty() { (session, Ok(())) } else { self.apply(&goes_on, session) };
        let outcome = match applied {
            Ok(()) => aside
                .iter()
                .try_for_each(|SetAside { sequence, position, internal }| {
                    let discarded = self.parking.is_discarded(sequence);
                    let internal = *internal;
                    session.set_aside(&Aside { sequence, position: *position, internal, discarded, fault: None })
                })
                .and_then(|()| {
                    failpoint::pass("fold-commits");
                    session.commit(through)
                })
                .map_err(|error| Failed::machine(&error)),
            Err(error) => Err(Failed::Call(error)),
        };
        if outcome.is_err() {
            session.roll_back();
        }
        self.session = Some(session);
        if outcome.is_ok() {
            failpoint::pass("fold-committed");
            self.parking.count(aside.iter().map(|aside| aside.sequence.as_str()));
            self.tally.count(batch.len(), batch.internal());
            self.report(Progress { written: through, applied: through });
        }
        outcome
    }

    /// Lets the component do what a batch leads to.
    fn apply(&self, batch: &Batch, mut session: Session) -> (Session, Result<(), CallError>) {
        match &self.reactor {
            None => self.plugin.apply(batch, session),
            Some(reactor) => {
                let reacted = reactor.react(batch, &mut session);
                (session, reacted)
            }
        }
    }

    fn report(&mut self, progress: Progress) {
        self.progress = progress;
        self.store.report(progress);
    }

    pub(super) fn machine(&self, reason: String) -> Halt {
        Halt::machine(self.progress.applied, reason)
    }
}

fn gone() -> CallError {
    CallError::Machine("the store's session is gone".to_owned())
}

fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [range.start..middle, middle..range.end]
}
