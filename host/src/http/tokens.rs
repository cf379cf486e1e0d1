//! `/tokens`: who may come in.

use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::{App, body};
use crate::access::{Caller, Error, Role, tokens};
use crate::plugin::is_name;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

/// Bytes of a note.
const NOTE_BYTES: usize = 255;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    roles: Vec<Role>,
    module: Option<String>,
    #[serde(default)]
    note: String,
}

/// `GET /tokens`
pub async fn list(State(app): State<App>, caller: Caller, parameters: Parameters) -> Result<Response, Problem> {
    parameters.finish()?;
    let mut tokens = app.host.tokens.list();
    // Those of a module see the tokens of that module.
    tokens.retain(|token| caller.module().is_none() || caller.module() == token.module.as_deref());
    Ok(Json(json!({ "tokens": tokens })).into_response())
}

/// `POST /tokens` `{roles, module?, note?}`: answers the token, this once.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
    body: Body,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let Wanted { mut roles, module, note } = body::json(&app, body).await?;
    roles.sort();
    roles.dedup();
    if roles.is_empty() {
        return Err(Problem::new(
            Code::BadRequest,
            "`roles` is empty; say one at least of append, read, deploy, admin",
        ));
    }
    if let Some(module) = &module
        && !is_name(module)
    {
        let detail = "`module` should be the name of a folder: a letter, then letters, digits, `-` or `_`";
        return Err(Problem::new(Code::BadRequest, detail));
    }
    if note.len() > NOTE_BYTES || note.contains(char::is_control) {
        let detail = format!("`note` should be a line of at most {NOTE_BYTES} bytes");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    // Whoever belongs to a module could otherwise give themselves another one.
    if let Some(own) = caller.module()
        && module.as_deref() != Some(own)
    {
        let detail = format!("a token of module `{own}` makes tokens of that module only");
        return Err(Problem::new(Code::NotAllowed, detail));
    }
    let minted = tokio::task::spawn_blocking(move || app.host.tokens.create(roles, module, note)).await;
    Ok((StatusCode::CREATED, Json(minted.map_err(|_| stopped())?.map_err(failed)?)).into_response())
}

/// `DELETE /tokens/{id}`
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let known = app.host.tokens.list().into_iter().find(|token| token.id == id);
    let none =
        || Problem::new(Code::TokenNotFound, format!("there is no token `{id}`; `laterna token list` shows all"));
    let token: tokens::Token = known.ok_or_else(none)?;
    if caller.module().is_some() && caller.module() != token.module.as_deref() {
        return Err(Problem::new(Code::NotAllowed, "a token of a module revokes tokens of that module only"));
    }
    let revoked = tokio::task::spawn_blocking(move || app.host.tokens.revoke(&token.id)).await;
    let revoked = revoked.map_err(|_| stopped())?.map_err(failed)?;
    Ok(Json(json!({ "revoked": revoked })).into_response())
}

fn stopped() -> Problem {
    Problem::new(Code::ReleasesUnavailable, "The host is being stopped. Try again when it is back.")
}

fn failed(error: Error) -> Problem {
    match error {
        Error::TooMany(_) => Problem::new(Code::BadRequest, error.to_string()),
        other => {
            tracing::error!(error = %other, "a token could not be recorded");
            let detail = "It could not be recorded; nothing was changed. The host's standard error says why.";
            Problem::new(Code::ReleasesUnavailable, detail)
        }
    }
}
