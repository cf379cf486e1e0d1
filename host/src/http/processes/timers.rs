//! `/processes/{name}/timers`: deadlines that have not come yet, and the yes to those that were due before their release served.

use super::super::App;
use super::super::answer::{self, path_segment};
use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::question;
use super::super::reading::{Freshness, Reading};
use super::super::releases::{check_steers, taken};
use super::super::rows::Written;
use super::super::tables::Listing;
use super::super::tables::filter::{MEMBER, MOMENT};
use super::{find, relation, untagged};
use crate::access::Caller;
use crate::plugin::rfc3339;
use crate::process::account::{self, Waiting};
use crate::store::{Words, quoted};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// The columns, each with its type and with what it is written as.
const COLUMNS: &[(&str, &str, Written)] = &[
    ("instance", "TEXT", Written::AsItIs),
    ("name", "TEXT", Written::AsItIs),
    ("due_at", MOMENT, Written::Moment),
    ("set_by", "INTEGER", Written::AsItIs),
    ("occurrence", "INTEGER", Written::AsItIs),
    ("every_us", "INTEGER", Written::AsItIs),
    ("held", MEMBER, Written::Truth),
];

/// `GET /processes/{name}/timers?column=eq.value&order=column.desc&limit=&after=&offset=&count=`
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    mut parameters: Parameters,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    find(&app, &name)?;
    let freshness = Freshness::take(&app, &mut parameters)?;
    let columns: Vec<(&str, &str)> = COLUMNS.iter().map(|(name, of_type, _)| (*name, *of_type)).collect();
    let timers = relation("timers", &columns, &["instance", "name"]);
    let listing = Listing {
        relation: &timers,
        words: Words::Own,
        from: format!("{} AS timers", account::timers_with_held()),
        arguments: Vec::new(),
        shown: COLUMNS.iter().map(|(name, _, written)| (quoted(name), *written)).collect(),
        path: format!("/processes/{}/timers", path_segment(&name)),
        rows: app.config().page_rows,
        said: Vec::new(),
    };
    let question = listing.question(parameters)?;
    let serving = freshness.reach(&app, &caller, &name).await?;
    let reading = Reading { store: serving.store.clone(), serving };
    // The yes comes to those that are held while the position stays.
    headers.remove(header::IF_NONE_MATCH);
    question::answer(&app, reading, question, &headers, None).await.map(untagged)
}

/// `POST /processes/{name}/timers/fire-overdue`: timers that were due before their release came to serve, and not to the one before, may
/// fire.
pub async fn fire_overdue(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    find(&app, &name)?;
    check_steers(&app, &caller, &name)?;
    let fired = app.host.releases.let_fire(&name).await.map_err(|error| taken(&app, error))?;
    let answer = json!({ "name": name, "release": fired.release, "timers": fired.timers });
    Ok(answer::at_position(StatusCode::OK, app.host.log.head(), &answer))
}

/// A timer, as it is shown.
pub fn timer(waiting: &Waiting) -> Value {
    let Waiting { instance, name, due_us, set_by, occurrence, every_us, held } = waiting;
    json!({
        "instance": instance,
        "name": name,
        "due_at": rfc3339(*due_us),
        "set_by": set_by,
        "occurrence": occurrence,
        "every_us": every_us,
        "held": held,
    })
}
