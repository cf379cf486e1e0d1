//! The files in the drop folder: `components/<name>.wasm` and `components/<module>/<name>.wasm`.

use super::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// A component's file. The operator binds its name and module by where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dropped {
    pub(super) name: String,
    /// Empty for a file that lies in no module's folder.
    pub(super) module: String,
    pub(super) path: PathBuf,
}

/// Lists the components, by name.
pub(super) fn list(components: &Path) -> Result<Vec<Dropped>, Error> {
    let mut dropped = Vec::new();
    for (path, is_folder) in entries(components)? {
        // A folder that is called like a component is taken for one, and refused as one: somebody meant it so.
        if is_folder && component(path.clone(), "").is_none() {
            let module = name_of(&path);
            dropped.extend(entries(&path)?.into_iter().filter_map(|(path, _)| component(path, &module)));
        } else {
            dropped.extend(component(path, ""));
        }
    }
    dropped.sort();
    Ok(dropped)
}

fn component(path: PathBuf, module: &str) -> Option<Dropped> {
    let is_wasm = path.extension().is_some_and(|extension| extension == "wasm");
    let name = path.file_stem()?.to_string_lossy().into_owned();
    // Editors and copying tools write hidden files first.
    (is_wasm && !name.starts_with('.')).then(|| Dropped { name, module: module.to_owned(), path })
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>, Error> {
    let error = |source| Error::Folder { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        entries.push((path.clone(), path.is_dir()));
    }
    Ok(entries)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
