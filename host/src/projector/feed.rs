//! The log, filtered, as batches ahead of the one who folds.

use super::Options;
use super::window::{Place, Window, envelope};
use crate::log::{self, Filter, Log, Reader};
use crate::plugin::Batch;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Positions that one scan covers at most: so long a read transaction stays open, and so often a stop is noticed.
const SCANNED_POSITIONS: u64 = 100_000;

/// A piece of the log.
pub(super) struct Piece {
    /// The events in it that are wanted; none where nothing was.
    pub(super) batch: Arc<Batch>,
    /// The position up to which the log was looked at.
    pub(super) through: u64,
    /// The log ended there when it was looked at.
    pub(super) at_head: bool,
}

impl Piece {
    /// What of it goes up to this position, and what stands behind it.
    pub(super) fn split(&self, position: u64) -> (Self, Self) {
        let middle = self.batch.first_behind(position);
        let part = |range| Arc::new(self.batch.part(range));
        let first = Self { batch: part(0..middle), through: position, at_head: false };
        let rest = Self { batch: part(middle..self.batch.len()), through: self.through, at_head: self.at_head };
        (first, rest)
    }
}

/// What the feed sends: pieces in order, or why it had to end.
pub(super) type Fed = Result<Piece, log::Error>;

/// What of the log is fed.
pub(super) struct Wanted {
    pub(super) filter: Filter,
    pub(super) after: u64,
}

/// Reads the log, and goes on as it grows, until it is cancelled or nobody listens. The first piece comes at once, even where
/// there is nothing in it.
pub(super) fn start(
    name: &str,
    log: &Log,
    window: &Arc<Window>,
    wanted: Wanted,
    options: &Options,
    stop: CancellationToken,
    runtime: Handle,
) -> std::io::Result<(Receiver<Fed>, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(options.ahead);
    let (log, options, window) = (log.clone(), options.clone(), Arc::clone(window));
    let thread = std::thread::Builder::new().name(format!("feed-{name}")).spawn(move || {
        let place = Place::take(window, wanted.after);
        if let Err(error) = feed(&log, &place, wanted, &options, &stop, &runtime, &sender) {
            // The one who folds says what this means; where it is gone, nobody needs to know.
            let _ = sender.send(Err(error));
        }
    })?;
    Ok((receiver, thread))
}

fn feed(
    log: &Log,
    place: &Place,
    wanted: Wanted,
    options: &Options,
    stop: &CancellationToken,
    runtime: &Handle,
    sender: &SyncSender<Fed>,
) -> Result<(), log::Error> {
    let Wanted { filter, mut after } = wanted;
    let mut reader = log.reader()?;
    let mut head = log.watch_head();
    let send = |piece| !stop.is_cancelled() && sender.send(Ok(piece)).is_ok();
    if after >= *head.borrow() && !send(Piece { batch: Arc::default(), through: after, at_head: true }) {
        return Ok(());
    }
    loop {
        let visible = *head.borrow_and_update();
        while after < visible {
            let up_to = visible.min(after + SCANNED_POSITIONS);
            let shared = place.advance(after) && !reader.is_sparse(after, up_to, &filter)?;
            let (batch, through) = if shared {
                read_together(&mut reader, place, &filter, after, up_to, options)?
            } else {
                read_alone(&mut reader, &filter, after, up_to, options)?
            };
            after = through;
            if !send(Piece { batch, through, at_head: through >= visible }) {
                return Ok(());
            }
        }
        place.advance(after);
        let grown = runtime.block_on(stop.run_until_cancelled(head.changed()));
        if !matches!(grown, Some(Ok(()))) {
            return Ok(());
        }
    }
}

/// Fills a batch from what is read for all who stand close together.
fn read_together(
    reader: &mut Reader,
    place: &Place,
    filter: &Filter,
    mut after: u64,
    up_to: u64,
    options: &Options,
) -> Result<(Arc<Batch>, u64), log::Error> {
    let mut batch = Arc::default();
    while after < up_to && options.has_room(&batch) {
        after = place.piece(reader, after, up_to)?.select(&mut batch, filter, after, |batch| options.has_room(batch));
    }
    Ok((batch, after))
}

/// Fills a batch with a scan of its own, which looks only at what is wanted.
fn read_alone(
    reader: &mut Reader,
    filter: &Filter,
    after: u64,
    up_to: u64,
    options: &Options,
) -> Result<(Arc<Batch>, u64), log::Error> {
    let mut batch = Batch::default();
    let scan = reader.scan(after, up_to, filter, |event| {
        batch.push(&envelope(&event));
        options.has_room(&batch)
    })?;
    Ok((Arc::new(batch), scan.through))
}
