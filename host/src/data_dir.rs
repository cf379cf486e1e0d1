//! The folder that holds everything, and the lock that lets one host at a time use it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the lock is tried, and how long is waited in between.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// A data directory. See the layout in ARCHITECTURE.md.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// Held by the one host that uses a data directory. The file says where it serves, and by which token it lets in who can read
/// it; nobody but the file's owner can.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file cannot be made or read.
    #[error("{path}: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another host uses it.
    #[error("the data directory {0} is in use by another laterna")]
    InUse(PathBuf),
}

impl DataDir {
    /// Makes the folders that are missing.
    ///
    /// # Errors
    /// One cannot be made.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let data = Self { root: root.to_owned() };
        // Who can read it could change everything: its owner alone, unless it was made by somebody who thinks otherwise.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
        made.map_err(|source| Error::Io { path: root.to_owned(), source })?;
        for folder in [data.components(), data.schemas(), data.stores(), data.scratch(), data.cache()] {
            fs::create_dir_all(&folder).map_err(|source| Error::Io { path: folder, source })?;
        }
        Ok(data)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The event log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log.db")
    }

    /// What is deployed.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.root.join("control.db")
    }

    /// What a clock shows that stands still until it is advanced.
    #[must_use]
    pub fn clock(&self) -> PathBuf {
        self.root.join("clock")
    }

    /// The folder that components are dropped into.
    #[must_use]
    pub fn components(&self) -> PathBuf {
        self.root.join("components")
    }

    /// The folder of the schemas of events.
    #[must_use]
    pub fn schemas(&self) -> PathBuf {
        self.root.join("schemas")
    }

    /// The folder of the read stores, one folder for each component.
    #[must_use]
    pub fn stores(&self) -> PathBuf {
        self.root.join("stores")
    }

    /// The folder of stores that nobody serves from. Empty once a host that uses it has ended, or starts.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// The folder of compiled code. May be deleted.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Takes the directory for this process.
    ///
    /// # Errors
    /// Another host has it.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.lock_file();
        let io = |source| Error::Io { path: path.clone(), source };
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { file }),
                // A command that only looks whether somebody serves has the lock for a moment.
                Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(fs::TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        Err(Error::InUse(self.root.clone()))
    }

    /// Where the host that has the directory serves, if one does, and the token by which it lets in who can read this.
    #[must_use]
    pub fn served_at(&self) -> Option<(SocketAddr, String)> {
        let mut file = File::options().read(true).write(true).open(self.lock_file()).ok()?;
        // Whoever gets the lock finds nobody there; what the file says is then left over from a crash.
        if file.try_lock().is_ok() {
            return None;
        }
        let mut said = String::new();
        file.read_to_string(&mut said).ok()?;
        let (address, token) = said.trim().split_once('\n')?;
        Some((address.parse().ok()?, token.to_owned()))
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join("laterna.lock")
    }
}

impl Lock {
    /// Says where this host serves, and by which token it lets in who can read this.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(&mut self, address: SocketAddr, token: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{address}\n{token}")
    }
}
