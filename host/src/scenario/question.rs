//! The questions of a story.

use super::format::Query;
use super::run::Run;
use super::stage::Error;
use crate::plugin::{CallError, Manifest, NamedQuery};
use crate::store::{Arguments, Bounds, ReadError, Snapshot, cells};
use rusqlite::types::Value as Cell;
use serde_json::Value;
use std::time::Duration;

/// What a host allows an answer by default.
const BOUNDS: Bounds = Bounds { rows: 10_000, bytes: 16 << 20, time: Duration::from_secs(5) };

/// What came of a question.
pub(super) enum Answer {
    /// Rows, of a query that SQL answers: each an object.
    Rows(Vec<Value>),
    /// JSON, of a query that the component's code answers.
    Computed(Value),
    /// Why it is not answered.
    Refused(String),
}

/// Makes sure that a question can be asked of a component at all.
///
/// # Errors
/// It has no such query or parameter, or the query answers in another way.
pub(super) fn check(manifest: &Manifest, asked: &Query) -> Result<(), String> {
    let Query { query: name, with, rows, answer, refused: _ } = asked;
    let Some(query) = find(manifest, name) else {
        let known = listed(manifest.queries.iter().map(|query| query.name.as_str()));
        return Err(format!("`{}` has no query `{name}`; it has: {known}", manifest.name));
    };
    for parameter in with.keys() {
        if query.parameters.iter().all(|known| known.name != *parameter) {
            let known = listed(query.parameters.iter().map(|parameter| parameter.name.as_str()));
            return Err(format!("query `{name}` has no parameter `{parameter}`; it has: {known}"));
        }
    }
    match (&query.sql, rows, answer) {
        (Some(_), _, Some(_)) => Err(format!("query `{name}` is answered by SQL: say `rows` in place of `answer`")),
        (None, Some(_), _) => Err(format!("query `{name}` is answered by code: say `answer` in place of `rows`")),
        _ => Ok(()),
    }
}

/// Asks.
pub(super) fn ask(run: &Run<'_>, asked: &Query) -> Result<Answer, Error> {
    let Some(query) = find(run.plugin().manifest(), &asked.query) else {
        return Ok(Answer::Refused("there is no such query".to_owned()));
    };
    let arguments = match arguments(query, asked) {
        Ok(arguments) => arguments,
        Err(refused) => return Ok(Answer::Refused(refused)),
    };
    run.store().read_here(|snapshot: &mut Snapshot| match &query.sql {
        Some(sql) => match snapshot.query(sql, Arguments::Named(&arguments), &BOUNDS) {
            Ok(rows) => {
                let columns = rows.columns;
                Ok(Answer::Rows(rows.rows.into_iter().map(|row| cells::row(&columns, row)).collect()))
            }
            Err(error @ (ReadError::Store(_) | ReadError::OutOfTime(_))) => Err(error.into()),
            Err(error) => Ok(Answer::Refused(error.to_string())),
        },
        None => {
            let answered = snapshot.lend(BOUNDS.time, |session| {
                let (session, answer) = run.plugin().query(&query.name, &arguments, session);
                (session, Ok::<_, Error>(answer))
            })?;
            match answered {
                Ok(text) => Ok(serde_json::from_str(&text).map_or_else(
                    |error| Answer::Refused(format!("the component's answer is not JSON: {error}")),
                    Answer::Computed,
                )),
                Err(error @ (CallError::Machine(_) | CallError::OutOfTime)) => Err(Error::Machine(error.to_string())),
                Err(error) => Ok(Answer::Refused(error.to_string())),
            }
        }
    })
}

/// The arguments as they would stand in a URL, checked in the same way.
fn arguments(query: &NamedQuery, asked: &Query) -> Result<Vec<(String, Cell)>, String> {
    let argument = |parameter: &crate::plugin::Parameter| {
        let said = asked.with.get(&parameter.name).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let value = query.argument(parameter, said.as_deref()).map_err(|error| error.to_string())?;
        Ok((parameter.name.clone(), value))
    };
    query.parameters.iter().map(argument).collect()
}

fn find<'m>(manifest: &'m Manifest, name: &str) -> Option<&'m NamedQuery> {
    manifest.queries.iter().find(|query| query.name == name)
}

/// Names with commas between, for who looked for another one.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
