//! Process managers: instances that react to events by appending events and setting timers.
//!
//! A process manager is folded like a projection; its read model is Laterna's own account of it (`schema.sql`), written in the transaction
//! of the checkpoint. So what its instances are, which timers wait, and what was decided is always exactly the fold of the log. What was
//! decided is *done* by those that act, once their release serves: the outbox appends effects to the log, the clockwork appends what
//! becomes of timers. Both are appended under ids that follow from what was decided, so that doing it again changes nothing.
//!
//! It knows nothing of releases or of HTTP.
//!
//! In reading order:
//! * [`ids`]: the ids of what a process appends
//! * [`streams`]: the streams in which it is told something
//! * [`facts`]: what Laterna tells an instance: a timer that fired, an effect that was refused
//! * [`decision`]: what an instance did, as it is kept
//! * `ledger`: the instances that a batch touches, and what becomes of them
//! * [`reactor`]: a batch of events, turned into decisions
//! * [`acting`]: doing what was decided, from where on it is a release's own to do
//! * `outbox`: effects, appended to the log
//! * [`clockwork`]: timers that are due, appended to the log
//! * [`replay`]: what would have been done, beside what was
//! * [`account`]: what is read of it by those who look in; [`became`]: what became of an effect

pub mod account;
pub mod acting;
pub mod became;
pub mod clockwork;
pub mod decision;
pub mod facts;
pub mod ids;
mod ledger;
pub(crate) mod outbox;
pub mod reactor;
pub mod replay;
pub mod streams;

use crate::{log, store};
use std::time::Duration;

pub use acting::{Acting, Actor, Means, Options, Status};
pub use became::Became;
pub use reactor::Reactor;
pub use replay::Replay;

/// How long it is waited before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What was decided is not done for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Log(#[from] log::Error),
    #[error("what was decided cannot be read or told: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "nothing stands at position {0} of the log, from which something follows: restore log and stores from one backup; or stop the host, \
         remove the store of the release that serves, and start it: the store is folded anew"
    )]
    NoTrigger(u64),
    #[error(
        "an effect of instance `{instance}` is to be done about position {position}, and the store does not say which: stop the host, remove \
         the store of the release that serves, and start it: the store is folded anew"
    )]
    NoEffect { position: i64, instance: String },
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
