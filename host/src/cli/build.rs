//! `laterna build`

use super::Failure;
use super::watch::watch;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-wasip2";

/// What cargo is told beyond the crate's own profile, unless the environment says otherwise: a component is optimised as a whole,
/// since it runs once for each event there is.
/// And a wrapped sum in a read model would be silent corruption.
const PROFILE: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
];

/// Build component crates to WebAssembly
#[derive(clap::Args)]
pub struct Build {
    /// Folders of component crates [default: the crate here, or all of projections/]
    paths: Vec<PathBuf>,
    /// Where the components go, each as <name>.wasm; a host's drop folder, say
    #[arg(long, default_value = "target/components")]
    out: PathBuf,
    /// Features of the crates to build with, with commas between
    #[arg(long)]
    features: Option<String>,
    /// Go on, and build again whenever a file is saved
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Build {
    pub fn run(self) -> Result<(), Failure> {
        let crates = if self.paths.is_empty() { crates_here()? } else { self.paths };
        let order = Order { crates, out: self.out, features: self.features };
        if self.watch {
            order.prepare()?;
            return watch(&order);
        }
        let built = order.build()?;
        if self.json {
            println!("{}", serde_json::json!({ "components": built }));
        } else {
            built.iter().for_each(|file| println!("built {}", file.display()));
        }
        Ok(())
    }
}

/// The component crate in this folder; or those in `projections/`.
pub fn crates_here() -> Result<Vec<PathBuf>, Failure> {
    let here = fs::read_to_string("Cargo.toml").unwrap_or_default();
    let here: toml::Table = toml::from_str(&here).unwrap_or_default();
    if here.get("lib").and_then(|lib| lib.get("crate-type")).is_some() {
        return Ok(vec![".".into()]);
    }
    let folder = Path::new("projections");
    let entries = fs::read_dir(folder).map_err(|error| {
        format!(
            "here is no component crate, and `projections/` cannot be read: {error}. Run this in the folder of a crate, or name the \
             crates to build."
        )
    })?;
    let mut crates = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            crates.push(path);
        }
    }
    crates.sort();
    Ok(crates)
}

/// What is to be built, and where it goes.
pub struct Order {
    /// The folders of the crates.
    pub crates: Vec<PathBuf>,
    /// Where the components go.
    pub out: PathBuf,
    /// Features to build with, with commas between.
    pub features: Option<String>,
}

/// A component that was built.
pub struct Built {
    /// Its file.
    pub file: PathBuf,
    /// The files that it was made from, as cargo tells.
    pub sources: Vec<PathBuf>,
}

/// Builds component crates; answers the components' files.
pub fn build(crates: &[PathBuf], out: &Path, features: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    Order { crates: crates.into(), out: out.into(), features: features.map(str::to_owned) }.build()
}

impl Order {
    fn build(&self) -> Result<Vec<PathBuf>, Failure> {
        self.prepare()?;
        self.crates.iter().map(|path| Ok(self.build_one(path, false)?.file)).collect()
    }

    /// Makes sure that there is what a build needs.
    pub fn prepare(&self) -> Result<(), Failure> {
        provide_target()?;
        Ok(fs::create_dir_all(&self.out)?)
    }

    /// Builds one of the crates; quietly, unless something is wrong.
    pub fn build_one(&self, path: &Path, quietly: bool) -> Result<Built, Failure> {
        let manifest = path.join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .map_err(|error| format!("{}: {error}. Name the folder of a crate.", manifest.display()))?;
        let table: toml::Table = toml::from_str(&text)?;
        let name = table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        let name = name.ok_or_else(|| format!("{} is not the manifest of a package", manifest.display()))?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args([
                "build",
                "--release",
                "--target",
                TARGET,
                "--message-format",
                "json-render-diagnostics",
                "--manifest-path",
            ])
            .arg(&manifest)
            .args(quietly.then_some("--quiet"))
            .args(self.features.iter().flat_map(|features| ["--features", features]))
            .envs(PROFILE.iter().copied().filter(|(name, _)| std::env::var_os(name).is_none()))
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo cannot be run: {error}. Install Rust with rustup."))?;
        if !output.status.success() {
            return Err(format!("{name} does not build; cargo says why above").into());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let wasm = messages.lines().filter_map(|line| artifact(line, name)).next_back();
        let wasm = wasm.ok_or_else(|| {
            format!("{name} builds no component: its Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`")
        })?;
        let built = self.out.join(format!("{name}.wasm"));
        // Renamed into its place, so that who watches the folder never sees half of it.
        let half = self.out.join(format!(".{name}.half"));
        fs::copy(&wasm, &half)?;
        fs::rename(&half, &built)?;
        Ok(Built { file: built, sources: sources(&wasm.with_extension("d")) })
    }
}

/// The files that an artifact was made from, by cargo's note beside it: `artifact: file file …`, with `\ ` for a space in a name.
fn sources(note: &Path) -> Vec<PathBuf> {
    let note = fs::read_to_string(note).unwrap_or_default();
    let Some((_, files)) = note.lines().next().and_then(|line| line.split_once(": ")) else { return Vec::new() };
    let files = files.replace("\\ ", "\0");
    files.split_whitespace().map(|file| file.replace('\0', " ").into()).collect()
}

/// The component that a message of cargo speaks of, if it is of this package.
fn artifact(line: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let of_package = message["target"]["name"].as_str()?.replace('_', "-") == name.replace('_', "-");
    let files = message["filenames"].as_array()?;
    let wasm = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?;
    (message["reason"] == "compiler-artifact" && of_package).then(|| PathBuf::from(wasm))
}

/// Makes sure that Rust's standard library for components is there.
fn provide_target() -> Result<(), Failure> {
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let there = libraries.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    if there {
        return Ok(());
    }
    eprintln!("the target {TARGET} is missing: installing it with rustup");
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if added.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!(
        "components need Rust's target {TARGET}, and it could not be installed. Run: rustup target add {TARGET}"
    )
    .into())
}
