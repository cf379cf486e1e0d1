//! The one thread that writes the log.
//!
//! It takes every request that waits, judges and writes each in a savepoint of its own, and commits them all in one
//! transaction: the disk is waited for once. Only then does it show the new head and answer anyone, refusals included,
//! since a refusal may rest on an append of the same group.

use super::append::{Append, Appended, ClosedStream, Expected, Import, Imported, Refusal, StreamAppended};
use super::entry::{Alternative, Entered, Entry};
use super::event::{NewEvent, category};
use super::judge::{self, Verdict};
use super::names::Numbers;
use super::{Error, schema};
use crate::clock::Clock;
use crate::failpoint;
use rusqlite::{Connection, params};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use uuid::Uuid;

/// A request, with where its answer goes.
pub(super) enum Job {
    Append { append: Append, answer: Answer<Appended> },
    AppendEach { entries: Vec<Entry>, answer: Answer<Vec<Entered>, Infallible> },
    Import { events: Vec<Import>, whole: bool, answer: Answer<Imported> },
    Close { stream: String, answer: Answer<ClosedStream> },
}

/// A request that waits, and the place in the queue that its bytes take. The place is the request's, not that of who asked: who
/// asked may go away, and the bytes are still there.
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) place: OwnedSemaphorePermit,
}

type Answer<T, R = Refusal> = oneshot::Sender<Result<Result<T, R>, Error>>;

/// Sends an answer that was kept until the commit, or what became of the commit.
type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// What became of a group of requests.
#[derive(Clone)]
enum Outcome {
    Stored,
    NotStored(String),
    Unsettled(String),
}

pub(super) struct Writer {
    connection: Connection,
    inbox: mpsc::Receiver<Waiting>,
    group: usize,
    numbers: Numbers,
    /// Never goes back, nor was before the last event when the log was opened: so `recorded_at` never decreases.
    clock: Clock,
    head: watch::Sender<u64>,
    /// Groups that were committed.
    groups: Arc<AtomicU64>,
    /// The last position written, committed or not.
    position: u64,
}

impl Writer {
    pub(super) fn open(path: &Path, inbox: mpsc::Receiver<Waiting>, group: usize, clock: Clock) -> Result<Self, Error> {
        let connection = schema::open_writer(path)?;
        let (position, recorded_at_us) = last_event(&connection)?;
        clock.not_before(recorded_at_us);
        let (head, _) = watch::channel(position);
        let groups = Arc::default();
        Ok(Self { connection, inbox, group, numbers: Numbers::default(), clock, head, groups, position })
    }

    pub(super) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    pub(super) fn identity(&self) -> Result<String, Error> {
        schema::identity(&self.connection)
    }

    pub(super) fn groups(&self) -> Arc<AtomicU64> {
        self.groups.clone()
    }

    /// Serves requests until every handle that could send one is gone.
    pub(super) fn run(mut self) {
        let mut jobs = Vec::with_capacity(self.group);
        while self.inbox.blocking_recv_many(&mut jobs, self.group) > 0 {
            let mut replies = Vec::with_capacity(jobs.len());
            match self.write(jobs.drain(..), &mut replies) {
                Ok(()) => {
                    self.groups.fetch_add(1, Ordering::Relaxed);
                    self.head.send_replace(self.position);
                    replies.into_iter().for_each(|reply| reply(Outcome::Stored));
                }
                Err(error) => {
                    let why = error.to_string();
                    tracing::error!(%why, "a group of appends could not be stored");
                    let outcome = match self.start_over() {
                        Ok(()) => Outcome::NotStored(why),
                        Err(error) => Outcome::Unsettled(format!("{why}; then {error}")),
                    };
                    replies.into_iter().for_each(|reply| reply(outcome.clone()));
                }
            }
        }
    }

    fn write(&mut self, jobs: impl Iterator<Item = Waiting>, replies: &mut Vec<Reply>) -> Result<(), Error> {
        let begun = self.execute("BEGIN IMMEDIATE");
        let mut failed = begun.err();
        for Waiting { job, place: _place } in jobs {
            // After a failure of the disk the rest is not tried, but still answered.
            let outcome = match job {
                Job::Append { append, answer } => {
                    self.savepoint(&mut failed, replies, answer, |writer| writer.append(append))
                }
                Job::AppendEach { entries, answer } => {
                    self.savepoint(&mut failed, replies, answer, |writer| writer.append_each(entries).map(Ok))
                }
                Job::Import { events, whole, answer } => {
                    self.savepoint(&mut failed, replies, answer, |writer| writer.import(events, whole))
                }
                Job::Close { stream, answer } => {
                    self.savepoint(&mut failed, replies, answer, |writer| writer.close(stream))
                }
            };
            if let Err(error) = outcome {
                failed = Some(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                failpoint::pass("log-commits");
                self.execute("COMMIT")?;
                failpoint::pass("log-committed");
                Ok(())
            }
        }
    }

    /// Does one request in its own savepoint, and keeps its answer until the commit.
    fn savepoint<T: Send + 'static, R: Send + 'static>(
        &mut self,
        failed: &mut Option<Error>,
        replies: &mut Vec<Reply>,
        answer: Answer<T, R>,
        request: impl FnOnce(&mut Self) -> Result<Result<T, R>, Error>,
    ) -> Result<(), Error> {
        let outcome = match failed {
            Some(_) => Ok(None),
            None => self.in_savepoint(request).map(Some),
        };
        let (verdict, outcome) = match outcome {
            Ok(verdict) => (verdict, Ok(())),
            Err(error) => (None, Err(error)),
        };
        replies.push(Box::new(move |outcome| {
            let answered = match (outcome, verdict) {
                (Outcome::Stored, Some(verdict)) => Ok(verdict),
                (Outcome::Stored, None) => Err(Error::Closed),
                (Outcome::NotStored(why), _) => Err(Error::NotStored(why)),
                (Outcome::Unsettled(why), _) => Err(Error::Unsettled(why)),
            };
            // A caller that went away does not need its answer.
            let _ = answer.send(answered);
        }));
        outcome
    }

    fn in_savepoint<T, R>(
        &mut self,
        request: impl FnOnce(&mut Self) -> Result<Result<T, R>, Error>,
    ) -> Result<Result<T, R>, Error> {
        let before = self.position;
        self.execute("SAVEPOINT request")?;
        let verdict = request(self)?;
        if verdict.is_err() {
            self.execute("ROLLBACK TO request")?;
            self.position = before;
        }
        self.execute("RELEASE request")?;
        Ok(verdict)
    }

    fn append(&mut self, append: Append) -> Result<Result<Appended, Refusal>, Error> {
        let revisions = match judge::judge(&self.connection, &append, self.position)? {
            Verdict::Store(revisions) => revisions,
            Verdict::Answer(answer) => return Ok(Ok(answer)),
            Verdict::Refuse(refusal) => return Ok(Err(refusal)),
        };
        let recorded_at_us = self.clock.now_us();
        let mut streams = Vec::with_capacity(append.streams.len());
        for (stream, last_revision) in append.streams.into_iter().zip(revisions) {
            let mut answer =
                StreamAppended { stream: stream.stream, first_position: None, last_position: None, last_revision };
            for event in stream.events {
                let revision = answer.last_revision.map_or(0, |last| last + 1);
                self.insert(&answer.stream, revision, recorded_at_us, event)?;
                answer.first_position.get_or_insert(self.position);
                answer.last_position = Some(self.position);
                answer.last_revision = Some(revision);
            }
            streams.push(answer);
        }
        Ok(Ok(Appended { streams, repeated: false, position: self.position }))
    }

    fn append_each(&mut self, entries: Vec<Entry>) -> Result<Vec<Entered>, Error> {
        let recorded_at_us = self.clock.now_us();
        entries.into_iter().map(|entry| self.enter(entry, recorded_at_us)).collect()
    }

    /// Judges an entry and stores what comes of it. Nothing is written before it is judged, so nothing has to be taken back.
    fn enter(&mut self, entry: Entry, recorded_at_us: i64) -> Result<Entered, Error> {
        let Entry { stream, expected, mut event, fault, otherwise } = entry;
        let id = event.id.get_or_insert_with(new_id).clone();
        if let Some(place) = judge::place(&self.connection, &event.source, &id)? {
            return Ok(Entered::Known(place));
        }
        let verdict = match fault {
            Some(fault) => Err(fault),
            None => judge::judge_stream(&self.connection, &stream, expected)?,
        };
        let refusal = match verdict {
            Ok(last_revision) => {
                self.insert(&stream, last_revision.map_or(0, |last| last + 1), recorded_at_us, event)?;
                return Ok(Entered::Stored { position: self.position });
            }
            Err(refusal) => refusal,
        };
        let Alternative { stream, event: alternative } = otherwise(&refusal);
        match judge::judge_stream(&self.connection, &stream, Expected::Any)? {
            Ok(last_revision) => {
                let alternative = NewEvent { source: event.source, id: Some(id), ..alternative };
                self.insert(&stream, last_revision.map_or(0, |last| last + 1), recorded_at_us, alternative)?;
                Ok(Entered::Refused { refusal, position: self.position })
            }
            Err(alternative) => Ok(Entered::Lost { refusal, alternative }),
        }
    }

    fn import(&mut self, events: Vec<Import>, whole: bool) -> Result<Result<Imported, Refusal>, Error> {
        if whole && let Some(refusal) = judge::judge_import(&self.connection, &events)? {
            return Ok(Err(refusal));
        }
        let recorded_at_us = self.clock.now_us();
        let mut imported = Imported::default();
        for Import { stream, event, fault } in events {
            if let Some(id) = &event.id
                && judge::is_known(&self.connection, &event.source, id)?
            {
                imported.skipped += 1;
                continue;
            }
            let is_closed = judge::is_closed(&self.connection, &stream)?;
            if let Some(refusal) = fault.or_else(|| is_closed.then(|| Refusal::StreamClosed { stream: stream.clone() }))
            {
                // What stands before it is kept: such an import is atomic for each event, not as a whole.
                imported.refused = Some(refusal);
                break;
            }
            let revision = judge::last_revision(&self.connection, &stream)?.map_or(0, |last| last + 1);
            self.insert(&stream, revision, recorded_at_us, event)?;
            imported.stored += 1;
        }
        imported.last_position = self.position;
        Ok(Ok(imported))
    }

    fn close(&mut self, stream: String) -> Result<Result<ClosedStream, Refusal>, Error> {
        let Some(last_revision) = judge::last_revision(&self.connection, &stream)? else {
            return Ok(Err(Refusal::NoStream { stream }));
        };
        let closed_at_us = self.clock.now_us();
        self.connection
            .prepare_cached("INSERT INTO closed_streams VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute((&stream, closed_at_us))?;
        Ok(Ok(ClosedStream { last_revision }))
    }

    fn insert(&mut self, stream: &str, revision: u64, recorded_at_us: i64, event: NewEvent) -> Result<(), Error> {
        let source = self.numbers.number_of(&self.connection, &event.source)?;
        let event_type = self.numbers.number_of(&self.connection, &event.event_type)?;
        let category = self.numbers.number_of(&self.connection, category(stream))?;
        let module = self.numbers.number_of(&self.connection, &event.module)?;
        let content_type = self.numbers.number_of(&self.connection, &event.content_type)?;
        let id = event.id.unwrap_or_else(new_id);
        self.position += 1;
        self.connection
            .prepare_cached(
                "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?
            .execute(params![
                self.position.cast_signed(),
                source,
                id,
                stream,
                revision.cast_signed(),
                event_type,
                category,
                event.schema_version,
                module,
                event.internal,
                event.occurred_at,
                recorded_at_us,
                event.correlation_id,
                event.causation_id,
                content_type,
                event.data,
                (!event.metadata.is_empty()).then_some(event.metadata),
            ])?;
        Ok(())
    }

    /// Forgets what a failed transaction left in memory, and takes care that nothing of it is stored.
    fn start_over(&mut self) -> Result<(), Error> {
        // SQLite may have rolled back by itself; then there is nothing left to do.
        let _ = self.execute("ROLLBACK");
        self.numbers.forget();
        // The head is what was last committed. Where even that cannot be read, the next request fails in the same way.
        let last = last_event(&self.connection);
        self.position = last.map_or_else(|_| *self.head.borrow(), |(position, _)| position);
        schema::overwrite_failed_commit(&self.connection)
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// The position and `recorded_at` of the last event.
fn last_event(connection: &Connection) -> Result<(u64, i64), Error> {
    let last =
        connection.query_row("SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
        });
    match last {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok((0, 0)),
        last => Ok(last?),
    }
}
