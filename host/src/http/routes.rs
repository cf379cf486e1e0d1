//! Every route, with the roles that it takes: what is not here is not served.

use super::{
    App, clock, components, diff, events, health, live, openapi, pages, parked, processes, projections, proof, queries,
    releases, schemas, snapshot, sql, steps, streams, tables, tokens,
};
use crate::access::Role;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

/// A way in.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with names for its parts.
    pub path: &'static str,
    /// The parameters of the URL, as they are shown to people.
    pub parameters: &'static str,
    /// Who may come: whoever has one of these roles. None: whoever asks.
    pub roles: &'static [Role],
    /// What answers.
    pub handler: MethodRouter<App>,
}

const ANYBODY: &[Role] = &[];
const ANY_ROLE: &[Role] = Role::ALL;
const APPEND: &[Role] = &[Role::Append];
const READ: &[Role] = &[Role::Read];
/// How things stand: for those who read, and for those who deploy.
const STATUS: &[Role] = &[Role::Read, Role::Deploy];
const DEPLOY: &[Role] = &[Role::Deploy];
const ADMIN: &[Role] = &[Role::Admin];

/// All routes.
pub fn all() -> Vec<Route> {
    let select = "column=eq.value&select=&order=column.desc&limit=&after=&offset=&count=&as_of=";
    let instances = "column=eq.value&idle_for=&order=column.desc&limit=&after=&offset=&count=";
    vec![
        get("/", "", ANY_ROLE, pages::index),
        get("/openapi.json", "", ANY_ROLE, openapi::show),
        post("/streams/{stream}/events", "", APPEND, streams::append),
        get("/streams/{stream}/events", "from=&limit=&direction=", READ, streams::read),
        delete("/streams/{stream}", APPEND, streams::close),
        post("/events", "", APPEND, events::post),
        get("/events", "after=&limit=&type=&category=&module=", READ, events::get),
        get("/schemas", "", READ, schemas::list),
        get("/projections", "", STATUS, projections::list),
        get("/projections/{name}", "", STATUS, projections::show),
        get("/projections/{name}/tables/{table}", select, READ, tables::read),
        get("/projections/{name}/queries/{query}", "parameter=value&as_of=", READ, queries::ask),
        post("/projections/{name}/sql", "as_of=", READ, sql::ask),
        get("/projections/{name}/live", "query=|table=&parameter=value", READ, live::follow),
        get("/projections/{name}/snapshot", "release=&position=&min_position=&fresh=&timeout=", READ, snapshot::get),
        get("/projections/{name}/parked", "after=&limit=&release=", STATUS, parked::list),
        post("/projections/{name}/parked/{sequence}/retry", "", DEPLOY, parked::retry),
        post("/projections/{name}/parked/{sequence}/discard", "", DEPLOY, parked::discard),
        post("/components", "name=&module=&from=&plan=", DEPLOY, components::deploy),
        get("/projections/{name}/releases", "release=&until=", STATUS, steps::show),
        get("/projections/{name}/diff", "release=", STATUS, diff::show),
        post("/projections/{name}/diff", "release=&timeout=", DEPLOY, diff::compare_again),
        get("/projections/{name}/verify", "", STATUS, proof::show),
        post("/projections/{name}/verify", "timeout=", DEPLOY, proof::begin),
        post("/projections/{name}/promote", "release=&timeout=", DEPLOY, releases::promote),
        post("/projections/{name}/abort", "release=", DEPLOY, releases::abort),
        post("/projections/{name}/rebuild", "release=", DEPLOY, releases::rebuild),
        post("/projections/{name}/rollback", "release=&timeout=", DEPLOY, releases::roll_back),
        post("/projections/{name}/pause", "builds=", DEPLOY, releases::pause),
        post("/projections/{name}/resume", "", DEPLOY, releases::resume),
        post("/projections/{name}/remove", "purge=", DEPLOY, releases::remove),
        get("/processes", "", STATUS, processes::overview::list),
        get("/processes/{name}", "", STATUS, processes::overview::show),
        get("/processes/{name}/instances", instances, READ, processes::instances::list),
        get("/processes/{name}/instances/{key}", "limit=&before=", READ, processes::instance::show),
        get("/processes/{name}/timers", "column=eq.value&order=&limit=&after=", READ, processes::timers::list),
        post("/processes/{name}/timers/fire-overdue", "", DEPLOY, processes::timers::fire_overdue),
        get("/clock", "", STATUS, clock::show),
        post("/clock/advance", "", DEPLOY, clock::advance),
        get("/tokens", "", ADMIN, tokens::list),
        post("/tokens", "", ADMIN, tokens::create),
        delete("/tokens/{id}", ADMIN, tokens::revoke),
        get("/health/live", "", ANYBODY, health::live),
        get("/health/ready", "", ANYBODY, health::ready),
        get("/errors/{code}", "", ANYBODY, pages::error),
    ]
}

fn get<H, T>(path: &'static str, parameters: &'static str, roles: &'static [Role], handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    Route { method: Method::GET, path, parameters, roles, handler: on(MethodFilter::GET, handler) }
}

fn post<H, T>(path: &'static str, parameters: &'static str, roles: &'static [Role], handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    Route { method: Method::POST, path, parameters, roles, handler: on(MethodFilter::POST, handler) }
}

fn delete<H, T>(path: &'static str, roles: &'static [Role], handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    Route { method: Method::DELETE, path, parameters: "", roles, handler: on(MethodFilter::DELETE, handler) }
}
