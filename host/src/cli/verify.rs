//! `laterna verify`

use super::connect::{Client, segment};
use super::{Failure, Host, diff, show};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::io::Write as _;
use std::time::Duration;

/// How often it is asked how far it is.
const PAUSE: Duration = Duration::from_millis(100);

/// Prove that a read model is exactly the fold of the log: it is folded once more, beside the one that serves, and both are compared
#[derive(clap::Args)]
pub struct Verify {
    /// The projection [default: all that serve]
    projection: Option<String>,
    #[command(flatten)]
    host: Host,
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let names = match &self.projection {
            Some(name) => vec![name.clone()],
            None => serving(&client)?,
        };
        if names.is_empty() {
            return Err("no projection serves: there is nothing to verify".into());
        }
        let mut unproved = Vec::new();
        for name in names {
            let proof = wait(&client, &name)?;
            let mut shown = String::new();
            if self.host.json {
                shown = format!("{proof}\n");
            } else {
                describe(&name, &proof, &mut shown)?;
            }
            std::io::stdout().write_all(shown.as_bytes())?;
            if proof["same"] != true {
                unproved.push(name);
            }
        }
        if unproved.is_empty() {
            return Ok(());
        }
        Err(format!("not proved: {}", unproved.join(", ")).into())
    }
}

fn serving(client: &Client) -> Result<Vec<String>, Failure> {
    let answer = client.get("/projections")?.body;
    let projections = answer["projections"].as_array().cloned().unwrap_or_default();
    let serve =
        projections.iter().filter(|projection| projection["kind"] == "projection" && !projection["live"].is_null());
    Ok(serve.map(|projection| projection["name"].as_str().unwrap_or_default().to_owned()).collect())
}

/// Has a projection proved, and waits for that.
fn wait(client: &Client, name: &str) -> Result<Value, Failure> {
    let path = format!("/projections/{}/verify", segment(name));
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{prefix} {bar:40} {pos} of {len} events, {msg}")?);
    bar.set_prefix(name.to_owned());
    let mut proof = client.order(&format!("{path}?timeout=0"))?;
    while let Some("waiting" | "folding" | "comparing") = proof["state"].as_str() {
        bar.set_length(proof["until"].as_u64().unwrap_or(0));
        bar.set_position(proof["checkpoint"].as_u64().unwrap_or(0));
        bar.set_message(show::cell(&proof["state"]));
        std::thread::sleep(PAUSE);
        proof = client.get(&path)?.body;
    }
    bar.finish_and_clear();
    Ok(proof)
}

fn describe(name: &str, proof: &Value, shown: &mut String) -> std::fmt::Result {
    use std::fmt::Write as _;
    let release = &proof["release"];
    if let Some(reason) = proof["reason"].as_str() {
        return writeln!(shown, "{name}: release {release} is not proved: {}", show::plain(reason));
    }
    let difference = &proof["difference"];
    let position = &difference["before"]["position"];
    let tables = difference["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: u64 = tables.iter().filter_map(|table| table["before"]["rows"].as_u64()).sum();
    if proof["same"] == true {
        let tables = tables.len();
        return writeln!(
            shown,
            "{name}: release {release} is exactly the fold of the log up to position {position}: {rows} rows in {tables} tables"
        );
    }
    writeln!(shown, "{name}: release {release} is NOT the fold of the log up to position {position}")?;
    writeln!(shown, "before: what serves; after: the log, folded once more")?;
    diff::describe(difference, shown)?;
    writeln!(
        shown,
        "\nSomebody wrote into the store, or the disk lost something. `laterna rebuild {name}` folds the log anew, alongside."
    )
}
