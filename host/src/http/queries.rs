//! `/projections/{name}/queries/{query}`: what a component answers by name.

use super::App;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::reading::{Moment, Reading, answered};
use crate::access::Caller;
use crate::plugin::{CallError, NamedQuery};
use crate::store::{Bounds, Snapshot, cells};
use axum::extract::{Path, State};
use axum::response::Response;
use rusqlite::types::Value as Cell;
use serde_json::json;
use serde_json::value::RawValue;

/// `GET /projections/{name}/queries/{query}?param=value&as_of=`
pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path((name, query)): Path<(String, String)>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let moment = Moment::take(&app, &mut parameters)?;
    let Reading { serving, store } = moment.reach(&app, &caller, &name).await?;
    let queries = &serving.plugin.manifest().queries;
    let Some(query) = queries.iter().find(|known| known.name == query) else {
        let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let detail = format!("`{name}` has no query `{query}`; it has: {names}");
        return Err(Problem::new(Code::QueryNotFound, detail));
    };
    let arguments = arguments(query, &mut parameters)?;
    parameters.finish()?;
    match query.sql.clone() {
        Some(sql) => {
            let bounds =
                Bounds { rows: app.config().page_rows, bytes: app.config().answer_bytes, time: app.config().query };
            let (position, rows) = store
                .read(move |snapshot: &mut Snapshot| -> Result<_, Problem> {
                    Ok((snapshot.position(), snapshot.query(&sql, &borrowed(&arguments), &bounds)?))
                })
                .await?;
            let columns = rows.columns;
            let rows: Vec<_> = rows.rows.into_iter().map(|row| cells::row(&columns, row)).collect();
            Ok(answered(serving.release, position, &json!({ "rows": rows, "next": null })))
        }
        None => {
            let (plugin, name, time) = (serving.plugin.clone(), query.name.clone(), app.config().query);
            let (position, json) = store
                .read(move |snapshot: &mut Snapshot| -> Result<_, Problem> {
                    let asked = snapshot.lend(time, |session| {
                        let (session, answer) = plugin.query(&name, &borrowed(&arguments), session);
                        (session, answer.map_err(failed))
                    })?;
                    Ok((snapshot.position(), asked))
                })
                .await?;
            // It goes out as it stands, once it is known to be JSON.
            let json = RawValue::from_string(json).map_err(|error| {
                Problem::new(Code::QueryFailed, format!("the component's answer is not JSON: {error}"))
            })?;
            Ok(answered(serving.release, position, &json))
        }
    }
}

fn borrowed(arguments: &[(String, Cell)]) -> Vec<(&str, Cell)> {
    arguments.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
}

/// The arguments of a query, checked, with defaults filled in.
fn arguments(query: &NamedQuery, parameters: &mut Parameters) -> Result<Vec<(String, Cell)>, Problem> {
    let mut arguments = Vec::with_capacity(query.parameters.len());
    for parameter in &query.parameters {
        let name = &parameter.name;
        let value = query
            .argument(parameter, parameters.take(name)?.as_deref())
            .map_err(|error| Problem::new(Code::BadParameter, error.to_string()).with("parameter", name.as_str()))?;
        arguments.push((name.clone(), value));
    }
    Ok(arguments)
}

fn failed(error: CallError) -> Problem {
    match error {
        CallError::Verdict(_) | CallError::OutOfStack => {
            Problem::new(Code::QueryFailed, format!("the component could not answer: {error}"))
        }
        CallError::OutOfTime => Problem::new(
            Code::QueryTooSlow,
            "the component took too long to answer. Ask for less, or raise `query_ms`.",
        ),
        CallError::Machine(what) => {
            tracing::error!(%what, "a query failed");
            Problem::new(Code::QueryFailed, "the machine could not run the query; the host's standard error says why.")
        }
    }
}
