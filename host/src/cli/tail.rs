//! `laterna tail`

use super::connect::Client;
use super::{Failure, Host, check_reader, show};
use serde_json::Value;
use std::io::Write;

/// Show the last events, and those that come
#[derive(clap::Args)]
pub struct Tail {
    /// Begin behind this position [default: the last ten events]
    #[arg(long)]
    after: Option<u64>,
    /// Only events of these types, with commas between
    #[arg(long = "type")]
    types: Option<String>,
    /// Only events of streams of these categories, with commas between
    #[arg(long = "category")]
    categories: Option<String>,
    /// Show what is there, and end
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    host: Host,
}

impl Tail {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let head = client.get(&format!("/events?after={}&limit=1", i64::MAX))?.position.unwrap_or(0);
        let after = self.after.unwrap_or(head.saturating_sub(10));
        let mut filter = String::new();
        for (name, list) in [("type", &self.types), ("category", &self.categories)] {
            if let Some(list) = list {
                filter += &format!("&{name}={}", super::connect::segment(list).replace("%2C", ","));
            }
        }
        if !self.no_follow {
            let mut last = after;
            client.follow(&format!("/events?after={after}{filter}"), |name, data| {
                let event: Value = serde_json::from_str(data)?;
                last = event["position"].as_u64().unwrap_or(last);
                if name.is_empty() { self.print(&event) } else { check_reader() }
            })?;
            return Err(format!("the host ended the feed; go on with `laterna tail --after {last}`").into());
        }
        let mut page = Some(format!("/events?after={after}&limit=1000{filter}"));
        while let Some(path) = page {
            let answer = client.get(&path)?.body;
            for event in answer["events"].as_array().map(Vec::as_slice).unwrap_or_default() {
                self.print(event)?;
            }
            page = answer["next"].as_str().map(str::to_owned);
        }
        Ok(())
    }

    fn print(&self, event: &Value) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        if self.host.json {
            writeln!(out, "{event}")?;
        } else {
            let [stream, event_type, at] = ["stream", "type", "occurred_at"].map(|member| show::cell(&event[member]));
            let data: String = event["data"].to_string().chars().take(200).collect();
            writeln!(out, "{:>8}  {at}  {stream}@{}  {event_type}  {data}", event["position"], event["revision"])?;
        }
        out.flush()?;
        Ok(())
    }
}
