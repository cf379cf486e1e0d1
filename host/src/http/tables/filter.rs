//! Which rows: `column=op.value`, each once or several times, all of them together.

use super::super::parameters::unfit;
use super::super::problem::{Code, Problem};
use super::column;
use crate::store::{Column, Relation, quoted};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::types::Value as Cell;

/// Values that `in` takes at most: as many as a statement of SQLite's takes for sure, with some left for the rest.
const IN: usize = 500;

/// Filters at most: SQLite goes no deeper than a hundred and a little.
const FILTERS: usize = 64;

const EXPECTED: &str = "a filter: `eq.value`, `neq.`, `gt.`, `gte.`, `lt.`, `lte.`, `like.a*`, `in.(a,b)`, `is.null`, `is.not_null`, \
                        `is.true` or `is.false`, each also behind `not.`";

/// The type of a column of microseconds since 1970, in a list of Laterna's own: they are written in RFC 3339.
pub const MOMENT: &str = "MOMENT";

/// The type of a column with a member of a JSON value, in a list of Laterna's own: true and false are 1 and 0.
pub const MEMBER: &str = "MEMBER";

/// The conditions of SQL for these filters, each a column's name and what is wanted of it, and what stands in place of their
/// parameters.
///
/// # Errors
/// There is no such column, or a filter is not as it should be.
pub(super) fn conditions(
    relation: &Relation,
    filters: &[(String, String)],
) -> Result<(Vec<String>, Vec<Cell>), Problem> {
    if let Some((name, _)) = filters.get(FILTERS) {
        let detail = format!("`{name}` is one filter too many: {FILTERS} may hold together");
        return Err(Problem::new(Code::BadParameter, detail).with("parameter", name.as_str()));
    }
    let mut arguments = Vec::new();
    let conditions = filters.iter().map(|(name, filter)| {
        let column = column(relation, name)?;
        let (negated, plain) = match filter.strip_prefix("not.") {
            Some(plain) => (true, plain),
            None => (false, filter.as_str()),
        };
        let (condition, values) = condition(column, plain)
            .map_err(|expected| unfit(name, filter, &expected.unwrap_or(EXPECTED.to_owned())))?;
        arguments.extend(values);
        Ok(if negated { format!("NOT ({condition})") } else { condition })
    });
    Ok((conditions.collect::<Result<_, Problem>>()?, arguments))
}

/// A filter that is not as it should be: what it should be, where that is known better.
type Unfit = Option<String>;

fn condition(column: &Column, filter: &str) -> Result<(String, Vec<Cell>), Unfit> {
    let (op, value) = filter.split_once('.').ok_or(None)?;
    let name = quoted(&column.name);
    let unfit = |expected: &str| Some(format!("`{op}.` with {expected} behind it"));
    Ok(match op {
        "eq" | "neq" => {
            let values = values(column, value).map_err(unfit)?;
            let not = if op == "neq" { "NOT " } else { "" };
            // Of two values that may be meant, a cell is either or neither.
            match values.len() {
                1 if op == "eq" => (format!("{name} = ?"), values),
                1 => (format!("{name} <> ?"), values),
                _ => (format!("{name} {not}IN (?, ?)"), values),
            }
        }
        "gt" | "gte" | "lt" | "lte" => {
            let values = values(column, value).map_err(unfit)?;
            let than = match op {
                "gt" => ">",
                "gte" => ">=",
                "lt" => "<",
                _ => "<=",
            };
            match (is_open(column), values.len()) {
                (false, _) => (format!("{name} {than} ?"), values),
                // Where any type may stand, texts are compared with the text, and numbers with the number, if it is one.
                (true, 1) => (format!("CASE typeof({name}) WHEN 'text' THEN {name} {than} ? END"), values),
                (true, _) => {
                    let number = format!("WHEN typeof({name}) IN ('integer', 'real') THEN {name} {than} ?");
                    (format!("CASE WHEN typeof({name}) = 'text' THEN {name} {than} ? {number} END"), values)
                }
            }
        }
        "like" => (format!("{name} LIKE ?"), vec![Cell::Text(value.replace('*', "%"))]),
        "in" => {
            let listed = list(value).ok_or_else(|| unfit("values in parentheses, such as `(a,b,\"c,d\")`,"))?;
            if listed.len() > IN {
                return Err(unfit(&format!("{IN} values at most")));
            }
            let cells: Result<Vec<Vec<Cell>>, &str> = listed.iter().map(|value| values(column, value)).collect();
            let cells: Vec<Cell> = cells.map_err(unfit)?.into_iter().flatten().collect();
            (format!("{name} IN ({})", vec!["?"; cells.len()].join(", ")), cells)
        }
        "is" => {
            let is = match value {
                "null" => "IS NULL",
                "not_null" => "IS NOT NULL",
                "true" => "IS TRUE",
                "false" => "IS FALSE",
                _ => return Err(unfit("`null`, `not_null`, `true` or `false`")),
            };
            (format!("{name} {is}"), Vec::new())
        }
        _ => return Err(None),
    })
}

/// Whether cells of any type may stand in a column.
fn is_open(column: &Column) -> bool {
    !["INT", "INTEGER", "REAL", "BLOB", "TEXT", MOMENT].contains(&column.of_type.to_ascii_uppercase().as_str())
}

/// What a text in a URL may mean as a cell of this column. Where the column's type leaves it open, and the text is a number: the text,
/// then the number.
fn values(column: &Column, text: &str) -> Result<Vec<Cell>, &'static str> {
    let number = || {
        let integer = text.parse().map(Cell::Integer);
        integer.ok().or_else(|| text.parse().ok().filter(|real: &f64| !real.is_nan()).map(Cell::Real))
    };
    match column.of_type.to_ascii_uppercase().as_str() {
        "INT" | "INTEGER" | "REAL" => number().map(|cell| vec![cell]).ok_or("a number"),
        "BLOB" => BASE64_STANDARD.decode(text).map(|blob| vec![Cell::Blob(blob)]).map_err(|_| "base64"),
        "TEXT" => Ok(vec![Cell::Text(text.to_owned())]),
        MOMENT => match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Ok(vec![Cell::Integer(moment.as_microsecond())]),
            Err(_) => Err("a moment, such as `2026-01-31T08:26:00Z`,"),
        },
        MEMBER if text == "true" => Ok(vec![Cell::Text(text.to_owned()), Cell::Integer(1)]),
        MEMBER if text == "false" => Ok(vec![Cell::Text(text.to_owned()), Cell::Integer(0)]),
        _ => Ok([Some(Cell::Text(text.to_owned())), number()].into_iter().flatten().collect()),
    }
}

/// The values of `(a,b,"c,d")`; `None` where it is none.
fn list(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    if inner.is_empty() { None } else { split(inner) }
}

/// What stands between commas. In quotes, `\` stands before what is meant as it is.
pub fn split(inner: &str) -> Option<Vec<String>> {
    let (mut values, mut value) = (Vec::new(), String::new());
    let mut chars = inner.chars();
    let mut quoted = false;
    while let Some(next) = chars.next() {
        match next {
            '\\' if quoted => value.push(chars.next()?),
            '"' if quoted || value.is_empty() => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    values.push(value);
    (!quoted).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_taken_apart() {
        let list = |text| list(text).map(|values| values.join("|"));
        for (text, values) in [
            ("(a)", Some("a")),
            ("(a,b)", Some("a|b")),
            ("(\"a,b\",c)", Some("a,b|c")),
            ("(\"a\\\"b\\\\\")", Some("a\"b\\")),
            ("(\"\")", Some("")),
            ("(,)", Some("|")),
            ("(a\"b)", Some("a\"b")),
            ("()", None),
            ("a,b", None),
            ("(\"a)", None),
            ("(\"a\\", None),
        ] {
            assert_eq!(list(text), values.map(str::to_owned), "{text}");
        }
    }
}
