//! The order of cells in a key, which is SQLite's under `COLLATE BINARY`.

use rusqlite::types::ValueRef;
use std::cmp::Ordering;

/// Compares two cells as SQLite does: null, then numbers, then texts, then blobs.
pub(super) fn compare(left: ValueRef<'_>, right: ValueRef<'_>) -> Ordering {
    match (left, right) {
        (ValueRef::Integer(left), ValueRef::Integer(right)) => left.cmp(&right),
        (ValueRef::Integer(left), ValueRef::Real(right)) => mixed(left, right),
        (ValueRef::Real(left), ValueRef::Integer(right)) => mixed(right, left).reverse(),
        // SQLite holds no NaN.
        (ValueRef::Real(left), ValueRef::Real(right)) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
        (ValueRef::Text(left), ValueRef::Text(right)) | (ValueRef::Blob(left), ValueRef::Blob(right)) => {
            left.cmp(right)
        }
        (left, right) => class(left).cmp(&class(right)),
    }
}

fn class(cell: ValueRef<'_>) -> u8 {
    match cell {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 1,
        ValueRef::Text(_) => 2,
        ValueRef::Blob(_) => 3,
    }
}

/// Beyond all integers of 64 bits; the least of them is its negative.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// An integer and a real, by their exact values: as a real, an integer beyond 2^53 might be another one.
fn mixed(integer: i64, real: f64) -> Ordering {
    if real >= BEYOND {
        return Ordering::Less;
    }
    if real < -BEYOND {
        return Ordering::Greater;
    }
    // Within these bounds the whole part is exact both ways.
    let whole = real as i64;
    integer.cmp(&whole).then_with(|| (whole as f64).partial_cmp(&real).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use rusqlite::types::Value;

    #[test]
    fn cells_are_in_the_order_of_sqlite() {
        let edge = 1_i64 << 53;
        let integers =
            [0, 1, -1, 2, edge - 1, edge, edge + 1, -edge - 1, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1];
        let reals =
            [0.0, -0.0, 0.5, -0.5, 1.0, 1.5, -1.5, 9_007_199_254_740_992.0, 9_007_199_254_740_994.0, BEYOND, -BEYOND];
        let large = [BEYOND - 1024.0, -BEYOND - 2048.0, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, 5e-324];
        let texts = ["", "A", "a", "a ", "aa", "b", "ä", "1", "a\0b"];
        let blobs: [&[u8]; 5] = [b"", b"\0", b"a", b"aa", b"\xff"];
        let values: Vec<Value> = std::iter::once(Value::Null)
            .chain(integers.map(Value::Integer))
            .chain(reals.map(Value::Real))
            .chain(large.map(Value::Real))
            .chain(texts.map(|text| Value::Text(text.into())))
            .chain(blobs.map(|blob| Value::Blob(blob.into())))
            .collect();
        let sqlite = Connection::open_in_memory().expect("SQLite");
        sqlite.execute_batch("CREATE TABLE pair (side INTEGER, x ANY) STRICT").expect("a table");
        let mut write = sqlite.prepare("INSERT INTO pair VALUES (?1, ?2)").expect("an insert");
        let mut same = sqlite.prepare("SELECT count(DISTINCT x) = 1 AND count(x) <> 1 FROM pair").expect("a question");
        let mut first = sqlite.prepare("SELECT side FROM pair ORDER BY x COLLATE BINARY LIMIT 1").expect("a question");
        for left in &values {
            for right in &values {
                sqlite.execute_batch("DELETE FROM pair").expect("none are left");
                write.execute((0, left)).expect("the left one");
                write.execute((1, right)).expect("the right one");
                let order = if same.query_one([], |row| row.get(0)).expect("an answer") || left == right {
                    Ordering::Equal
                } else if first.query_one([], |row| row.get::<_, i64>(0)).expect("an answer") == 0 {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                assert_eq!(compare(left.into(), right.into()), order, "{left:?} and {right:?}");
            }
        }
    }
}
