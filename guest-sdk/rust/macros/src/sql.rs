//! The statements that follow from a definition.

use super::definition::{Column, Table};

/// The columns of the row with a key, without the key; something must be answered of a row that is nothing but a key.
pub fn get(table: &Table) -> String {
    let rest = names(table.columns.iter().filter(|column| !column.is_key));
    let rest = if rest.is_empty() { "1".to_owned() } else { rest };
    format!("SELECT {rest} FROM {} WHERE {}", quoted(&table.name), by_key(table))
}

/// All columns of the rows within a range, in the order of the key. The bounds are `{lower}` and `{upper}`.
pub fn scan(table: &Table) -> [String; 3] {
    let keys = names(table.keys());
    let row = if table.keys().count() == 1 { keys.clone() } else { format!("({keys})") };
    [format!("SELECT {} FROM {}", names(&table.columns), quoted(&table.name)), row, format!(" ORDER BY {keys}")]
}

/// Writes a row that must not be there.
pub fn insert(table: &Table) -> String {
    let places: Vec<String> = (1..=table.columns.len()).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", quoted(&table.name), names(&table.columns), places.join(", "))
}

/// Writes a row, whether or not it is there.
pub fn put(table: &Table) -> String {
    let sets: Vec<String> = table
        .columns
        .iter()
        .filter(|column| !column.is_key)
        .map(|column| format!("{0} = excluded.{0}", quoted(&column.name)))
        .collect();
    let otherwise = if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(", ")) };
    format!("{} ON CONFLICT ({}) DO {otherwise}", insert(table), names(table.keys()))
}

/// Removes the row with a key.
pub fn remove(table: &Table) -> String {
    format!("DELETE FROM {} WHERE {}", quoted(&table.name), by_key(table))
}

/// Makes the indexes.
pub fn indexes(table: &Table) -> String {
    let index = |columns: &Vec<String>| {
        let name = quoted(&format!("{}_by_{}", table.name, columns.join("_")));
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        format!("CREATE INDEX {name} ON {} ({});\n", quoted(&table.name), columns.join(", "))
    };
    table.indexes.iter().map(index).collect()
}

pub fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// A text as SQL writes it.
pub fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn names<'a>(columns: impl IntoIterator<Item = &'a Column>) -> String {
    columns.into_iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

fn by_key(table: &Table) -> String {
    let equal = |(place, column): (usize, &Column)| format!("{} = ?{}", quoted(&column.name), place + 1);
    table.keys().enumerate().map(equal).collect::<Vec<_>>().join(" AND ")
}
