//! `/processes/{name}/instances`: the instances, filtered, ordered, in pages.

use super::super::App;
use super::super::answer::path_segment;
use super::super::parameters::{Parameters, unfit};
use super::super::problem::Problem;
use super::super::question::answer;
use super::super::reading::{Freshness, Reading};
use super::super::rows::Written;
use super::super::tables::Listing;
use super::super::tables::filter::{MEMBER, MOMENT, split};
use super::{find, relation, untagged};
use crate::access::Caller;
use crate::plugin::rfc3339;
use crate::store::{Column, Words, quoted};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use rusqlite::types::Value as Cell;
use std::collections::BTreeSet;

/// The columns, each with its type and with what it is written as.
const COLUMNS: &[(&str, &str, Written)] = &[
    ("key", "TEXT", Written::AsItIs),
    ("state", "TEXT", Written::Json),
    ("began_position", "INTEGER", Written::AsItIs),
    ("began_at", MOMENT, Written::Moment),
    ("changed_position", "INTEGER", Written::AsItIs),
    ("changed_at", MOMENT, Written::Moment),
    ("timers", "INTEGER", Written::AsItIs),
    ("next_due_at", MOMENT, Written::Moment),
];

/// What they are read from, but for members of their states.
const SELECTED: &str = "key, state, began_position, began_at, changed_position, changed_at,
    (SELECT count(*) FROM timers t WHERE t.instance = i.key) AS timers,
    (SELECT min(t.due_at) FROM timers t WHERE t.instance = i.key) AS next_due_at";

/// What the name of a member of the state begins with.
const STATE: &str = "state.";

/// `GET /processes/{name}/instances?key=eq.value&state.path=eq.value&idle_for=&order=column.desc&limit=&after=&offset=&count=`
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    find(&app, &name)?;
    let freshness = Freshness::take(&app, &mut parameters)?;
    let idle = parameters.take_time("idle_for")?;
    let mut parameters = parameters.take_rest();
    if let Some(idle) = idle {
        let idle_us = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
        let since_us = app.host.clock.now_us().saturating_sub(idle_us).max(jiff::Timestamp::MIN.as_microsecond());
        // From here on it is a moment like any other: following pages are as of the same one.
        parameters.push(("changed_at".to_owned(), format!("lte.{}", rfc3339(since_us))));
        headers.remove(header::IF_NONE_MATCH);
    }
    let members = members(&parameters)?;
    let columns: Vec<(&str, &str)> = COLUMNS.iter().map(|(name, of_type, _)| (*name, *of_type)).collect();
    let mut instances = relation("instances", &columns, &["key"]);
    instances.columns.extend(members.iter().map(|member| Column {
        name: member.name.clone(),
        of_type: MEMBER.to_owned(),
        nullable: true,
    }));
    let selected: String =
        members.iter().map(|member| format!(", json_extract(state, ?) AS {}", quoted(&member.name))).collect();
    let listing = Listing {
        relation: &instances,
        // Names of members are anybody's.
        words: Words::Anybody,
        from: format!("(SELECT {SELECTED}{selected} FROM instances i) AS instances"),
        arguments: members.into_iter().map(|member| Cell::Text(member.path)).collect(),
        shown: COLUMNS.iter().map(|(name, _, written)| (quoted(name), *written)).collect(),
        path: format!("/processes/{}/instances", path_segment(&name)),
        rows: app.config().page_rows,
        said: Vec::new(),
    };
    let question = listing.question(Parameters::of(parameters))?;
    let serving = freshness.reach(&app, &caller, &name).await?;
    let reading = Reading { store: serving.store.clone(), serving };
    let answered = answer(&app, reading, question, &headers, None).await?;
    Ok(if idle.is_some() { untagged(answered) } else { answered })
}

/// A member of the state that is filtered or ordered by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    /// As it stands in the URL.
    name: String,
    /// As SQLite finds it.
    path: String,
}

/// The members of the state that parameters name.
fn members(parameters: &[(String, String)]) -> Result<BTreeSet<Member>, Problem> {
    let ordered = parameters.iter().filter(|(name, _)| name == "order").flat_map(|(_, order)| {
        let terms = split(order).unwrap_or_default();
        let name = |term: &String| match term.rsplit_once('.') {
            Some((name, "asc" | "desc")) => name.to_owned(),
            _ => term.clone(),
        };
        terms.iter().map(name).collect::<Vec<_>>()
    });
    let named = parameters.iter().map(|(name, _)| name.clone()).chain(ordered);
    named.filter(|name| name.starts_with(STATE)).map(member).collect()
}

fn member(name: String) -> Result<Member, Problem> {
    let steps = name[STATE.len()..].split('.').map(|step| match serde_json::to_string(step) {
        Ok(quoted) if !step.is_empty() => Ok(format!(".{quoted}")),
        _ => Err(unfit(&name, &name, "the names of members with dots between, such as `state.payment.amount_cents`")),
    });
    let path = steps.collect::<Result<String, Problem>>()?;
    Ok(Member { path: format!("${path}"), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_the_state_is_found_by_its_path() {
        let store = rusqlite::Connection::open_in_memory().expect("a store");
        let state = r#"{"a":{"b c":7,"d\"e\\":[1]},"é":"x","0":"zero","$":true}"#;
        for (name, found) in [
            ("state.a.b c", Cell::Integer(7)),
            ("state.a.d\"e\\", Cell::Text("[1]".to_owned())),
            ("state.é", Cell::Text("x".to_owned())),
            ("state.0", Cell::Text("zero".to_owned())),
            ("state.$", Cell::Integer(1)),
            ("state.a.b", Cell::Null),
            ("state.a.b c.d", Cell::Null),
            ("state.a[0]", Cell::Null),
        ] {
            let member = member(name.to_owned()).expect("a member");
            let read = store.query_row("SELECT json_extract(?1, ?2)", [state, &member.path], |row| row.get(0));
            assert_eq!(read, Ok(found), "{name} as {}", member.path);
        }
        for name in ["state.", "state..a", "state.a."] {
            assert!(member(name.to_owned()).is_err(), "{name}");
        }
    }
}
