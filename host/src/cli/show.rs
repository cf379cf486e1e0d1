//! Answers as people read them in a terminal.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// A table with a line for each row.
pub fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().copied()).add_rows(rows);
    table.trim_fmt()
}

/// Rows of objects, all with the same members.
pub fn rows(rows: &[Value]) -> String {
    let Some(first) = rows.first().and_then(Value::as_object) else {
        return "no rows".to_owned();
    };
    let columns: Vec<&str> = first.keys().map(String::as_str).collect();
    table(&columns, rows.iter().map(|row| columns.iter().map(|column| cell(&row[*column])).collect()))
}

/// What there is to say about each of several things: the thing's name stands before the first of its lines.
pub fn pairs(pairs: impl IntoIterator<Item = (&'static str, Vec<String>)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for (name, lines) in pairs {
        for (index, line) in lines.into_iter().enumerate() {
            table.add_row([if index == 0 { name } else { "" }.to_owned(), plain(&line)]);
        }
    }
    table.trim_fmt()
}

/// A value without the quotes that JSON puts around text.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// A moment to the second.
pub fn second(moment: &str) -> String {
    moment.get(..19).map_or_else(|| plain(moment), |second| plain(&second.replace('T', " ")))
}

/// A text without what would steer the terminal.
pub fn plain(text: &str) -> String {
    text.replace(steers, "\u{fffd}")
}

/// Whether a character would steer the terminal, or turn around what is read: what is shown comes from anybody.
fn steers(next: char) -> bool {
    let turns_around = matches!(next, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns_around || (next.is_control() && next != '\n')
}

/// The values of a list; none where it is none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What readers can ask then, and could not; or could, and cannot.
pub fn surface(surface: &Value) -> Vec<String> {
    let part = |part: &Value| format!("{} `{}`", cell(&part["kind"]), cell(&part["name"]));
    let added = list(&surface["added"]).iter().map(|added| format!("+ {}", part(added)));
    let removed = list(&surface["removed"]).iter().map(|removed| format!("- {}", part(removed)));
    let changed = list(&surface["changed"]).iter().map(|changed| {
        let changes: Vec<String> = list(&changed["changes"]).iter().map(cell).collect();
        format!("~ {}: {}", part(changed), changes.join("; "))
    });
    added.chain(removed).chain(changed).collect()
}
