//! A store's files on the disk.

use super::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Removes a store's file and what SQLite keeps beside it.
///
/// # Errors
/// One is there and cannot be removed.
pub fn remove(store: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        let path = beside(store, suffix);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(Error::File { path, source }),
            _ => {}
        }
    }
    Ok(())
}

/// Waits until a file, or a folder's list of files, is on the disk.
pub(super) fn sync(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    match synced {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::File { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

/// The file that SQLite keeps beside a store under this suffix.
pub(super) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
