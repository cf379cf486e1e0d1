//! `laterna rollback`

use super::connect::{Client, of_release, segment};
use super::{Failure, Host, swap};

/// Let the release before serve again, as soon as it stands where the one stands that serves now
#[derive(clap::Args)]
pub struct Rollback {
    /// The projection
    projection: String,
    /// The release that is to serve again; nothing is done where it does [default: the warm one]
    #[arg(long)]
    release: Option<u64>,
    #[command(flatten)]
    host: Host,
}

impl Rollback {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let release = of_release(self.release);
        let order = client.order(&format!("/projections/{}/rollback{release}", segment(&self.projection)))?;
        swap::wait(&client, &order, self.host.json)
    }
}
