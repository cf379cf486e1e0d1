//! One scan for all who stand close together: pieces of the log that were read lately, kept within bounds.
//!
//! Whoever wants a piece that another one has read, or is reading, takes it from here. Who falls behind what is kept reads alone,
//! until it has caught up.

use crate::log::{self, EventRef, Filter, Reader, category};
use crate::plugin::{Batch, Envelope};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Positions between two readers that still count as close together.
const CLOSE: u64 = 50_000;

/// The pieces that are kept, by the position behind which each begins, and where the readers stand.
pub(super) struct Window {
    kept: Mutex<Kept>,
    read: Condvar,
    limits: Limits,
}

/// The bounds of what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of all pieces together.
    pub(super) bytes: usize,
    /// Events of one piece.
    pub(super) piece_events: usize,
    /// Bytes of one piece, give or take one event.
    pub(super) piece_bytes: usize,
}

#[derive(Default)]
struct Kept {
    pieces: BTreeMap<u64, Slot>,
    bytes: usize,
    /// Counts up with each use of a piece.
    uses: u64,
    /// The pieces by when they were used last: the one used longest ago makes room.
    by_use: BTreeMap<u64, u64>,
    readers: BTreeMap<u64, u64>,
    last_reader: u64,
    /// Events that were read from the log for this window.
    #[cfg(test)]
    events_read: usize,
}

enum Slot {
    /// Somebody reads it, up to this position at most.
    Reading {
        up_to: u64,
    },
    Read {
        piece: Arc<Chunk>,
        used: u64,
    },
}

/// A piece of the log with all its events.
pub(super) struct Chunk {
    after: u64,
    pub(super) through: u64,
    events: Arc<Batch>,
    /// The kind of each event.
    kinds: Vec<u32>,
    /// What a filter can look at, each combination once.
    names: Vec<Kind>,
}

struct Kind {
    event_type: String,
    category: String,
    module: String,
    internal: bool,
}

impl Kind {
    fn as_ref(&self) -> log::Kind<'_> {
        let Self { event_type, category, module, internal } = self;
        log::Kind { event_type, category, module, internal: *internal }
    }
}

/// A reader's place in the window. It leaves when this goes out of scope.
pub(super) struct Place {
    window: Arc<Window>,
    reader: u64,
}

impl Window {
    pub(super) fn new(limits: Limits) -> Self {
        Self { kept: Mutex::default(), read: Condvar::new(), limits }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Takes a place behind this position.
    pub(super) fn take(window: Arc<Window>, after: u64) -> Self {
        let mut kept = window.kept();
        kept.last_reader += 1;
        let reader = kept.last_reader;
        kept.readers.insert(reader, after);
        drop(kept);
        Self { window, reader }
    }

    /// Moves behind this position; answers whether others are close.
    pub(super) fn advance(&self, after: u64) -> bool {
        let mut kept = self.window.kept();
        kept.readers.insert(self.reader, after);
        kept.readers.iter().any(|(reader, position)| *reader != self.reader && position.abs_diff(after) <= CLOSE)
    }

    /// The piece that holds what follows on `after`, up to `up_to` at most: as it is kept, or read now.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn piece(&self, log: &mut Reader, after: u64, up_to: u64) -> Result<Arc<Chunk>, log::Error> {
        let mut kept = self.window.kept();
        let up_to = loop {
            match kept.find(after) {
                Some(Found::Read(piece)) => return Ok(piece),
                Some(Found::Reading) => {
                    kept = self.window.read.wait(kept).unwrap_or_else(PoisonError::into_inner);
                }
                None => {
                    let next = kept.pieces.range(after + 1..).next().map_or(up_to, |(begins, _)| up_to.min(*begins));
                    kept.pieces.insert(after, Slot::Reading { up_to: next });
                    break next;
                }
            }
        };
        drop(kept);
        let read = Chunk::read(log, after, up_to, self.window.limits);
        let mut kept = self.window.kept();
        kept.pieces.remove(&after);
        if let Ok(piece) = &read {
            kept.keep(Arc::clone(piece), self.window.limits.bytes);
        }
        drop(kept);
        self.window.read.notify_all();
        read
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.window.kept().readers.remove(&self.reader);
    }
}

enum Found {
    Read(Arc<Chunk>),
    Reading,
}

impl Kept {
    fn find(&mut self, after: u64) -> Option<Found> {
        let (begins, slot) = self.pieces.range_mut(..=after).next_back()?;
        match slot {
            Slot::Read { piece, used } if piece.through > after => {
                self.uses += 1;
                self.by_use.remove(used);
                self.by_use.insert(self.uses, *begins);
                *used = self.uses;
                Some(Found::Read(Arc::clone(piece)))
            }
            Slot::Reading { up_to } if *up_to > after => Some(Found::Reading),
            _ => None,
        }
    }

    fn keep(&mut self, piece: Arc<Chunk>, limit: usize) {
        #[cfg(test)]
        {
            self.events_read += piece.events.len();
        }
        self.uses += 1;
        self.bytes += piece.bytes();
        self.by_use.insert(self.uses, piece.after);
        self.pieces.insert(piece.after, Slot::Read { used: self.uses, piece });
        while self.bytes > limit {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            if let Some(Slot::Read { piece, .. }) = self.pieces.remove(&oldest) {
                self.bytes -= piece.bytes();
            }
        }
    }
}

impl Chunk {
    fn read(log: &mut Reader, after: u64, up_to: u64, limits: Limits) -> Result<Arc<Self>, log::Error> {
        let mut piece = Self { after, through: after, events: Arc::default(), kinds: Vec::new(), names: Vec::new() };
        let mut events = Batch::default();
        let scan = log.scan(after, up_to, &Filter::default(), |event| {
            events.push(&envelope(&event));
            let kind = piece.kind(&event);
            piece.kinds.push(kind);
            events.len() < limits.piece_events && events.bytes() < limits.piece_bytes
        })?;
        piece.through = scan.through;
        piece.events = Arc::new(events);
        Ok(Arc::new(piece))
    }

    fn kind(&mut self, event: &EventRef<'_>) -> u32 {
        let wanted = log::Kind {
            event_type: event.event_type,
            category: category(event.stream),
            module: event.module,
            internal: event.internal,
        };
        let known = self.names.iter().rposition(|kind| kind.as_ref() == wanted);
        // A piece has far fewer than 2^32 events.
        known.unwrap_or_else(|| {
            self.names.push(Kind {
                event_type: wanted.event_type.to_owned(),
                category: wanted.category.to_owned(),
                module: wanted.module.to_owned(),
                internal: wanted.internal,
            });
            self.names.len() - 1
        }) as u32
    }

    /// Moves the wanted events behind `after` into `batch` until `has_room` says that it is full; answers the position up to which
    /// this piece was looked at.
    pub(super) fn select(
        &self,
        batch: &mut Arc<Batch>,
        filter: &Filter,
        after: u64,
        has_room: impl Fn(&Batch) -> bool,
    ) -> u64 {
        let wanted: Vec<bool> = self.names.iter().map(|kind| filter.wants(&kind.as_ref())).collect();
        if batch.is_empty() && after == self.after && wanted.iter().all(|wanted| *wanted) {
            *batch = Arc::clone(&self.events);
            return self.through;
        }
        let batch = Arc::make_mut(batch);
        for index in self.events.first_behind(after)..self.events.len() {
            if wanted[self.kinds[index] as usize] {
                batch.push_from(&self.events, index);
                if !has_room(batch) {
                    return self.events.position(index).unwrap_or(self.through);
                }
            }
        }
        self.through
    }

    fn bytes(&self) -> usize {
        // The heads and kinds besides the arena; a piece without an event still costs its place.
        self.events.bytes() + self.events.len() * 160 + 256
    }
}

pub(super) fn envelope<'a>(event: &EventRef<'a>) -> Envelope<'a> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workload;
    use crate::log::{Log, Options, Which};
    use tempfile::TempDir;

    const EVENTS: u64 = 5_000;

    async fn log() -> (TempDir, Log) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(&folder.path().join("log.db"), &Options::default()).expect("a log");
        workload::write(&log, EVENTS as usize).await.expect("events");
        (folder, log)
    }

    fn window(bytes: usize) -> Arc<Window> {
        Arc::new(Window::new(Limits { bytes, piece_events: 300, piece_bytes: 1 << 20 }))
    }

    fn paid() -> Filter {
        let which = Which::AnyOf { types: vec!["OrderPaid".to_owned()], categories: Vec::new() };
        Filter { which, ..Filter::default() }
    }

    /// All that a filter wants between two positions, out of a window.
    fn taken(place: &Place, log: &mut Reader, filter: &Filter, mut after: u64, up_to: u64) -> Batch {
        let mut batch = Arc::default();
        while after < up_to {
            after = place.piece(log, after, up_to).expect("a piece").select(&mut batch, filter, after, |_| true);
        }
        Arc::unwrap_or_clone(batch)
    }

    fn scanned(log: &mut Reader, filter: &Filter) -> Batch {
        let mut batch = Batch::default();
        log.scan(0, EVENTS, filter, |event| {
            batch.push(&envelope(&event));
            true
        })
        .expect("a scan");
        batch
    }

    /// The same events, in the same order, with everything that they carry.
    fn assert_same(one: &Batch, other: &Batch) {
        let parts = |batch: &Batch| format!("{:?}", batch.part(0..batch.len()));
        assert_eq!(one.len(), other.len());
        assert_eq!(parts(one), parts(other));
    }

    #[tokio::test]
    async fn what_stands_close_together_is_read_once() {
        let (_folder, log) = log().await;
        let window = window(64 << 20);
        let (mut reader, one) = (log.reader().expect("a reader"), Place::take(Arc::clone(&window), 0));
        assert!(!one.advance(0), "it is alone");
        let other = Place::take(Arc::clone(&window), 1_234);
        assert!(one.advance(0) && !Place::take(Arc::clone(&window), 10_000_000).advance(10_000_000));
        // Whatever each of them wants, and wherever each begins, the log is read once.
        assert_same(
            &taken(&one, &mut reader, &Filter::default(), 0, EVENTS),
            &scanned(&mut reader, &Filter::default()),
        );
        assert_same(&taken(&other, &mut reader, &paid(), 0, EVENTS), &scanned(&mut reader, &paid()));
        assert_eq!(taken(&other, &mut reader, &Filter::default(), 1_234, 2_345).position(0), Some(1_235));
        assert_eq!(window.kept().events_read as u64, EVENTS);
    }

    #[tokio::test]
    async fn threads_that_want_the_same_piece_wait_for_the_one_who_reads_it() {
        let (_folder, log) = log().await;
        let window = window(64 << 20);
        let whole = scanned(&mut log.reader().expect("a reader"), &paid());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let place = Place::take(Arc::clone(&window), 0);
                    let mut reader = log.reader().expect("a reader");
                    assert_same(&taken(&place, &mut reader, &paid(), 0, EVENTS), &whole);
                });
            }
        });
        assert_eq!(window.kept().events_read as u64, EVENTS);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_who_falls_behind_reads_alone() {
        let (_folder, log) = log().await;
        let window = window(400_000);
        let mut reader = log.reader().expect("a reader");
        let (one, other) = (Place::take(Arc::clone(&window), 0), Place::take(Arc::clone(&window), 0));
        for up_to in (500..=EVENTS).step_by(500) {
            taken(&one, &mut reader, &Filter::default(), up_to - 500, up_to);
            let kept = window.kept();
            assert!(kept.bytes <= 400_000, "{} bytes are kept", kept.bytes);
            let sum: usize = kept
                .pieces
                .values()
                .map(|slot| match slot {
                    Slot::Read { piece, .. } => piece.bytes(),
                    Slot::Reading { .. } => 0,
                })
                .sum();
            assert_eq!(sum, kept.bytes);
        }
        // What the other one wants is not kept any more: it is read once more, and is the same.
        let before = window.kept().events_read as u64;
        assert_eq!(before, EVENTS);
        assert_same(&taken(&other, &mut reader, &paid(), 0, EVENTS), &scanned(&mut reader, &paid()));
        assert!(window.kept().events_read as u64 > before);
    }
}
