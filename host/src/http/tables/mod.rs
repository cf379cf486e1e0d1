//! `/projections/{name}/tables/{table}`: rows of a table or a view: filtered, ordered, in pages.
//!
//! * `filter`: which rows; `order`: in which order, and where a page begins

mod filter;
mod order;

use super::App;
use super::answer::path_segment;
use super::parameters::Parameters;
use super::problem::{Code, Problem};
use super::question::{Paging, Question, Sql, SqlArguments, answer};
use super::reading::Moment;
use crate::access::Caller;
use crate::store::{Column, Relation, Store, quoted};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use filter::conditions;
use order::{Order, Place};
use rusqlite::types::Value as Cell;
use std::collections::BTreeSet;

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
        let limit = parameters.take_limit(self.rows)?;
        let counts = parameters.take_as::<bool>("count", "true or false")?.unwrap_or(false);
        let place = Place::take(&mut parameters)?;
        let select = parameters.take("select")?;
        let order = parameters.take("order")?;
        let filters = parameters.take_rest();
        let shown = columns(relation, select.as_deref().unwrap_or_default())?;
        let order_by = Order::of(relation, order.as_deref().unwrap_or_default())?;

        let (mut wanted, mut arguments) = conditions(relation, &filters)?;
        let table = quoted(&relation.name);
        let count = counts.then(|| (format!("SELECT count(*) FROM {table}{}", where_all(&wanted)), arguments.len()));
        let offset = match place {
            Place::Start => 0,
            Place::Offset(offset) => offset,
            Place::Behind(cursor) => {
                let (behind, cells) = order_by.behind(&cursor)?;
                wanted.push(behind);
                arguments.extend(cells);
                0
            }
        };
        // What the following page begins behind goes along, and is not shown.
        let hidden = order_by.cursor_columns();
        let columns: Vec<&str> = shown.iter().chain(&hidden).map(String::as_str).collect();
        let mut text =
            format!("SELECT {} FROM {table}{}{} LIMIT ?", columns.join(", "), where_all(&wanted), order_by.sql());
        arguments.push(Cell::Integer(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)));
        if offset > 0 {
            text.push_str(" OFFSET ?");
            arguments.push(Cell::Integer(i64::try_from(offset).unwrap_or(i64::MAX)));
        }

        let said = [
            ("as_of", self.as_of.map(|position| position.to_string())),
            ("limit", Some(limit.to_string())),
            ("count", counts.then(|| "true".to_owned())),
            ("order", order),
            ("select", select),
        ];
        let said = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let paging = Paging {
            limit,
            hidden: hidden.len(),
            path: format!("/projections/{}/tables/{}", path_segment(self.projection), path_segment(self.table)),
            parameters: said.chain(filters).collect(),
            place: Box::new(move |last| match order_by.cursor(last) {
                Some(cursor) => ("after", cursor),
                None => ("offset", offset.saturating_add(limit as u64).to_string()),
            }),
        };
        Ok(Question::Sql(Sql { text, arguments: SqlArguments::Placed(arguments), paging: Some(paging), count }))
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

fn where_all(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
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
