//! `laterna plan`

use super::connect::{Client, Refused, segment};
use super::show::list;
use super::{Failure, Host, replay, show};
use crate::plugin::manifest::Beginning;
use crate::release::Drops;
use indicatif::{HumanCount, HumanDuration};
use serde_json::{Value, json};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Show what deploying a component would change: what readers can ask, what it consumes, how long it is built; nothing is done
#[derive(clap::Args)]
pub struct Plan {
    /// The component
    file: PathBuf,
    /// Its name, where the file is called otherwise
    #[arg(long)]
    name: Option<String>,
    /// The module that it would belong to
    #[arg(long, default_value = "")]
    module: String,
    /// To what of the history a process manager reacts that is deployed for the first time
    #[arg(long)]
    from: Option<Beginning>,
    #[command(flatten)]
    host: Host,
}

impl Plan {
    pub fn run(self) -> Result<(), Failure> {
        let bytes = std::fs::read(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        let stem = self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = self.name.unwrap_or(stem);
        let mut path = format!("/components?name={}&module={}&plan=true", segment(&name), segment(&self.module));
        if let Some(from) = self.from {
            path += &format!("&from={}", from.name());
        }
        let planned =
            Client::connect_with(&self.host, Drops::None)?.post(&path, "application/wasm", &mut bytes.as_slice());
        let plan = planned.map_err(|failure| refused(&self.file, self.host.json, failure))?.body;
        if self.host.json {
            super::say!("{plan}");
        } else {
            let mut shown = format!("{}\n{}", head(&plan), show::pairs(lines(&plan)));
            rehearsed(&plan, &mut shown)?;
            super::say!("{}", shown.trim_end());
        }
        Ok(())
    }
}

/// What a process manager would have done about the history.
fn rehearsed(plan: &Value, shown: &mut String) -> fmt::Result {
    let (replay, reason) = (&plan["replay"], &plan["not_replayed"]);
    if reason.is_string() {
        return writeln!(shown, "\n\nwhat it would have done about the history is not known: {}", show::cell(reason));
    }
    match plan["begins"].as_str() {
        _ if !replay.is_object() => Ok(()),
        Some("start") => {
            let count = |kind: &str| replay[kind]["count"].as_u64().unwrap_or(0);
            write!(
                shown,
                "\n\nabout the history up to position {}, it does {}",
                replay["through"],
                replay::effects(count("new"))
            )?;
            let known = replay["same"].as_u64().unwrap_or(0) + count("different");
            if known > 0 {
                write!(shown, "; {} more stood in the log before", replay::effects(known))?;
            }
            match count("overdue") {
                0 => writeln!(shown),
                1 => writeln!(shown, "; 1 timer is due by now, and fires"),
                overdue => writeln!(shown, "; {overdue} timers are due by now, and fire"),
            }
        }
        _ => {
            writeln!(shown, "\n")?;
            replay::describe(replay, shown)
        }
    }
}

/// Tells why a component is refused as `laterna check` does; other failures as they are.
fn refused(file: &Path, is_json: bool, failure: Failure) -> Failure {
    let Some(Refused { problem, .. }) = failure.downcast_ref::<Refused>() else { return failure };
    let Some(code) = problem["code"].as_str() else { return failure };
    let reason = problem["detail"].as_str().unwrap_or_default();
    if is_json {
        println!("{}", json!({ "file": file, "ok": false, "code": code, "reason": reason }));
    } else {
        println!("{}: refused ({code}): {}", file.display(), show::plain(reason));
    }
    format!("the file is refused; docs/errors/{code}.md says what to do").into()
}

/// What it is, and what it is compared with.
fn head(plan: &Value) -> String {
    let [name, version, kind, module] = ["name", "version", "kind", "module"].map(|member| show::cell(&plan[member]));
    let (article, kind) = (if kind == "upcaster" { "an" } else { "a" }, kind.replace('-', " "));
    let of = if module.is_empty() { String::new() } else { format!(" of module {module}") };
    let against = match &plan["against"] {
        Value::Null => "none of it serves yet".to_owned(),
        against => format!("against release {} ({})", against["release"], show::cell(&against["version"])),
    };
    format!("{name} {version}: {article} {kind}{of}, {against}")
}

/// What it changes, each with its name.
fn lines(plan: &Value) -> Vec<(&'static str, Vec<String>)> {
    let then = vec![show::cell(&plan["then"])];
    let retires = list(&plan["retires"])
        .iter()
        .map(|retired| format!("release {}: {}", retired["release"], show::cell(&retired["reason"])));
    let of_kind = match plan["kind"].as_str() {
        Some("upcaster") => upcaster(plan),
        Some("process-manager") => process_manager(plan),
        _ => projection(plan),
    };
    of_kind.into_iter().chain([("then", then), ("retires", or(retires.collect(), "nothing"))]).collect()
}

fn upcaster(plan: &Value) -> Vec<(&'static str, Vec<String>)> {
    let steps = list(&plan["steps"]).iter().map(|step| {
        let from = step["from_version"].as_u64().unwrap_or(0);
        let [event_type, why] = ["type", "why"].map(|member| show::cell(&step[member]));
        format!("{event_type} from version {from} to {}: {why}", from + 1)
    });
    let feeds = list(&plan["feeds"]).iter().map(show::cell).collect();
    vec![("upcasts", steps.collect()), ("rebuilds", or(feeds, "nothing"))]
}

/// Its read model is the same for all of them, so that nothing is said of it.
fn process_manager(plan: &Value) -> Vec<(&'static str, Vec<String>)> {
    let product = |sign: &str, product: &Value| {
        format!("{sign} {}: {}", show::cell(&product["type"]), show::cell(&product["why"]))
    };
    let newly = list(&plan["produces_newly"]).iter().map(|newly| product("+", newly));
    let no_longer = list(&plan["produces_no_longer"]).iter().map(|no_longer| product("-", no_longer));
    let produces = or(newly.chain(no_longer).collect(), "the same as before");
    let lines = projection(plan).into_iter().filter(|(name, _)| *name != "readers");
    std::iter::once(("produces", produces)).chain(lines).collect()
}

fn projection(plan: &Value) -> Vec<(&'static str, Vec<String>)> {
    let settings = list(&plan["settings"]).iter().map(show::cell).collect();
    let by = match (plan["policy_by"].as_str(), plan["policy"].as_str()) {
        (Some("operator"), _) => "as the host says",
        (_, Some("auto")) => "since neither its manifest nor the host says otherwise",
        _ => "as its manifest says",
    };
    vec![
        ("readers", or(show::surface(&plan["surface"]), "can ask the same as before")),
        ("consumes", or(consumes(&plan["subscriptions"]), "the same as before")),
        ("settings", settings),
        ("replays", replays(plan)),
        ("failures", vec![failures(&plan["parking"])]),
        ("upcasters", upcasters(&plan["upcasters"])),
        ("policy", vec![format!("`{}`, {by}", show::cell(&plan["policy"]))]),
    ]
}

fn consumes(subscriptions: &Value) -> Vec<String> {
    let every = match (subscriptions["every_event_before"].as_bool(), subscriptions["every_event"] == true) {
        (None, true) => Some("+ every event"),
        (Some(true), true) => Some("every event, as before"),
        (Some(false), true) => Some("+ every event from now on, and not only what it names"),
        (Some(true), false) => Some("- not every event any longer, only what it names"),
        (_, false) => None,
    };
    let named = |sign: &'static str, subscription: &Value| {
        let name = match (&subscription["category"], &subscription["version"]) {
            (Value::String(category), _) => format!("{category}-*"),
            (_, Value::Null) => show::cell(&subscription["type"]),
            (_, version) => format!("{} (version {version})", show::cell(&subscription["type"])),
        };
        format!("{sign} {name}: {}", show::cell(&subscription["why"]))
    };
    let added = list(&subscriptions["added"]).iter().map(|added| named("+", added));
    let removed = list(&subscriptions["removed"]).iter().map(|removed| named("-", removed));
    let version =
        |version: &Value| version.as_u64().map_or("whatever comes".to_owned(), |version| format!("version {version}"));
    let changed = list(&subscriptions["changed"]).iter().map(|changed| {
        let (before, after) = (version(&changed["before"]), version(&changed["after"]));
        format!("~ {}: it handled {before}, and handles {after}", show::cell(&changed["type"]))
    });
    every.map(str::to_owned).into_iter().chain(added).chain(removed).chain(changed).collect()
}

/// How many events it folds, and how long that takes.
fn replays(plan: &Value) -> Vec<String> {
    let (events, estimate) = (&plan["events"], &plan["estimate"]);
    if plan["builds"] == false {
        return vec!["nothing: none is built".to_owned()];
    }
    let Some(count) = events["count"].as_u64() else { return vec!["the events could not be counted".to_owned()] };
    let at_least = if events["at_least"] == true { "at least " } else { "" };
    let counted = format!("{at_least}{} of {} events", HumanCount(count), human(&events["head"]));
    let by =
        || format!("{} was built with {} events a second", show::cell(&estimate["from"]), human(&estimate["rate"]));
    match estimate["seconds"].as_f64() {
        _ if count == 0 => vec![counted],
        Some(seconds) => vec![format!("{counted}, in {at_least}{}", time(seconds)), by()],
        None => vec![counted, "how long that takes is not known yet: no build was measured that tells".to_owned()],
    }
}

fn time(seconds: f64) -> String {
    if seconds < 1.0 {
        return "less than a second".to_owned();
    }
    format!("about {}", HumanDuration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9))))
}

fn failures(parking: &Value) -> String {
    if parking["on_failure"] == "halt" {
        return "it halts before an event that it cannot apply".to_owned();
    }
    let sequence = match &parking["sequence"] {
        Value::String(by) if by == "stream" => "stream".to_owned(),
        Value::String(by) => format!("{} id", show::plain(by)),
        by => format!("value at {}", show::cell(&by["data"])),
    };
    format!(
        "what it cannot apply is set aside with what follows of the same {sequence}, up to {} events",
        human(&parking["parked_events"])
    )
}

fn upcasters(upcasters: &Value) -> Vec<String> {
    let is_among = |list_of: &str, name: &Value| list(&upcasters[list_of]).contains(name);
    let feeding = list(&upcasters["feeding"]).iter().map(|feeds| {
        let sign = match &feeds["name"] {
            name if is_among("added", name) => "+ ",
            name if is_among("changed", name) => "~ ",
            _ => "",
        };
        format!("{sign}{} (release {})", show::cell(&feeds["name"]), feeds["release"])
    });
    let removed = list(&upcasters["removed"]).iter().map(|name| format!("- {}", show::cell(name)));
    or(feeding.chain(removed).collect(), "none")
}

/// A number as people write it.
fn human(number: &Value) -> String {
    let whole = number.as_u64().or_else(|| number.as_f64().map(|number| number.round() as u64));
    whole.map_or_else(|| "-".to_owned(), |number| HumanCount(number).to_string())
}

/// The lines, or this one where there is none.
fn or(lines: Vec<String>, none: &str) -> Vec<String> {
    if lines.is_empty() { vec![none.to_owned()] } else { lines }
}
