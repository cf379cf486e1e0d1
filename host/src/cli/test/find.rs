//! The components that are to be tried, and their scenarios.

use crate::cli::{Failure, build};
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

/// A component's file, and the files of its scenarios.
pub struct Found {
    /// What people know it by: the crate's folder, or the file itself.
    pub source: PathBuf,
    pub file: PathBuf,
    pub scenarios: Vec<PathBuf>,
    /// Where crates are built to.
    built: PathBuf,
}

impl Found {
    /// Another component that stands beside this one: a crate's folder, which is built, or a .wasm file.
    pub fn beside(&self, name: &str) -> Result<Option<PathBuf>, Failure> {
        let Some(folder) = self.source.canonicalize()?.parent().map(Path::to_owned) else { return Ok(None) };
        let file = folder.join(format!("{name}.wasm"));
        if file.is_file() {
            return Ok(Some(file));
        }
        let crate_folder = folder.join(name);
        if !crate_folder.join("Cargo.toml").is_file() {
            return Ok(None);
        }
        let order = build::Order { crates: vec![crate_folder.clone()], out: self.built.clone(), features: None };
        order.prepare()?;
        eprintln!("building {name} …");
        Ok(Some(order.build_one(&crate_folder, true)?.file))
    }
}

/// Finds what was named, or the crate here, or all of `projections/` that have scenarios. Crates are built into the folder `built`.
pub fn find(paths: &[PathBuf], scenarios: &[PathBuf], built: &Path) -> Result<Vec<Found>, Failure> {
    if !scenarios.is_empty() && paths.len() != 1 {
        let misuse =
            "--scenarios is for one component: name it in front, as `laterna test orders.wasm --scenarios stories/`\n";
        clap::Error::raw(ErrorKind::ArgumentConflict, misuse).exit();
    }
    let paths = if paths.is_empty() { crates_here()? } else { paths.to_vec() };
    paths.iter().map(|path| find_one(path, scenarios, built)).collect()
}

/// The crate here, or those in `projections/` that have scenarios.
fn crates_here() -> Result<Vec<PathBuf>, Failure> {
    // What a build says of it speaks of crates to build.
    let mut crates = build::crates_here().unwrap_or_default();
    if crates.is_empty() {
        return Err("here is nothing to test: go into a crate's folder, or name a crate or a .wasm file; docs/scenarios.md says more".into());
    }
    if crates.len() > 1 {
        crates.retain(|path| path.join("scenarios").is_dir());
    }
    Ok(crates)
}

fn find_one(path: &Path, scenarios: &[PathBuf], built: &Path) -> Result<Found, Failure> {
    let is_file = path.is_file();
    if !is_file && !path.is_dir() {
        return Err(format!("{} is not there: name the folder of a crate, or a .wasm file", path.display()).into());
    }
    let beside = if is_file { path.parent().unwrap_or(path) } else { path };
    // `./scenarios` is what people call `scenarios`.
    let beside = if beside == Path::new(".") { "scenarios".into() } else { beside.join("scenarios") };
    let mut files = Vec::new();
    if scenarios.is_empty() {
        if !beside.is_dir() {
            let beside = beside.display();
            return Err(format!(
                "{} has no scenarios: write one as {beside}/<name>.yaml, or name them with --scenarios; docs/scenarios.md says how",
                path.display()
            )
            .into());
        }
        files.extend(in_folder(&beside)?);
    }
    for named in scenarios {
        if named.is_dir() {
            files.extend(in_folder(named)?);
        } else {
            files.push(named.clone());
        }
    }
    let (source, file) = if is_file {
        (path.to_owned(), path.to_owned())
    } else {
        let order = build::Order { crates: vec![path.to_owned()], out: built.to_owned(), features: None };
        order.prepare()?;
        let named = path.canonicalize()?;
        eprintln!("building {} …", named.file_name().unwrap_or(named.as_os_str()).display());
        let file = order.build_one(path, true)?.file;
        // A dot names no folder to those who read the results elsewhere.
        (if path == Path::new(".") { named } else { path.to_owned() }, file)
    };
    Ok(Found { source, file, scenarios: files, built: built.to_owned() })
}

/// The scenarios in a folder, by name.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
