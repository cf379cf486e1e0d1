//! `laterna diff`

use super::connect::{Client, segment};
use super::{Failure, Host, show};
use serde_json::Value;
use std::fmt::{self, Write as _};
use std::io::Write as _;

/// Characters of a cell that are shown.
const CELL: usize = 60;

/// Show what a release changes for readers, row by row, beside the one that served
#[derive(clap::Args)]
pub struct Diff {
    /// The projection
    projection: String,
    /// The release [default: the newest one that was compared]
    #[arg(long)]
    release: Option<u64>,
    #[command(flatten)]
    host: Host,
}

impl Diff {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host)?;
        let release = self.release.map_or(String::new(), |release| format!("?release={release}"));
        let difference = client.get(&format!("/projections/{}/diff{release}", segment(&self.projection)))?.body;
        let mut shown = String::new();
        if self.host.json {
            writeln!(shown, "{difference}")?;
        } else {
            writeln!(shown, "{}", title(&self.projection, &difference))?;
            describe(&difference, &mut shown)?;
        }
        // In one piece, since whoever reads it may have enough of it.
        Ok(std::io::stdout().write_all(shown.as_bytes())?)
    }
}

fn title(name: &str, difference: &Value) -> String {
    let side = |side: &Value| format!("release {} ({})", side["release"], show::cell(&side["version"]));
    let (before, after) = (&difference["before"], &difference["after"]);
    let at = if before["position"] == after["position"] {
        format!("both at position {}", before["position"])
    } else {
        format!("at {} and {}: the one that serves did not get there", before["position"], after["position"])
    };
    format!("{name}: {} beside {}, {at}", side(after), side(before))
}

/// What differs, as people read it.
pub fn describe(difference: &Value, shown: &mut String) -> fmt::Result {
    if difference["same"] == true {
        writeln!(shown, "nothing differs\n")?;
    }
    surface(&difference["surface"], shown)?;
    let tables = difference["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = ["table", "rows before", "rows after", "added", "removed", "changed", "content"];
    writeln!(shown, "{}", show::table(&columns, tables.iter().map(counts)))?;
    for table in tables {
        samples(table, shown)?;
    }
    let parked = &difference["parked"];
    sequences("newly set aside", &parked["newly"], &parked["newly_sequences"], shown)?;
    sequences("not set aside any longer", &parked["no_longer"], &parked["no_longer_sequences"], shown)
}

/// What readers can ask, and how that changes.
pub fn surface(surface: &Value, shown: &mut String) -> fmt::Result {
    let list = |which: &str| surface[which].as_array().cloned().unwrap_or_default();
    let part = |part: &Value| format!("{} {}", show::cell(&part["kind"]), show::cell(&part["name"]));
    let before = shown.len();
    for (which, sign) in [("added", '+'), ("removed", '-')] {
        for named in list(which) {
            writeln!(shown, " {sign} {}", part(&named))?;
        }
    }
    for changed in list("changed") {
        let changes = changed["changes"].as_array().cloned().unwrap_or_default();
        let changes: Vec<String> = changes.iter().map(show::cell).collect();
        writeln!(shown, " ~ {}: {}", part(&changed), changes.join("; "))?;
    }
    if shown.len() > before { writeln!(shown) } else { Ok(()) }
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
    vec![name, rows("before"), rows("after"), added, removed, changed, content.to_owned()]
}

fn samples(table: &Value, shown: &mut String) -> fmt::Result {
    let name = show::cell(&table["table"]);
    for (kind, sign) in [("added", '+'), ("removed", '-')] {
        let rows = table["samples"][kind].as_array().cloned().unwrap_or_default();
        if !rows.is_empty() {
            writeln!(shown, "\n{name}: {kind}{}", of(rows.len(), &table[kind]))?;
        }
        for row in rows {
            writeln!(shown, " {sign} {}", members(&row))?;
        }
    }
    let rows = table["samples"]["changed"].as_array().cloned().unwrap_or_default();
    if !rows.is_empty() {
        writeln!(shown, "\n{name}: changed{}", of(rows.len(), &table["changed"]))?;
    }
    for row in rows {
        let columns = row["columns"].as_object().cloned().unwrap_or_default();
        let columns = columns
            .iter()
            .map(|(column, cell)| format!("{column} {} → {}", shortened(&cell["before"]), shortened(&cell["after"])));
        writeln!(shown, " ~ {}: {}", members(&row["key"]), columns.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

fn sequences(what: &str, sequences: &Value, count: &Value, shown: &mut String) -> fmt::Result {
    let sequences = sequences.as_array().map(Vec::as_slice).unwrap_or_default();
    if sequences.is_empty() {
        return Ok(());
    }
    writeln!(shown, "\n{what}{}", of(sequences.len(), count))?;
    let columns = ["position", "sequence", "type", "events", "reason"];
    let cells = |sequence: &Value| columns.map(|column| show::cell(&sequence[column])).to_vec();
    writeln!(shown, "{}", show::table(&columns, sequences.iter().map(cells)))
}

/// How many are shown, where that is not all.
fn of(shown: usize, all: &Value) -> String {
    match all.as_u64() {
        Some(all) if all > shown as u64 => format!(", {shown} of {all}"),
        _ => String::new(),
    }
}

fn members(row: &Value) -> String {
    let members = row.as_object().cloned().unwrap_or_default();
    members.iter().map(|(name, cell)| format!("{name} {}", shortened(cell))).collect::<Vec<_>>().join(", ")
}

fn shortened(cell: &Value) -> String {
    let text = show::plain(&cell.to_string());
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
