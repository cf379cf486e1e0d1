use std::path::PathBuf;

/// The log is out of order. What it says against a request is a [`Refusal`](super::Refusal) instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite could not read or write: a full or broken disk, say.
    #[error("the log's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A group of requests could not be made durable; none of it was stored.
    #[error("the log could not be written, and nothing was stored: {0}")]
    NotStored(String),
    /// A group of requests could not be made durable, nor could it be made sure that none of it is stored: it may be there
    /// after a restart. Who asks again, with the same event ids, learns it.
    #[error("the log could not be written, and it is open whether anything was stored: {0}")]
    Unsettled(String),
    /// The file was written by a version of Laterna that this one does not know.
    #[error("{path} is a log of format {found}; this version reads format {known}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: i64,
        /// What this version reads.
        known: i64,
    },
    /// The writer's thread could not be started.
    #[error("the log's writer could not be started: {0}")]
    Thread(std::io::Error),
    /// The log was closed, or its writer ended.
    #[error("the log is closed")]
    Closed,
}
