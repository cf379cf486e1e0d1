//! `/processes`: looking into process managers.
//!
//! * `overview`: how they stand
//! * `instances`: a list of them; `instance`: one, with what it did and what became of that
//! * `timers`: those that wait, and the yes to those that are overdue

pub mod instance;
pub mod instances;
pub mod overview;
pub mod timers;

use super::App;
use super::answer::path_segment;
use super::problem::{Code, Problem};
use crate::release::Component;
use crate::store::{Column, Relation, RelationKind};
use axum::http::header;
use axum::response::Response;
use std::sync::Arc;

/// Finds a process manager, whether or not it serves. What never ran may be one.
///
/// # Errors
/// There is none.
fn find(app: &App, name: &str) -> Result<Arc<Component>, Problem> {
    let all = app.host.releases.all();
    let Some(component) = all.iter().find(|component| component.name == name && !component.removed) else {
        let names = all.iter().filter(|component| !component.removed && is_process(component) == Some(true));
        let names: Vec<&str> = names.map(|component| component.name.as_str()).collect();
        let there_are =
            if names.is_empty() { "none is deployed".to_owned() } else { format!("there are: {}", names.join(", ")) };
        return Err(Problem::new(Code::ProcessNotFound, format!("there is no process manager `{name}`; {there_are}")));
    };
    if is_process(component) == Some(false) {
        let kind = if component.upcaster.is_some() { "an upcaster" } else { "a projection" };
        let detail =
            format!("`{name}` is {kind}, and no process manager: `GET /projections/{}` shows it", path_segment(name));
        return Err(Problem::new(Code::ProcessNotFound, detail));
    }
    Ok(Arc::clone(component))
}

/// Whether a component is a process manager, where that is known.
fn is_process(component: &Component) -> Option<bool> {
    if component.upcaster.is_some() {
        return Some(false);
    }
    let runs = component.live.as_ref().or(component.building.as_ref());
    runs.map(|serving| serving.plugin.is_process())
}

/// A list of Laterna's own, as filters and orders see it: its columns with their types, and its key.
fn relation(name: &str, columns: &[(&str, &str)], key: &[&str]) -> Relation {
    let column = |(name, of_type): &(&str, &str)| Column {
        name: (*name).to_owned(),
        of_type: (*of_type).to_owned(),
        nullable: true,
    };
    Relation {
        name: name.to_owned(),
        kind: RelationKind::Table,
        columns: columns.iter().map(column).collect(),
        key: key.iter().map(|column| (*column).to_owned()).collect(),
        sql: String::new(),
        indexes: Vec::new(),
    }
}

/// An answer that changes also while its position stays: nobody is told that it has not.
fn untagged(mut answer: Response) -> Response {
    answer.headers_mut().remove(header::ETAG);
    answer
}
