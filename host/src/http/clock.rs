//! `/clock`: the time by which the log is written and timers are due.

use super::event_json::check_time;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::{App, body};
use crate::access::Caller;
use crate::clock::Error;
use crate::plugin::rfc3339;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceBody {
    by_seconds: Option<u64>,
    to: Option<String>,
}

/// How far a clock is advanced.
enum Advance {
    By(Duration),
    To(i64),
}

/// `GET /clock`
pub async fn show(State(app): State<App>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    let clock = &app.host.clock;
    Ok(Json(json!({ "clock": clock.kind().name(), "now": rfc3339(clock.now_us()) })))
}

/// `POST /clock/advance`, by who belongs to no module: the timers of all of them hang on it.
pub async fn advance(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
    body: Body,
) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    if let Some(module) = caller.module() {
        let detail =
            format!("the clock is that of all modules: a token of no module advances it, and not one of `{module}`");
        return Err(Problem::new(Code::NotAllowed, detail));
    }
    let advance = checked(body::json(&app, body).await?)?;
    let clock = app.host.clock.clone();
    let advanced = tokio::task::spawn_blocking(move || match advance {
        Advance::By(time) => clock.advance_by(time),
        Advance::To(to_us) => clock.advance_to(to_us),
    });
    let now_us = advanced.await.map_err(|_| Problem::from(crate::log::Error::Closed))?.map_err(problem)?;
    Ok(Json(json!({ "now": rfc3339(now_us) })))
}

fn checked(body: AdvanceBody) -> Result<Advance, Problem> {
    match body {
        AdvanceBody { by_seconds: Some(seconds), to: None } => Ok(Advance::By(Duration::from_secs(seconds))),
        AdvanceBody { by_seconds: None, to: Some(to) } => {
            check_time("to", &to)?;
            let to: jiff::Timestamp = to.parse().map_err(|_| Problem::new(Code::BadRequest, "`to` is no moment"))?;
            Ok(Advance::To(to.as_microsecond()))
        }
        _ => Err(Problem::new(Code::BadRequest, "say how far the clock is advanced: either `by_seconds` or `to`")),
    }
}

fn problem(error: Error) -> Problem {
    let what = error.to_string();
    match error {
        Error::NotManual => Problem::new(Code::ClockNotManual, what),
        Error::Back { now } => {
            Problem::new(Code::BadRequest, format!("{what}. Serve another data directory to begin earlier."))
                .with("now", format!("{now:.6}"))
        }
        Error::Beyond => Problem::new(Code::BadRequest, what),
        Error::File { .. } | Error::Unreadable { .. } => {
            tracing::error!(%error, "the clock could not be advanced");
            let detail =
                "the clock could not be advanced, and stands where it stood; the host's standard error says why";
            Problem::new(Code::ReleasesUnavailable, detail)
        }
    }
}
