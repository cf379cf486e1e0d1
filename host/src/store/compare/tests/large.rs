//! Large stores: differences among many rows, memory, and comparisons that are abandoned.

use super::super::super::{Arguments, Bounds};
use super::*;

/// What abandons a comparison.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("nobody wants it")]
    Unwanted,
    #[error(transparent)]
    Store(#[from] Error),
}

/// Columns as a read model of orders has them.
const MANY: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, status TEXT NOT NULL, total INTEGER NOT NULL, \
    share REAL NOT NULL, note TEXT) STRICT";

fn many(rows: u64) -> String {
    format!(
        "BEGIN;
         WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {rows})
         INSERT INTO t SELECT id, 'customer-' || (id % 9973), 'delivered', id * 100, id / 7.0, NULL FROM n;
         COMMIT;"
    )
}

#[test]
fn a_million_rows_are_compared_in_little_memory() {
    // Given two stores of a million rows that differ in a few,
    const ROWS: u64 = 1_000_000;
    let (before, after) = (store(MANY, &many(ROWS)), store(MANY, &many(ROWS)));
    before.run("DELETE FROM t WHERE id % 10007 = 0");
    after.run("UPDATE t SET note = 'late' WHERE id % 5003 = 1; DELETE FROM t WHERE id % 20011 = 5");
    let count = |side: &Written, rows: &str| -> u64 {
        let sql = format!("SELECT count(*) FROM t WHERE {rows}");
        side.connection().query_one(&sql, [], |row| row.get::<_, i64>(0)).expect("a count").cast_unsigned()
    };
    let expected = (
        count(&after, "id % 10007 = 0"),
        count(&before, "id % 20011 = 5"),
        count(&after, "note = 'late' AND id % 10007 <> 0"),
    );
    assert!(expected.0 > 90 && expected.1 > 45 && expected.2 > 190, "{expected:?}");
    let rows = count(&before, "1") + count(&after, "1");
    // when they are compared,
    let started = std::time::Instant::now();
    let mut told = Vec::new();
    let most_before = most_memory();
    let comparison: Result<_, Error> = before.store.read_here(|before| {
        after.store.read_here(|after| {
            compare(before, after, &SAMPLES, &mut |rows| {
                told.push(rows);
                Ok::<_, Error>(())
            })
        })
    });
    let comparison = comparison.expect("they are compared");
    let grown = most_before.and_then(|before| Some(most_memory_since()?.saturating_sub(before)));
    eprintln!("{:.0} rows/s, {grown:?} KiB more", rows as f64 / started.elapsed().as_secs_f64());
    // then all differences are found,
    let table = &comparison.tables[0];
    assert_eq!(counts(table), expected);
    let SampleRows { added, removed, changed } = &table.samples;
    assert_eq!((added.len(), removed.len(), changed.len()), (SAMPLES.rows, SAMPLES.rows, SAMPLES.rows));
    // it was asked all the while whether to go on,
    assert!(told.is_sorted() && told.last() == Some(&rows), "{:?}", told.last());
    assert!(told.windows(2).all(|told| told[1] - told[0] <= 1_000));
    // and memory did not grow with the rows. Other tests may run beside it, so it is generous.
    assert!(grown.is_none_or(|kib| kib < 64 << 10), "{grown:?} KiB");
}

/// Begins to measure how much memory there is at most, in KiB: what there is now. `None` where that cannot be done.
fn most_memory() -> Option<u64> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    most_memory_since()
}

fn most_memory_since() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[test]
fn a_digest_is_of_all_rows() {
    let sides = [1, 2_500, 5_000].map(|id| {
        let side = store(MANY, &many(5_000));
        side.run(&format!("UPDATE t SET status = 'lost' WHERE id = {id}"));
        side
    });
    for (one, before) in sides.iter().enumerate() {
        for (other, after) in sides.iter().enumerate() {
            assert_eq!(compared(before, after).is_same(), one == other, "{one} and {other}");
        }
    }
}

#[test]
fn whoever_asked_may_abandon_it() {
    let (before, after) = (store(MANY, &many(100_000)), store(MANY, &many(100_000)));
    for most in [0, 1_000, 150_000] {
        // When it is not wanted any more at some row,
        let mut asked_since = 0;
        let abandoned: Result<Comparison, Stop> = before.store.read_here(|before| {
            after.store.read_here(|after| {
                let compared = compare(before, after, &SAMPLES, &mut |rows| {
                    asked_since += u32::from(rows >= most);
                    if rows >= most { Err(Stop::Unwanted) } else { Ok(()) }
                });
                // then it ends with that, and the snapshots can be read on.
                let bounds = Bounds { rows: 1, bytes: 100, time: Duration::from_secs(60) };
                for snapshot in [before, after] {
                    let count =
                        snapshot.query("SELECT count(*) FROM t", Arguments::Placed(&[]), &bounds).expect("an answer");
                    assert_eq!(count.rows, [[Cell::Integer(100_000)]]);
                }
                compared
            })
        });
        assert!(matches!(abandoned, Err(Stop::Unwanted)), "{abandoned:?}");
        assert_eq!(asked_since, 1);
    }
    // And the stores are as they were.
    before.run("INSERT INTO t VALUES (0, '', '', 0, 0.0, NULL)");
    assert_eq!(counts(&compared(&before, &after).tables[0]), (0, 1, 0));
}

#[test]
fn a_sort_is_abandoned_too() {
    // Given a table that SQLite sorts for more than a minute before it answers a row,
    let before = store(
        "",
        "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID;
         WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 200000)
         INSERT INTO t SELECT printf('%08d', id) FROM n;
         ALTER TABLE t ADD COLUMN slow AS (length(printf('%.*c', 1000000, k)));",
    );
    let after = store("", "");
    // when it is not wanted any more, then it ends at once, and with that.
    let started = std::time::Instant::now();
    let abandoned: Result<Comparison, Stop> = before.store.read_here(|before| {
        after.store.read_here(|after| {
            compare(before, after, &SAMPLES, &mut |rows| {
                assert_eq!(rows, 0);
                Err(Stop::Unwanted)
            })
        })
    });
    assert!(matches!(abandoned, Err(Stop::Unwanted)), "{abandoned:?}");
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}
