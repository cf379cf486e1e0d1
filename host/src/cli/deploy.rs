//! `laterna deploy`

use super::connect::{Client, segment};
use super::{Failure, Host, swap};
use crate::plugin::manifest::Beginning;
use std::path::PathBuf;

/// Deploy a component, as if its file had been dropped: it is checked, built alongside the one that serves, and takes its place
#[derive(clap::Args)]
pub struct Deploy {
    /// The component
    file: PathBuf,
    /// Its name, where the file is called otherwise
    #[arg(long)]
    name: Option<String>,
    /// The module that it belongs to
    #[arg(long, default_value = "")]
    module: String,
    /// To what of the history a process manager reacts that is deployed for the first time
    #[arg(long)]
    from: Option<Beginning>,
    /// Come back once it is checked, and let it be built meanwhile
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    host: Host,
}

impl Deploy {
    pub fn run(self) -> Result<(), Failure> {
        let bytes = std::fs::read(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        let stem = self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = self.name.unwrap_or(stem);
        let mut path = format!("/components?name={}&module={}", segment(&name), segment(&self.module));
        if let Some(from) = self.from {
            path += &format!("&from={}", from.name());
        }
        let client = Client::connect(&self.host)?;
        let order = client.post(&path, "application/wasm", &mut bytes.as_slice())?.body;
        if order["unchanged"] == true {
            let release = &order["release"];
            let next = if order["state"] == "held" {
                format!(", and is held: `laterna promote {name}` lets it serve")
            } else {
                String::new()
            };
            let said = format!("nothing to do: release {release} of `{name}` has these bytes{next}");
            return told(&order, self.host.json, &said);
        }
        if self.no_wait {
            return told(
                &order,
                self.host.json,
                &format!("release {} of `{name}` is checked, and is being built", order["release"]),
            );
        }
        swap::wait(&client, &order, self.host.json)
    }
}

/// Says what became of an order, for people or for programs.
pub fn told(order: &serde_json::Value, json: bool, words: &str) -> Result<(), Failure> {
    if json {
        super::say!("{order}");
    } else {
        super::say!("{words}");
    }
    Ok(())
}
