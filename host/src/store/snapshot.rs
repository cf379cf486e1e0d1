//! A release's read store: made once, written by one [`Session`], read by many in snapshots that carry their checkpoint.

use super::authorizer::Author;
use super::changes::{Changes, Tables};
use super::connection::{self, Guarded};
use super::meter::{Asker, Meter};
use super::query::{self, Arguments, Bounds, ReadError, Rows, Sink, Words};
use super::schema::{self, Relation};
use super::session::Session;
use super::{Error, Limits, files};
use rusqlite::Connection;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Steps of SQLite's machine that may be done on a thread that must not be kept: about a tenth of a millisecond.
const BRIEF_STEPS: u64 = 4_000;
/// And how long that may take where steps take longer, as far as that is seen.
const BRIEF_TIME: Duration = Duration::from_millis(1);

/// Statements of Laterna's own that who folds keeps prepared.
const HELD: usize = 64;

/// Characters of what there is, for who asked for what there is not.
const POINTED: usize = 1_000;

/// A store's handle: cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    limits: Limits,
    relations: Vec<Relation>,
    changes: Arc<Changes>,
    /// Connections at rest. One is taken out while it reads, so the lock is never held over a read.
    idle: Mutex<Vec<Guarded>>,
    reading: Arc<Semaphore>,
    progress: watch::Sender<Progress>,
    /// Nobody needs it once the last one has let go of it.
    discarded: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if *self.discarded.get_mut() {
            self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
            if let Err(error) = files::remove(&self.path) {
                tracing::warn!(%error, "a read store that nobody needs could not be removed");
            }
        }
    }
}

/// How a store is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What was committed survives SIGKILL, and is torn by a power loss: for a store that is being built, until it is
    /// [sealed](Session::seal).
    Building,
    /// What was committed is never torn; a power loss may take the last commits, which are folded again.
    Serving,
}

/// How far a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The checkpoint in the file.
    pub written: u64,
    /// The checkpoint with what came since and was not for this component: the same read model, at a later position.
    pub applied: u64,
}

impl Store {
    /// Opens the store of a release, or makes it from the component's schema. `identity` stands for all that its content
    /// follows from besides the log; a file of another identity is made anew.
    ///
    /// # Errors
    /// The file cannot be opened or made, or the schema is refused.
    pub fn open(path: &Path, ddl: &str, identity: &str, limits: &Limits) -> Result<Self, Error> {
        if !is_of(path, identity) {
            tracing::warn!(store = %path.display(), "the read store is of another release, limits or version: it is made anew");
            files::remove(path)?;
        }
        let store = connection::open_writable(path)?;
        store.connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE;")?;
        let empty: bool = store.connection.query_one("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
        if empty {
            schema::create(&store, ddl)?;
            store.connection.execute("INSERT INTO laterna_checkpoint VALUES (1, 0, ?1)", [identity])?;
        }
        store.connection.execute_batch("COMMIT")?;
        let relations = schema::relations(&store.connection)?;
        let written = checkpoint(&store)?;
        let (progress, _) = watch::channel(Progress { written, applied: written });
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                limits: limits.clone(),
                changes: Arc::new(Changes::of(&relations)),
                relations,
                idle: Mutex::default(),
                reading: Arc::new(Semaphore::new(limits.readers)),
                progress,
                discarded: AtomicBool::new(false),
            }),
        })
    }

    /// The read model's tables and views.
    #[must_use]
    pub fn relations(&self) -> &[Relation] {
        &self.inner.relations
    }

    /// Opens the one session that folds into this store.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn fold(&self, durability: Durability) -> Result<Session, Error> {
        let store = connection::open_writable(&self.inner.path)?;
        store.connection.execute_batch("PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864;")?;
        store.connection.execute_batch(match durability {
            Durability::Building => "PRAGMA synchronous = OFF",
            Durability::Serving => "PRAGMA synchronous = NORMAL",
        })?;
        store.connection.pragma_update(None, "max_page_count", self.inner.limits.pages)?;
        store.connection.set_prepared_statement_cache_capacity(HELD);
        Ok(Session::new(store, Author::Fold, &self.inner.limits, Arc::clone(&self.inner.changes)))
    }

    /// Changes with Laterna's own hand what is no part of the read model, while nobody folds.
    ///
    /// # Errors
    /// The file cannot be written; nothing has changed then.
    pub fn amend(&self, amend: impl FnOnce(&Connection) -> Result<(), Error>) -> Result<(), Error> {
        let mut store = connection::open_writable(&self.inner.path)?;
        let transaction = store.connection.transaction()?;
        amend(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// Bytes of the write-ahead log beside the file; 0 where there is none.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        std::fs::metadata(files::beside(&self.inner.path, "-wal")).map_or(0, |file| file.len())
    }

    /// Whether one of these tables may have been written behind a position that is known to be reached.
    #[must_use]
    pub fn is_written_behind(&self, tables: &Tables, position: u64) -> bool {
        self.inner.changes.is_behind(tables, position)
    }

    /// Removes the file once the last one who reads or folds has let go of it.
    pub fn discard(&self) {
        self.inner.discarded.store(true, Ordering::Relaxed);
    }

    /// How far the store is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.inner.progress.borrow()
    }

    /// Watches how far the store is.
    #[must_use]
    pub fn watch_progress(&self) -> watch::Receiver<Progress> {
        self.inner.progress.subscribe()
    }

    /// Says how far the store is; the one who folds into it calls this after each commit.
    pub fn report(&self, progress: Progress) {
        self.inner.progress.send_replace(progress);
    }

    /// Closes the readers at rest, so that the one who folds goes last: it brings what is in the write-ahead log into the file.
    pub fn rest(&self) {
        self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Reads a snapshot, on a thread for blocking work. Who lets go of this before it answers ends what SQLite does for it.
    ///
    /// # Errors
    /// What `read` answers, or that the file cannot be opened.
    pub async fn read<T, E, F>(&self, read: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Snapshot) -> Result<T, E> + Send + 'static,
    {
        let turn = Arc::clone(&self.inner.reading).acquire_owned().await.map_err(|_| Error::Closed)?;
        let (store, asker) = (self.clone(), Waiting::default());
        let asks = asker.0.clone();
        let reading = tokio::task::spawn_blocking(move || {
            // Given back once it is over, also where nobody waits for it any more.
            let _turn = turn;
            store.read_for(Some(asks), read)
        });
        reading.await.map_err(|_| Error::Closed)?
    }

    /// Answers a question: at once on this thread where that takes little, otherwise as [`read`](Self::read) does. What takes more
    /// is begun once more there, so `ask` only reads.
    ///
    /// # Errors
    /// What `ask` answers, or that the file cannot be opened.
    pub async fn answer<T, E, F>(&self, ask: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Snapshot) -> Result<T, E> + Send + 'static,
    {
        if let Ok(_turn) = self.inner.reading.try_acquire() {
            let mut snapshot = self.snapshot()?;
            snapshot.is_brief = true;
            let answer = ask(&mut snapshot);
            let takes_more = snapshot.takes_more.get();
            self.put_back(snapshot);
            if !takes_more {
                return answer;
            }
        }
        self.read(ask).await
    }

    /// Reads a snapshot on this thread, without waiting for a place: for one who has the store for himself.
    ///
    /// # Errors
    /// What `read` answers, or that the file cannot be opened.
    pub fn read_here<T, E: From<Error>>(&self, read: impl FnOnce(&mut Snapshot) -> Result<T, E>) -> Result<T, E> {
        self.read_for(None, read)
    }

    fn read_for<T, E: From<Error>>(
        &self,
        asker: Option<Asker>,
        read: impl FnOnce(&mut Snapshot) -> Result<T, E>,
    ) -> Result<T, E> {
        if asker.as_ref().is_some_and(Asker::has_left) {
            return Err(Error::Closed.into());
        }
        let mut snapshot = self.snapshot()?;
        if asker.is_some() {
            snapshot.meter()?.answer_to(asker);
        }
        let result = read(&mut snapshot);
        self.put_back(snapshot);
        result
    }

    fn snapshot(&self) -> Result<Snapshot, Error> {
        let rested = self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let store = match rested {
            Some(store) => store,
            None => connection::open_read_only(&self.inner.path)?,
        };
        let position = self.begin(&store)?;
        let inner = Arc::clone(&self.inner);
        let (is_brief, takes_more) = (false, Cell::new(false));
        Ok(Snapshot { store: Some(store), position, inner, lent: Tables::default(), is_brief, takes_more })
    }

    /// Begins to read one moment by this connection to the store; answers the position that it is as of.
    pub(super) fn begin(&self, store: &Guarded) -> Result<u64, Error> {
        let before = self.progress();
        store.connection.prepare_cached("BEGIN")?.execute([])?;
        // The first read takes the snapshot. Progress counts only where it speaks of this one. That of before is looked at, too: by
        // now the store may be further than the snapshot, and what readers were told already is not taken back.
        let written = checkpoint(store)?;
        let told = [before, self.progress()].into_iter().filter(|progress| progress.written == written);
        Ok(told.map(|progress| progress.applied).max().unwrap_or(written))
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.inner.path
    }

    fn put_back(&self, mut snapshot: Snapshot) {
        if let Some(store) = snapshot.store.take()
            && store.connection.prepare_cached("COMMIT").and_then(|mut statement| statement.execute([])).is_ok()
        {
            store.meter.answer_to(None);
            self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner).push(store);
        }
    }
}

/// Somebody who waits for an answer, and leaves when this is dropped.
#[derive(Default)]
struct Waiting(Asker);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// One moment of a store.
pub struct Snapshot {
    /// `None` only while a session has it, or after its end.
    store: Option<Guarded>,
    position: u64,
    inner: Arc<Inner>,
    /// What those read whom it was lent to.
    lent: Tables,
    /// It is read on a thread that must not be kept: only a little is done.
    is_brief: bool,
    /// More than that would have to be done.
    takes_more: Cell<bool>,
}

impl Snapshot {
    /// The position up to which this read model is the fold of the log.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Laterna's own hand on what is read, for a read model that it keeps itself.
    ///
    /// # Errors
    /// The snapshot is at its end.
    pub fn by_hand(&self) -> Result<&Connection, Error> {
        self.connection()
    }

    /// The same for so long at most.
    ///
    /// # Errors
    /// What `read` answers, or that it takes longer.
    pub fn by_hand_within<T>(
        &self,
        time: Duration,
        read: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, ReadError> {
        let (connection, meter) = (self.connection()?, self.meter()?);
        meter.allow_time(Some(time));
        let result = read(connection);
        let is_late = meter.is_late();
        meter.allow_time(None);
        result.map_err(|error| if is_late { ReadError::OutOfTime(time) } else { Error::from(error).into() })
    }

    pub(super) fn connection(&self) -> Result<&Connection, Error> {
        self.store.as_ref().map(|store| &store.connection).ok_or(Error::Closed)
    }

    /// What its statements may use, also while one runs on another thread.
    pub(super) fn meter(&self) -> Result<Meter, Error> {
        self.store.as_ref().map(|store| store.meter.clone()).ok_or(Error::Closed)
    }

    /// The tables and views as they stand in the file.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn relations(&self) -> Result<Vec<Relation>, Error> {
        Ok(schema::relations(self.connection()?)?)
    }

    /// Asks a question in SQL, in anybody's words, and shows `sink` the answer as it comes.
    ///
    /// # Errors
    /// The SQL, its arguments or its answer's size are at fault, or the store, or `sink` refuses.
    pub fn ask(
        &self,
        sql: &str,
        arguments: Arguments<'_>,
        bounds: &Bounds,
        sink: &mut impl Sink,
    ) -> Result<(), ReadError> {
        self.ask_in(Words::Anybody, sql, arguments, bounds, sink)
    }

    /// The same in these words. Laterna's own hold no word of anybody else, but for what is put in place of parameters.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask).
    pub fn ask_in(
        &self,
        words: Words,
        sql: &str,
        arguments: Arguments<'_>,
        bounds: &Bounds,
        sink: &mut impl Sink,
    ) -> Result<(), ReadError> {
        let store = self.store.as_ref().ok_or(Error::Closed).map_err(ReadError::Store)?;
        if !self.is_brief {
            return query::run(store, words, sql, arguments, bounds, sink).map_err(|error| self.pointing(error));
        }
        store.meter.allow_steps(BRIEF_STEPS);
        let brief = Bounds { time: BRIEF_TIME.min(bounds.time), ..bounds.clone() };
        let answered = query::run(store, words, sql, arguments, &brief, sink);
        store.meter.allow_steps(u64::MAX);
        self.takes_more.set(matches!(answered, Err(ReadError::OutOfTime(_))) || self.takes_more.get());
        answered.map_err(|error| self.pointing(error))
    }

    /// Says what there is to who asked for what there is not.
    fn pointing(&self, error: ReadError) -> ReadError {
        let ReadError::Sql(words) = error else { return error };
        let relations = self.inner.relations.iter();
        let there_are: Vec<String> = if words.starts_with("no such table") {
            relations.map(|relation| relation.name.clone()).collect()
        } else if words.starts_with("no such column") {
            let columns = |relation: &Relation| {
                relation.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
            };
            relations.map(|relation| format!("{} ({})", relation.name, columns(relation))).collect()
        } else {
            return ReadError::Sql(words);
        };
        let there_are: String = there_are.join(", ").chars().take(POINTED).collect();
        ReadError::Sql(format!("{words}; there are: {there_are}"))
    }

    /// Asks a question in SQL, and keeps the answer as it is.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask).
    pub fn query(&self, sql: &str, arguments: Arguments<'_>, bounds: &Bounds) -> Result<Rows, ReadError> {
        let mut rows = Rows::default();
        self.ask(sql, arguments, bounds, &mut rows)?;
        Ok(rows)
    }

    /// The tables that a question in SQL reads, also through views.
    ///
    /// # Errors
    /// The SQL is refused.
    pub fn tables_of(&self, sql: &str) -> Result<Tables, ReadError> {
        let store = self.store.as_ref().ok_or(Error::Closed).map_err(ReadError::Store)?;
        Ok(self.inner.changes.tables(&query::tables(store, sql)?))
    }

    /// The tables that those read whom this snapshot was lent to.
    #[must_use]
    pub fn tables_lent(&self) -> &Tables {
        &self.lent
    }

    /// Lends the snapshot to a component that answers a question.
    ///
    /// # Errors
    /// What `ask` answers.
    pub fn lend<T, E: From<Error>>(
        &mut self,
        time: Duration,
        ask: impl FnOnce(Session) -> (Session, Result<T, E>),
    ) -> Result<T, E> {
        if self.is_brief {
            // A component's code never runs on such a thread.
            self.takes_more.set(true);
            return Err(Error::Closed.into());
        }
        let store = self.store.take().ok_or(Error::Closed)?;
        store.meter.allow_time(Some(time));
        let (session, answer) =
            ask(Session::new(store, Author::Question, &self.inner.limits, Arc::clone(&self.inner.changes)));
        let (store, read) = session.into_guarded();
        self.lent.extend(&read);
        store.meter.allow_time(None);
        self.store = Some(store);
        answer
    }
}

fn checkpoint(store: &Guarded) -> Result<u64, Error> {
    let mut statement = store.connection.prepare_cached("SELECT position FROM laterna_checkpoint")?;
    Ok(statement.query_one([], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// Whether the file is a finished store of this identity, or not there at all.
fn is_of(path: &Path, identity: &str) -> bool {
    if !path.exists() {
        return true;
    }
    let found = connection::open_writable(path)
        .and_then(|store| store.connection.query_one("SELECT identity FROM laterna_checkpoint", [], |row| row.get(0)));
    matches!(found, Ok::<String, _>(found) if found == identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: u64 = 2_000;

    #[test]
    fn what_was_told_is_not_taken_back() {
        // Given a store that is written, and moved over what is not for its component, in turns,
        let folder = tempfile::tempdir().expect("a folder");
        let ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT";
        let store = Store::open(&folder.path().join("1.db"), ddl, "it", &Limits::default()).expect("a store");
        std::thread::scope(|scope| {
            let writing = store.clone();
            let writer = scope.spawn(move || {
                let mut session = writing.fold(Durability::Building).expect("a session");
                for written in (2..2 * ROUNDS).step_by(2) {
                    session.begin().expect("it is free");
                    session.commit(written).expect("it is written");
                    writing.report(Progress { written, applied: written });
                    writing.report(Progress { written, applied: written + 1 });
                }
            });
            // when it is read all the while, then no position is behind what was known before.
            while !writer.is_finished() {
                let known = store.progress().applied;
                let snapshot = store.snapshot().expect("a snapshot");
                assert!(snapshot.position() >= known, "{} after {known}", snapshot.position());
                store.put_back(snapshot);
            }
        });
    }
}
