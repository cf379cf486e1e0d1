//! `laterna remove`

use super::connect::{Client, segment};
use super::deploy::told;
use super::{Failure, Host};

/// Withdraw a projection: nothing of it serves or folds any more. Its store is kept, and its file stays where it lies
#[derive(clap::Args)]
pub struct Remove {
    /// The projection
    projection: String,
    /// Delete its stores, too
    #[arg(long)]
    purge: bool,
    #[command(flatten)]
    host: Host,
}

impl Remove {
    pub fn run(self) -> Result<(), Failure> {
        let name = &self.projection;
        let path = format!("/projections/{}/remove?purge={}", segment(name), self.purge);
        let order = Client::connect(&self.host)?.order(&path)?;
        let kept = if self.purge { "its stores are deleted" } else { "its store is kept" };
        told(
            &order,
            self.host.json,
            &format!("`{name}` is removed, and {kept}; `laterna deploy` with its file brings it back"),
        )
    }
}
