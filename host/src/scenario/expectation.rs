//! What must hold after the events, held against what does.

use super::aftermath;
use super::content::{described, rows_of};
use super::format::{Halts, Parked, Query, Row, Then};
use super::question::{self, Answer, listed};
use super::run::{Left, Outcome, Run};
use super::stage::{Error, Stage};
use super::story::{Story, What};
use crate::projector::Halt;
use crate::store::{Relation, cells};
use serde_json::Value;

/// Makes sure that all that a story names is there.
///
/// # Errors
/// A table, column, query or parameter is not; the text lists those that are.
pub(super) fn check(stage: &Stage, story: &Story) -> Result<(), String> {
    if let Some(name) = story.upcasters.iter().find(|name| !stage.has_upcaster(name)) {
        return Err(format!(
            "there is no upcaster `{name}` beside the component: neither a crate's folder nor a .wasm file"
        ));
    }
    for (table, columns) in &story.ignore {
        check_columns(find(stage, table)?, columns.iter())?;
    }
    check_process(stage, story)?;
    for then in story.steps.iter().map(|step| &step.then) {
        for (table, rows) in &then.tables {
            check_columns(find(stage, table)?, rows.iter().flat_map(Row::keys))?;
        }
        then.queries.iter().try_for_each(|asked| question::check(stage.plugin.manifest(), asked))?;
    }
    Ok(())
}

/// Makes sure that only a process manager is told what is for one, and only of effects that it may have.
fn check_process(stage: &Stage, story: &Story) -> Result<(), String> {
    let manifest = stage.plugin.manifest();
    let Some(process) = &manifest.process else {
        let for_process = story.steps.iter().find_map(|step| {
            let item = step.items.iter().find_map(|item| match item.what {
                What::Event(_) => None,
                What::Advance(_) => Some("advance"),
                What::Refuse(_) => Some("refuse"),
                What::Kill => Some("kill"),
            });
            let then = &step.then;
            item.or(then.effects.as_ref().map(|_| "effects"))
                .or(then.timers.as_ref().map(|_| "timers"))
                .or(then.instances.as_ref().map(|_| "instances"))
        });
        return for_process.map_or(Ok(()), |word| {
            let name = &manifest.name;
            Err(format!(
                "`{word}` is for process managers, and `{name}` is a projection: it reacts to nothing but events, and does nothing but \
                 answer. Say `tables` or `queries`"
            ))
        });
    };
    let refused = story.steps.iter().flat_map(|step| &step.items).filter_map(|item| match &item.what {
        What::Refuse(refused) => Some(&refused.event_type),
        What::Event(_) | What::Advance(_) | What::Kill => None,
    });
    let expected = story.steps.iter().flat_map(|step| step.then.effects.iter().flatten());
    let mut named = refused.chain(expected.map(|effect| &effect.event_type));
    let unknown = named.find(|name| process.produces.iter().all(|product| product.event_type != **name));
    unknown.map_or(Ok(()), |name| {
        let known = listed(process.produces.iter().map(|product| product.event_type.as_str()));
        Err(format!("`{}` has no effect `{name}`; it produces: {known}", manifest.name))
    })
}

fn find<'s>(stage: &'s Stage, table: &str) -> Result<&'s Relation, String> {
    stage.relations().iter().find(|relation| relation.name == table).ok_or_else(|| {
        let known = listed(stage.relations().iter().map(|relation| relation.name.as_str()));
        format!("`{}` has no table `{table}`; it has: {known}", stage.component())
    })
}

fn check_columns<'c>(relation: &Relation, mut columns: impl Iterator<Item = &'c String>) -> Result<(), String> {
    let unknown = columns.find(|name| relation.columns.iter().all(|known| known.name != **name));
    unknown.map_or(Ok(()), |name| {
        let known = listed(relation.columns.iter().map(|column| column.name.as_str()));
        Err(format!("table `{}` has no column `{name}`; it has: {known}", relation.name))
    })
}

/// Everything that is otherwise than it must be, a line each.
pub(super) fn unmet(then: &Then, run: &Run<'_>, outcome: &Outcome) -> Result<Vec<String>, Error> {
    let mut unmet = Vec::new();
    for (table, expected) in &then.tables {
        if let Some(relation) = run.store().relations().iter().find(|relation| relation.name == *table) {
            let found = rows_of(run.store(), relation)?;
            let columns = found.columns;
            let found: Vec<Value> = found.rows.into_iter().map(|row| cells::row(&columns, row)).collect();
            unmet.extend(unmet_rows(&format!("table `{table}`"), &relation.key, expected, &found));
        }
    }
    unmet.extend(aftermath::unmet(then, run, outcome)?);
    for asked in &then.queries {
        unmet.extend(unmet_answer(asked, question::ask(run, asked)?));
    }
    let halt = unmet_halt(then.halts.as_ref(), outcome.halt.as_ref());
    if then.halts.is_none()
        && let Some(halt) = &halt
    {
        // The rest only follows from it.
        let rest = if unmet.is_empty() { "" } else { ",\nand what was expected is not there" };
        return Ok(vec![format!("{halt}{rest}")]);
    }
    unmet.splice(..0, halt.into_iter().chain(unmet_parked(&then.parked, &outcome.parked)));
    Ok(unmet)
}

/// What is left out that was not expected, and the other way round. A reason that the order hangs on is none.
fn unmet_parked(expected: &[Parked], found: &[Left]) -> Vec<String> {
    let mut unmet = Vec::new();
    for Left { sequence, place, reason } in found {
        let Some(expected) = expected.iter().find(|expected| expected.sequence == *sequence) else {
            let at = place.map_or(String::new(), |(position, _)| format!(" at position {position}: {reason}"));
            unmet.push(format!("`{sequence}` is parked{at}"));
            continue;
        };
        let Some((position, events)) = *place else { continue };
        if let Some(at) = expected.at.filter(|at| *at != position) {
            unmet.push(format!("`{sequence}` is parked at position {position}, expected {at}: {reason}"));
        }
        if let Some(wanted) = expected.events.filter(|wanted| *wanted != events) {
            unmet.push(format!("of `{sequence}` {events} events are parked, expected {wanted}"));
        }
        if let Some(because) = expected.because.as_ref().filter(|because| !reason.contains(because.as_str())) {
            unmet.push(format!("`{sequence}` is parked because \"{reason}\", expected \"{because}\""));
        }
    }
    for Parked { sequence, .. } in expected {
        if found.iter().all(|found| found.sequence != *sequence) {
            unmet.push(format!("nothing of `{sequence}` is parked, expected it to be"));
        }
    }
    unmet
}

fn unmet_halt(expected: Option<&Halts>, found: Option<&Halt>) -> Option<String> {
    match (expected, found) {
        (None, None) => None,
        (None, Some(halt)) => Some(format!("it halted: {halt}")),
        (Some(Halts { at, .. }), None) => Some(format!("it did not halt, expected at position {at}")),
        (Some(Halts { at, because }), Some(halt)) => {
            let (position, reason) = match halt {
                Halt::EventFailed { position, reason, .. }
                | Halt::TooManyParked { position, reason, .. }
                | Halt::Machine { position, reason, .. } => (position, reason),
            };
            if position != at {
                return Some(format!("it halted at position {position}, expected {at}: {reason}"));
            }
            let because = because.as_ref().filter(|because| !reason.contains(because.as_str()))?;
            Some(format!("it halted at position {at} because \"{reason}\", expected \"{because}\""))
        }
    }
}

fn unmet_answer(asked: &Query, answer: Answer) -> Vec<String> {
    let Query { query, rows, answer: computed, refused, .. } = asked;
    let place = format!("query `{query}`");
    match (answer, rows, computed, refused) {
        (Answer::Rows(found), Some(expected), ..) => unmet_rows(&place, &[], expected, &found),
        (Answer::Computed(found), _, Some(expected), _) if found == *expected => Vec::new(),
        (Answer::Computed(found), _, Some(expected), _) => {
            vec![format!("{place} answers {found}, expected {expected}")]
        }
        (Answer::Refused(found), .., Some(expected)) if found.contains(expected) => Vec::new(),
        (Answer::Refused(found), .., Some(expected)) => {
            vec![format!("{place} is refused because \"{found}\", expected \"{expected}\"")]
        }
        (Answer::Refused(found), ..) => vec![format!("{place} is refused: {found}")],
        (Answer::Rows(found), ..) => vec![format!("{place} answers {}, expected to be refused", Value::from(found))],
        (Answer::Computed(found), ..) => vec![format!("{place} answers {found}, expected to be refused")],
    }
}

/// Holds rows against rows: by their keys, where each that is expected names its own, else one after another.
fn unmet_rows(place: &str, key: &[String], expected: &[Row], found: &[Value]) -> Vec<String> {
    let found: Vec<&Row> = found.iter().filter_map(Value::as_object).collect();
    let in_order =
        expected.len() == found.len() && expected.iter().zip(&found).all(|(expected, found)| fits(expected, found));
    if in_order {
        return Vec::new();
    }
    let keyed = !key.is_empty() && expected.iter().all(|row| key.iter().all(|column| row.contains_key(column)));
    let unmet = if keyed { by_key(place, key, expected, &found) } else { one_by_one(place, expected, &found) };
    if unmet.is_empty() {
        // All are there, in another order, or named twice.
        let order = found.iter().map(|row| described(key, row)).collect::<Vec<_>>().join("; ");
        return vec![format!("{place} has its rows in the order of the key, each once: {order}")];
    }
    unmet
}

fn by_key(place: &str, key: &[String], expected: &[Row], found: &[&Row]) -> Vec<String> {
    let same = |one: &Row, other: &Row| key.iter().all(|column| same(cell(one, column), cell(other, column)));
    let mut unmet = Vec::new();
    for row in expected {
        let name = described(key, row);
        match found.iter().find(|found| same(row, found)) {
            Some(found) => unmet.extend(unmet_cells(&format!("{place}, row {name}"), row, found)),
            None => unmet.push(format!("{place} has no row {name}, expected {}", Value::from(row.clone()))),
        }
    }
    for row in found.iter().filter(|found| !expected.iter().any(|expected| same(expected, found))) {
        unmet.push(format!("{place} has a row that is not expected: {}", Value::from((*row).clone())));
    }
    unmet
}

fn one_by_one(place: &str, expected: &[Row], found: &[&Row]) -> Vec<String> {
    let mut unmet = Vec::new();
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        unmet.extend(unmet_cells(&format!("{place}, row {}", index + 1), expected, found));
    }
    for row in expected.iter().skip(found.len()) {
        unmet.push(format!("{place} has only {} rows, expected also {}", found.len(), Value::from(row.clone())));
    }
    for row in found.iter().skip(expected.len()) {
        unmet.push(format!("{place} has a row that is not expected: {}", Value::from((*row).clone())));
    }
    unmet
}

fn unmet_cells(place: &str, expected: &Row, found: &Row) -> Vec<String> {
    let unmet = expected.iter().filter(|(column, value)| !found.get(*column).is_some_and(|found| same(value, found)));
    let told = |(column, value): (&String, &Value)| match found.get(column) {
        Some(found) => format!("{place}: `{column}` is {found}, expected {value}"),
        None => format!(
            "{place}: there is no column `{column}`, expected {value}; it has: {}",
            listed(found.keys().map(String::as_str))
        ),
    };
    unmet.map(told).collect()
}

fn fits(expected: &Row, found: &Row) -> bool {
    expected.iter().all(|(column, value)| found.get(column).is_some_and(|found| same(value, found)))
}

fn cell<'r>(row: &'r Row, column: &str) -> &'r Value {
    row.get(column).unwrap_or(&Value::Null)
}

/// Whether a value of YAML is that of a cell: numbers by what they are worth, booleans as SQLite has them.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Bool(boolean), Value::Number(number)) => number.as_i64() == Some(i64::from(*boolean)),
        (Value::Number(one), Value::Number(other)) if one != other && (one.is_f64() || other.is_f64()) => {
            one.as_f64() == other.as_f64()
        }
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(rows: &[Value]) -> Vec<Row> {
        rows.iter().filter_map(|row| row.as_object().cloned()).collect()
    }

    #[test]
    fn cells_compare_as_sqlite_has_them() {
        assert!(same(&json!(true), &json!(1)) && same(&json!(false), &json!(0)) && !same(&json!(true), &json!(2)));
        assert!(same(&json!(3), &json!(3.0)) && same(&json!(3.0), &json!(3)) && !same(&json!(3), &json!("3")));
        assert!(!same(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)));
        assert!(same(&Value::Null, &Value::Null) && !same(&Value::Null, &json!("")));
    }

    #[test]
    fn rows_are_told_by_their_keys() {
        let key = ["id".to_owned()];
        let found = [json!({ "id": "a", "n": 1 }), json!({ "id": "b", "n": 2 })];
        let unmet = |expected: &[Value]| unmet_rows("table `t`", &key, &rows(expected), &found);
        assert_eq!(unmet(&[json!({ "id": "a" }), json!({ "n": 2 })]), [""; 0]);
        assert_eq!(
            unmet(&[json!({ "id": "a", "n": 7 }), json!({ "id": "c" })]),
            [
                "table `t`, row id \"a\": `n` is 1, expected 7",
                "table `t` has no row id \"c\", expected {\"id\":\"c\"}",
                "table `t` has a row that is not expected: {\"id\":\"b\",\"n\":2}",
            ]
        );
        assert_eq!(
            unmet(&[json!({ "id": "b" }), json!({ "id": "a" })]),
            ["table `t` has its rows in the order of the key, each once: id \"a\"; id \"b\""]
        );
        assert_eq!(
            unmet_rows("query `q`", &[], &rows(&[json!({ "m": null })]), &found[..1]),
            ["query `q`, row 1: there is no column `m`, expected null; it has: id, n"]
        );
        assert_eq!(
            unmet(&[json!({ "n": 7 })]),
            [
                "table `t`, row 1: `n` is 1, expected 7",
                "table `t` has a row that is not expected: {\"id\":\"b\",\"n\":2}"
            ]
        );
    }
}
