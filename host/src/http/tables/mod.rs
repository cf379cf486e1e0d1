//! `/projections/{name}/tables/{table}`: rows of a table or a view: filtered, ordered, in pages.
//!
//! * `filter`: which rows; `order`: in which order, and where a page begins
//! * `listing`: both as a question, of a table, or of what else is a list of rows

pub(super) mod filter;
mod listing;
mod order;

use super::App;
use super::answer::path_segment;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::question::{Question, answer};
use super::reading::Moment;
use super::rows::Written;
use crate::access::Caller;
use crate::store::{Column, Relation, Store, Words, quoted};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use std::collections::BTreeSet;

pub use listing::Listing;

/// `GET /projections/{name}/tables/{table}?column=eq.value&select=&order=&limit=&after=&offset=&count=&as_of=`
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path((name, table)): Path<(String, String)>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let moment = Moment::take(&app, &mut parameters)?;
    let reading = moment.reach(&app, &caller, &name).await?;
    let asked = Asked { projection: &name, table: &table, rows: app.config().page_rows, as_of: moment.as_of() };
    let question = asked.of(&reading.store, parameters)?;
    answer(&app, reading, question, &headers, None).await
}

/// Rows of a table that are asked for.
pub struct Asked<'a> {
    /// The projection's name.
    pub projection: &'a str,
    /// The table's name.
    pub table: &'a str,
    /// Rows that a page may have.
    pub rows: usize,
    /// The position as of which it is read, for the following page.
    pub as_of: Option<u64>,
}

impl Asked<'_> {
    /// The question, by what else stands in the URL.
    ///
    /// # Errors
    /// There is no such table, or a parameter is not as it should be.
    pub fn of(&self, store: &Store, mut parameters: Parameters) -> Result<Question, Problem> {
        let relation = find(self.projection, store, self.table)?;
        let select = parameters.take("select")?;
        let shown = columns(relation, select.as_deref().unwrap_or_default())?;
        let said = [("as_of", self.as_of.map(|position| position.to_string())), ("select", select)];
        let listing = Listing {
            relation,
            words: Words::Anybody,
            from: quoted(&relation.name),
            arguments: Vec::new(),
            shown: shown.into_iter().map(|column| (column, Written::AsItIs)).collect(),
            path: format!("/projections/{}/tables/{}", path_segment(self.projection), path_segment(self.table)),
            rows: self.rows,
            said: said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        };
        listing.question(parameters)
    }
}

fn find<'s>(projection: &str, store: &'s Store, table: &str) -> Result<&'s Relation, Problem> {
    let found = store.relations().iter().find(|relation| relation.name == table);
    found.ok_or_else(|| {
        let names: Vec<&str> = store.relations().iter().map(|relation| relation.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Problem::new(Code::TableNotFound, format!("`{projection}` has no table `{table}`; it has: {names}"))
    })
}

/// The columns that are shown: those of `select`, each as it is or as `::text`; all of them where it names none.
fn columns(relation: &Relation, select: &str) -> Result<Vec<String>, Problem> {
    let named = names(relation, "select", select)?;
    if named.is_empty() || named == ["*"] {
        return Ok(relation.columns.iter().map(|column| quoted(&column.name)).collect());
    }
    let mut seen = BTreeSet::new();
    let shown = named.iter().map(|name| {
        let (column, as_text) = match (column(relation, name), name.strip_suffix("::text")) {
            // Nobody is kept from calling a column so.
            (Ok(column), _) => (column, false),
            (Err(_), Some(name)) => (self::column(relation, name)?, true),
            (Err(problem), None) => return Err(problem),
        };
        let shown = quoted(&column.name);
        if !seen.insert(&column.name) {
            let detail = format!("`select` names `{}` twice: a row has each column once", column.name);
            return Err(Problem::new(Code::BadParameter, detail).with("parameter", "select"));
        }
        // A blob goes out as a text anyway.
        let text = format!("CASE typeof({shown}) WHEN 'blob' THEN {shown} ELSE CAST({shown} AS TEXT) END AS {shown}");
        Ok(if as_text { text } else { shown })
    });
    shown.collect()
}

/// The names of a list with commas between; in quotes, a name may have one, too.
fn names(relation: &Relation, parameter: &str, list: &str) -> Result<Vec<String>, Problem> {
    let names = filter::split(list).ok_or_else(|| {
        let detail =
            format!("the quotes in `{parameter}` are not closed; table `{}` has columns to name", relation.name);
        Problem::new(Code::BadParameter, detail).with("parameter", parameter)
    })?;
    Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
}

/// The column of a name.
fn column<'r>(relation: &'r Relation, name: &str) -> Result<&'r Column, Problem> {
    let column = relation.columns.iter().find(|column| column.name == name);
    column.ok_or_else(|| {
        let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
        let detail = format!("table `{}` has no column `{name}`; it has: {}", relation.name, names.join(", "));
        Problem::new(Code::BadParameter, detail).with("parameter", name)
    })
}
