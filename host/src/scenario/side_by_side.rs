//! Two outcomes beside each other, for people.

use super::aftermath::Done;
use super::content::Difference;
use super::run::{Arrival, Left, Outcome};
use super::story::{Chapter, What};
use comfy_table::{ContentArrangement, Table, presets};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The order with this number, from 1: the items by their places in the story, each with whether it comes a second time. Times
    /// stay at their places, and what comes a second time comes together with what is before it.
    pub(super) fn new(number: usize, chapter: &'s Chapter, places: &[(usize, bool)]) -> Self {
        let mut arrivals: Vec<Arrival<'s>> = Vec::with_capacity(places.len());
        let mut slots = chapter.items.iter();
        for (item, again) in places {
            let before_us = arrivals.last().map(|before| before.at_us);
            let (slot, item) = (if *again { None } else { slots.next() }, chapter.items.get(*item));
            let Some((item, at_us)) = item.zip(slot.map(|slot| slot.at_us).or(before_us)) else { continue };
            let waits = slot.is_some_and(|slot| slot.waits);
            arrivals.push(Arrival { what: &item.what, at_us, waits, again: *again });
        }
        Self { number, arrivals }
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
        let line = |(index, Arrival { what, again, .. }): (usize, &Arrival<'_>)| {
            let (number, told) = match what {
                What::Event(event) => (format!("#{}", event.number), format!("{} {}", event.event_type, event.stream)),
                What::Advance(time) => (String::new(), format!("advance: {time}")),
                What::Refuse(refused) => (String::new(), format!("refuse: {}", refused.event_type)),
                What::Kill => (String::new(), "kill".to_owned()),
            };
            let again = if *again { "  (again)" } else { "" };
            format!("{:>2}  {number:<width$} {told}{again}", index + 1)
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
    found.extend(effect_differences(&left.effects, &right.effects));
    found.extend(left.content.differences(&right.content));
    let beyond = found.len().saturating_sub(shown);
    let rows = found.into_iter().take(shown);
    let rows = rows.map(|Difference { place, left, right }| [place, left, right].map(shortened).to_vec());
    let header = ["what differs".to_owned(), titles[0].clone(), titles[1].clone()];
    let table = table(&header, rows);
    if beyond == 0 { table } else { format!("{table}\n … and {beyond} more") }
}

/// Effects that came more often on one side.
fn effect_differences(left: &[Done], right: &[Done]) -> Vec<Difference> {
    let count = |effects: &[Done]| {
        let mut counts = BTreeMap::new();
        effects.iter().for_each(|effect| *counts.entry(effect.told()).or_insert(0) += 1);
        counts
    };
    let (left_counts, right_counts) = (count(left), count(right));
    let names: BTreeSet<&String> = left_counts.keys().chain(right_counts.keys()).collect();
    let times = |counts: &BTreeMap<String, usize>, name: &String| match counts.get(name) {
        None => "never".to_owned(),
        Some(1) => "once".to_owned(),
        Some(times) => format!("{times} times"),
    };
    let mut differences: Vec<Difference> = names
        .into_iter()
        .filter(|name| left_counts.get(*name) != right_counts.get(*name))
        .map(|name| Difference {
            place: format!("effect {name}"),
            left: times(&left_counts, name),
            right: times(&right_counts, name),
        })
        .collect();
    if differences.is_empty() && left != right {
        let order = |effects: &[Done]| effects.iter().map(Done::told).collect::<Vec<_>>().join("; ");
        differences.push(Difference {
            place: "the order of the effects".to_owned(),
            left: order(left),
            right: order(right),
        });
    }
    differences
}

/// What is expected and what came, a row each, with whether that is as it must be; what is not is marked.
pub(super) fn lists(rows: Vec<(bool, Option<String>, Option<String>)>) -> String {
    // Where there are many, those that help are around the first that is not as it must be.
    let first = rows.iter().position(|(fits, ..)| !fits).unwrap_or_default().saturating_sub(SHOWN / 2);
    let beyond = rows.len().saturating_sub(first + SHOWN);
    let shown = rows.into_iter().skip(first).take(SHOWN).map(|(fits, expected, came)| {
        let mark = if fits { "" } else { "≠" };
        vec![mark.to_owned(), shortened(expected.unwrap_or_default()), shortened(came.unwrap_or_default())]
    });
    let table = table(&[String::new(), "expected".to_owned(), "came".to_owned()], shown);
    let before = if first == 0 { String::new() } else { format!(" {first} that are as expected …\n") };
    let behind = if beyond == 0 { String::new() } else { format!("\n … and {beyond} more") };
    format!("{before}{table}{behind}")
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
