//! What a person finds by hand: what there is, and what an error means.

use super::App;
use super::problem::{Code, Problem};
use super::routes::{self, Route};
use crate::release::Component;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};
use std::sync::Arc;

static ERRORS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../docs/errors");

/// `GET /`
pub async fn index(State(app): State<App>) -> Json<Value> {
    let projections: Vec<String> =
        app.host.releases.all().iter().filter(|component| !component.removed).map(address).collect();
    let routes: Vec<Value> = routes::all().iter().map(shown).collect();
    Json(json!({
        "laterna": env!("CARGO_PKG_VERSION"),
        "openapi": "/openapi.json",
        "head": app.host.log.head(),
        "projections": projections,
        "routes": routes,
    }))
}

/// A route, with the roles of which a token must have one.
fn shown(route: &Route) -> Value {
    json!({ "method": route.method.as_str(), "path": route.path, "parameters": route.parameters, "roles": route.roles })
}

fn address(component: &Arc<Component>) -> String {
    format!("/projections/{}", component.name)
}

/// `GET /errors/{code}`: the page of a problem's type.
pub async fn error(Path(code): Path<String>) -> Result<Response, Problem> {
    let page = ERRORS.get_file(format!("{code}.md")).and_then(|file| file.contents_utf8());
    let Some(page) = page else {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        return Err(Problem::new(
            Code::NotFound,
            format!("no error is called `{code}`; there are: {}", codes.join(", ")),
        ));
    };
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Verdict;
    use crate::release::RejectError;

    #[test]
    fn every_code_has_a_page() {
        let halts = ["machine", "too-many-parked"];
        let codes = Code::ALL.iter().map(|code| code.name()).chain(RejectError::CODES.iter().copied()).chain(halts);
        let codes = codes.chain(Verdict::CODES.iter().copied());
        let missing: Vec<&str> = codes.filter(|code| ERRORS.get_file(format!("{code}.md")).is_none()).collect();
        assert!(missing.is_empty(), "docs/errors has no page for {missing:?}");
    }
}
