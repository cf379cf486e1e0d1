//! What a process manager would have done about the history beside what was done, as people read it.

use super::diff::{of, shortened, side_by_side};
use super::show::{self, list};
use serde_json::Value;
use std::fmt::{self, Write as _};

/// The replay report of a difference.
pub fn describe(replay: &Value, shown: &mut String) -> fmt::Result {
    let count = |kind: &Value| kind["count"].as_u64().unwrap_or(0);
    let [missing, new, different] = ["missing", "new", "different"].map(|kind| count(&replay[kind]));
    let same = replay["same"].as_u64().unwrap_or(0);
    let (through, done) = (&replay["through"], same + missing + different);
    if done + new == 0 {
        writeln!(shown, "up to position {through}, nothing was done, and it would have done nothing")?;
    } else if missing + new + different == 0 {
        writeln!(shown, "up to position {through}, it would have done what was done: {}", effects(same))?;
    } else {
        writeln!(shown, "up to position {through}, {} done; it would have done", were(done))?;
        let kinds = [
            (same, "the same"),
            (different, "otherwise"),
            (missing, "not any more"),
            (new, "besides: what follows from history is not done"),
        ];
        for (count, what) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(shown, " {count:>6}  {what}")?;
        }
    }
    for (kind, title, sign) in [
        ("different", "done otherwise", '~'),
        ("missing", "done, and not any more", '-'),
        ("new", "not done, and now it would be", '+'),
    ] {
        let samples = list(&replay[kind]["samples"]);
        if !samples.is_empty() {
            writeln!(shown, "\n{title}{}", of(samples.len(), &replay[kind]["count"]))?;
        }
        samples.iter().try_for_each(|sample| self::sample(sample, sign, shown))?;
    }
    overdue(&replay["overdue"], shown)?;
    writeln!(shown)
}

fn were(done: u64) -> String {
    if done == 1 { "1 effect was".to_owned() } else { format!("{done} effects were") }
}

/// So many effects.
pub fn effects(count: u64) -> String {
    if count == 1 { "1 effect".to_owned() } else { format!("{count} effects") }
}

/// An effect that differs: where both are there, the members that differ.
fn sample(sample: &Value, sign: char, shown: &mut String) -> fmt::Result {
    let place = format!("position {}, instance {}", sample["position"], show::cell(&sample["instance"]));
    match (&sample["done"], &sample["decided"]) {
        (done @ Value::Object(before), decided @ Value::Object(after)) => {
            writeln!(shown, " {sign} {place}: {}", title(decided))?;
            let mut members: Vec<&String> = before.keys().chain(after.keys()).collect();
            members.sort();
            members.dedup();
            // What is taken for granted of a stream is not seen any more once it has held.
            for member in members.into_iter().filter(|member| *member != "expected") {
                let (before, after) = (&done[member], &decided[member]);
                if before != after {
                    let [before, after] = side_by_side(before, after);
                    writeln!(shown, "     {} {before} → {after}", show::plain(member))?;
                }
            }
            Ok(())
        }
        (one, other) => {
            let effect = if one.is_object() { one } else { other };
            let data = match &effect["data"] {
                Value::Null => String::new(),
                data => format!(" {}", shortened(data)),
            };
            writeln!(shown, " {sign} {place}: {}{data}", title(effect))
        }
    }
}

fn title(effect: &Value) -> String {
    format!("{} to {}", show::cell(&effect["type"]), show::cell(&effect["stream"]))
}

fn overdue(overdue: &Value, shown: &mut String) -> fmt::Result {
    let samples = list(&overdue["samples"]);
    if overdue["count"].as_u64().unwrap_or(0) == 0 {
        return Ok(());
    }
    writeln!(
        shown,
        "\noverdue timers, which wait for your yes once it serves{}",
        of(samples.len(), &overdue["count"])
    )?;
    let row = |timer: &Value| {
        let [due, instance, name, set_by] =
            ["due_at", "instance", "timer", "set_by"].map(|member| show::cell(&timer[member]));
        vec![show::second(&due), instance, name, set_by]
    };
    writeln!(shown, "{}", show::table(&["due", "instance", "timer", "set by"], samples.iter().map(row)))
}
