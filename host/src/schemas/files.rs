//! The files in the folder, and what each is for by where it lies: `<type>/<version>.json` or `.avsc`, and
//! `<module>/<type>/<version>.json` or `.avsc`. Names are percent-decoded, so that any type can be written.

use percent_encoding::percent_decode_str;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How deep a schema lies in the folder, at most.
const DEPTH: usize = 3;

/// The events that a schema is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Their module; empty for none.
    pub module: String,
    /// Their type.
    pub event_type: String,
    /// The version of their type's shape, from 1.
    pub version: u32,
}

/// The languages that a schema can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON Schema.
    Json,
    /// Avro.
    Avro,
}

impl Format {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avro",
        }
    }

    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "avsc" => Some(Self::Avro),
            _ => None,
        }
    }
}

/// A file that is meant as a schema.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its path within the folder, for people.
    pub(super) file: String,
    /// The language that its name says.
    pub(super) format: Format,
    /// What it is for, or why that cannot be said.
    pub(super) key: Result<Key, String>,
}

/// The files in the folder that are meant as schemas, by their paths; no more than one more than `most`, and nothing that is hidden.
///
/// # Errors
/// The folder, or one in it, cannot be read.
pub(super) fn list(folder: &Path, most: usize) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut count = |path: PathBuf, names: &[String]| {
        if let Some(format) = Format::of(&path) {
            let (file, key) = (names.join("/"), key(names));
            found.push(Found { path, file, format, key });
        }
        found.len() <= most
    };
    walk(folder, &mut Vec::new(), &mut count)?;
    Ok(found)
}

/// The folder, and those in it that a schema may lie in.
pub(super) fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut looked_into = 0;
    for _ in 1..DEPTH {
        let level = looked_into..folders.len();
        looked_into = level.end;
        for index in level {
            let inside = entries(&folders[index]).unwrap_or_default().into_iter();
            folders.extend(inside.filter(|entry| entry.is_folder).map(|entry| entry.path));
        }
    }
    folders
}

struct Inside {
    path: PathBuf,
    name: String,
    is_folder: bool,
}

/// Visits the files in a folder and in those within it, in order, until `visit` has enough. One level deeper than schemas lie, so that
/// one that lies too deep is told of.
fn walk(
    folder: &Path,
    names: &mut Vec<String>,
    visit: &mut impl FnMut(PathBuf, &[String]) -> bool,
) -> io::Result<bool> {
    for Inside { path, name, is_folder } in entries(folder)? {
        names.push(name);
        let goes_on = match is_folder {
            false => visit(path, names),
            true if names.len() > DEPTH => true,
            true => walk(&path, names, visit).or_else(|error| match error.kind() {
                // It vanished meanwhile.
                io::ErrorKind::NotFound => Ok(true),
                _ => Err(error),
            })?,
        };
        names.pop();
        if !goes_on {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is in a folder, by name, and not hidden: editors and copying tools write hidden files first.
fn entries(folder: &Path) -> io::Result<Vec<Inside>> {
    let mut inside = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if !name.starts_with('.') {
            let is_folder = path.is_dir();
            inside.push(Inside { path, name, is_folder });
        }
    }
    inside.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(inside)
}

/// What a file is for, by the names on the way to it.
fn key(names: &[String]) -> Result<Key, String> {
    let (module, event_type, file) = match names {
        [event_type, file] => ("", event_type, file),
        [module, event_type, file] => (module.as_str(), event_type, file),
        _ => {
            return Err(
                "it does not lie where a schema is looked for: `<type>/<version>.json` for events that belong to no \
                        module, `<module>/<type>/<version>.json` for those of a module"
                    .to_owned(),
            );
        }
    };
    Ok(Key { module: decoded(module)?, event_type: decoded(event_type)?, version: version(file)? })
}

fn decoded(name: &str) -> Result<String, String> {
    match percent_decode_str(name).decode_utf8() {
        // A name that is not UTF-8 on the disk was shown with this character in the place of what is not.
        Ok(decoded) if !name.contains(char::REPLACEMENT_CHARACTER) => Ok(decoded.into_owned()),
        _ => Err(format!("`{name}` is not UTF-8")),
    }
}

fn version(file: &str) -> Result<u32, String> {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let is_plain = stem.bytes().all(|byte| byte.is_ascii_digit()) && !stem.starts_with('0');
    let version = stem.parse().ok().filter(|_| is_plain);
    version.ok_or_else(|| format!("`{stem}` is not a version: a schema is called by the number of its version, from 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_for_what_its_path_says() {
        let key_of = |path: &str| key(&path.split('/').map(str::to_owned).collect::<Vec<_>>());
        let good = [
            ("OrderPlaced/1.json", "", "OrderPlaced", 1),
            ("orders/OrderPlaced/4294967295.avsc", "orders", "OrderPlaced", u32::MAX),
            ("com.example%2Forder%20placed/2.json", "", "com.example/order placed", 2),
            ("%D0%B7%D0%B0%D0%BA%D0%B0%D0%B7/10.json", "", "заказ", 10),
            ("%2Ehidden/1.json", "", ".hidden", 1),
            ("100%/1.json", "", "100%", 1),
        ];
        for (path, module, event_type, version) in good {
            let wanted = Key { module: module.to_owned(), event_type: event_type.to_owned(), version };
            assert_eq!(key_of(path), Ok(wanted), "{path}");
        }
        let bad = ["1.json", "a/b/c/1.json", "T/0.json", "T/01.json", "T/+1.json", "T/v1.json", "T/4294967296.json"];
        for path in bad.into_iter().chain(["T/.json", "T/1.2.json", "T/-1.json", "%FF/1.json", "%ff/T/1.json"]) {
            assert!(key_of(path).is_err(), "{path}: {:?}", key_of(path));
        }
    }
}
