//! Durable appends by many at once, beside the fastest that SQLite can do for the same: one thread that has the rows at hand
//! and inserts them into the same tables, in as many transactions.

use super::Error;
use super::workload::Workload;
use crate::log::{Append, Expected, Log, Options, StreamAppend};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::path::Path;
use std::time::{Duration, Instant};

/// Callers that append at once, each its next event when the one before it is durable.
pub const WRITERS: usize = 64;

/// What appending came to.
#[derive(Debug, Clone, Copy)]
pub struct Appended {
    /// From the first event offered to the last one answered.
    pub took: Duration,
    /// Transactions that it took.
    pub groups: u64,
}

/// Appends the first so many events of the workload to a new log in the file `log`, one event at a time from each of
/// [`WRITERS`]. Must be called within a tokio runtime.
///
/// # Errors
/// The log is out of order.
pub async fn laterna(path: &Path, events: usize) -> Result<Appended, Error> {
    super::remove(path)?;
    let mut shares: Vec<Vec<Append>> = (0..WRITERS).map(|_| Vec::new()).collect();
    for (index, (stream, event)) in Workload::default().take(events).enumerate() {
        let stream = StreamAppend { stream, expected: Expected::Any, events: vec![event] };
        shares[index % WRITERS].push(Append { streams: vec![stream], fault: None });
    }
    let log = Log::open(path, &Options::default())?;
    let started = Instant::now();
    let writers: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let log = log.clone();
            tokio::spawn(async move {
                for append in share {
                    log.append(append).await??;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for writer in writers {
        writer.await.map_err(|error| Error::Stopped(error.to_string()))??;
    }
    let took = started.elapsed();
    let groups = log.groups();
    log.close();
    Ok(Appended { took, groups })
}

/// The content of a log, as SQLite sees it.
pub struct Rows {
    schema: String,
    names: Vec<Vec<Value>>,
    events: Vec<Vec<Value>>,
}

impl Rows {
    /// Reads the log in the file `log`.
    ///
    /// # Errors
    /// SQLite cannot read it.
    pub fn of(log: &Path) -> Result<Self, Error> {
        let log = Connection::open(log)?;
        let schema = log
            .prepare("SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")?
            .query_map([], |row| row.get::<_, String>(0))?
            .collect::<Result<String, _>>()?;
        let all = |sql| -> Result<Vec<Vec<Value>>, Error> {
            let mut statement = log.prepare(sql)?;
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        Ok(Self { schema, names: all("SELECT * FROM names")?, events: all("SELECT * FROM events ORDER BY position")? })
    }
}

/// Writes the rows into a new file `path`, durably, in so many transactions of the same size; answers the time of the events.
///
/// # Errors
/// SQLite cannot write.
pub fn sqlite(path: &Path, rows: &Rows, transactions: u64) -> Result<Duration, Error> {
    super::remove(path)?;
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;")?;
    connection.execute_batch(&rows.schema)?;
    let started = Instant::now();
    let mut insert_name = connection.prepare("INSERT INTO names VALUES (?1, ?2)")?;
    let mut insert_event = connection.prepare(
        "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    connection.execute_batch("BEGIN")?;
    for name in &rows.names {
        insert_name.execute(params_from_iter(name))?;
    }
    let per_transaction = rows.events.len() as f64 / transactions.max(1) as f64;
    let mut written = 1.0;
    for (index, event) in rows.events.iter().enumerate() {
        if index as f64 >= written * per_transaction {
            connection.execute_batch("COMMIT; BEGIN")?;
            written += 1.0;
        }
        insert_event.execute(params_from_iter(event))?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(started.elapsed())
}
