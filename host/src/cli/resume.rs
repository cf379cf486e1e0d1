//! `laterna resume`

use super::connect::{Client, segment};
use super::deploy::told;
use super::{Failure, Host};

/// Let a projection go on that was paused
#[derive(clap::Args)]
pub struct Resume {
    /// The projection
    projection: String,
    #[command(flatten)]
    host: Host,
}

impl Resume {
    pub fn run(self) -> Result<(), Failure> {
        let name = &self.projection;
        let order = Client::connect(&self.host)?.order(&format!("/projections/{}/resume", segment(name)))?;
        told(&order, self.host.json, &format!("`{name}` goes on"))
    }
}
