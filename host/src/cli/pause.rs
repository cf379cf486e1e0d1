//! `laterna pause`

use super::connect::{Client, segment};
use super::deploy::told;
use super::{Failure, Host};

/// Let a projection rest where it stands; queries are answered as of there
#[derive(clap::Args)]
pub struct Pause {
    /// The projection
    projection: String,
    /// Let only what is being built rest; what serves goes on
    #[arg(long)]
    builds: bool,
    #[command(flatten)]
    host: Host,
}

impl Pause {
    pub fn run(self) -> Result<(), Failure> {
        let name = &self.projection;
        let path = format!("/projections/{}/pause?builds={}", segment(name), self.builds);
        let order = Client::connect(&self.host)?.order(&path)?;
        let what = if self.builds { format!("builds of `{name}` rest") } else { format!("`{name}` rests") };
        told(&order, self.host.json, &format!("{what} until `laterna resume {name}`"))
    }
}
