//! `laterna timers`

use super::connect::{Client, segment};
use super::show::list;
use super::{Failure, Host, say, show};
use serde_json::Value;

/// Show the timers of a process manager: those that are due next, and those that are overdue and wait for your yes
#[derive(clap::Args)]
pub struct Timers {
    /// The process manager
    process: String,
    /// Of each kind, so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Say yes: those that were due before their release came to serve fire now
    #[arg(long, conflicts_with = "limit")]
    fire_overdue: bool,
    #[command(flatten)]
    host: Host,
}

impl Timers {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let timers = format!("/processes/{}/timers", segment(&self.process));
        if self.fire_overdue {
            let fired = client.order(&format!("{timers}/fire-overdue"))?;
            // The yes is given, whatever can be said about it.
            let rests = self.rests(&client).unwrap_or_default();
            let when = if rests.is_empty() { "now".to_owned() } else { format!("once it goes on{rests}") };
            let said = match fired["timers"].as_u64() {
                Some(0) => format!("no timer of `{}` is overdue", self.process),
                Some(1) => format!("1 timer of `{}` that was overdue fires {when}", self.process),
                _ => format!("{} timers of `{}` that were overdue fire {when}", fired["timers"], self.process),
            };
            return super::deploy::told(&fired, self.host.json, &said);
        }
        let asked = |held: bool| -> Result<Value, Failure> {
            let limit = self.limit;
            Ok(client.get(&format!("{timers}?held=eq.{held}&order=due_at&count=true&limit={limit}"))?.body)
        };
        let (overdue, next) = (asked(true)?, asked(false)?);
        if self.host.json {
            say!("{}", serde_json::json!({ "overdue": overdue, "next": next }));
            return Ok(());
        }
        if overdue["count"] != 0 {
            say!("overdue, and waiting for your yes{}", of(&overdue));
            say!("{}", table(&overdue));
            say!(
                "They were due before their release came to serve, and not to the one before.\n\
                 `laterna timers {} --fire-overdue` lets them fire.\n",
                self.process
            );
        }
        if next["count"] == 0 {
            say!("no timer of `{}` waits for its time", self.process);
        } else {
            say!("due next{}", of(&next));
            say!("{}", table(&next));
        }
        let rests = self.rests(&client)?;
        if !rests.is_empty() {
            say!("\nNone of them fires now{rests}");
        }
        Ok(())
    }

    /// What is to be said where no timer fires.
    fn rests(&self, client: &Client) -> Result<String, Failure> {
        let process = client.get(&format!("/processes/{}", segment(&self.process)))?.body;
        let (status, name) = (show::cell(&process["live"]["status"]), &self.process);
        let rests = process["timers"]["status"] == "resting";
        Ok(if rests { format!(": `{name}` is {status}; `laterna status {name}` says why") } else { String::new() })
    }
}

/// How many are shown, where that is not all.
fn of(page: &Value) -> String {
    let shown = list(&page["rows"]).len();
    match page["count"].as_u64() {
        Some(all) if all > shown as u64 => format!(" ({shown} of {all})"),
        _ => String::new(),
    }
}

fn table(page: &Value) -> String {
    let row = |timer: &Value| {
        let [due, instance, name, set_by] =
            ["due_at", "instance", "name", "set_by"].map(|member| show::cell(&timer[member]));
        vec![show::second(&due), instance, name, every(&timer["every_us"]), set_by]
    };
    show::table(&["due", "instance", "timer", "every", "set by"], list(&page["rows"]).iter().map(row))
}

/// The time from one occurrence of a timer to the next, for people.
pub fn every(every_us: &Value) -> String {
    match every_us.as_u64() {
        None => "once".to_owned(),
        Some(us) => {
            let seconds = us / 1_000_000;
            let parts = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
            let whole = parts.iter().find(|(unit, _)| seconds % unit == 0 && seconds > 0 && us % 1_000_000 == 0);
            whole.map_or_else(|| format!("{} s", us as f64 / 1e6), |(unit, name)| format!("{} {name}", seconds / unit))
        }
    }
}
