//! Two outcomes beside each other, for people.

use super::content::Difference;
use super::stage::{Arrival, Left, Outcome};
use super::story::Chapter;
use comfy_table::{ContentArrangement, Table, presets};

/// Characters of a line, so that it can be read indented in a terminal of 100.
const WIDTH: u16 = 92;

/// Places that are shown; it is the first ones that help.
const SHOWN: usize = 20;

/// Characters that are shown of what stands in one place.
const CELL: usize = 200;

/// The events of a story as they came in one of its orders.
pub(super) struct Told<'s> {
    number: usize,
    pub(super) arrivals: Vec<Arrival<'s>>,
}

impl<'s> Told<'s> {
    /// The order with this number, from 1: the events by their places in the story, each with whether it comes a second time.
    pub(super) fn new(number: usize, chapter: &'s Chapter, places: &[(usize, bool)]) -> Self {
        let arrivals = places
            .iter()
            .filter_map(|(event, again)| Some(Arrival { event: chapter.events.get(*event)?, again: *again }));
        Self { number, arrivals: arrivals.collect() }
    }

    pub(super) fn has_duplicates(&self) -> bool {
        self.arrivals.iter().any(|arrival| arrival.again)
    }

    pub(super) fn title(&self) -> String {
        let given = if self.number == 1 { ", as given" } else { "" };
        let duplicates = if self.has_duplicates() { ", with duplicates" } else { "" };
        format!("order {}{given}{duplicates}", self.number)
    }

    /// The events, a line each: its place in this order, its number in the story, and what it is. The number tells events of one
    /// type and one stream apart.
    pub(super) fn lines(&self) -> Vec<String> {
        let width = format!("#{}", self.arrivals.len()).len();
        let line = |(index, Arrival { event, again }): (usize, &Arrival<'_>)| {
            let number = format!("#{}", event.number);
            let again = if *again { "  (again)" } else { "" };
            format!("{:>2}  {number:<width$} {} {}{again}", index + 1, event.event_type, event.stream)
        };
        self.arrivals.iter().enumerate().map(line).collect()
    }
}

/// Two orders and where their outcomes differ.
pub(super) fn tellings(left: (&Told<'_>, &Outcome), right: (&Told<'_>, &Outcome)) -> String {
    let titles = [left.0.title(), right.0.title()];
    let (one, other) = (left.0.lines(), right.0.lines());
    let line = |lines: &[String], index: usize| lines.get(index).cloned().unwrap_or_default();
    let rows = (0..one.len().max(other.len())).map(|index| vec![line(&one, index), line(&other, index)]);
    format!("{}\n\n{}", table(&titles, rows), differences(&titles, left.1, right.1))
}

/// Where two outcomes differ.
pub(super) fn differences(titles: &[String; 2], left: &Outcome, right: &Outcome) -> String {
    let mut found = Vec::new();
    if left.halt != right.halt {
        let halt = |outcome: &Outcome| outcome.halt.as_ref().map_or_else(|| "no".to_owned(), ToString::to_string);
        found.push(Difference { place: "halted".to_owned(), left: halt(left), right: halt(right) });
    }
    if left.parked != right.parked {
        let parked = |outcome: &Outcome| match &outcome.parked[..] {
            [] => "nothing".to_owned(),
            parked => parked.iter().map(told).collect::<Vec<_>>().join("; "),
        };
        found.push(Difference { place: "parked".to_owned(), left: parked(left), right: parked(right) });
    }
    // All else only follows from these.
    let shown = if found.is_empty() { SHOWN } else { found.len() };
    found.extend(left.content.differences(&right.content));
    let beyond = found.len().saturating_sub(shown);
    let rows = found.into_iter().take(shown);
    let rows = rows.map(|Difference { place, left, right }| [place, left, right].map(shortened).to_vec());
    let header = ["what differs".to_owned(), titles[0].clone(), titles[1].clone()];
    let table = table(&header, rows);
    if beyond == 0 { table } else { format!("{table}\n … and {beyond} more") }
}

fn told(Left { sequence, place, reason }: &Left) -> String {
    match place {
        Some((position, events)) => format!("{sequence} at position {position} ({events} events): {reason}"),
        None => sequence.clone(),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

fn table(header: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header).add_rows(rows);
    table.trim_fmt()
}
