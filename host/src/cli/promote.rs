//! `laterna promote`

use super::connect::{Client, of_release, segment};
use super::{Failure, Host, swap};

/// Let the release serve that is held
#[derive(clap::Args)]
pub struct Promote {
    /// The projection
    projection: String,
    /// The release that is meant: another one is not promoted by mistake [default: the one that is held]
    #[arg(long)]
    release: Option<u64>,
    #[command(flatten)]
    host: Host,
}

impl Promote {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let release = of_release(self.release);
        let order = client.order(&format!("/projections/{}/promote{release}", segment(&self.projection)))?;
        swap::wait(&client, &order, self.host.json)
    }
}
