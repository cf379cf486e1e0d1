//! `laterna demo`

use super::connect::Client;
use super::{Failure, build, import, serve};
use crate::config::Settings;
use crate::data_dir::DataDir;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first 2,000 events of a real shop's year.
const EVENTS: &str = "projections/retail/sample/online_retail.sample2000.events.jsonl";

/// What folds them, and what reacts to them.
const COMPONENTS: [&str; 2] = ["projections/retail", "projections/loyalty"];

/// Build the shop's components, import real purchases, and serve what they make of them
#[derive(clap::Args)]
pub struct Demo {
    /// The data directory; made where it is not there
    #[arg(long, env = "LATERNA_DATA", default_value = "demo-data")]
    data: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

impl Demo {
    pub fn run(self) -> Result<(), Failure> {
        if !Path::new(EVENTS).is_file() {
            return Err(format!("{EVENTS} is not here: run the demo in the root of Laterna's repository").into());
        }
        eprintln!("building the components …");
        let data = DataDir::open(&self.data)?;
        build::build(&COMPONENTS.map(PathBuf::from), &data.components(), None)?;
        serve::serve(&self.data, self.settings, move |address| try_it(&data, &address))
    }
}

/// Imports the events, waits until they are folded, and says what to try.
fn try_it(data: &DataDir, address: &SocketAddr) -> Result<(), Failure> {
    let base = format!("http://{address}");
    let client = Client::local(data).unwrap_or_else(|| Client::at(&base, None));
    let imported = import::import(&client, Path::new(EVENTS))?;
    let wait = Duration::from_secs(30).as_secs();
    let top = client.get(&format!("/projections/retail/queries/top_customers?count=3&fresh=true&timeout={wait}"))?;
    println!(
        "\n{} events of a real shop imported, {} known already; `retail` has folded them up to position {}.",
        imported["stored"],
        imported["skipped"],
        top.position.unwrap_or(0)
    );
    println!(
        "Its three best customers:\n\n{}",
        super::show::rows(top.body["rows"].as_array().map_or(&[], Vec::as_slice))
    );
    let loyal = client.get(&format!(
        "/processes/loyalty/instances?state.net_mils=gte.1000000&limit=1&count=true&fresh=true&timeout={wait}"
    ))?;
    println!(
        "\n`loyalty` reacts to them: {} customers bought for a thousand pounds by now, and one event was appended for each.",
        loyal.body["count"]
    );
    println!("\nTry, in another terminal:\n");
    for path in [
        "/projections/retail",
        "/projections/retail/tables/products?order=placed_mils.desc&limit=5",
        "/projections/retail/tables/customers?country=eq.France",
        "/projections/retail/queries/share?country=France",
        "/processes/loyalty/instances?state.net_mils=gte.10000000",
        "/events?after=1990",
    ] {
        println!("  curl '{base}{path}'");
    }
    println!("  curl -N -H 'Accept: text/event-stream' '{base}/events?after=1998'");
    println!(
        "  curl '{base}/streams/customer-12345/events' -H 'Content-Type: application/json' \\\n    -d '{{\"events\": [{{\"type\": \"CustomerRegistered\", \"data\": {{\"customer_id\": \"12345\", \"country\": \"Norway\"}}}}]}}'"
    );
    println!("  curl '{base}/projections/retail/queries/customer?id=12345&fresh=true'");
    println!("\nAnd swap it while it serves: build it anew alongside, and go back:\n");
    let laterna = std::env::args().next().unwrap_or_else(|| "laterna".to_owned());
    for order in ["rebuild retail", "status retail", "rollback retail"] {
        println!("  {laterna} {order} --url {base}");
    }
    println!("\nCtrl-C ends it.");
    Ok(())
}
