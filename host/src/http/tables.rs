//! `/projections/{name}/tables/{table}`: rows, filtered and ordered.

use super::App;
use super::answer::{page_url, path_segment};
use super::parameters::{Parameters, unfit};
use super::problem::{Code, Problem};
use super::reading::{Moment, Reading, answered};
use crate::access::Caller;
use crate::store::{Bounds, Relation, Snapshot, cells, quoted};
use axum::extract::{Path, State};
use axum::response::Response;
use rusqlite::types::Value as Cell;
use serde_json::json;

/// `GET /projections/{name}/tables/{table}?col=eq.x&order=col.desc&limit=&offset=&select=&as_of=`
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path((name, table)): Path<(String, String)>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let moment = Moment::take(&app, &mut parameters)?;
    let Reading { serving, store } = moment.reach(&app, &caller, &name).await?;
    let Some(relation) = store.relations().iter().find(|relation| relation.name == table) else {
        let names: Vec<&str> = store.relations().iter().map(|relation| relation.name.as_str()).collect();
        let detail = format!("`{name}` has no table `{table}`; it has: {}", names.join(", "));
        return Err(Problem::new(Code::TableNotFound, detail));
    };
    let limit = parameters.take_limit(app.config().page_rows)?;
    let offset = parameters.take_as::<u64>("offset", "a number, from 0")?.unwrap_or(0);
    let select = parameters.take_list("select")?;
    let selected = columns(relation, &select)?;
    let order = parameters.take("order")?.unwrap_or_default();
    let order_by = order_by(relation, &order)?;
    let filters = parameters.take_rest();
    let (conditions, arguments) = conditions(relation, &filters)?;
    let sql = format!(
        "SELECT {selected} FROM {}{conditions}{order_by} LIMIT {} OFFSET {offset}",
        quoted(&relation.name),
        limit + 1,
        offset = offset.min(i64::MAX.cast_unsigned())
    );
    let bounds = Bounds { rows: limit + 1, bytes: app.config().answer_bytes, time: app.config().query };
    let (position, mut rows) = store
        .read(move |snapshot: &mut Snapshot| -> Result<_, Problem> {
            let arguments: Vec<(&str, Cell)> =
                arguments.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            Ok((snapshot.position(), snapshot.query(&sql, &arguments, &bounds)?))
        })
        .await?;
    let more = rows.rows.len() > limit;
    rows.rows.truncate(limit);
    let next = more.then(|| {
        let path = format!("/projections/{}/tables/{}", path_segment(&name), path_segment(&table));
        let (limit, offset) = (limit.to_string(), (offset.saturating_add(limit as u64)).to_string());
        let (select, as_of) =
            (select.join(","), moment.as_of().map_or_else(String::new, |position| position.to_string()));
        let mut parts: Vec<(&str, &str)> =
            vec![("as_of", &as_of), ("limit", &limit), ("offset", &offset), ("order", &order), ("select", &select)];
        parts.extend(filters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        page_url(&path, &parts)
    });
    let columns = rows.columns;
    let rows: Vec<_> = rows.rows.into_iter().map(|row| cells::row(&columns, row)).collect();
    Ok(answered(serving.release, position, &json!({ "rows": rows, "next": next })))
}

fn columns(relation: &Relation, names: &[String]) -> Result<String, Problem> {
    if names.is_empty() {
        return Ok("*".to_owned());
    }
    names.iter().try_for_each(|name| column(relation, name).map(drop))?;
    Ok(names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
}

/// The order asked for, then by the key, so that pages follow on each other.
fn order_by(relation: &Relation, order: &str) -> Result<String, Problem> {
    let mut terms = Vec::new();
    for term in order.split(',').filter(|term| !term.is_empty()) {
        let (name, direction) = match term.rsplit_once('.') {
            Some((name, "asc")) => (name, "ASC"),
            Some((name, "desc")) => (name, "DESC"),
            _ => (term, "ASC"),
        };
        column(relation, name)?;
        terms.push(format!("{} {direction}", quoted(name)));
    }
    terms.extend(relation.key.iter().map(|name| quoted(name)));
    Ok(if terms.is_empty() { String::new() } else { format!(" ORDER BY {}", terms.join(", ")) })
}

fn conditions(relation: &Relation, filters: &[(String, String)]) -> Result<(String, Vec<(String, Cell)>), Problem> {
    let (mut conditions, mut arguments) = (Vec::new(), Vec::new());
    for (index, (name, filter)) in filters.iter().enumerate() {
        let of_type = column(relation, name)?;
        let Some(wanted) = filter.strip_prefix("eq.") else {
            return Err(unfit(name, filter, "a filter, such as `eq.value`"));
        };
        let value = cells::from_text(of_type, wanted)
            .map_err(|expected| unfit(name, filter, &format!("`eq.` with {expected} behind it")))?;
        // What a view computes has no type of its own, so it is compared as it reads.
        let column = if of_type.is_empty() { format!("CAST({} AS TEXT)", quoted(name)) } else { quoted(name) };
        conditions.push(format!("{column} = :f{index}"));
        arguments.push((format!("f{index}"), value));
    }
    let conditions = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    Ok((conditions, arguments))
}

/// The declared type of a column.
fn column<'a>(relation: &'a Relation, name: &str) -> Result<&'a str, Problem> {
    let column = relation.columns.iter().find(|column| column.name == name);
    column.map(|column| column.of_type.as_str()).ok_or_else(|| {
        let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
        let detail = format!("table `{}` has no column `{name}`; it has: {}", relation.name, names.join(", "));
        Problem::new(Code::BadParameter, detail).with("parameter", name)
    })
}
