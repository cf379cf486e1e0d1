//! `laterna snapshot`

use super::connect::{Client, segment};
use super::destination::Destination;
use super::{Failure, Host, say};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::PathBuf;

/// Download a read model as one SQLite file, as of one position
#[derive(clap::Args)]
pub struct Snapshot {
    /// The projection
    projection: String,
    /// The file, which is written over; `-` for standard output [default: <projection>-<release>-<position>.db]
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
        // Before it is copied in vain.
        let given = self.output.as_deref().map(Destination::at).transpose()?;
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
        let destination = given.map_or_else(|| Destination::at(&file), Ok)?;
        let bar = ProgressBar::new(bytes);
        bar.set_style(ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta}")?);
        destination.write(|out| {
            let read = std::io::copy(&mut bar.wrap_read(response.into_body().into_reader()), out)?;
            bar.finish_and_clear();
            if read == bytes {
                return Ok(());
            }
            Err(format!("the host broke off after {read} of {bytes} bytes: try again").into())
        })?;
        let told = if self.host.json {
            json!({ "file": file, "release": release, "position": position, "bytes": bytes }).to_string()
        } else {
            format!("{}: release {release} of `{name}` at position {position}, {}", file.display(), HumanBytes(bytes))
        };
        match destination {
            Destination::File(_) => say!("{told}"),
            // Standard output may be where the file went.
            Destination::Standard | Destination::Through(_) => eprintln!("{told}"),
        }
        Ok(())
    }
}
