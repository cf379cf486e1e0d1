//! A host: the log, the releases and what serves them, opened and closed as one.

use crate::access::{self, Tokens};
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::data_dir::{self, DataDir, Lock};
use crate::log::{self, Log};
use crate::plugin::Engine;
use crate::process::Means;
use crate::release::{self, Component, Releases};
use crate::schemas::{self, Schemas};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A running host.
pub struct Host {
    /// Its settings.
    pub config: Config,
    /// The time by which its log is written.
    pub clock: Clock,
    /// Its log.
    pub log: Log,
    /// What events are checked against.
    pub schemas: Schemas,
    /// Its components.
    pub releases: Releases,
    /// Who may come in.
    pub tokens: Tokens,
    /// The log's head when the host was opened: its stores must have got so far before it is ready.
    pub started_at: u64,
    /// The components that were to serve for the first time when it was opened.
    pub awaited: Vec<String>,
    /// Tells everything that serves to end.
    pub stop: CancellationToken,
    /// Places for those who follow feeds.
    pub followers: Arc<Semaphore>,
    /// Places for questions in people's own SQL.
    pub questions: Arc<Semaphore>,
    /// Places, by the byte, for bodies that are being read.
    pub bodies: Semaphore,
    /// Its name as a source of events.
    source: String,
    lock: Mutex<Lock>,
}

/// Why a host cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] data_dir::Error),
    /// The clock cannot be read.
    #[error("the clock cannot be read: {0}")]
    Clock(#[from] clock::Error),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The schemas cannot be read.
    #[error(transparent)]
    Schemas(#[from] schemas::Error),
    /// The components cannot be read.
    #[error(transparent)]
    Release(#[from] release::Error),
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] access::Error),
    /// It would be open to other machines, and nobody could show a token.
    #[error(
        "on {0} everybody has to show a token, and there is none yet: make one with `laterna token create`, or listen on 127.0.0.1 without --require-tokens, or let everybody in with --insecure"
    )]
    NoToken(SocketAddr),
    /// This machine cannot run WebAssembly.
    #[error("WebAssembly cannot be run here: {0}")]
    Engine(String),
}

impl Host {
    /// Opens a data directory: the log, then what folds it.
    ///
    /// # Errors
    /// Something of it cannot be opened, or another host has it.
    pub async fn open(data: &Path, config: Config) -> Result<Self, Error> {
        let data = DataDir::open(data)?;
        let lock = data.lock()?;
        let tokens = Tokens::open(&data.control(), config.is_open(), config.tokens)?;
        if !config.is_open() && tokens.is_empty() {
            return Err(Error::NoToken(config.listen));
        }
        let clock = match config.clock {
            clock::Kind::System => Clock::system(),
            clock::Kind::Manual => Clock::manual(&data.clock())?,
        };
        let log = Log::open_by(&data.log(), &config.log, clock.clone())?;
        let schemas = Schemas::open(data.schemas(), &config.schemas)?;
        let engine = Engine::new(Some(&data.cache())).map_err(|error| Error::Engine(format!("{error:#}")))?;
        let started_at = log.head();
        let means = Means {
            log: log.clone(),
            clock: clock.clone(),
            schemas: schemas.in_force(),
            options: config.process.clone(),
            runtime: Handle::current(),
        };
        let releases = Releases::open(&data, &engine, means, &config)?;
        let is_coming = |component: &&Arc<Component>| component.is_coming();
        let awaited = releases.all().iter().filter(is_coming).map(|component| component.name.clone()).collect();
        releases.settled(config.start).await;
        Ok(Self {
            tokens,
            started_at,
            awaited,
            stop: CancellationToken::new(),
            followers: Arc::new(Semaphore::new(config.http.followers)),
            questions: Arc::new(Semaphore::new(config.http.sql_readers)),
            bodies: Semaphore::new(config.http.bodies_bytes as usize),
            source: config.cloudevents_source.clone().unwrap_or_else(|| format!("urn:uuid:{}", log.identity())),
            lock: Mutex::new(lock),
            config,
            clock,
            log,
            schemas,
            releases,
        })
    }

    /// Its name as a source of events: the one that it was given, or that of its log.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Says in the data directory where this host serves and how it lets in who can read that, for commands that are given the
    /// directory alone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(&self, address: SocketAddr) -> std::io::Result<()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).announce(address, self.tokens.local())
    }

    /// Stops folding, then closes the log. Blocks until then, but no longer than the grace for what components are busy with.
    pub fn close(&self) {
        self.stop.cancel();
        self.releases.stop(self.config.http.grace);
        self.schemas.stop();
        self.log.close();
    }
}
