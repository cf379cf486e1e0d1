//! `laterna query`

use super::connect::{Client, segment};
use super::{Failure, Host, check_reader, say, show};
use serde_json::{Map, Value, json};

/// Ask a projection: a named query, the rows of a table, or a question in SQL
#[derive(clap::Args)]
pub struct Query {
    /// The projection
    projection: String,
    /// The named query; with --table the table, with --sql the SQL
    #[arg(value_name = "QUESTION")]
    asked: String,
    /// Parameters as name=value, filters of a table as column=eq.value; also order=, limit=, fresh=true, as_of=1042 …
    ///
    /// With --sql a number, true, false, null or a text in quotes, as JSON has them, is that, and anything else is a text: name='"42"' is
    /// the text 42. There as_of, fresh, min_position and timeout say how fresh the answer is to be, so no parameter in SQL can have
    /// such a name.
    #[arg(value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Read a table
    #[arg(long, conflicts_with = "sql")]
    table: bool,
    /// Ask in SQL; parameters stand in it as `:name`
    #[arg(long)]
    sql: bool,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Go on, and print the answer again whenever it has changed
    #[arg(long, conflicts_with_all = ["sql", "csv"])]
    follow: bool,
    #[command(flatten)]
    host: Host,
}

/// What is said in the URL of any question, beside its own parameters.
const CONTROLS: &[&str] = &["as_of", "fresh", "min_position", "timeout"];

impl Query {
    pub fn run(self) -> Result<(), Failure> {
        let parameters: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let client = Client::connect(&self.host)?;
        let projection = format!("/projections/{}", segment(&self.projection));
        if self.follow {
            let kind = if self.table { "table" } else { "query" };
            let asked = [&[(kind, self.asked.as_str())], parameters.as_slice()].concat();
            return self.follow(&client, &format!("{projection}/live{}", said(&asked)));
        }
        let accept = if self.csv { "text/csv" } else { "application/json" };
        let answer = if self.sql {
            let (controls, params): (Vec<_>, Vec<_>) =
                parameters.into_iter().partition(|(name, _)| CONTROLS.contains(name));
            let params: Map<String, Value> =
                params.into_iter().map(|(name, value)| (name.to_owned(), scalar(value))).collect();
            let body = json!({ "sql": self.asked, "params": params });
            client.ask(&format!("{projection}/sql{}", said(&controls)), accept, Some(&body))?
        } else {
            let kind = if self.table { "tables" } else { "queries" };
            client.ask(&format!("{projection}/{kind}/{}{}", segment(&self.asked), said(&parameters)), accept, None)?
        };
        if self.csv {
            say!("{}", answer.body.trim_end());
        } else if self.host.json {
            say!("{}", answer.body);
        } else {
            print(&serde_json::from_str(&answer.body)?)?;
        }
        if let Some(position) = answer.position.filter(|_| !self.host.json) {
            eprintln!("\nas of position {position}");
        }
        Ok(())
    }

    fn follow(&self, client: &Client, path: &str) -> Result<(), Failure> {
        client.follow(path, |name, data| {
            match name {
                "heartbeat" => check_reader()?,
                _ if self.host.json => say!("{data}"),
                "problem" => eprintln!("{}", show::cell(&serde_json::from_str::<Value>(data)?["detail"])),
                _ => {
                    let said: Value = serde_json::from_str(data)?;
                    say!("as of position {}, by release {}", said["position"], said["release"]);
                    print(&said["answer"])?;
                    say!("");
                }
            }
            Ok(())
        })?;
        Err("the host ended the feed; ask again".into())
    }
}

/// A parameter as it stands on the command line.
pub fn parameter(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it is not of the form name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Parameters as they stand in a URL.
pub fn said(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A number, true, false, null or a text in quotes as JSON has them; anything else is a text.
fn scalar(text: &str) -> Value {
    let value = serde_json::from_str(text).ok();
    value.filter(|value: &Value| !value.is_array() && !value.is_object()).unwrap_or_else(|| text.into())
}

fn print(answer: &Value) -> Result<(), Failure> {
    match answer["rows"].as_array() {
        Some(rows) => say!("{}", show::rows(rows)),
        None => say!("{}", serde_json::to_string_pretty(answer)?),
    }
    // Its last parameter is the place at which the following page begins.
    if let Some(place) = answer["next"].as_str().and_then(|next| next.rsplit('&').next()) {
        say!("\nthere are more: say `{place}` besides");
    }
    if let Some(count) = answer["count"].as_u64() {
        say!("{count} in all");
    }
    Ok(())
}
