//! `GET /schemas`: what events are checked against, and what is wrong with files in the schemas' folder.

use super::App;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::access::Caller;
use crate::schemas::{Entry, Key, Problem as FileProblem};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// `GET /schemas`
pub async fn list(State(app): State<App>, caller: Caller, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    let registry = app.host.schemas.current();
    // That there is such a type is told inside its module only.
    let is_for = |key: &Key| !registry.is_internal(&key.module, &key.event_type) || caller.is_inside(&key.module);
    let entries = registry.entries().filter(|(key, _)| is_for(key));
    let schemas: Vec<Value> = entries.map(|(key, entry)| schema(&key, entry)).collect();
    let problems: Vec<Value> = registry
        .problems()
        .iter()
        .filter(|problem| registry.entries().all(|(key, entry)| entry.file != problem.file || is_for(&key)))
        .map(|FileProblem { file, reason }| json!({ "file": file, "reason": reason }))
        .collect();
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
