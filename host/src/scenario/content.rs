//! Everything that is in a store, compared.

use crate::store::{Arguments, Bounds, ReadError, Relation, Rows, Store, cells, quoted};
use rusqlite::types::Value as Cell;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a table of a scenario may hold, far beyond what a story fills it with.
const BOUNDS: Bounds = Bounds { rows: 1_000_000, bytes: 1 << 30, time: Duration::from_secs(60) };

/// All tables of a store, by name. Views follow from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    tables: Vec<Table>,
}

#[derive(Debug, Clone, PartialEq)]
struct Table {
    name: String,
    columns: Vec<String>,
    key: Vec<String>,
    /// In the order of the key.
    rows: Vec<Vec<Cell>>,
}

/// A place where two contents differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: a table, a row, a column.
    pub place: String,
    /// What stands there on one side.
    pub left: String,
    /// And on the other.
    pub right: String,
}

/// Reads all tables.
///
/// # Errors
/// One cannot be read.
pub fn read(store: &Store) -> Result<Content, ReadError> {
    let tables = store.relations().iter().filter(|relation| !relation.key.is_empty());
    let tables = tables.map(|relation| {
        let Rows { columns, rows, .. } = rows_of(store, relation)?;
        Ok(Table { name: relation.name.clone(), columns, key: relation.key.clone(), rows })
    });
    Ok(Content { tables: tables.collect::<Result<_, ReadError>>()? })
}

/// Reads a table in the order of its key, or a view in the order of its columns.
///
/// # Errors
/// It cannot be read.
pub fn rows_of(store: &Store, relation: &Relation) -> Result<Rows, ReadError> {
    let order: Vec<String> = if relation.key.is_empty() {
        (1..=relation.columns.len()).map(|column| column.to_string()).collect()
    } else {
        relation.key.iter().map(|column| quoted(column)).collect()
    };
    let sql = format!("SELECT * FROM {} ORDER BY {}", quoted(&relation.name), order.join(", "));
    store.read_here(|snapshot| snapshot.query(&sql, Arguments::Placed(&[]), &BOUNDS))
}

impl Content {
    /// The same without these columns, by table.
    #[must_use]
    pub fn without(mut self, ignored: &BTreeMap<String, Vec<String>>) -> Self {
        for table in &mut self.tables {
            if let Some(columns) = ignored.get(&table.name) {
                table.drop_columns(columns);
            }
        }
        self
    }

    /// The same with only these columns, by table, and without any other table.
    #[must_use]
    pub fn only(mut self, kept: &[(&str, &[&str])]) -> Self {
        let kept = |name: &str| kept.iter().find(|(table, _)| *table == name).map(|(_, columns)| *columns);
        self.tables.retain(|table| kept(&table.name).is_some());
        for table in &mut self.tables {
            let kept = kept(&table.name).unwrap_or_default();
            let dropped: Vec<String> =
                table.columns.iter().filter(|column| !kept.contains(&column.as_str())).cloned().collect();
            table.drop_columns(&dropped);
        }
        self
    }

    /// Where this content and another one of the same component differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let pairs = self.tables.iter().zip(&other.tables).filter(|(left, right)| left != right);
        pairs.flat_map(|(left, right)| left.differences(right)).collect()
    }
}

impl Table {
    fn drop_columns(&mut self, dropped: &[String]) {
        let kept: Vec<bool> = self.columns.iter().map(|column| !dropped.contains(column)).collect();
        for row in &mut self.rows {
            let mut kept = kept.iter();
            row.retain(|_| kept.next().copied().unwrap_or_default());
        }
        self.columns.retain(|column| !dropped.contains(column));
        if self.key.iter().any(|column| dropped.contains(column)) {
            // Rows are known by all that is left of them then.
            self.key.clone_from(&self.columns);
            self.rows.sort_by_cached_key(|row| format!("{row:?}"));
        }
    }

    fn differences(&self, other: &Self) -> Vec<Difference> {
        let (left, right) = (self.by_key(), other.by_key());
        let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        let mut differences = Vec::new();
        for key in keys {
            let place = format!("{} {key}", self.name);
            match (left.get(key), right.get(key)) {
                (Some(left), Some(right)) => {
                    for (column, value) in left {
                        let other = right.get(column).unwrap_or(&Value::Null);
                        cell_differences(&format!("{place}: {column}"), value, other, &mut differences);
                    }
                }
                (left, right) => {
                    let shown = |row: Option<&Map<String, Value>>| {
                        row.map_or_else(|| "no such row".to_owned(), |row| Value::from(row.clone()).to_string())
                    };
                    differences.push(Difference { place, left: shown(left), right: shown(right) });
                }
            }
        }
        differences
    }

    /// The rows by their key as people read it. Rows that are the same are told apart by counting them.
    fn by_key(&self) -> BTreeMap<String, Map<String, Value>> {
        let (mut rows, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for cells in &self.rows {
            let Value::Object(row) = cells::row(&self.columns, cells.clone()) else { continue };
            let key = described(&self.key, &row);
            let times: &mut u64 = seen.entry(key.clone()).or_default();
            *times += 1;
            rows.insert(if *times == 1 { key } else { format!("{key} #{times}") }, row);
        }
        rows
    }
}

/// Where two cells differ: in which of their members, where both are JSON objects.
fn cell_differences(place: &str, left: &Value, right: &Value, differences: &mut Vec<Difference>) {
    let object = |cell: &Value| cell.as_str().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    match (object(left), object(right)) {
        (Some(left), Some(right)) if left != right => {
            member_differences(place, &left, &right, differences);
        }
        _ if left == right => {}
        _ => differences.push(Difference { place: place.to_owned(), left: left.to_string(), right: right.to_string() }),
    }
}

fn member_differences(
    place: &str,
    left: &Map<String, Value>,
    right: &Map<String, Value>,
    differences: &mut Vec<Difference>,
) {
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for name in names {
        let place = format!("{place}.{name}");
        match (left.get(name), right.get(name)) {
            (Some(Value::Object(left)), Some(Value::Object(right))) => {
                member_differences(&place, left, right, differences);
            }
            (left, right) if left == right => {}
            (left, right) => {
                let shown = |value: Option<&Value>| value.map_or_else(|| "not there".to_owned(), Value::to_string);
                differences.push(Difference { place, left: shown(left), right: shown(right) });
            }
        }
    }
}

/// A row's key as people read it: `order_id "order-1"`.
#[must_use]
pub fn described(key: &[String], row: &Map<String, Value>) -> String {
    let parts = key.iter().map(|column| format!("{column} {}", row.get(column).unwrap_or(&Value::Null)));
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(rows: &[(i64, &str, i64)]) -> Content {
        let columns = ["id", "status", "position"].map(str::to_owned).to_vec();
        let cells = rows
            .iter()
            .map(|(id, status, position)| vec![(*id).into(), (*status).to_owned().into(), (*position).into()]);
        let table = Table { name: "orders".into(), key: vec!["id".into()], columns, rows: cells.collect() };
        Content { tables: vec![table] }
    }

    #[test]
    fn differences_are_told_by_table_key_and_column() {
        let left = content(&[(1, "placed", 1), (2, "paid", 2)]);
        let right = content(&[(1, "paid", 1), (3, "paid", 2)]);
        let told: Vec<_> =
            left.differences(&right).into_iter().map(|found| (found.place, found.left, found.right)).collect();
        assert_eq!(
            told,
            [
                ("orders id 1: status".to_owned(), "\"placed\"".to_owned(), "\"paid\"".to_owned()),
                ("orders id 2".into(), r#"{"id":2,"status":"paid","position":2}"#.into(), "no such row".into()),
                ("orders id 3".into(), "no such row".into(), r#"{"id":3,"status":"paid","position":2}"#.into()),
            ]
        );
        assert_eq!(left.differences(&left), []);
    }

    #[test]
    fn ignored_columns_are_no_part_of_it() {
        let ignored = |columns: &[&str]| {
            BTreeMap::from([("orders".to_owned(), columns.iter().map(|column| (*column).to_owned()).collect())])
        };
        let left = content(&[(1, "placed", 1), (2, "paid", 2)]);
        let right = content(&[(1, "placed", 7), (2, "paid", 8)]);
        assert_eq!(left.clone().without(&ignored(&["position"])), right.clone().without(&ignored(&["position"])));
        // Without the key, whatever order the rows were in.
        let turned = content(&[(5, "paid", 1), (6, "placed", 2)]);
        let rest = ignored(&["id", "position"]);
        assert_eq!(left.clone().without(&rest), turned.without(&rest));
        let twice = content(&[(5, "paid", 1), (6, "paid", 2)]).without(&rest);
        assert_eq!(left.without(&rest).differences(&twice).len(), 2);
    }
}
