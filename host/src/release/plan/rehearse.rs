//! What a process manager would have done about the history: found out by folding it, where the plan is asked for of bytes that nobody
//! deploys. A release that is built is compared before it serves.

use super::{Change, Plan, ProcessManager};
use crate::log;
use crate::plugin::Plugin;
use crate::process::Replay;
use crate::process::replay::{Asked, report};
use crate::release::as_of::{AsOf, Refusal};
use crate::release::control::Record;
use crate::release::serving::{Parts, Serving};
use crate::store;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Why it is not known what would have been done.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("{events} events at least would have to be folded for it, and {limit} may be: raise `as_of_events`")]
    TooFar { events: u64, limit: u64 },
    #[error("it could not be found out within {0:?}: raise `as_of_ms`")]
    TooSlow(Duration),
    // Why is told to who may know of the event: the release says it.
    #[error("it halts behind position {0}: its release says why, where it is deployed")]
    Halted(u64),
    #[error("the history could not be folded for it; the host's standard error says why")]
    Failed,
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Log(#[from] log::Error),
    #[error(transparent)]
    Thread(#[from] JoinError),
}

/// Notes with the plan of a process manager what it would have done up to where `live` stands, or about the whole history where nothing of
/// it serves.
pub(in crate::release) async fn rehearse(
    plan: &mut Plan,
    plugin: Plugin,
    live: Option<Arc<Serving>>,
    parts: &Arc<Parts>,
    as_of: &AsOf,
    turns: &Arc<Semaphore>,
) {
    let Plan { name, module, digest, limits, change: Change::ProcessManager(process), builds: true, .. } = plan else {
        return;
    };
    let ProcessManager { projection, replay, not_replayed, .. } = &mut **process;
    let upcasters = projection.upcasters.feeding.clone();
    let record = Record { upcasters, ..Record::received(0, module.clone(), digest.clone(), limits.clone()) };
    let time = parts.config.as_of.time;
    let replayed = async {
        // Who is compared with the log holds a store and a thread, also behind the fold.
        let turn = Arc::clone(turns).acquire_owned().await.map_err(|_| Unknown::Failed)?;
        replayed(record, plugin, live, parts, as_of, turn).await
    };
    match timeout(time, replayed).await.unwrap_or(Err(Unknown::TooSlow(time))) {
        Ok(found) => *replay = Some(found),
        // They may name a file.
        Err(error @ (Unknown::Store(_) | Unknown::Log(_) | Unknown::Thread(_))) => {
            tracing::error!(component = name, %error, "what it would have done could not be found out");
            *not_replayed = Some(Unknown::Failed.to_string());
        }
        Err(unknown) => *not_replayed = Some(unknown.to_string()),
    }
}

async fn replayed(
    record: Record,
    plugin: Plugin,
    live: Option<Arc<Serving>>,
    parts: &Arc<Parts>,
    as_of: &AsOf,
    turn: OwnedSemaphorePermit,
) -> Result<Replay, Unknown> {
    let name = plugin.manifest().name.clone();
    let position = live.as_ref().map_or_else(|| parts.log.head(), |live| live.store.progress().applied);
    let (time, now_us) = (parts.config.as_of.time, parts.means.clock.now_us());
    let store = as_of.rehearse(record, plugin, position).await.map_err(|refusal| match refusal {
        Refusal::TooFar { events, limit } => Unknown::TooFar { events, limit },
        Refusal::TooSlow { .. } => Unknown::TooSlow(time),
        Refusal::Halted { reached, .. } => Unknown::Halted(reached),
        Refusal::Failed => Unknown::Failed,
    })?;
    let (parts, runtime) = (Arc::clone(parts), Handle::current());
    // Where nobody waits for it any more, it ends.
    let unwanted = CancellationToken::new();
    let _wanted = unwanted.clone().drop_guard();
    let compared = spawn_blocking(move || {
        let _turn = turn;
        if let Some(live) = &live {
            // What is still to be done would seem not to be decided. Where it stays so, the report says it.
            live.has_done(position, parts.config.cutover, &runtime);
        }
        let asked = Asked { log: &parts.log, process: &name, samples: parts.config.verify.samples, now_us };
        let mut go_on = || if unwanted.is_cancelled() { Err(Unknown::TooSlow(time)) } else { Ok(()) };
        let before = live.as_ref().map(|live| &live.store);
        store.read_here(|snapshot| report(&asked, snapshot, before, &mut go_on))
    });
    compared.await?
}
