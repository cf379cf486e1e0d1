//! The clock by which the log is written and timers are due.
//!
//! It never goes back, and begins no earlier than what it is told has [been](Clock::not_before): the log's last event. What happens to a
//! release, or to a token, has the machine's own time.
//!
//! * `system`: goes on with the system's clock
//! * `manual`: stands still until it is advanced

mod manual;
mod system;

use clap::ValueEnum;
use manual::Manual;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use system::System;

/// Whose time a clock has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The system's
    #[default]
    System,
    /// Nobody's: it stands still until it is advanced
    Manual,
}

impl Kind {
    /// Its name, as it is written and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Manual => "manual",
        }
    }
}

/// A clock: cheap to clone, usable from any thread. Times are in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone)]
pub struct Clock(Arc<Hand>);

enum Hand {
    System(System),
    Manual(Manual),
}

/// Why a clock cannot be opened, or advanced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has the system's time.
    #[error("the clock has the system's time, and is advanced by nobody: serve with `--clock manual` for one that is")]
    NotManual,
    /// It was to go back.
    #[error("the clock stands at {now}, and does not go back")]
    Back {
        /// What it shows.
        now: jiff::Timestamp,
    },
    /// It was to go beyond what can be written.
    #[error("the clock goes no further than {}", jiff::Timestamp::MAX)]
    Beyond,
    /// Its file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its file does not say what it shows.
    #[error("{path} holds no moment, such as 2010-12-01T08:26:00Z: write one, or remove the file")]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
}

impl Clock {
    /// One that goes on with the system's clock, and follows it at once where that jumps ahead. Where that is set back, it goes on from
    /// where it is.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Hand::System(System::new())))
    }

    /// One that stands still until it is advanced. What it shows is kept in this file; the first time, it shows the system's time.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn manual(file: &Path) -> Result<Self, Error> {
        Ok(Self(Arc::new(Hand::Manual(Manual::open(file)?))))
    }

    /// Whose time it has.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match *self.0 {
            Hand::System(_) => Kind::System,
            Hand::Manual(_) => Kind::Manual,
        }
    }

    /// What it shows.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        match &*self.0 {
            Hand::System(system) => system.now_us(),
            Hand::Manual(manual) => manual.now_us(),
        }
    }

    /// Puts it to a moment that has been, unless it is beyond that.
    pub fn not_before(&self, been_us: i64) {
        match &*self.0 {
            Hand::System(system) => system.not_before(been_us),
            Hand::Manual(manual) => manual.not_before(been_us),
        }
    }

    /// Advances a manual clock by so long, and answers what it shows once that is on the disk. Blocks until then.
    ///
    /// # Errors
    /// It is not manual, would go too far, or its file cannot be written.
    pub fn advance_by(&self, time: Duration) -> Result<i64, Error> {
        let by_us = i64::try_from(time.as_micros()).map_err(|_| Error::Beyond)?;
        self.to_be_advanced()?.advance(|now_us| now_us.saturating_add(by_us))
    }

    /// Advances a manual clock to a moment, as [`advance_by`](Self::advance_by) does.
    ///
    /// # Errors
    /// As there; or that is behind it.
    pub fn advance_to(&self, to_us: i64) -> Result<i64, Error> {
        self.to_be_advanced()?.advance(|_| to_us)
    }

    fn to_be_advanced(&self) -> Result<&Manual, Error> {
        match &*self.0 {
            Hand::System(_) => Err(Error::NotManual),
            Hand::Manual(manual) => Ok(manual),
        }
    }

    /// Waits until it shows this moment, or a later one.
    pub async fn sleep_until(&self, due_us: i64) {
        match &*self.0 {
            Hand::System(system) => system.sleep_until(due_us).await,
            Hand::Manual(manual) => manual.sleep_until(due_us).await,
        }
    }
}
