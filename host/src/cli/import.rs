//! `laterna import`

use super::connect::Client;
use super::{Failure, Host};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Import events from a file of NDJSON: one event a line, with its stream; ids that are known are skipped
#[derive(clap::Args)]
pub struct Import {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    host: Host,
}

impl Import {
    pub fn run(self) -> Result<(), Failure> {
        if self.host.url().is_none() {
            std::fs::create_dir_all(self.host.data())?;
        }
        let answer = import(&Client::connect(&self.host)?, &self.file)?;
        if self.host.json {
            println!("{answer}");
        } else {
            println!(
                "{} events stored, {} known already; the log is at position {}",
                answer["stored"], answer["skipped"], answer["last_position"]
            );
        }
        Ok(())
    }
}

/// Sends a file, with a bar on a terminal.
pub fn import(client: &Client, path: &Path) -> Result<Value, Failure> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(format!("{} is a folder; name a file of NDJSON", path.display()).into());
    }
    let bar = ProgressBar::new(metadata.len());
    bar.set_style(ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")?);
    let answer = client.post("/events", "application/x-ndjson", &mut bar.wrap_read(file));
    bar.finish_and_clear();
    Ok(answer?.body)
}
