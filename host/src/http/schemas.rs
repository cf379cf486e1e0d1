//! `GET /schemas`: what events are checked against, and what is wrong with files in the schemas' folder.

use super::App;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::schemas::{Entry, Key, Problem as FileProblem};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// `GET /schemas`
pub async fn list(State(app): State<App>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    let registry = app.host.schemas.current();
    let schemas: Vec<Value> = registry.entries().map(|(key, entry)| schema(&key, entry)).collect();
    let problems: Vec<Value> = registry
        .problems()
        .iter()
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
