//! `laterna query`

use super::connect::{Client, segment};
use super::{Failure, Host, show};

/// Ask a projection: a named query, or the rows of a table
#[derive(clap::Args)]
pub struct Query {
    /// The projection
    projection: String,
    /// The named query, or with --table the table
    name: String,
    /// Parameters of the query as name=value; filters of a table as column=eq.value; also order=, limit=, fresh=true, as_of=1042 …
    parameters: Vec<String>,
    /// Read a table
    #[arg(long)]
    table: bool,
    #[command(flatten)]
    host: Host,
}

impl Query {
    pub fn run(self) -> Result<(), Failure> {
        let kind = if self.table { "tables" } else { "queries" };
        let mut path = format!("/projections/{}/{kind}/{}", segment(&self.projection), segment(&self.name));
        for (index, parameter) in self.parameters.iter().enumerate() {
            let (name, value) =
                parameter.split_once('=').ok_or_else(|| format!("`{parameter}` is not of the form name=value"))?;
            let separator = if index == 0 { '?' } else { '&' };
            path += &format!("{separator}{}={}", segment(name), segment(value));
        }
        let answer = Client::connect(&self.host)?.get(&path)?;
        if self.host.json {
            println!("{}", answer.body);
            return Ok(());
        }
        match answer.body["rows"].as_array() {
            Some(rows) => println!("{}", show::rows(rows)),
            None => println!("{}", serde_json::to_string_pretty(&answer.body)?),
        }
        if let Some(next) = answer.body["next"].as_str() {
            println!("\nthere are more: {next}");
        }
        if let Some(position) = answer.position {
            eprintln!("\nas of position {position}");
        }
        Ok(())
    }
}
