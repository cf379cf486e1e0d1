//! `laterna rebuild`

use super::connect::{Client, of_release, segment};
use super::deploy::told;
use super::{Failure, Host, swap};

/// Build a projection anew from the whole log, alongside the release that serves, with the limits of today
#[derive(clap::Args)]
pub struct Rebuild {
    /// The projection
    projection: String,
    /// The release whose bytes are built [default: the newest that serves or failed]
    #[arg(long)]
    release: Option<u64>,
    /// Come back at once, and let it be built meanwhile
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    host: Host,
}

impl Rebuild {
    pub fn run(self) -> Result<(), Failure> {
        let name = &self.projection;
        let release = of_release(self.release);
        let client = Client::connect(&self.host)?;
        let order = client.order(&format!("/projections/{}/rebuild{release}", segment(name)))?;
        if self.no_wait {
            return told(&order, self.host.json, &format!("release {} of `{name}` is being built", order["release"]));
        }
        swap::wait(&client, &order, self.host.json)
    }
}
