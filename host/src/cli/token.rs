//! `laterna token`

use super::connect::{Client, segment};
use super::{Failure, Host, show};
use crate::access::Role;
use crate::data_dir::DataDir;
use clap::Subcommand;
use serde_json::{Value, json};

/// Make, list and revoke the tokens by which callers are let in
#[derive(clap::Args)]
pub struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a token; it is shown this once
#[derive(clap::Args)]
struct Create {
    /// What it is good for; may be said several times
    #[arg(long = "role", required = true, value_enum, value_name = "ROLE")]
    roles: Vec<Role>,
    /// The module that whoever shows it belongs to: they see its internal events, and what they append belongs to it
    #[arg(long)]
    module: Option<String>,
    /// What to remember it by
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    host: Host,
}

/// List the tokens; what proves them is not kept
#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    host: Host,
}

/// Revoke a token: whoever shows it is let in no more
#[derive(clap::Args)]
struct Revoke {
    /// Its id, as listed
    id: String,
    #[command(flatten)]
    host: Host,
}

impl Token {
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Create(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Revoke(command) => command.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        if self.host.url().is_none() {
            // The first token is made before there is anything else.
            DataDir::open(&self.host.data())?;
        }
        let wanted = json!({ "roles": self.roles, "module": self.module, "note": self.note }).to_string();
        let client = Client::connect(&self.host)?;
        let made = client.post("/tokens", "application/json", &mut wanted.as_bytes())?.body;
        if self.host.json {
            println!("{made}");
            return Ok(());
        }
        println!("{}", show::cell(&made["token"]));
        eprintln!(
            "note: token {} for {}; it is not shown again. Callers show it as `Authorization: Bearer …`, commands with --token or LATERNA_TOKEN",
            show::cell(&made["id"]),
            good_for(&made)
        );
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let answer = Client::connect(&self.host)?.get("/tokens")?.body;
        if self.host.json {
            println!("{answer}");
            return Ok(());
        }
        let tokens = answer["tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
        if tokens.is_empty() {
            println!("no token");
            return Ok(());
        }
        let row = |token: &Value| {
            let [id, module, note, created_at] =
                ["id", "module", "note", "created_at"].map(|member| show::cell(&token[member]));
            vec![id, roles(token), module, created_at, note]
        };
        println!("{}", show::table(&["id", "roles", "module", "created at", "note"], tokens.iter().map(row)));
        Ok(())
    }
}

impl Revoke {
    fn run(self) -> Result<(), Failure> {
        let answer = Client::connect(&self.host)?.delete(&format!("/tokens/{}", segment(&self.id)))?;
        if self.host.json {
            println!("{answer}");
        } else {
            println!("token {} for {} is revoked", self.id, good_for(&answer["revoked"]));
        }
        Ok(())
    }
}

fn roles(token: &Value) -> String {
    let roles = token["roles"].as_array().map(Vec::as_slice).unwrap_or_default();
    roles.iter().map(show::cell).collect::<Vec<_>>().join(", ")
}

fn good_for(token: &Value) -> String {
    match token["module"].as_str() {
        Some(module) => format!("{} in module {module}", roles(token)),
        None => roles(token),
    }
}
