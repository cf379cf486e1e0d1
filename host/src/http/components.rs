//! `POST /components`: uploading a component is dropping it, or only asking what that would come to.

use super::parameters::Parameters;
use super::plans::plan_json;
use super::problem::{Code, Problem};
use super::reading::told;
use super::releases::{answer_about, check_module, check_steers, taken};
use super::{App, answer, body};
use crate::access::Caller;
use crate::plugin::is_name;
use crate::plugin::manifest::Beginning;
use crate::release;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use clap::ValueEnum;

/// `POST /components?name=&module=&from=&plan=`, the component's bytes as the body. Answers once it is checked; it is built then, unless only
/// its plan is asked for.
pub async fn deploy(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
    body: Body,
) -> Result<Response, Problem> {
    let name = parameters.take("name")?.unwrap_or_default();
    let module = parameters.take("module")?.unwrap_or_else(|| caller.module().unwrap_or_default().to_owned());
    let begins = parameters.take("from")?.map(|from| beginning(&from)).transpose()?;
    let plans = parameters.take_as::<bool>("plan", "true or false")?.unwrap_or(false);
    parameters.finish()?;
    // Read before anything is said against it: who still sends would not hear it.
    let (bytes, place) = body::bytes(&app, body, app.host.config.plugin.component_bytes, "component_bytes").await?;
    check_module(&caller, &module)?;
    check_steers(&app, &caller, &name)?;
    check_name("name", &name, "be what the component calls itself")?;
    if !module.is_empty() {
        check_name("module", &module, "be the name of a folder")?;
    }
    if plans {
        return plan(&app, &caller, name, module, (bytes, place), begins).await;
    }
    let order = app.host.releases.deploy(name.clone(), module, bytes, begins).await;
    drop(place);
    let order = order.map_err(|error| taken(&app, error))?;
    let is_checked = |component: &release::Component| {
        component
            .release(order.release)
            .is_none_or(|record| !matches!(record.state, release::State::Received | release::State::Checked))
    };
    let component = app.host.releases.wait_for(&name, app.config().wait, is_checked).await;
    let component = component.ok_or_else(|| taken(&app, release::Error::NotFound(name)))?;
    if let Some(record) = component.release(order.release)
        && matches!(record.state, release::State::Rejected | release::State::Failed)
    {
        let reason = told(&caller, record.internal_to.as_deref(), &record.reason);
        let refused = refused(&record.code, format!("release {}: {reason}", record.release));
        return Err(refused.with("release", record.release));
    }
    let status = if order.unchanged { StatusCode::OK } else { StatusCode::ACCEPTED };
    answer_about(&app, &caller, &component, order, status).await
}

/// What deploying these bytes would come to. Nothing is done.
async fn plan<P>(
    app: &App,
    caller: &Caller,
    name: String,
    module: String,
    bytes: (Vec<u8>, P),
    begins: Option<Beginning>,
) -> Result<Response, Problem> {
    let planned = app.host.releases.plan(name.clone(), module, bytes, begins).await;
    let planned = planned.map_err(|error| taken(app, error))?;
    let plan = planned.map_err(|error| refused(error.code(), error.to_string()))?;
    let component = app.host.releases.get(&name).filter(|component| !component.removed);
    let shown = plan_json(app, caller, component.as_deref(), &plan);
    if shown.is_null() {
        let detail = format!("`{name}` is internal to its module, and so is its plan: ask with a token of that module");
        return Err(Problem::new(Code::NotAllowed, detail));
    }
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &shown))
}

/// Why a component is refused.
fn refused(code: &str, reason: String) -> Problem {
    Problem::new(Code::ComponentRefused, reason).with("code", code).with("page", format!("/errors/{code}"))
}

/// To what of the history a process manager reacts that is deployed for the first time.
fn beginning(from: &str) -> Result<Beginning, Problem> {
    Beginning::from_str(from, false).map_err(|_| {
        let detail = format!("`from` is `{from}`: it must be `start` or `now`");
        Problem::new(Code::BadParameter, detail).with("parameter", "from")
    })
}

fn check_name(parameter: &str, name: &str, what: &str) -> Result<(), Problem> {
    if is_name(name) {
        return Ok(());
    }
    let detail = format!("`{parameter}` must {what}: a letter, then letters, digits, `-` or `_`");
    Err(Problem::new(Code::BadParameter, detail).with("parameter", parameter))
}
