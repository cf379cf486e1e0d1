//! `laterna check`

use super::Failure;
use crate::plugin::manifest::Beginning;
use crate::plugin::{Engine, Limits, Loaded, Selector, Upcaster};
use crate::release::{self, Checked, RejectError};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Check components without deploying them: imports, exports, manifest, schema, queries
#[derive(clap::Args)]
pub struct Check {
    /// Components
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let engine = Engine::new(None).map_err(|error| format!("{error:#}"))?;
        let mut refused = 0;
        for file in &self.files {
            let checked = check(&engine, file);
            refused += usize::from(checked.is_err());
            if self.json {
                println!("{}", as_json(file, &checked));
            } else {
                print(file, &checked);
            }
        }
        if refused > 0 {
            let files = self.files.len();
            return Err(format!("{refused} of {files} files are refused; docs/errors/ has a page for each code").into());
        }
        Ok(())
    }
}

fn check(engine: &Engine, file: &Path) -> Result<Checked, RejectError> {
    let limits = Limits::default();
    let bytes = release::read(file, &limits)?;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    release::check(engine, &stem, &bytes, &limits)
}

fn as_json(file: &Path, checked: &Result<Checked, RejectError>) -> serde_json::Value {
    match checked {
        Ok(checked) => json!({
            "file": file,
            "ok": true,
            "kind": checked.component.kind(),
            "digest": checked.component.digest(),
            "manifest": manifest(&checked.component),
        }),
        Err(error) => json!({ "file": file, "ok": false, "code": error.code(), "reason": error.to_string() }),
    }
}

fn manifest(component: &Loaded) -> serde_json::Value {
    match component {
        Loaded::Plugin(plugin) => json!(plugin.manifest()),
        Loaded::Upcaster(upcaster) => json!(upcaster.manifest()),
    }
}

fn print_upcaster(file: &Path, upcaster: &Upcaster) {
    let manifest = upcaster.manifest();
    println!("{}: ok", file.display());
    println!("  {} {}: {}", manifest.name, manifest.version, manifest.description);
    for step in &manifest.steps {
        println!(
            "  upcasts   {} from version {} to {}: {}",
            step.event_type,
            step.from_version,
            step.from_version + 1,
            step.why
        );
    }
    println!("  digest    {}", upcaster.digest());
}

fn print(file: &Path, checked: &Result<Checked, RejectError>) {
    let Checked { component, relations } = match checked {
        Ok(checked) => checked,
        Err(error) => return println!("{}: refused ({}): {error}", file.display(), error.code()),
    };
    let plugin = match component {
        Loaded::Plugin(plugin) => plugin,
        Loaded::Upcaster(upcaster) => return print_upcaster(file, upcaster),
    };
    let manifest = plugin.manifest();
    let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let consumes = manifest.consumes.iter().map(|subscription| match &subscription.what {
        Selector::Type(name) => match subscription.version {
            Some(version) => format!("{name} (version {version})"),
            None => name.clone(),
        },
        Selector::Category(name) => format!("{name}-*"),
    });
    let consumes: Vec<String> = consumes.collect();
    println!("{}: ok", file.display());
    println!("  {} {}: {}", manifest.name, manifest.version, manifest.description);
    println!("  consumes  {}", if consumes.is_empty() { "every event".to_owned() } else { consumes.join(", ") });
    if let Some(process) = &manifest.process {
        let produces = process.produces.iter().map(|product| product.event_type.as_str()).collect();
        let begins = match process.begins {
            Some(Beginning::Start) => "start: its first release reacts to the whole history",
            Some(Beginning::Now) => "now: its first release reacts to what comes from then on",
            None => "it does not say: its first deployment must, with `--from start` or `--from now`",
        };
        println!("  produces  {}", names(produces));
        println!("  from      {begins}");
        println!("  digest    {}", plugin.digest());
        return;
    }
    println!("  tables    {}", names(relations.iter().map(|relation| relation.name.as_str()).collect()));
    println!("  queries   {}", names(manifest.queries.iter().map(|query| query.name.as_str()).collect()));
    println!("  digest    {}", plugin.digest());
}
