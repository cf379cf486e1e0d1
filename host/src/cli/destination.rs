//! Where a file goes that a command makes.

use super::Failure;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Where a file goes.
pub enum Destination {
    /// To standard output.
    Standard,
    /// Into what is there and is no file: a pipe, a device.
    Through(PathBuf),
    /// To this name, in place of what has it.
    File(PathBuf),
}

impl Destination {
    /// What a path stands for; `-` is standard output, and a link what it leads to.
    ///
    /// # Errors
    /// No file can be there.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(format!("`{}` is a folder: name a file in it", path.display()).into()),
            Ok(there) if !there.is_file() => Ok(Self::Through(path.to_owned())),
            Ok(_) => Ok(Self::File(end_of_links(path))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = end_of_links(path);
                let folder = folder_of(&file);
                if folder.is_dir() {
                    return Ok(Self::File(file));
                }
                Err(format!("there is no folder `{}`: make it, or name another file", folder.display()).into())
            }
            Err(error) => Err(unwritable(path, error.kind())),
        }
    }

    /// Has it filled. A file comes to its name whole, or not at all.
    ///
    /// # Errors
    /// It cannot be written, or could not be filled.
    pub fn write(&self, fill: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
        match self {
            Self::Standard => {
                let mut out = std::io::stdout().lock();
                fill(&mut out)?;
                Ok(out.flush()?)
            }
            Self::Through(path) => {
                let opened = OpenOptions::new().write(true).open(path);
                fill(&mut opened.map_err(|error| unwritable(path, error.kind()))?)
            }
            Self::File(path) => {
                let half = NamedTempFile::new_in(folder_of(path));
                let mut half = half.map_err(|error| unwritable(path, error.kind()))?;
                fill(half.as_file_mut())?;
                half.as_file().sync_all()?;
                half.persist(path).map_err(|failed| unwritable(path, failed.error.kind()))?;
                Ok(())
            }
        }
    }
}

/// What a path leads to, be it there or not. Links that go round in circles lead nowhere: they must have been ruled out.
fn end_of_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    while let Ok(target) = fs::read_link(&path) {
        path = folder_of(&path).join(target);
    }
    path
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The kind of an error alone: its own words may name a file that is there for a moment only.
fn unwritable(path: &Path, why: ErrorKind) -> Failure {
    format!("`{}` cannot be written: {why}", path.display()).into()
}
