//! `laterna diff`

use super::connect::{Client, of_release, segment};
use super::show::list;
use super::{Failure, Host, replay, show};
use serde_json::Value;
use std::fmt::{self, Write as _};
use std::io::Write as _;

/// Characters of a cell that are shown.
const CELL: usize = 60;

/// Characters of a line; beyond it each column has its own.
const WIDTH: usize = 100;

/// Characters before the first one that differs.
const LEAD: usize = 16;

/// Show what a release changes for readers, row by row, beside the one that served
#[derive(clap::Args)]
pub struct Diff {
    /// The projection
    projection: String,
    /// The release [default: the newest one that was compared]
    #[arg(long)]
    release: Option<u64>,
    /// Compare the release that is held again first, as of now
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    host: Host,
}

impl Diff {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let release = of_release(self.release);
        let projection = format!("/projections/{}", segment(&self.projection));
        let path = format!("{projection}/diff{release}");
        let difference = if self.again { again(&client, &path)? } else { client.get(&path)?.body };
        let mut shown = String::new();
        if self.host.json {
            writeln!(shown, "{difference}")?;
        } else {
            writeln!(shown, "{}", title(&self.projection, &difference))?;
            describe(&difference, &mut shown)?;
            let projection = client.get(&projection)?.body;
            age(&self.projection, &difference, &projection["building"], &mut shown)?;
        }
        // In one piece, since whoever reads it may have enough of it.
        Ok(std::io::stdout().write_all(shown.as_bytes())?)
    }
}

/// Has the release compared that is held, and waits for that.
fn again(client: &Client, path: &str) -> Result<Value, Failure> {
    let before = client.get(path).map_or(Value::Null, |answer| answer.body["at"].clone());
    loop {
        // It answers as soon as that is done, or fails where it cannot be.
        let difference = client.order(path)?;
        if difference["at"] != before {
            return Ok(difference);
        }
    }
}

/// How old a difference of a release is that is held.
fn age(name: &str, difference: &Value, building: &Value, shown: &mut String) -> fmt::Result {
    let (then, now) = (difference["after"]["position"].as_u64(), building["checkpoint"].as_u64());
    let is_held = building["state"] == "held" && building["release"] == difference["after"]["release"];
    let since = then.zip(now).map_or(0, |(then, now)| now.saturating_sub(then));
    if is_held && since > 0 {
        writeln!(shown, "\n{since} positions came since; `laterna diff {name} --again` compares them as they are now")?;
    }
    Ok(())
}

fn title(name: &str, difference: &Value) -> String {
    let side = |side: &Value| format!("release {} ({})", side["release"], show::cell(&side["version"]));
    let (before, after) = (&difference["before"], &difference["after"]);
    let at = if before["position"] == after["position"] {
        format!("both at position {}", before["position"])
    } else {
        format!("as of {} and {}: the one that serves has not come further", after["position"], before["position"])
    };
    format!("{name}: {} beside {}, {at}", side(after), side(before))
}

/// What differs, as people read it.
pub fn describe(difference: &Value, shown: &mut String) -> fmt::Result {
    if difference["replay"].is_object() {
        replay::describe(&difference["replay"], shown)?;
    }
    if difference["same"] == true {
        writeln!(shown, "nothing differs\n")?;
    }
    let surface = show::surface(&difference["surface"]);
    if !surface.is_empty() {
        writeln!(shown, " {}\n", surface.join("\n "))?;
    }
    let tables = list(&difference["tables"]);
    let columns = ["table", "rows before", "rows after", "added", "removed", "changed", "content"];
    writeln!(shown, "{}", show::table(&columns, tables.iter().map(counts)))?;
    // What a process manager would have done otherwise, the replay report says in other words.
    let does_otherwise =
        ["missing", "new", "different"].iter().any(|kind| difference["replay"][kind]["count"].as_u64() > Some(0));
    let is_told = |table: &&Value| does_otherwise && table["table"] == "decisions";
    for table in tables.iter().filter(|table| !is_told(table)) {
        samples(table, shown)?;
    }
    let parked = &difference["parked"];
    sequences("newly set aside", &parked["newly"], &parked["newly_sequences"], shown)?;
    sequences("not set aside any longer", &parked["no_longer"], &parked["no_longer_sequences"], shown)
}

fn counts(table: &Value) -> Vec<String> {
    let rows = |side: &str| show::cell(&table[side]["rows"]);
    let content = match (&table["before"]["digest"], &table["after"]["digest"]) {
        _ if table["comparable"] == false => "another key",
        (before, after) if before == after => "the same",
        _ => "differs",
    };
    let [name, added, removed, changed] =
        ["table", "added", "removed", "changed"].map(|member| show::cell(&table[member]));
    let only = |which: &str, sign: char| {
        list(&table[which]).iter().map(|column| format!(", {sign} {}", show::cell(column))).collect::<String>()
    };
    let columns = only("columns_only_after", '+') + &only("columns_only_before", '-');
    vec![name, rows("before"), rows("after"), added, removed, changed, format!("{content}{columns}")]
}

fn samples(table: &Value, shown: &mut String) -> fmt::Result {
    let name = show::cell(&table["table"]);
    for (kind, sign) in [("added", '+'), ("removed", '-')] {
        let rows = list(&table["samples"][kind]);
        if !rows.is_empty() {
            writeln!(shown, "\n{name}: {kind}{}", of(rows.len(), &table[kind]))?;
        }
        for row in rows {
            writeln!(shown, " {sign} {}", members(row))?;
        }
    }
    let rows = list(&table["samples"]["changed"]);
    if !rows.is_empty() {
        writeln!(shown, "\n{name}: changed{}", of(rows.len(), &table["changed"]))?;
    }
    for row in rows {
        let columns = row["columns"].as_object().cloned().unwrap_or_default();
        let columns = columns.iter().map(|(column, cell)| {
            let [before, after] = side_by_side(&cell["before"], &cell["after"]);
            format!("{} {before} → {after}", show::plain(column))
        });
        let (key, columns) = (members(&row["key"]), columns.collect::<Vec<_>>());
        let line = format!(" ~ {key}: {}", columns.join(", "));
        if line.chars().count() <= WIDTH {
            writeln!(shown, "{line}")?;
        } else {
            writeln!(shown, " ~ {key}:\n     {}", columns.join("\n     "))?;
        }
    }
    Ok(())
}

fn sequences(what: &str, sequences: &Value, count: &Value, shown: &mut String) -> fmt::Result {
    let sequences = list(sequences);
    if sequences.is_empty() {
        return Ok(());
    }
    writeln!(shown, "\n{what}{}", of(sequences.len(), count))?;
    let columns = ["position", "sequence", "type", "events", "reason"];
    let cells = |sequence: &Value| columns.map(|column| show::cell(&sequence[column])).to_vec();
    writeln!(shown, "{}", show::table(&columns, sequences.iter().map(cells)))
}

/// How many are shown, where that is not all.
pub fn of(shown: usize, all: &Value) -> String {
    match all.as_u64() {
        Some(all) if all > shown as u64 => format!(", {shown} of {all}"),
        _ => String::new(),
    }
}

fn members(row: &Value) -> String {
    let members = row.as_object().cloned().unwrap_or_default();
    members.iter().map(|(name, cell)| format!("{name} {}", shortened(cell))).collect::<Vec<_>>().join(", ")
}

pub fn shortened(cell: &Value) -> String {
    cut(&show::plain(&cell.to_string()), 0)
}

/// Two cells, from a little before the place where they begin to differ.
pub fn side_by_side(before: &Value, after: &Value) -> [String; 2] {
    let texts = [before, after].map(|cell| show::plain(&cell.to_string()));
    let same = texts[0].chars().zip(texts[1].chars()).take_while(|(one, other)| one == other).count();
    let is_long = texts.iter().any(|text| text.chars().count() > CELL);
    let from = if is_long { same.saturating_sub(LEAD) } else { 0 };
    texts.map(|text| cut(&text, from))
}

/// So much of a text as is shown of a cell.
fn cut(text: &str, from: usize) -> String {
    let shown: String = text.chars().skip(from).take(CELL).collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if text.chars().count() > from + CELL { "…" } else { "" });
    format!("{before}{shown}{after}")
}
