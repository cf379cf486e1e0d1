//! `laterna parked`

use super::connect::{Client, of_release, segment};
use super::{Failure, Host, show};
use clap::Subcommand;
use serde_json::Value;

/// Show what read models leave out, try it again, or give it up
#[derive(clap::Args)]
pub struct Parked {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the sequences of which a projection leaves events out, each with the event that it could not apply
    List {
        /// The projection
        projection: String,
        /// Of this release, where it is not the one that serves
        #[arg(long)]
        release: Option<u64>,
        #[command(flatten)]
        host: Host,
    },
    /// Rebuild a projection, alongside, under limits that were raised, to try a sequence again
    Retry(Sequence),
    /// Give up what is left out of a sequence: it does not count any longer, and stays left out
    Discard(Sequence),
}

#[derive(clap::Args)]
struct Sequence {
    /// The projection
    projection: String,
    /// The sequence, as listed
    sequence: String,
    #[command(flatten)]
    host: Host,
}

impl Sequence {
    fn order(&self, what: &str) -> Result<Value, Failure> {
        let (name, sequence) = (segment(&self.projection), segment(&self.sequence));
        Client::connect(&self.host)?.order(&format!("/projections/{name}/parked/{sequence}/{what}"))
    }
}

impl Parked {
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::List { projection, release, host } => list(&projection, release, &host),
            Command::Retry(asked) => {
                let order = asked.order("retry")?;
                let (name, release) = (&asked.projection, show::cell(&order["release"]));
                let said = format!(
                    "`{name}` is rebuilt as release {release}, alongside; `laterna status {name}` shows how far it is"
                );
                super::deploy::told(&order, asked.host.json, &said)
            }
            Command::Discard(asked) => {
                let left = asked.order("discard")?;
                let said = format!(
                    "{} events of `{}`, from position {} to {}, are given up, and what follows on them",
                    left["events"], asked.sequence, left["position"], left["last_position"]
                );
                super::deploy::told(&left, asked.host.json, &said)
            }
        }
    }
}

fn list(projection: &str, release: Option<u64>, host: &Host) -> Result<(), Failure> {
    let release = of_release(release);
    let answer = Client::connect(host)?.get(&format!("/projections/{}/parked{release}", segment(projection)))?.body;
    if host.json {
        super::say!("{answer}");
        return Ok(());
    }
    let parked = answer["parked"].as_array().map(Vec::as_slice).unwrap_or_default();
    if parked.is_empty() {
        super::say!("`{projection}` leaves nothing out");
        return Ok(());
    }
    let row = |left: &Value| {
        let [position, sequence, of_type, events, reason] =
            ["position", "sequence", "type", "events", "reason"].map(|member| show::cell(&left[member]));
        let reason = match (left["internal"].as_bool(), left["discarded"].as_bool()) {
            (Some(true), _) => "an event that is internal to another module".to_owned(),
            (_, Some(true)) => format!("given up: {reason}"),
            _ => reason,
        };
        vec![position, sequence, of_type, events, reason]
    };
    super::say!("{}", show::table(&["position", "sequence", "type", "events", "reason"], parked.iter().map(row)));
    if !answer["next"].is_null() {
        super::say!("and more: {}", show::cell(&answer["next"]));
    }
    Ok(())
}
