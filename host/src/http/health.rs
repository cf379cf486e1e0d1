//! `/health`: alive, ready and behind, told apart.

use super::App;
use super::answer::at_position;
use crate::projector;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// `GET /health/live`: the process answers.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /health/ready`: every projection that can has reached the log's head as of the start.
pub async fn ready(State(app): State<App>) -> Response {
    let head = app.host.log.head();
    let (mut catching_up, mut behind, mut halted) = (Vec::new(), Vec::new(), Vec::new());
    for component in app.host.releases.all() {
        let Some(live) = &component.live else {
            // Only those that the start began with: one that comes later does not take the others' host out of service.
            if app.host.awaited.contains(&component.name) && component.is_coming() {
                let position = component.building.as_ref().map_or(0, |building| building.store.progress().applied);
                catching_up.push(json!({ "projection": component.name, "position": position, "wanted": head }));
            }
            continue;
        };
        let applied = live.store.progress().applied;
        let name = component.name.as_str();
        if let projector::State::Halted(halt) = live.running.state() {
            let mut shown = json!({ "projection": name, "position": applied, "code": halt.code() });
            // Nobody had to say who they are. Why, is for those alone who need not.
            if app.host.config.is_open() {
                shown["reason"] = halt.for_anybody().into();
            }
            halted.push(shown);
        } else if applied < app.host.started_at {
            catching_up.push(json!({ "projection": name, "position": applied, "wanted": app.host.started_at }));
        } else if applied < head {
            behind.push(json!({ "projection": name, "position": applied, "lag_events": head - applied }));
        }
    }
    let is_ready = catching_up.is_empty();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if is_ready { "ready" } else { "catching-up" },
        "head": head,
        "catching_up": catching_up,
        "behind": behind,
        "halted": halted,
    });
    at_position(status, head, &body)
}
