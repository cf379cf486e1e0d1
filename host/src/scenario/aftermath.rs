//! What a process manager has done, and what it waits for, held against what a story expects.

use super::content::rows_of;
use super::format::{Effect, Instance, Then, Timer, Visibility};
use super::run::{Outcome, Run};
use super::side_by_side;
use super::stage::Error;
use crate::log::StoredEvent;
use crate::process::decision;
use crate::process::facts::{EFFECT_REFUSED, EffectRefused};
use crate::process::ids;
use crate::store::cells;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What of a process manager's tables must be the same in every order: no positions and no times.
pub(super) const IN_ANY_ORDER: [(&str, &[&str]); 3] =
    [("instances", &["key", "state"]), ("associations", &["name", "instance"]), ("timers", &["instance", "name"])];

/// An effect that came to the log, or the word that it was refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    /// Where the order is open, 0.
    position: u64,
    instance: String,
    event_type: String,
    stream: String,
    /// A text where it is no JSON.
    data: Value,
    internal: bool,
    /// By which code it was refused, if so.
    refused: Option<String>,
}

/// The effects of a process among events of the log.
pub(super) fn done(process: &str, events: &[StoredEvent]) -> Vec<Done> {
    let effects = events.iter().filter_map(|event| {
        let (_, _, instance) = ids::parse_effect(process, &event.id).filter(|_| event.source.is_empty())?;
        let refused = match event.event_type.as_str() {
            EFFECT_REFUSED => serde_json::from_slice::<EffectRefused>(&event.data).ok(),
            _ => None,
        };
        let Some(EffectRefused { code, effect, .. }) = refused else {
            return Some(Done {
                position: event.position,
                instance: instance.to_owned(),
                event_type: event.event_type.clone(),
                stream: event.stream.clone(),
                data: payload(&event.content_type, &event.data),
                internal: event.internal,
                refused: None,
            });
        };
        let effect: decision::Effect = serde_json::from_str(effect.get()).ok()?;
        let data = effect.payload().unwrap_or_default();
        Some(Done {
            position: event.position,
            instance: instance.to_owned(),
            data: payload(effect.content_type.as_deref().unwrap_or_default(), &data),
            event_type: effect.event_type,
            stream: effect.stream,
            internal: effect.visibility == crate::plugin::Visibility::Internal,
            refused: Some(code),
        })
    });
    effects.collect()
}

fn payload(content_type: &str, data: &[u8]) -> Value {
    let text = || Value::from(String::from_utf8_lossy(data));
    if content_type.is_empty() { serde_json::from_slice(data).unwrap_or_else(|_| text()) } else { text() }
}

/// The same in an order that follows from what they are alone.
pub(super) fn in_any_order(mut effects: Vec<Done>) -> Vec<Done> {
    effects.iter_mut().for_each(|effect| effect.position = 0);
    effects.sort_by_cached_key(Done::told);
    effects
}

impl Done {
    /// As people read it.
    pub(super) fn told(&self) -> String {
        let refused = self.refused.as_ref().map_or_else(String::new, |code| format!(" refused: {code}"));
        let internal = if self.internal { " internal" } else { "" };
        format!("{} {}{internal} by {}{refused} {}", self.event_type, self.stream, self.instance, self.data)
    }

    fn is_as(&self, expected: &Effect) -> bool {
        let Effect { event_type, stream, instance, data, visibility, refused } = expected;
        let is = |expected: &Option<String>, found: &str| expected.as_ref().is_none_or(|expected| expected == found);
        *event_type == self.event_type
            && is(stream, &self.stream)
            && is(instance, &self.instance)
            && visibility.is_none_or(|visibility| (visibility == Visibility::Internal) == self.internal)
            && refused.map(|code| code.name()) == self.refused.as_deref()
            && data.as_ref().is_none_or(|data| fits(data, &self.data))
    }
}

/// Everything that is otherwise than it must be.
pub(super) fn unmet(then: &Then, run: &Run<'_>, outcome: &Outcome) -> Result<Vec<String>, Error> {
    let mut unmet = Vec::new();
    if let Some(expected) = &then.effects {
        unmet.extend(unmet_effects(expected, &outcome.effects, run.is_in_order()));
    }
    if let Some(expected) = &then.timers {
        unmet.extend(unmet_timers(expected, &rows(run, "timers")?, run.is_in_order()));
    }
    if let Some(expected) = &then.instances {
        unmet.extend(unmet_instances(expected, &rows(run, "instances")?));
    }
    Ok(unmet)
}

fn rows(run: &Run<'_>, table: &str) -> Result<Vec<Map<String, Value>>, Error> {
    let Some(relation) = run.store().relations().iter().find(|relation| relation.name == table) else {
        return Ok(Vec::new());
    };
    let found = rows_of(run.store(), relation)?;
    let rows = found.rows.into_iter().map(|row| cells::row(&found.columns, row));
    Ok(rows.filter_map(|row| if let Value::Object(row) = row { Some(row) } else { None }).collect())
}

/// Shows both lists where they are not the same.
fn unmet_effects(expected: &[Effect], found: &[Done], in_order: bool) -> Option<String> {
    let fits = |one: usize, other: usize| found[other].is_as(&expected[one]);
    let is_same = expected.len() == found.len() && (0..found.len()).all(|place| fits(place, place));
    if is_same {
        return None;
    }
    let pairs = if in_order { Vec::new() } else { pairs(expected.len(), found.len(), fits) };
    if !in_order && pairs.len() == expected.len() && pairs.len() == found.len() {
        return None;
    }
    // Those that have a partner already stand with that one.
    let taken: (BTreeSet<usize>, BTreeSet<usize>) = pairs.iter().copied().unzip();
    let left =
        |count: usize, taken: &BTreeSet<usize>| (0..count).filter(|place| !taken.contains(place)).collect::<Vec<_>>();
    let (ones, others) = (left(expected.len(), &taken.0), left(found.len(), &taken.1));
    let likeness = |one: usize, other: usize| {
        let (one, other) = (&expected[one], &found[other]);
        match other.is_as(one) {
            true => FITS,
            false if one.event_type != other.event_type => 0,
            false => 1 + usize::from(one.stream.as_ref() == Some(&other.stream)),
        }
    };
    let aligned = aligned(&ones, &others, likeness);
    let rows = pairs.into_iter().map(|(one, other)| (Some(one), Some(other))).chain(aligned).map(|(one, other)| {
        let fits = one.zip(other).is_some_and(|(one, other)| fits(one, other));
        (fits, one.map(|one| told(&expected[one])), other.map(|other| found[other].told()))
    });
    let counts = format!("{} expected, {} came", expected.len(), found.len());
    Some(format!("the effects are not as expected: {counts}\n\n{}\n", side_by_side::lists(rows.collect())))
}

/// An effect that is expected, as people read it.
fn told(effect: &Effect) -> String {
    let Effect { event_type, stream, instance, data, visibility, refused } = effect;
    let mut told = event_type.clone();
    told.extend(stream.iter().flat_map(|stream| [" ", stream]));
    told.extend(visibility.map(|visibility| if visibility == Visibility::Internal { " internal" } else { " public" }));
    told.extend(instance.iter().flat_map(|instance| [" by ", instance]));
    told.extend(refused.iter().flat_map(|code| [" refused: ", code.name()]));
    told.extend(data.iter().map(|data| format!(" {data}")));
    told
}

/// What counts as much as any number of effects that are only alike.
const FITS: usize = 1 << 32;

/// Two lists, in their orders, with those beside each other that are alike: so that it is as much as can be in all.
fn aligned(
    ones: &[usize],
    others: &[usize],
    likeness: impl Fn(usize, usize) -> usize,
) -> Vec<(Option<usize>, Option<usize>)> {
    // How much it can be behind each place of both.
    let mut most = vec![vec![0_usize; others.len() + 1]; ones.len() + 1];
    let beside = |most: &[Vec<usize>], one: usize, other: usize| match likeness(ones[one], others[other]) {
        0 => 0,
        likeness => likeness + most[one + 1][other + 1],
    };
    for one in (0..ones.len()).rev() {
        for other in (0..others.len()).rev() {
            most[one][other] = beside(&most, one, other).max(most[one + 1][other]).max(most[one][other + 1]);
        }
    }
    let (mut one, mut other, mut rows) = (0, 0, Vec::new());
    while one < ones.len() && other < others.len() {
        if most[one][other] == most[one + 1][other] {
            rows.push((Some(ones[one]), None));
            one += 1;
        } else if most[one][other] == most[one][other + 1] {
            rows.push((None, Some(others[other])));
            other += 1;
        } else {
            rows.push((Some(ones[one]), Some(others[other])));
            (one, other) = (one + 1, other + 1);
        }
    }
    rows.extend(ones[one..].iter().map(|one| (Some(*one), None)));
    rows.extend(others[other..].iter().map(|other| (None, Some(*other))));
    rows
}

/// As many pairs as can be of lists in which no order counts.
fn pairs(expected: usize, found: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    /// Finds a partner, if others may have to look for another one.
    fn find(one: usize, taken: &mut [Option<usize>], asked: &mut [bool], fits: &impl Fn(usize, usize) -> bool) -> bool {
        for other in 0..taken.len() {
            if !asked[other] && fits(one, other) {
                asked[other] = true;
                if taken[other].is_none_or(|before| find(before, taken, asked, fits)) {
                    taken[other] = Some(one);
                    return true;
                }
            }
        }
        false
    }
    let mut taken = vec![None; found];
    for one in 0..expected {
        find(one, &mut taken, &mut vec![false; found], &fits);
    }
    let mut pairs: Vec<_> = taken.into_iter().enumerate().filter_map(|(other, one)| Some((one?, other))).collect();
    pairs.sort_unstable();
    pairs
}

fn unmet_timers(expected: &[Timer], found: &[Map<String, Value>], in_order: bool) -> Vec<String> {
    let name = |instance: &str, timer: &str| format!("timer `{timer}` of `{instance}`");
    let known = |row: &Map<String, Value>| (text(row, "instance").to_owned(), text(row, "name").to_owned());
    let due = |row: &Map<String, Value>| {
        row.get("due_at").and_then(Value::as_i64).and_then(|us| jiff::Timestamp::from_microsecond(us).ok())
    };
    let mut unmet = Vec::new();
    for Timer { instance, timer, due_at } in expected {
        let Some(row) = found.iter().find(|row| known(row) == (instance.clone(), timer.clone())) else {
            unmet.push(format!("{} does not wait, expected it to", name(instance, timer)));
            continue;
        };
        let wanted = due_at.as_ref().filter(|_| in_order).and_then(|at| at.parse::<jiff::Timestamp>().ok());
        if let (Some(wanted), Some(due)) = (wanted, due(row))
            && wanted != due
        {
            unmet.push(format!("{} is due at {due}, expected {wanted}", name(instance, timer)));
        }
    }
    for row in found {
        let (instance, timer) = known(row);
        if !expected.iter().any(|expected| expected.instance == instance && expected.timer == timer) {
            let due = due(row).map(|due| format!(", due at {due}")).unwrap_or_default();
            unmet.push(format!("{} waits{due}, which is not expected", name(&instance, &timer)));
        }
    }
    unmet
}

fn unmet_instances(expected: &[Instance], found: &[Map<String, Value>]) -> Vec<String> {
    let mut unmet = Vec::new();
    for Instance { key, state } in expected {
        let Some(row) = found.iter().find(|row| text(row, "key") == key) else {
            unmet.push(format!("there is no instance `{key}`, expected it"));
            continue;
        };
        let found = serde_json::from_str(text(row, "state")).unwrap_or_default();
        if let Some(state) = state {
            unfit(&format!("instance `{key}`: state"), state, &found, &mut unmet);
        }
    }
    for row in found {
        let key = text(row, "key");
        if !expected.iter().any(|expected| expected.key == key) {
            unmet.push(format!("there is an instance that is not expected: `{key}` {}", text(row, "state")));
        }
    }
    unmet
}

fn text<'r>(row: &'r Map<String, Value>, column: &str) -> &'r str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

/// Whether JSON is as expected. A member of an object that is not named is not looked at; numbers are compared by what they are worth.
fn fits(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(name, expected)| found.get(name).is_some_and(|found| fits(expected, found)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(expected, found)| fits(expected, found))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => one.as_f64() == other.as_f64(),
        _ => expected == found,
    }
}

/// Where JSON is otherwise than expected.
fn unfit(place: &str, expected: &Value, found: &Value, unmet: &mut Vec<String>) {
    if fits(expected, found) {
        return;
    }
    let (Value::Object(expected), Value::Object(found)) = (expected, found) else {
        unmet.push(format!("{place} is {found}, expected {expected}"));
        return;
    };
    for (name, expected) in expected {
        let place = format!("{place}.{name}");
        match found.get(name) {
            Some(found) => unfit(&place, expected, found, unmet),
            None => unmet.push(format!("{place} is not there, expected {expected}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_that_are_not_named_are_not_looked_at() {
        let found = json!({ "a": { "b": 1, "c": [{ "d": "x", "e": 1 }] }, "f": null });
        for expected in
            [json!({}), json!({ "a": {} }), json!({ "a": { "b": 1.0, "c": [{ "d": "x" }] } }), json!({ "f": null })]
        {
            assert!(fits(&expected, &found), "{expected}");
        }
        let mut unmet = Vec::new();
        unfit("data", &json!({ "a": { "b": 2, "c": [] }, "f": false, "g": null }), &found, &mut unmet);
        assert_eq!(
            unmet,
            [
                "data.a.b is 1, expected 2",
                r#"data.a.c is [{"d":"x","e":1}], expected []"#,
                "data.f is null, expected false",
                "data.g is not there, expected null",
            ]
        );
    }

    #[test]
    fn as_many_find_a_partner_as_can() {
        // The first takes any, the second only what the first found.
        let fits = |one: usize, other: usize| one == 0 || other == 0;
        assert_eq!(pairs(2, 2, fits), [(0, 1), (1, 0)]);
        assert_eq!(pairs(2, 1, fits), [(0, 0)]);
        assert_eq!(pairs(0, 2, fits), []);
    }

    #[test]
    fn what_is_alike_stands_beside_each_other() {
        let rows = |expected: &[&str], found: &[&str]| {
            let likeness = |one: usize, other: usize| match (expected[one], found[other]) {
                (one, other) if one == other => FITS,
                (one, other) => usize::from(one[..1] == other[..1]),
            };
            let all = |count: usize| (0..count).collect::<Vec<_>>();
            let rows = aligned(&all(expected.len()), &all(found.len()), likeness).into_iter();
            let told = |(one, other): (Option<usize>, Option<usize>)| {
                format!("{}|{}", one.map_or("", |one| expected[one]), other.map_or("", |other| found[other]))
            };
            rows.map(told).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(rows(&["a1", "b1", "c1"], &["a1", "c2"]), "a1|a1 b1| c1|c2");
        assert_eq!(rows(&["a1", "b1"], &["x1", "b1", "a1"]), "a1| |x1 b1|b1 |a1");
        assert_eq!(rows(&[], &["a1"]), "|a1");
    }
}
