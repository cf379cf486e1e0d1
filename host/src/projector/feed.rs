//! The log, filtered, as batches ahead of the one who folds.

use super::Options;
use crate::log::{self, EventRef, Filter, Log};
use crate::plugin::{Batch, Envelope};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Positions that one scan covers at most: so long a read transaction stays open, and so often a stop is noticed.
const SCANNED_POSITIONS: u64 = 100_000;

/// A piece of the log.
pub(super) struct Piece {
    /// The events in it that are wanted; none where nothing was.
    pub(super) batch: Batch,
    /// The position up to which the log was looked at.
    pub(super) through: u64,
}

/// What the feed sends: pieces in order, or why it had to end.
pub(super) type Fed = Result<Piece, log::Error>;

/// Reads the log from behind `after` on, and goes on as it grows, until it is cancelled or nobody listens.
pub(super) fn start(
    name: &str,
    log: &Log,
    filter: Filter,
    after: u64,
    options: &Options,
    stop: CancellationToken,
    runtime: Handle,
) -> std::io::Result<(Receiver<Fed>, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(options.ahead);
    let (log, options) = (log.clone(), options.clone());
    let thread = std::thread::Builder::new().name(format!("feed-{name}")).spawn(move || {
        if let Err(error) = feed(&log, &filter, after, &options, &stop, &runtime, &sender) {
            // The one who folds says what this means; where it is gone, nobody needs to know.
            let _ = sender.send(Err(error));
        }
    })?;
    Ok((receiver, thread))
}

fn feed(
    log: &Log,
    filter: &Filter,
    mut after: u64,
    options: &Options,
    stop: &CancellationToken,
    runtime: &Handle,
    sender: &SyncSender<Fed>,
) -> Result<(), log::Error> {
    let mut reader = log.reader()?;
    let mut head = log.watch_head();
    loop {
        let visible = *head.borrow_and_update();
        while after < visible {
            let mut batch = Batch::default();
            let up_to = visible.min(after + SCANNED_POSITIONS);
            let scan = reader.scan(after, up_to, filter, |event| {
                batch.push(&envelope(&event));
                batch.len() < options.batch_events && batch.bytes() < options.batch_bytes
            })?;
            after = scan.through;
            if stop.is_cancelled() || sender.send(Ok(Piece { batch, through: after })).is_err() {
                return Ok(());
            }
        }
        let grown = runtime.block_on(stop.run_until_cancelled(head.changed()));
        if !matches!(grown, Some(Ok(()))) {
            return Ok(());
        }
    }
}

fn envelope<'a>(event: &EventRef<'a>) -> Envelope<'a> {
    Envelope {
        position: event.position,
        revision: event.revision,
        schema_version: event.schema_version,
        recorded_at_us: event.recorded_at_us,
        internal: event.internal,
        source: event.source,
        id: event.id,
        stream: event.stream,
        event_type: event.event_type,
        module: event.module,
        occurred_at: event.occurred_at,
        correlation_id: event.correlation_id,
        causation_id: event.causation_id,
        content_type: event.content_type,
        data: event.data,
        metadata: event.metadata,
    }
}
