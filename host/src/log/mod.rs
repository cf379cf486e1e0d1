//! The event log: append-only, totally ordered, durable before it answers.
//!
//! Nothing outside this folder knows that it is SQLite, and nothing in here knows of projections, stores or HTTP.
//!
//! In reading order:
//! * `event`: an event as it is offered, and as it stands in the log
//! * `append`: what is asked of the log, and what it answers
//! * `entry`: single events, each with what is stored in its place where it is refused
//! * `schema`: the tables
//! * `names`: the dictionary of types, categories, modules, sources and media types
//! * `judge`: the verdict over one append
//! * `writer`: the one thread that writes, a group of requests in one transaction
//! * `reader`: by stream, and in order from a position, through a [`Filter`]
//! * `lookup`: single events, by position or by id

mod append;
mod entry;
mod error;
mod event;
mod filter;
mod judge;
mod lookup;
mod names;
mod reader;
mod schema;
mod writer;

pub use append::{
    Append, Appended, ClosedStream, Expected, Import, Imported, Misfit, Refusal, StreamAppend, StreamAppended, Unfit,
};
pub use entry::{Alternative, Entered, Entry, Otherwise, Place};
pub use error::Error;
pub use event::{EventRef, NewEvent, StoredEvent, category, is_time};
pub use filter::{Filter, Kind, Sight, Which};
pub use reader::{Direction, Page, Reader, Scan};

use crate::clock::Clock;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use writer::{Job, Waiting, Writer};

/// A log's fixed properties.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests that may wait for the writer; beyond it, callers wait for a place.
    pub queue: usize,
    /// Requests that one transaction takes at most.
    pub group: usize,
    /// Bytes of requests that may wait for the writer; beyond it, callers wait for a place.
    pub queue_bytes: u32,
    /// Reads of pages that go on at once; beyond it, callers wait for a place.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue: 4_096, group: 1_024, queue_bytes: 64 << 20, readers: 8 }
    }
}

/// The log's handle: cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    identity: String,
    /// `None` once the log was closed.
    jobs: Mutex<Option<mpsc::Sender<Waiting>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// The last visible position: set after the commit that made it durable.
    head: watch::Receiver<u64>,
    groups: Arc<AtomicU64>,
    /// Readers at rest. A reader is taken out while it reads, so the lock is never held over a read.
    readers: Mutex<Vec<Reader>>,
    reading: Semaphore,
    waiting_bytes: Arc<Semaphore>,
    queue_bytes: u32,
}

impl Log {
    /// Opens the log in this file, or makes it. Events are recorded by the system's clock.
    ///
    /// # Errors
    /// The file cannot be opened, or is not a log of this version.
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        Self::open_by(path, options, Clock::system())
    }

    /// Opens the log in this file, or makes it, and records when events came by this clock, which then is not before the last one.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub fn open_by(path: &Path, options: &Options, clock: Clock) -> Result<Self, Error> {
        let (jobs, inbox) = mpsc::channel(options.queue);
        let writer = Writer::open(path, inbox, options.group, clock)?;
        let (head, groups, identity) = (writer.head(), writer.groups(), writer.identity()?);
        let thread =
            std::thread::Builder::new().name("log-writer".into()).spawn(move || writer.run()).map_err(Error::Thread)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                identity,
                jobs: Mutex::new(Some(jobs)),
                writer: Mutex::new(Some(thread)),
                head,
                groups,
                readers: Mutex::default(),
                reading: Semaphore::new(options.readers),
                waiting_bytes: Arc::new(Semaphore::new(options.queue_bytes as usize)),
                queue_bytes: options.queue_bytes,
            }),
        })
    }

    /// What tells this log from all others, wherever its file is moved: a UUID.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// The last position; 0 in an empty log.
    #[must_use]
    pub fn head(&self) -> u64 {
        *self.inner.head.borrow()
    }

    /// Watches the last position.
    #[must_use]
    pub fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.head.clone()
    }

    /// How many groups of requests were made durable since the log was opened, each in one transaction.
    #[must_use]
    pub fn groups(&self) -> u64 {
        self.inner.groups.load(Ordering::Relaxed)
    }

    /// Appends atomically, and answers once it is durable.
    ///
    /// # Errors
    /// A [`Refusal`] that says what to do, with nothing stored; or the log is out of order.
    pub async fn append(&self, append: Append) -> Result<Result<Appended, Refusal>, Error> {
        let bytes = append.streams.iter().flat_map(|stream| &stream.events).map(NewEvent::bytes).sum();
        self.ask(bytes, |answer| Job::Append { append, answer }).await
    }

    /// Stores each of these events unless its id is known, in one transaction. Answers once they are durable.
    ///
    /// # Errors
    /// The log is out of order; nothing was stored then.
    pub async fn import(&self, events: Vec<Import>) -> Result<Result<Imported, Refusal>, Error> {
        self.ask_import(events, false).await
    }

    /// Like [`import`](Self::import), but where one of the events cannot be stored, none is.
    ///
    /// # Errors
    /// A [`Refusal`], with nothing stored; or the log is out of order.
    pub async fn import_whole(&self, events: Vec<Import>) -> Result<Result<Imported, Refusal>, Error> {
        self.ask_import(events, true).await
    }

    async fn ask_import(&self, events: Vec<Import>, whole: bool) -> Result<Result<Imported, Refusal>, Error> {
        let bytes = events.iter().map(|import| import.event.bytes()).sum();
        self.ask(bytes, |answer| Job::Import { events, whole, answer }).await
    }

    /// Stores each of these events, or else its alternative, unless its id is known: in this order, each judged behind those before
    /// it, all in one transaction. Answers once they are durable, with what became of each.
    ///
    /// # Errors
    /// The log is out of order.
    pub async fn append_each(&self, entries: Vec<Entry>) -> Result<Vec<Entered>, Error> {
        let bytes = entries.iter().map(|entry| entry.event.bytes()).sum();
        let answered: Result<_, Infallible> = self.ask(bytes, |answer| Job::AppendEach { entries, answer }).await?;
        let Ok(entered) = answered;
        Ok(entered)
    }

    /// Closes a stream for good: its events stay in the log, and it takes no more.
    ///
    /// # Errors
    /// The log is out of order.
    pub async fn close_stream(&self, stream: String) -> Result<Result<ClosedStream, Refusal>, Error> {
        self.ask(0, |answer| Job::Close { stream, answer }).await
    }

    async fn ask<T>(
        &self,
        bytes: usize,
        job: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Job,
    ) -> Result<T, Error> {
        // One that is larger than the whole queue waits until it has the queue for itself.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.inner.queue_bytes);
        let waiting_bytes = Arc::clone(&self.inner.waiting_bytes);
        let place = waiting_bytes.acquire_many_owned(bytes).await.map_err(|_| Error::Closed)?;
        let (answer, answered) = oneshot::channel();
        let jobs = self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Closed)?;
        jobs.send(Waiting { job: job(answer), place }).await.map_err(|_| Error::Closed)?;
        drop(jobs);
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Opens a reader of its own, for one who reads much.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.inner.path)
    }

    /// Reads with a reader from the pool, on a thread for blocking work.
    ///
    /// # Errors
    /// What `read` answers.
    pub async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader) -> Result<T, Error> + Send + 'static,
    {
        let _turn = self.inner.reading.acquire().await.map_err(|_| Error::Closed)?;
        let log = self.clone();
        tokio::task::spawn_blocking(move || {
            let rested = log.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut reader = rested.map_or_else(|| log.reader(), Ok)?;
            let result = read(&mut reader);
            if result.is_ok() {
                log.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            }
            result
        })
        .await
        .map_err(|_| Error::Closed)?
    }

    /// Takes no more requests, finishes those that it took, and closes the file. Blocks until then.
    pub fn close(&self) {
        self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The writer's connection goes last: it brings what is in the write-ahead log into the file, and removes it.
        self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has said so on standard error.
            let _ = writer.join();
        }
    }
}
