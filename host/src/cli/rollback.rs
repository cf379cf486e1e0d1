//! `laterna rollback`

use super::connect::{Client, segment};
use super::{Failure, Host, swap};

/// Let the release before serve again, as soon as it stands where the one stands that serves now
#[derive(clap::Args)]
pub struct Rollback {
    /// The projection
    projection: String,
    #[command(flatten)]
    host: Host,
}

impl Rollback {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let order = client.order(&format!("/projections/{}/rollback", segment(&self.projection)))?;
        swap::wait(&client, &order, self.host.json)
    }
}
