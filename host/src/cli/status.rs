//! `laterna status`

use super::connect::{Client, segment};
use super::show::list;
use super::{Failure, Host, show, swap};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;

/// Show how the projections stand, or one of them with what became of its releases
#[derive(clap::Args)]
pub struct Status {
    /// The projection
    projection: Option<String>,
    #[command(flatten)]
    host: Host,
}

impl Status {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let answer = match &self.projection {
            Some(name) => client.get(&format!("/projections/{}", segment(name)))?.body,
            None => client.get("/projections")?.body,
        };
        let mut shown = String::new();
        if self.host.json {
            writeln!(shown, "{answer}")?;
        } else {
            let processes = client.get("/processes")?.body;
            self.show(&answer, list(&processes["processes"]), &mut shown)?;
        }
        // In one piece, since whoever reads it may have enough of it.
        Ok(std::io::stdout().write_all(shown.as_bytes())?)
    }

    fn show(&self, answer: &Value, processes: &[Value], shown: &mut String) -> std::fmt::Result {
        let projections = match answer["projections"].as_array() {
            Some(projections) => {
                writeln!(shown, "log: {} events", answer["head"])?;
                projections.as_slice()
            }
            None => std::slice::from_ref(answer),
        };
        if projections.is_empty() {
            return writeln!(
                shown,
                "no projection: copy a component into the folder `components` of the data directory"
            );
        }
        let columns = ["projection", "release", "version", "status", "checkpoint", "behind"];
        writeln!(shown, "{}", show::table(&columns, projections.iter().flat_map(rows)))?;
        for projection in projections {
            let process = processes.iter().find(|process| process["name"] == projection["name"]);
            for note in notes(projection).into_iter().chain(process.map(process_notes).unwrap_or_default()) {
                writeln!(shown, "\n{}: {}", show::cell(&projection["name"]), show::cell(&note.into()))?;
            }
        }
        if self.projection.is_some() {
            writeln!(shown, "\n{}", history(answer))?;
        }
        Ok(())
    }
}

/// A line for each release that runs: the one that serves first.
fn rows(projection: &Value) -> Vec<Vec<String>> {
    let name = match projection["module"].as_str() {
        Some(module) if !module.is_empty() => format!("{module}/{}", show::cell(&projection["name"])),
        _ => show::cell(&projection["name"]),
    };
    let row = |release: &Value, status: String| {
        let [number, version, checkpoint, lag] =
            ["release", "version", "checkpoint", "lag_events"].map(|member| show::cell(&release[member]));
        vec![name.clone(), number, version, status, checkpoint, lag]
    };
    let (live, building, warm) = (&projection["live"], &projection["building"], &projection["warm"]);
    let mut rows = Vec::new();
    if !live.is_null() {
        rows.push(row(live, format!("live, {}", show::cell(&live["status"]))));
    }
    if !building.is_null() {
        let progress = match building["status"].as_str() {
            Some("paused") => "paused".to_owned(),
            _ => swap::progress(building),
        };
        let state = show::cell(&building["state"]);
        let is_held = state == "held";
        rows.push(row(building, if progress.is_empty() || is_held { state } else { format!("{state}, {progress}") }));
    }
    let also = projection["also_warm"].as_array().map(Vec::as_slice).unwrap_or_default();
    for warm in std::iter::once(warm).filter(|warm| !warm.is_null()).chain(also) {
        let until = warm["retires_at"].as_str().map_or(String::new(), |until| format!(", until {}", day(until)));
        rows.push(row(warm, format!("warm, {}{until}", show::cell(&warm["status"]))));
    }
    if rows.is_empty() {
        rows.push(row(live, show::cell(&projection["releases"][0]["state"])));
    }
    rows
}

/// A moment to the minute.
fn day(moment: &str) -> String {
    moment.get(..16).map_or_else(|| show::plain(moment), |minute| show::plain(&minute.replace('T', " ")))
}

/// Why a projection does not go on, why its newest release came to nothing, and what else its operator should know.
fn notes(projection: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    let page = |code: &Value| {
        let code = show::cell(code);
        format!("\n  what to do: docs/errors/{code}.md, or GET /errors/{code}")
    };
    if let Some(halt) = projection["live"]["halt"]["detail"].as_str() {
        notes.push(format!("halted: {halt}{}", page(&projection["live"]["halt"]["code"])));
    }
    let left_out = projection["parked"].as_u64().unwrap_or(0);
    if left_out > 0 {
        let name = show::cell(&projection["name"]);
        let events = if left_out == 1 { "1 event is".to_owned() } else { format!("{left_out} events are") };
        notes.push(format!("{events} left out; `laterna parked list {name}` says which, and why"));
    }
    let newest = &projection["releases"][0];
    let ended = match newest["state"].as_str() {
        Some("rejected") => Some("was refused"),
        Some("failed") => Some("could not be built"),
        _ => None,
    };
    if let (Some(ended), Some(reason)) = (ended, newest["reason"].as_str()) {
        let serves = match projection["live"]["release"].as_u64() {
            Some(live) => format!("; release {live} goes on serving"),
            None => String::new(),
        };
        notes.push(format!("release {} {ended}: {reason}{serves}{}", newest["release"], page(&newest["code"])));
    }
    let name = show::cell(&projection["name"]);
    if projection["building"]["state"] == "held" {
        let number = &projection["building"]["release"];
        let mut releases = projection["releases"].as_array().into_iter().flatten();
        let reason = releases.find(|record| record["release"] == *number).map(|record| show::cell(&record["reason"]));
        let diff = match &projection["live"] {
            Value::Null => String::new(),
            _ => format!("`laterna diff {name}` shows what it changes, "),
        };
        notes.push(format!(
            "release {number} is held: {}\n  {diff}`laterna promote {name}` lets it serve, `laterna abort {name}` gives it up",
            reason.unwrap_or_default()
        ));
    }
    if projection["verified"]["same"] == false {
        notes.push(format!(
            "its read model is NOT the fold of the log, as was found at {}; `laterna verify {name}` says what differs",
            day(projection["verified"]["at"].as_str().unwrap_or_default())
        ));
    }
    match projection["paused"].as_str() {
        Some("builds") => notes.push(format!("builds are paused; `laterna resume {name}` lets them go on")),
        Some("everything") => notes.push(format!("it is paused; `laterna resume {name}` lets it go on")),
        _ => {}
    }
    if projection["file_gone"] == true && !projection["live"].is_null() {
        notes.push(format!(
            "its file is gone from the folder, which changes nothing; `laterna remove {name}` withdraws it"
        ));
    }
    notes
}

/// What of a process manager waits for its operator, and what does not go on.
fn process_notes(process: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    let name = show::cell(&process["name"]);
    if let Some(overdue) = process["overdue"]["count"].as_u64().filter(|overdue| *overdue > 0) {
        let timers = match overdue {
            1 => "1 timer is overdue and waits".to_owned(),
            _ => format!("{overdue} timers are overdue and wait"),
        };
        notes.push(format!("{timers} for your yes; `laterna timers {name}` shows which"));
    }
    if process["effects"]["status"] == "failing" {
        let pending = &process["effects"]["pending"]["count"];
        notes.push(format!(
            "its effects are not done for now, {pending} of them are pending; the host tries again, and says on standard error why"
        ));
    }
    if process["timers"]["status"] == "failing" {
        notes.push("its timers do not fire for now; the host tries again, and says on standard error why".to_owned());
    }
    notes
}

/// What became of each release, newest first.
fn history(projection: &Value) -> String {
    let releases = projection["releases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = releases.iter().map(|record| {
        let since = record["steps"].as_array().and_then(|steps| steps.last()).map_or(&Value::Null, |step| &step["at"]);
        let cells = [&record["release"], &record["version"], &record["state"], since, &record["reason"]];
        cells.map(show::cell).to_vec()
    });
    show::table(&["release", "version", "state", "since", "reason"], lines)
}
