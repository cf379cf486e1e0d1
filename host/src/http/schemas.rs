//! `GET /schemas`: what events are checked against, and what is wrong with files in the schemas' folder.

use super::App;
use super::parameters::Parameters;
use super::problem::Problem;
use super::reading::may_know;
use crate::access::Caller;
use crate::schemas::{Entry, Key, Problem as FileProblem};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::collections::HashSet;

/// `GET /schemas`
pub async fn list(State(app): State<App>, caller: Caller, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    let registry = app.host.schemas.current();
    // One that cannot be used and belongs to no module is shown to everybody: there is nobody else who could mend it.
    let is_for = |key: &Key| {
        may_know(&registry, &caller, &key.module, &key.event_type)
            || (key.module.is_empty() && !registry.is_internal("", &key.event_type))
    };
    let (told, hidden): (Vec<_>, Vec<_>) = registry.entries().partition(|(key, _)| is_for(key));
    let hidden: HashSet<&str> = hidden.iter().map(|(_, entry)| entry.file.as_str()).collect();
    let schemas: Vec<Value> = told.iter().map(|(key, entry)| schema(key, entry)).collect();
    let problems = registry.problems().iter().filter(|problem| !hidden.contains(problem.file.as_str()));
    let problems: Vec<Value> =
        problems.map(|FileProblem { file, reason }| json!({ "file": file, "reason": reason })).collect();
    Ok(Json(json!({ "schemas": schemas, "problems": problems })))
}

fn schema(key: &Key, entry: &Entry) -> Value {
    json!({
        "module": key.module,
        "type": key.event_type,
        "version": key.version,
        "format": entry.format.name(),
        "file": entry.file,
        "visibility": entry.schema().map(|schema| if schema.is_internal { "internal" } else { "public" }),
    })
}
