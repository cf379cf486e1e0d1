//! `/projections/{name}/sql`: questions in SQL of people's own.

use super::App;
use super::body;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::question::{Question, Sql, SqlArguments, answer};
use super::reading::Moment;
use crate::access::Caller;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use rusqlite::types::Value as Cell;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::timeout;

/// A question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sql: String,
    params: Option<Params>,
}

/// What stands in place of its parameters.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`params` must be an object of values by name, or an array of values by place")]
enum Params {
    Named(BTreeMap<String, Value>),
    Placed(Vec<Value>),
}

/// `POST /projections/{name}/sql?as_of=`: reads only, and ends with who asks.
pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
    mut headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let moment = Moment::take(&app, &mut parameters)?;
    parameters.finish()?;
    let Asked { sql, params } = body::json(&app, body).await?;
    let arguments = match params.unwrap_or(Params::Placed(Vec::new())) {
        Params::Named(values) => {
            let cells = values.into_iter().map(|(name, value)| Ok((cell(&name, value)?, name)));
            let cells = cells.collect::<Result<Vec<_>, Problem>>()?;
            SqlArguments::Named(cells.into_iter().map(|(cell, name)| (name, cell)).collect())
        }
        Params::Placed(values) => {
            let cells = values.into_iter().enumerate();
            SqlArguments::Placed(
                cells.map(|(place, value)| cell(&(place + 1).to_string(), value)).collect::<Result<_, _>>()?,
            )
        }
    };
    let reading = moment.reach(&app, &caller, &name).await?;
    let free = Arc::clone(&app.host.questions).acquire_owned();
    let Ok(Ok(place)) = timeout(app.config().query, free).await else {
        let detail = format!(
            "{} questions in SQL are being answered, as many as may at once. Ask again later, or raise `sql_readers`.",
            app.config().sql_readers
        );
        return Err(Problem::new(Code::QueryTooSlow, detail));
    };
    // An answer to a POST is not one that a cache could have.
    headers.remove(header::IF_NONE_MATCH);
    let question = Question::Sql(Sql::new(sql, arguments));
    answer(&app, reading, question, &headers, Some(place)).await
}

fn cell(parameter: &str, value: Value) -> Result<Cell, Problem> {
    let unfit = |what: &str| {
        let detail =
            format!("the parameter `{parameter}` is {what}; give a text, a number of 64 bits, true, false or null");
        Problem::new(Code::BadRequest, detail).with("parameter", parameter)
    };
    Ok(match value {
        Value::Null => Cell::Null,
        Value::Bool(truth) => Cell::Integer(truth.into()),
        Value::String(text) => Cell::Text(text),
        Value::Number(number) => match (number.as_i64(), number.is_f64(), number.as_f64()) {
            (Some(integer), ..) => Cell::Integer(integer),
            (None, true, Some(real)) => Cell::Real(real),
            _ => return Err(unfit(&format!("the number {number}"))),
        },
        Value::Array(_) => return Err(unfit("an array")),
        Value::Object(_) => return Err(unfit("an object")),
    })
}
