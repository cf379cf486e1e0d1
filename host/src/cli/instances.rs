//! `laterna instances`

use super::connect::{Client, segment};
use super::query::{parameter, said};
use super::show::list;
use super::timers::every;
use super::{Failure, Host, show};
use crate::process::reactor::TOO_DEEP;
use serde_json::Value;
use std::fmt::{self, Write as _};
use std::io::Write as _;

/// Characters of a state, or of a payload, that are shown in a line.
const CELL: usize = 60;

/// Show the instances of a process manager, or one of them with what it did and what became of that
#[derive(clap::Args)]
pub struct Instances {
    /// The process manager
    process: String,
    /// The key of an instance; or filters: key=like.ord*, state.payment.amount_cents=gt.100, changed_at=lt.2026-01-31T08:26:00Z,
    /// idle_for=3600; also order=, limit=, fresh=true …
    ///
    /// With a key, `limit` and `before` page its history.
    #[arg(value_name = "KEY|FILTER")]
    asked: Vec<String>,
    /// The key of an instance, where a `=` stands in it
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    host: Host,
}

impl Instances {
    pub fn run(self) -> Result<(), Failure> {
        let mut key = self.key;
        let mut parameters = Vec::new();
        for asked in self.asked {
            match parameter(&asked) {
                Ok(parameter) => parameters.push(parameter),
                Err(_) if key.is_none() => key = Some(asked),
                Err(_) => return Err(format!("`{asked}` is a second key: one instance is shown at once").into()),
            }
        }
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let client = Client::connect(&self.host)?;
        let one = key.as_deref().map_or(String::new(), |key| format!("/{}", segment(key)));
        let path = format!("/processes/{}/instances{one}{}", segment(&self.process), said(&parameters));
        let answer = client.get(&path)?;
        let mut shown = String::new();
        match (self.host.json, key) {
            (true, _) => writeln!(shown, "{}", answer.body)?,
            (false, Some(_)) => describe(&answer.body, &mut shown)?,
            (false, None) => listed(&answer.body, &mut shown)?,
        }
        // In one piece, since whoever reads it may have enough of it.
        std::io::stdout().write_all(shown.as_bytes())?;
        if let Some(position) = answer.position.filter(|_| !self.host.json) {
            eprintln!("\nas of position {position}");
        }
        Ok(())
    }
}

fn listed(answer: &Value, shown: &mut String) -> fmt::Result {
    let rows = list(&answer["rows"]);
    if rows.is_empty() {
        return writeln!(shown, "no instances");
    }
    let row = |row: &Value| {
        let [key, timers] = ["key", "timers"].map(|member| show::cell(&row[member]));
        let [changed, due] = ["changed_at", "next_due_at"].map(|member| show::second(&show::cell(&row[member])));
        vec![key, changed, timers, due, cut(&row["state"])]
    };
    writeln!(shown, "{}", show::table(&["key", "changed", "timers", "next due", "state"], rows.iter().map(row)))?;
    more(answer, "there are more", shown)?;
    match answer["count"].as_u64() {
        Some(count) => writeln!(shown, "{count} in all"),
        None => Ok(()),
    }
}

/// Where the following page begins: its last parameter is the place.
fn more(answer: &Value, what: &str, shown: &mut String) -> fmt::Result {
    match answer["next"].as_str().and_then(|next| next.rsplit(['&', '?']).next()) {
        Some(place) => writeln!(shown, "\n{what}: say `{place}` besides"),
        None => Ok(()),
    }
}

/// An instance, as people read it.
fn describe(instance: &Value, shown: &mut String) -> fmt::Result {
    let key = show::cell(&instance["key"]);
    if instance["state"].is_null() && instance["began_position"].is_null() {
        writeln!(shown, "{key}: it has ended, or never had a state\n")?;
    } else {
        let moment = |of: &str| {
            let at = show::second(&show::cell(&instance[format!("{of}_at")]));
            format!("{at}, position {}", instance[format!("{of}_position")])
        };
        let mut lines = vec![("began", vec![moment("began")]), ("changed", vec![moment("changed")])];
        let found_by: Vec<String> = list(&instance["associations"]).iter().map(show::cell).collect();
        if !found_by.is_empty() {
            let more = if instance["more_associations"] == true { " …" } else { "" };
            lines.push(("found by", vec![format!("{}{more}", found_by.join(", "))]));
        }
        let timers: Vec<String> = list(&instance["timers"]).iter().map(timer).collect();
        if !timers.is_empty() {
            lines.push(("timers", timers));
        }
        let outbox = list(&instance["outbox"]).len();
        if outbox > 0 {
            let pending = if outbox == 1 { "1 effect".to_owned() } else { format!("{outbox} effects") };
            lines.push(("outbox", vec![format!("{pending} to be done")]));
        }
        let state = serde_json::to_string_pretty(&instance["state"]).unwrap_or_default();
        lines.push(("state", state.lines().map(str::to_owned).collect()));
        writeln!(shown, "{key}\n{}\n", show::pairs(lines))?;
    }
    let history = list(&instance["history"]);
    if history.is_empty() {
        return writeln!(shown, "it did nothing yet");
    }
    writeln!(shown, "what it did, newest first")?;
    for decision in history {
        decided(decision, shown)?;
    }
    more(instance, "it did more before", shown)
}

fn timer(timer: &Value) -> String {
    let [name, due, set_by] = ["name", "due_at", "set_by"].map(|member| show::cell(&timer[member]));
    let every = match every(&timer["every_us"]).as_str() {
        "once" => String::new(),
        every => format!(", then every {every}"),
    };
    let held = if timer["held"] == true { "; overdue, waits for your yes" } else { "" };
    format!("{name}, due {}{every}, set by position {set_by}{held}", show::second(&due))
}

fn decided(decision: &Value, shown: &mut String) -> fmt::Result {
    let (position, event) = (&decision["position"], &decision["event"]);
    let about = match event {
        Value::Null => "an event that is not for you".to_owned(),
        event => {
            let [of_type, stream, at] = ["type", "stream", "recorded_at"].map(|member| show::cell(&event[member]));
            let what = match (&event["timer"], &event["refused"]) {
                (timer @ Value::Object(_), _) => format!("timer {} fired{}", show::cell(&timer["name"]), missed(timer)),
                (_, refused @ Value::Object(_)) => {
                    format!(
                        "effect {}.{} was refused ({})",
                        refused["position"],
                        refused["ordinal"],
                        show::cell(&refused["code"])
                    )
                }
                _ => format!("{of_type} in {stream}"),
            };
            format!("{what}, {}", show::second(&at))
        }
    };
    let ended = if decision["outcome"] == "ended" { "; with it, it ended" } else { "" };
    writeln!(shown, "\n {:>6}  {about}{ended}", position.to_string())?;
    let actions = list(&decision["actions"]);
    for action in actions {
        writeln!(shown, "         {}", acted(action, event["refused"]["code"] == TOO_DEEP))?;
    }
    if actions.is_empty() && decision["outcome"] == "became" {
        writeln!(shown, "         its state changed")?;
    }
    Ok(())
}

/// How often a timer was due since, and did not fire.
fn missed(timer: &Value) -> String {
    match timer["missed"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => " (1 missed)".to_owned(),
        Some(missed) => format!(" ({missed} missed)"),
    }
}

/// An action in a line, and what became of it. What follows from the end of a circle is not done.
fn acted(action: &Value, is_cut: bool) -> String {
    if let Some(effect) = action.get("append") {
        let [of_type, stream] = ["type", "stream"].map(|member| show::cell(&effect[member]));
        let data = match &effect["data"] {
            Value::Null => String::new(),
            data => format!(" {}", cut(data)),
        };
        let became = match &action["became"] {
            became if is_cut && became["state"] == "lost" => "not done: or the circle would go on".to_owned(),
            became => self::became(became),
        };
        return format!("→ {of_type} to {stream}{data}: {became}");
    }
    if let Some(timer) = action.get("schedule") {
        let every = match every(&timer["every_us"]).as_str() {
            "once" => String::new(),
            every => format!(", then every {every}"),
        };
        return format!("⧖ {} due {}{every}", show::cell(&timer["timer"]), show::second(&show::cell(&timer["due_at"])));
    }
    format!("✕ {} called off", show::cell(&action["cancel"]["timer"]))
}

fn became(became: &Value) -> String {
    let position = &became["position"];
    match became["state"].as_str() {
        Some("done") => format!("done, position {position}"),
        Some("refused") => match (&became["code"], &became["reason"]) {
            (Value::Null, _) => format!("refused, position {position}"),
            (code, reason) => {
                format!("refused ({}), position {position}: {}", show::cell(code), show::cell(reason))
            }
        },
        Some("pending") => "to be done".to_owned(),
        Some("suppressed") => "not done: it was history when its release came to serve".to_owned(),
        Some("lost") => "refused, and the instance could not be told".to_owned(),
        _ => show::cell(&became["state"]),
    }
}

/// So much of a value as fits into a line.
fn cut(value: &Value) -> String {
    let text = show::plain(&value.to_string());
    let shown: String = text.chars().take(CELL).collect();
    if text.chars().count() > CELL { format!("{shown}…") } else { shown }
}
