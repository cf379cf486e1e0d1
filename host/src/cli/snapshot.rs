//! `laterna snapshot`

use super::connect::{Client, segment};
use super::{Failure, Host, say};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Download a read model as one SQLite file, as of one position
#[derive(clap::Args)]
pub struct Snapshot {
    /// The projection
    projection: String,
    /// The file, which is written over [default: <projection>-<release>-<position>.db]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// As of the end of the log at least, as it is now
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    host: Host,
}

impl Snapshot {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let fresh = if self.fresh { "?fresh=true&timeout=30" } else { "" };
        let name = &self.projection;
        let response = client.download(&format!("/projections/{}/snapshot{fresh}", segment(name)))?;
        let number = |header: &str| {
            let value = response.headers().get(header).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            value.ok_or_else(|| format!("the host does not say the `{header}` of the snapshot: is it a Laterna?"))
        };
        let (release, position) = (number("laterna-release")?, number("laterna-position")?);
        let bytes = number("content-length")?;
        let file = self.output.unwrap_or_else(|| format!("{name}-{release}-{position}.db").into());
        // It comes to its name whole, or not at all.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut half = NamedTempFile::new_in(folder)?;
        let bar = ProgressBar::new(bytes);
        bar.set_style(ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta}")?);
        let read = std::io::copy(&mut bar.wrap_read(response.into_body().into_reader()), &mut half)?;
        bar.finish_and_clear();
        if read != bytes {
            return Err(format!("the host broke off after {read} of {bytes} bytes: try again").into());
        }
        half.as_file().sync_all()?;
        half.persist(&file)?;
        if self.host.json {
            say!("{}", json!({ "file": file, "release": release, "position": position, "bytes": bytes }));
            return Ok(());
        }
        say!("{}: release {release} of `{name}` at position {position}, {}", file.display(), HumanBytes(bytes));
        Ok(())
    }
}
