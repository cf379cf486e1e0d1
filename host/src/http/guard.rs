//! Who comes in: each route takes certain roles, and its handler is told who asks.

use super::problem::{Code, Problem};
use super::{App, layers};
use crate::access::{Caller, Denied, Role};
use crate::plugin::is_name;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;

/// From inside which module somebody asks who can read the data directory.
pub const INSIDE: &str = "laterna-inside";

/// Lets a request in whose caller has one of the roles of its route.
pub async fn guard(
    State((app, roles)): State<(App, &'static [Role])>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if roles.is_empty() {
        return Ok(next.run(request).await);
    }
    let caller = admit(&app, roles, request.method(), request.headers())?;
    layers::tell_who(&caller);
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn admit(app: &App, roles: &'static [Role], method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    let caller = caller(app, method, headers)?;
    if caller.has_any(roles) {
        return Ok(caller);
    }
    let names = |roles: &[Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
    let (needed, own) = (names(roles), names(caller.roles()));
    let detail = format!("this takes a token for {needed}; the one shown is for {own}");
    Err(Problem::new(Code::NotAllowed, detail).with("roles", needed))
}

fn caller(app: &App, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    let shown = shown(headers)?;
    let caller = app.host.tokens.caller(shown).map_err(|denied| match denied {
        Denied::Missing => {
            let detail = "this host asks for a token: `Authorization: Bearer laterna_…`. `laterna token create` on its \
                          machine makes one.";
            Problem::new(Code::TokenNeeded, detail)
        }
        Denied::Unknown => {
            let detail =
                "the token shown is none of this host, or was revoked; `laterna token create` makes another one.";
            Problem::new(Code::TokenNeeded, detail)
        }
    })?;
    if let Some(module) = headers.get(INSIDE) {
        let module = module.to_str().ok().filter(|module| is_name(module) && app.host.tokens.is_local(&caller));
        let Some(module) = module else {
            let detail =
                format!("`{INSIDE}` is for commands with `--data`: a token says to which module its holder belongs");
            return Err(Problem::new(Code::NotAllowed, detail));
        };
        return Ok(caller.inside(module));
    }
    if shown.is_none() && !app.host.config.insecure {
        refuse_foreign_pages(app, method, headers)?;
    }
    Ok(caller)
}

/// The token that a request shows.
fn shown(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(authorization) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = authorization.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.map(Some).ok_or_else(|| {
        Problem::new(Code::TokenNeeded, "`Authorization` is not of the form `Bearer laterna_…`: tokens are shown so")
    })
}

/// Who needs no token because they are on this machine must not be a page of somebody else in this machine's browser: neither one
/// that sends something here, nor one whose name was made to lead here. The first may be allowed by name, the second never: a page
/// that is asked for as `evil.example` can be anybody's.
fn refuse_foreign_pages(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    // A name that anybody can have made has a dot.
    if !is_address && name.contains('.') {
        let detail =
            format!("this host was asked for as `{host}`, and nobody showed a token: ask for it by its address");
        return Err(Problem::new(Code::NotAllowed, detail));
    }
    let origin = headers.get(header::ORIGIN).filter(|origin| !app.config().cors_origins.name(origin));
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let is_foreign = origin.is_some_and(|origin| origin.split_once("://").is_none_or(|(_, from)| from != host));
    if is_foreign && !method.is_safe() {
        let detail = "a page of another origin asks, and shows no token: show one";
        return Err(Problem::new(Code::NotAllowed, detail));
    }
    Ok(())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Where a route takes no role, nobody was asked who they are.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::anybody))
    }
}
