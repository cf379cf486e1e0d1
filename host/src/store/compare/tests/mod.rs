//! Two stores are written, and their difference is told.

mod large;
pub(in crate::store) mod random;

use super::super::{Durability, Limits, Session, Store};
use super::cursor::Side;
use super::*;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::json;
use tempfile::TempDir;

const SAMPLES: Samples = Samples { rows: 10, cell_bytes: 64, bytes: 1 << 20 };

/// A store with its writer, in a folder that goes with it.
pub(in crate::store) struct Written {
    pub(in crate::store) store: Store,
    session: Session,
    _folder: TempDir,
}

impl Written {
    pub(in crate::store) fn connection(&self) -> &Connection {
        self.session.connection()
    }

    pub(in crate::store) fn run(&self, sql: &str) {
        self.connection().execute_batch(sql).unwrap_or_else(|error| unreachable!("{sql}: {error}"));
    }
}

/// A store of this schema in which this SQL ran.
pub(in crate::store) fn store(ddl: &str, sql: &str) -> Written {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("1.db"), ddl, "it", &Limits::default()).expect("a store");
    let session = store.fold(Durability::Building).expect("a session");
    let side = Written { store, session, _folder: folder };
    side.run(sql);
    side
}

fn compared_within(before: &Written, after: &Written, samples: &Samples) -> Comparison {
    let compared: Result<_, Error> = before.store.read_here(|before| {
        after.store.read_here(|after| compare(before, after, samples, &mut |_| Ok::<_, Error>(())))
    });
    compared.expect("they are compared")
}

fn compared(before: &Written, after: &Written) -> Comparison {
    compared_within(before, after, &SAMPLES)
}

fn counts(table: &TableComparison) -> (u64, u64, u64) {
    (table.added, table.removed, table.changed)
}

const ORDERS: &str = "
    CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL, total REAL, note ANY, half REAL AS (total / 2)) STRICT;
    CREATE TABLE lines (\"order\" TEXT, n INTEGER, data BLOB, PRIMARY KEY (\"order\", n)) STRICT, WITHOUT ROWID;
    CREATE VIEW open_orders AS SELECT id FROM orders WHERE status = 'open';
";

#[test]
fn each_difference_is_counted_and_shown_by_table() {
    // Given two stores of one schema,
    let before = store(
        ORDERS,
        "INSERT INTO orders VALUES (1, 'open', 1.0, NULL), (2, 'open', 2.0, 1), (3, 'paid', 3.0, 'x'), (5, 'open', -0.0, 5);
         INSERT INTO lines VALUES ('a', 1, x'00'), ('a', 2, x'01');",
    );
    let after = store(
        ORDERS,
        "INSERT INTO orders VALUES (1, 'open', 1.0, NULL), (2, 'paid', 2.0, 1.0), (4, 'open', 4.0, x'ff'), (5, 'open', 0.0, 5);
         INSERT INTO lines VALUES ('a', 1, x'00'), ('a', 2, x'01');",
    );
    // when they are compared,
    let comparison = compared(&before, &after);
    // then tables are told by name, without views and Laterna's own,
    let names: Vec<_> = comparison.tables.iter().map(|table| table.table.as_str()).collect();
    assert_eq!(names, ["lines", "orders"]);
    let [lines, orders] = &comparison.tables[..] else { unreachable!("two tables") };
    assert_eq!((counts(lines), &lines.samples), ((0, 0, 0), &SampleRows::default()));
    assert_eq!(lines.before, lines.after);
    assert_eq!(lines.key, ["order", "n"]);
    assert_eq!(lines.before.as_ref().map(|content| content.rows), Some(2));
    // each with its differences, also between 1 and 1.0,
    assert_eq!(counts(orders), (1, 1, 1));
    assert_ne!(orders.before, orders.after);
    assert_eq!(
        json!(orders.samples),
        json!({
            "added": [{"id": 4, "status": "open", "total": 4.0, "note": "/w==", "half": 2.0}],
            "removed": [{"id": 3, "status": "paid", "total": 3.0, "note": "x", "half": 1.5}],
            "changed": [{"key": {"id": 2}, "columns": {
                "note": {"before": 1, "after": 1.0},
                "status": {"before": "open", "after": "paid"},
            }}],
        })
    );
    assert!(!comparison.is_same());
    assert!(compared(&before, &before).is_same());
    // and it is the same when it was stored.
    let stored = serde_json::to_string(&comparison).expect("JSON");
    assert_eq!(serde_json::from_str::<Comparison>(&stored).expect("a comparison"), comparison);
}

#[test]
fn cells_are_the_same_by_their_bits() {
    let ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY) STRICT";
    let cells = [
        Cell::Null,
        Cell::Integer(0),
        Cell::Real(0.0),
        Cell::Real(-0.0),
        Cell::Text(String::new()),
        Cell::Text("0".into()),
        Cell::Blob(Vec::new()),
        Cell::Blob(b"0".into()),
        Cell::Text("0\0".into()),
        Cell::Integer((1 << 53) + 1),
        Cell::Real(9_007_199_254_740_992.0),
    ];
    let sides = cells.each_ref().map(|cell| {
        let side = store(ddl, "");
        side.connection().execute("INSERT INTO t VALUES (1, ?1)", [cell]).expect("a row");
        side
    });
    for (before, one) in sides.iter().zip(&cells) {
        for (after, other) in sides.iter().zip(&cells) {
            let same = format!("{one:?}") == format!("{other:?}");
            let comparison = compared(before, after);
            assert_eq!(comparison.is_same(), same, "{one:?} and {other:?}");
            assert_eq!(counts(&comparison.tables[0]), (0, 0, u64::from(!same)), "{one:?} and {other:?}");
        }
    }
}

#[test]
fn keys_are_the_same_where_sqlite_says_so() {
    let ddl = "CREATE TABLE t (k ANY PRIMARY KEY) STRICT, WITHOUT ROWID";
    let before = store(ddl, "INSERT INTO t VALUES (1), (2.5), ('1'), (x'31')");
    let after = store(ddl, "INSERT INTO t VALUES (1.0), (2.5), ('1'), (x'31')");
    let comparison = compared(&before, &after);
    assert_eq!(counts(&comparison.tables[0]), (0, 0, 1));
    assert_eq!(
        json!(comparison.tables[0].samples.changed),
        json!([{"key": {"k": 1.0}, "columns": {"k": {"before": 1, "after": 1.0}}}])
    );
    // Not where only the table's collation says so: a key that is written otherwise is another one.
    let ddl = "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY) STRICT, WITHOUT ROWID";
    let before = store(ddl, "INSERT INTO t VALUES ('a'), ('B'), ('c')");
    let after = store(ddl, "INSERT INTO t VALUES ('A'), ('B'), ('c')");
    assert_eq!(counts(&compared(&before, &after).tables[0]), (1, 1, 0));
}

#[test]
fn columns_that_are_on_one_side_only_are_told_and_not_judged() {
    let before = store(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, old TEXT, kept TEXT, gone TEXT) STRICT",
        "INSERT INTO t VALUES (1, 'a', 'b', 'c'), (2, 'a', 'b', 'c'), (3, 'a', 'b', 'c')",
    );
    let after = store(
        "CREATE TABLE t (kept TEXT, id INTEGER PRIMARY KEY, new TEXT) STRICT",
        "INSERT INTO t VALUES ('b', 1, 'd'), ('B', 2, 'd'), ('b', 4, 'd')",
    );
    let comparison = compared(&before, &after);
    let table = &comparison.tables[0];
    assert_eq!(
        (&table.columns_only_before[..], &table.columns_only_after[..]),
        (&["old".to_owned(), "gone".to_owned()][..], &["new".to_owned()][..])
    );
    assert!(table.comparable);
    assert_eq!(counts(table), (1, 1, 1));
    assert_eq!(
        json!(table.samples),
        json!({
            "added": [{"kept": "b", "id": 4, "new": "d"}],
            "removed": [{"id": 3, "old": "a", "kept": "b", "gone": "c"}],
            "changed": [{"key": {"id": 2}, "columns": {"kept": {"before": "b", "after": "B"}}}],
        })
    );
    // Also where no row differs in what is common, the content is another one,
    let empty = |columns: &str| store(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY{columns}) STRICT"), "");
    assert!(!compared(&empty(""), &empty(", n TEXT")).is_same());
    let named = |name: &str| {
        store(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {name} TEXT) STRICT"), "INSERT INTO t VALUES (1, 'a')")
    };
    assert!(!compared(&named("m"), &named("n")).is_same());
    // but not for the order in which columns were declared.
    assert!(compared(&empty(", m TEXT, n TEXT"), &empty(", n TEXT, m TEXT")).is_same());
}

#[test]
fn rows_are_not_matched_by_different_keys() {
    let table = |key: &str| format!("CREATE TABLE t (a TEXT, b TEXT, PRIMARY KEY ({key})) STRICT, WITHOUT ROWID");
    let rows = "INSERT INTO t VALUES ('1', '2'), ('2', '1')";
    let by = |key: &str| store(&table(key), rows);
    for (before, after, key) in [("a", "b", &["b"][..]), ("a, b", "b, a", &["b", "a"]), ("a", "a, b", &["a", "b"])] {
        let comparison = compared(&by(before), &by(after));
        let table = &comparison.tables[0];
        assert!(!table.comparable && !comparison.is_same(), "{before} and {after}");
        assert_eq!((counts(table), &table.samples), ((0, 0, 0), &SampleRows::default()));
        assert_eq!(table.key, key);
        let rows = [&table.before, &table.after].map(|content| content.as_ref().map(|content| content.rows));
        assert_eq!(rows, [Some(2), Some(2)]);
    }
    // The direction of a key is no part of it.
    assert!(compared(&by("a"), &by("a DESC")).is_same());
}

#[test]
fn a_table_on_one_side_was_added_or_removed_as_a_whole() {
    let ddl = "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER) STRICT, WITHOUT ROWID";
    let (with, without) = (store(ddl, "INSERT INTO t VALUES ('b', 1), ('a', 2)"), store("", ""));
    let rows = json!([{"id": "a", "n": 2}, {"id": "b", "n": 1}]);
    let comparison = compared(&without, &with);
    let table = &comparison.tables[0];
    assert_eq!((counts(table), &table.before, table.comparable), ((2, 0, 0), &None, true));
    assert_eq!(json!(table.samples), json!({"added": rows, "removed": [], "changed": []}));
    assert!(!comparison.is_same());
    let comparison = compared(&with, &without);
    let table = &comparison.tables[0];
    assert_eq!((counts(table), &table.after, &table.key[..]), ((0, 2, 0), &None, &["id".to_owned()][..]));
    assert_eq!(json!(table.samples), json!({"added": [], "removed": rows, "changed": []}));
    // Also without rows.
    let empty = store(ddl, "");
    assert!(!compared(&without, &empty).is_same());
    assert!(compared(&empty, &empty).is_same());
    assert_eq!(compared(&without, &without), Comparison { tables: Vec::new() });
}

#[test]
fn samples_are_within_their_limits() {
    let ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY) STRICT; CREATE TABLE u (id INTEGER PRIMARY KEY) STRICT";
    let rows = |from: u64, to: u64, value: &str| {
        format!(
            "WITH RECURSIVE n (id) AS (SELECT {from} UNION ALL SELECT id + 1 FROM n WHERE id < {to})
             INSERT INTO t SELECT id, {value} FROM n; INSERT INTO u SELECT id FROM t;"
        )
    };
    let before = store(ddl, &rows(1, 200, "'a'"));
    let after = store(ddl, &rows(101, 300, "'b'"));
    let table = &compared_within(&before, &after, &Samples { rows: 3, ..SAMPLES }).tables[0];
    assert_eq!(counts(table), (100, 100, 100));
    let SampleRows { added, removed, changed } = &table.samples;
    let ids = |rows: &[Map<String, Value>]| rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (ids(added), ids(removed), changed.len()),
        (vec![json!(201), json!(202), json!(203)], vec![json!(1), json!(2), json!(3)], 3)
    );
    // All of them together are bounded, too.
    let comparison = compared_within(&before, &after, &Samples { rows: 100, bytes: 1_000, ..SAMPLES });
    let bytes: usize = comparison.tables.iter().map(|table| json!(table.samples).to_string().len()).sum();
    assert!((900..1_300).contains(&bytes), "{bytes}");
    // Without room for any, they are counted all the same.
    let none = compared_within(&before, &after, &Samples { rows: 0, cell_bytes: 0, bytes: 0 });
    assert_eq!((counts(&none.tables[0]), &none.tables[0].samples), ((100, 100, 100), &SampleRows::default()));
}

#[test]
fn long_cells_are_cut_where_they_begin_to_differ() {
    let ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY) STRICT";
    let cells = |before: Cell, after: Cell| {
        let sides = [before, after].map(|cell| {
            let side = store(ddl, "");
            side.connection().execute("INSERT INTO t VALUES (1, ?1)", [cell]).expect("a row");
            side
        });
        let comparison = compared_within(&sides[0], &sides[1], &Samples { cell_bytes: 8, ..SAMPLES });
        let cell = &comparison.tables[0].samples.changed[0].columns["v"];
        let said = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
        (said(&cell.before), said(&cell.after))
    };
    let text = |text: &str| Cell::Text(text.to_owned());
    let told = |before: &str, after: &str| (before.to_owned(), after.to_owned());
    assert_eq!(cells(text("abcdefgh"), text("abcdefghi")), told("abcdefgh", "…efghi (9 bytes)"));
    assert_eq!(cells(text("xbcdefghi"), text("abcdefghi")), told("xbcdefgh… (9 bytes)", "abcdefgh… (9 bytes)"));
    let long = |middle: &str| text(&format!("{}{middle}{}", "a".repeat(1_000), "z".repeat(1_000)));
    assert_eq!(cells(long("1"), long("2")), told("…aaaa1zzz… (2001 bytes)", "…aaaa2zzz… (2001 bytes)"));
    // No character is cut in two.
    assert_eq!(cells(text("ääääää1"), text("x")), told("ääää… (13 bytes)", "x"));
    assert_eq!(cells(text("aääääää"), text("x")), told("aäää… (13 bytes)", "x"));
    let blob = |bytes: &[u8]| Cell::Blob(bytes.to_vec());
    assert_eq!(cells(blob(b"12345678"), blob(b"123456789")), told("MTIzNDU2Nzg=", "…NTY3ODk= (9 bytes)"));
    assert_eq!(cells(blob(&[0; 20]), blob(&[1; 20])), told("AAAAAAAAAAA=… (20 bytes)", "AQEBAQEBAQE=… (20 bytes)"));
}

#[test]
fn texts_may_hold_any_bytes() {
    let ddl = "CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT) STRICT, WITHOUT ROWID";
    let before = store(ddl, "INSERT INTO t VALUES (CAST(x'ff00fe' AS TEXT), CAST(x'610062' AS TEXT))");
    let after = store(ddl, "INSERT INTO t VALUES (CAST(x'ff00fe' AS TEXT), CAST(x'6100ff' AS TEXT))");
    let comparison = compared(&before, &after);
    assert_eq!(
        json!(comparison.tables[0].samples.changed),
        json!([{"key": {"k": "\u{fffd}\0\u{fffd}"}, "columns": {"v": {"before": "a\0b", "after": "a\0\u{fffd}"}}}])
    );
}

#[test]
fn keys_of_bytes_are_walked_without_sorting() {
    for (columns, sorted) in [
        ("k INTEGER PRIMARY KEY, v TEXT) STRICT", false),
        ("v TEXT, k TEXT PRIMARY KEY) STRICT, WITHOUT ROWID", false),
        ("k TEXT, n INTEGER, v TEXT, PRIMARY KEY (n, k)) STRICT, WITHOUT ROWID", false),
        ("k ANY, n BLOB, v TEXT, PRIMARY KEY (k DESC, n DESC)) STRICT, WITHOUT ROWID", false),
        ("k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT) STRICT, WITHOUT ROWID", true),
        ("k TEXT, n INTEGER, PRIMARY KEY (k DESC, n)) STRICT, WITHOUT ROWID", true),
    ] {
        let side = store(&format!("CREATE TABLE t ({columns}; CREATE INDEX i ON t (k DESC)"), "");
        let side = Side { connection: side.connection(), relation: &side.store.relations()[0] };
        let sql = format!("EXPLAIN QUERY PLAN {}", side.sql());
        let mut plan = side.connection.prepare(&sql).expect("a plan");
        let steps = plan.query_map([], |row| row.get::<_, String>(3)).expect("its steps");
        let steps: Vec<String> = steps.collect::<Result<_, _>>().expect("its steps");
        assert_eq!(steps.iter().any(|step| step.contains("TEMP B-TREE")), sorted, "{columns}: {steps:?}");
    }
}

#[test]
fn the_bytes_of_the_write_ahead_log_are_known() {
    let side = store("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT", "INSERT INTO t VALUES (1)");
    let written = side.store.wal_bytes();
    assert!(written > 4_096, "{written}");
    side.run("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(side.store.wal_bytes(), 0);
    let Written { store, session, _folder } = side;
    drop(session);
    store.rest();
    assert_eq!(store.wal_bytes(), 0);
}
