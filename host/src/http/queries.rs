//! `/projections/{name}/queries/{query}`: what a component answers by name.

use super::App;
use super::answer::path_segment;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::question::{Question, Sql, SqlArguments, answer};
use super::reading::Moment;
use crate::access::Caller;
use crate::plugin::NamedQuery;
use crate::release::Serving;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use rusqlite::types::Value as Cell;

/// `GET /projections/{name}/queries/{query}?param=value&as_of=`
pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path((name, query)): Path<(String, String)>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let moment = Moment::take(&app, &mut parameters)?;
    let reading = moment.reach(&app, &caller, &name).await?;
    let question = question(&reading.serving, &query, &mut parameters)?;
    parameters.finish()?;
    answer(&app, reading, question, &headers, None).await
}

/// The question of this name to a release, with what is said for its parameters.
///
/// # Errors
/// There is none, or its parameters are not as they should be.
pub fn question(serving: &Serving, query: &str, parameters: &mut Parameters) -> Result<Question, Problem> {
    let manifest = serving.plugin.manifest();
    let Some(query) = manifest.queries.iter().find(|known| known.name == query) else {
        let names: Vec<&str> = manifest.queries.iter().map(|query| query.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let mut detail = format!("`{}` has no query `{query}`; it has: {names}", manifest.name);
        if serving.store.relations().iter().any(|relation| relation.name == query) {
            let (projection, table) = (path_segment(&manifest.name), path_segment(query));
            detail += &format!(". There is a table of that name: `GET /projections/{projection}/tables/{table}`");
        }
        return Err(Problem::new(Code::QueryNotFound, detail));
    };
    let arguments = arguments(query, parameters)?;
    Ok(match &query.sql {
        Some(sql) => {
            let arguments = SqlArguments::Named(arguments);
            Question::Sql(Sql::new(sql.clone(), arguments))
        }
        None => Question::Computed { query: query.name.clone(), arguments },
    })
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
