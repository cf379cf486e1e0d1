//! `laterna status`

use super::connect::Client;
use super::{Failure, Host, show};
use serde_json::Value;

/// Show how the projections stand
#[derive(clap::Args)]
pub struct Status {
    #[command(flatten)]
    host: Host,
}

impl Status {
    pub fn run(self) -> Result<(), Failure> {
        let answer = Client::connect(&self.host)?.get("/projections")?.body;
        if self.host.json {
            println!("{answer}");
            return Ok(());
        }
        let projections = answer["projections"].as_array().map(Vec::as_slice).unwrap_or_default();
        println!("log: {} events", answer["head"]);
        if projections.is_empty() {
            println!(
                "no projection: copy a component into the folder `components` of the data directory, and start the host again"
            );
            return Ok(());
        }
        let columns = ["projection", "release", "version", "status", "checkpoint", "behind"];
        println!("{}", show::table(&columns, projections.iter().map(row)));
        for projection in projections {
            if let Some(why) = why(projection) {
                println!("\n{}: {}", show::cell(&projection["name"]), show::cell(&why.into()));
            }
        }
        Ok(())
    }
}

fn row(projection: &Value) -> Vec<String> {
    let live = &projection["live"];
    let status = if live.is_null() { "refused".to_owned() } else { show::cell(&live["status"]) };
    let name = match projection["module"].as_str() {
        Some(module) if !module.is_empty() => format!("{module}/{}", show::cell(&projection["name"])),
        _ => show::cell(&projection["name"]),
    };
    let [release, version, checkpoint, lag] =
        ["release", "version", "checkpoint", "lag_events"].map(|member| show::cell(&live[member]));
    vec![name, release, version, status, checkpoint, lag]
}

/// Why a projection does not go on, or why its newest release was refused.
fn why(projection: &Value) -> Option<String> {
    let halt = projection["live"]["halt"]["detail"].as_str();
    let newest = &projection["releases"][0];
    let refused = newest["reason"].as_str().filter(|_| newest["state"] == "rejected");
    match (halt, refused) {
        (Some(halt), _) => {
            let code = show::cell(&projection["live"]["halt"]["code"]);
            Some(format!("halted: {halt}\n  what to do: docs/errors/{code}.md, or GET /errors/{code}"))
        }
        (None, Some(refused)) => {
            let serves = match projection["live"]["release"].as_u64() {
                Some(live) => format!("; release {live} goes on serving"),
                None => String::new(),
            };
            let code = show::cell(&newest["code"]);
            Some(format!(
                "release {} was refused: {refused}{serves}\n  what to do: docs/errors/{code}.md, or GET /errors/{code}",
                newest["release"]
            ))
        }
        (None, None) => None,
    }
}
