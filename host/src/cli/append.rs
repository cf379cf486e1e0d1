//! `laterna append`

use super::connect::{Client, segment};
use super::{Failure, Host};
use serde_json::{Value, json};
use std::io::Read;

/// Append one event to a stream
#[derive(clap::Args)]
pub struct Append {
    /// The stream, such as order-1042
    stream: String,
    /// The event's type: a fact in the past tense, such as OrderPlaced
    event_type: String,
    /// Its data in JSON; `-` reads it from standard input
    #[arg(value_name = "DATA", default_value = "null")]
    payload: String,
    /// Its id, unique for ever: appending it again stores nothing twice
    #[arg(long)]
    id: Option<String>,
    /// What the stream is expected to be: any, no-stream, stream-exists, or its last revision
    #[arg(long)]
    expected: Option<String>,
    /// When it happened, as 2010-12-01T08:26:00Z
    #[arg(long)]
    occurred_at: Option<String>,
    /// Metadata in JSON
    #[arg(long)]
    metadata: Option<String>,
    #[command(flatten)]
    host: Host,
}

impl Append {
    pub fn run(self) -> Result<(), Failure> {
        let mut data = self.payload;
        if data == "-" {
            data.clear();
            std::io::stdin().read_to_string(&mut data)?;
        }
        let parse = |what: &str, text: &str| -> Result<Value, Failure> {
            serde_json::from_str(text).map_err(|error| format!("the {what} is not JSON: {error}").into())
        };
        let mut event = json!({ "type": self.event_type, "data": parse("data", &data)? });
        if let Some(id) = self.id {
            event["id"] = id.into();
        }
        if let Some(at) = self.occurred_at {
            event["occurred_at"] = at.into();
        }
        if let Some(metadata) = &self.metadata {
            event["metadata"] = parse("metadata", metadata)?;
        }
        let mut body = json!({ "events": [event] });
        if let Some(expected) = self.expected {
            body["expected"] = expected.parse::<u64>().map_or_else(|_| expected.into(), Into::into);
        }
        let path = format!("/streams/{}/events", segment(&self.stream));
        let body = body.to_string();
        let answer = Client::connect(&self.host)?.post(&path, "application/json", &mut body.as_bytes())?.body;
        if self.host.json {
            println!("{answer}");
        } else if answer["repeated"] == true {
            println!("known already, at position {} (revision {})", answer["last_position"], answer["last_revision"]);
        } else {
            println!("stored at position {} (revision {})", answer["last_position"], answer["last_revision"]);
        }
        Ok(())
    }
}
