//! `laterna abort`

use super::connect::{Client, of_release, segment};
use super::deploy::told;
use super::{Failure, Host};

/// Give up the release that is on its way to serve: it is built, compared or held
#[derive(clap::Args)]
pub struct Abort {
    /// The projection
    projection: String,
    /// The release that is meant: another one is not given up by mistake [default: the one that is on its way]
    #[arg(long)]
    release: Option<u64>,
    #[command(flatten)]
    host: Host,
}

impl Abort {
    pub fn run(self) -> Result<(), Failure> {
        let name = &self.projection;
        let release = of_release(self.release);
        let path = format!("/projections/{}/abort{release}", segment(name));
        let order = Client::connect(&self.host)?.order(&path)?;
        told(&order, self.host.json, &format!("release {} of `{name}` is given up", order["release"]))
    }
}
