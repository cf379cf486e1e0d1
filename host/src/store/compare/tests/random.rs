//! Random stores, beside what a plain map says of them.

use super::{Written, compared, counts, store};
use rusqlite::params_from_iter;
use rusqlite::types::Value as Cell;
use std::collections::BTreeMap;

/// Tables with keys of all kinds: name, columns, and which of them are written.
pub(in crate::store) const KINDS: [(&str, &str, &[&str]); 5] = [
    ("a", "k ANY, v ANY, w TEXT, PRIMARY KEY (k)", &["k", "v", "w"]),
    ("b", "v BLOB, k TEXT COLLATE NOCASE, n INTEGER, w REAL, PRIMARY KEY (k, n DESC)", &["v", "k", "n", "w"]),
    ("c", "a REAL, b BLOB, v ANY, g ANY AS (v), s TEXT AS (hex(b)) STORED, PRIMARY KEY (a DESC, b)", &["a", "b", "v"]),
    ("d", "k ANY COLLATE RTRIM, l ANY, w INTEGER, PRIMARY KEY (l DESC, k DESC)", &["k", "l", "w"]),
    ("e", "n INTEGER PRIMARY KEY, v ANY, w TEXT", &["n", "v", "w"]),
];

pub(in crate::store) fn ddl(kinds: &[(&str, &str, &[&str])]) -> String {
    let tables = kinds.iter().map(|(name, columns, _)| {
        let rowid = if *name == "e" { "" } else { ", WITHOUT ROWID" };
        format!("CREATE TABLE {name} ({columns}) STRICT{rowid};")
    });
    tables.collect()
}

/// A cell that such a column takes, often one that was there already.
fn cell(random: &mut fastrand::Rng, column: &str) -> Cell {
    let integers = [0, 1, -1, 7, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MAX - 1, i64::MIN];
    let reals = [
        0.0,
        -0.0,
        1.0,
        0.5,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_808.0,
        -9_223_372_036_854_775_808.0,
        f64::INFINITY,
    ];
    let texts = ["", "a", "A", "a ", "ab", "AB", "ä", "\0", "z\0y"];
    let integer = |random: &mut fastrand::Rng| Cell::Integer(integers[random.usize(..integers.len())]);
    let real = |random: &mut fastrand::Rng| Cell::Real(reals[random.usize(..reals.len())]);
    let text = |random: &mut fastrand::Rng| Cell::Text(texts[random.usize(..texts.len())].to_owned());
    let blob = |random: &mut fastrand::Rng| Cell::Blob(vec![random.u8(..); random.usize(..3)]);
    match column {
        "n" => integer(random),
        "w" => Cell::Null,
        "a" => real(random),
        "b" => blob(random),
        _ if column == "k" && random.bool() => text(random),
        _ => match random.u8(..4) {
            0 => integer(random),
            1 => real(random),
            2 => text(random),
            _ => blob(random),
        },
    }
}

/// A row for a table; the table may refuse it.
pub(in crate::store) fn row(random: &mut fastrand::Rng, table: &str, columns: &[&str]) -> Vec<Cell> {
    let of_type = |random: &mut fastrand::Rng, column: &str| match (table, column) {
        ("b", "k") | ("a" | "e", "w") => cell_where(random, |cell| matches!(cell, Cell::Text(_))),
        ("b", "v") => cell(random, "b"),
        ("b", "w") => cell(random, "a"),
        ("d", "w") => cell(random, "n"),
        _ => cell(random, column),
    };
    let cells = columns.iter().map(|column| {
        let key = matches!(*column, "k" | "l" | "n" | "a") || (table, *column) == ("c", "b");
        if !key && random.u8(..4) == 0 { Cell::Null } else { of_type(random, column) }
    });
    cells.collect()
}

fn cell_where(random: &mut fastrand::Rng, wanted: impl Fn(&Cell) -> bool) -> Cell {
    loop {
        let cell = cell(random, "any");
        if wanted(&cell) {
            return cell;
        }
    }
}

/// Writes rows; answers those that were taken: of keys that are the same, the first one.
pub(in crate::store) fn insert(side: &Written, table: &str, columns: &[&str], rows: &[Vec<Cell>]) -> Vec<Vec<Cell>> {
    let places: Vec<_> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
    let sql = format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({})", columns.join(", "), places.join(", "));
    let mut insert = side.connection().prepare(&sql).expect("an insert");
    let mut taken = rows.to_vec();
    taken.retain(|row| match insert.execute(params_from_iter(row)) {
        Ok(rows) => rows == 1,
        Err(error) => unreachable!("{table} {row:?}: {error}"),
    });
    taken
}

/// A table as a plain map: rows by key, a row as its cells by column, each as Rust writes it.
type Plain = BTreeMap<Vec<String>, BTreeMap<String, String>>;

fn plain(side: &Written, table: &str) -> Plain {
    let relations = side.store.relations();
    let relation = relations.iter().find(|relation| relation.name == table).expect("the table");
    let mut all = side.connection().prepare(&format!("SELECT * FROM {table}")).expect("a question");
    let rows = all.query_map([], |row| {
        let mut cells = BTreeMap::new();
        let mut key = BTreeMap::new();
        for (place, column) in relation.columns.iter().enumerate() {
            let cell = Cell::try_from(row.get_ref(place)?).expect("a cell");
            key.insert(column.name.clone(), plain_key(&cell));
            cells.insert(column.name.clone(), format!("{cell:?}"));
        }
        Ok((relation.key.iter().map(|column| key[column].clone()).collect(), cells))
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

/// Equal where SQLite says so.
fn plain_key(cell: &Cell) -> String {
    match cell {
        Cell::Real(real) if real.fract() == 0.0 && real.abs() < 9_223_372_036_854_775_808.0 => {
            format!("{:?}", Cell::Integer(*real as i64))
        }
        Cell::Real(real) if *real == -9_223_372_036_854_775_808.0 => format!("{:?}", Cell::Integer(i64::MIN)),
        other => format!("{other:?}"),
    }
}

/// Takes some rows away, changes some, adds others, and turns their order.
fn vary(random: &mut fastrand::Rng, rows: &mut Vec<Vec<Cell>>, row: impl Fn(&mut fastrand::Rng) -> Vec<Cell>) {
    rows.retain(|_| random.u8(..8) > 0);
    for kept in rows.iter_mut() {
        if random.u8(..4) == 0 {
            let place = random.usize(..kept.len());
            kept[place].clone_from(&row(random)[place]);
        }
    }
    rows.extend((0..random.usize(..8)).map(|_| row(random)));
    random.shuffle(rows);
}

/// Added, removed and changed rows, in the plainest way.
fn plainly(before: &Plain, after: &Plain) -> (u64, u64, u64) {
    let missing = |one: &Plain, other: &Plain| one.keys().filter(|key| !other.contains_key(*key)).count() as u64;
    let changed = before.iter().filter(|(key, row)| {
        let other = after.get(*key);
        other.is_some_and(|other| row.iter().any(|(column, cell)| other.get(column).is_some_and(|other| other != cell)))
    });
    (missing(after, before), missing(before, after), changed.count() as u64)
}

#[test]
fn random_stores_are_compared_as_a_plain_map_would() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut seen = (0, 0, 0, 0);
    for round in 0..50 {
        // Given random rows, on the other side some of them, some of them changed, and some others, in another order,
        let mut kinds_after = KINDS;
        if round % 3 == 2 {
            kinds_after[0] = ("a", "u INTEGER, v ANY, k ANY, PRIMARY KEY (k)", &["k", "v"]);
            kinds_after[4] = ("e", "v ANY, n INTEGER PRIMARY KEY, w TEXT, z ANY AS (v)", &["n", "v", "w"]);
        }
        let (before, again, after) = (store(&ddl(&KINDS), ""), store(&ddl(&KINDS), ""), store(&ddl(&kinds_after), ""));
        for ((table, _, columns), (_, _, columns_after)) in KINDS.into_iter().zip(kinds_after) {
            let rows: Vec<_> = (0..random.usize(..40)).map(|_| row(&mut random, table, columns)).collect();
            let mut rows = insert(&before, table, columns, &rows);
            let mut other = rows.clone();
            if round % 5 != 0 {
                vary(&mut random, &mut other, |random| row(random, table, columns));
            }
            other.iter_mut().for_each(|row| row.truncate(columns_after.len()));
            insert(&after, table, columns_after, &other);
            random.shuffle(&mut rows);
            insert(&again, table, columns, &rows);
        }
        // when they are compared, then it comes to what the plain way comes to,
        let comparison = compared(&before, &after);
        assert_eq!(comparison.tables.len(), KINDS.len());
        for table in &comparison.tables {
            let (left, right) = (plain(&before, &table.table), plain(&after, &table.table));
            let context = || format!("seed {seed}, round {round}: {table:#?}\n{left:#?}\n{right:#?}");
            assert!(table.comparable);
            assert_eq!(counts(table), plainly(&left, &right), "{}", context());
            assert_eq!(table.before.as_ref().map(|content| content.rows), Some(left.len() as u64));
            assert_eq!(table.after.as_ref().map(|content| content.rows), Some(right.len() as u64));
            let same_columns = table.columns_only_before.is_empty() && table.columns_only_after.is_empty();
            assert_eq!(table.before == table.after, same_columns && left == right, "{}", context());
            seen = (
                seen.0 + table.added,
                seen.1 + table.removed,
                seen.2 + table.changed,
                seen.3 + u64::from(table.before == table.after),
            );
        }
        // and the order in which rows were written is no part of it.
        assert!(compared(&before, &again).is_same(), "seed {seed}, round {round}");
    }
    assert!(seen.0 > 100 && seen.1 > 100 && seen.2 > 100 && seen.3 > 20, "{seen:?}");
}
