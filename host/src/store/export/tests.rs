//! Stores are copied, and the copies are read by SQLite alone.

use super::super::compare::tests::random::{KINDS, ddl, insert, row};
use super::super::compare::tests::{Written, store};
use super::super::{Durability, Limits, Progress};
use super::*;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tempfile::TempDir;

/// What ends a copy.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("nobody wants it")]
    Unwanted,
    #[error(transparent)]
    Store(#[from] Error),
}

/// A copy of a store, in a folder that goes with it.
struct Copied {
    moment: Moment,
    folder: TempDir,
}

impl Copied {
    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("a copy?#%.db")
    }

    /// As anybody would open it.
    fn open(&self) -> Connection {
        Connection::open_with_flags(self.file(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).expect("a file")
    }
}

fn copied(store: &Store) -> Copied {
    let mut copied =
        Copied { moment: Moment { position: 0, bytes: 0 }, folder: tempfile::tempdir().expect("a folder") };
    let mut moment = None;
    let begun = |begun| {
        moment = Some(begun);
        Ok(())
    };
    export::<Error>(store, &copied.file(), begun, || Ok(())).expect("it is copied");
    copied.moment = moment.expect("it had begun");
    copied
}

/// What stands in a database's catalogue, but for Laterna's.
fn catalogue(connection: &Connection) -> Vec<(String, String, Option<String>)> {
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name NOT LIKE 'laterna%' ORDER BY type, name";
    let mut statement = connection.prepare(sql).expect("a question");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

/// All that a table or a view answers, each cell as Rust writes it.
fn rows(connection: &Connection, table: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table} NOT INDEXED")).expect("a question");
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns).map(|place| Ok(format!("{:?}", Cell::try_from(row.get_ref(place)?)))).collect()
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

/// A copy is a sound database, holds what the store holds, and not a word of Laterna's.
#[track_caller]
fn assert_copies(copied: &Copied, original: &Written, relations: &[&str]) {
    let copy = copied.open();
    let sound: String = copy.query_one("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
    assert_eq!(sound, "ok");
    assert_eq!(copy.query_one("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0)), Ok(0));
    assert_eq!(catalogue(&copy), catalogue(original.connection()));
    for relation in relations {
        assert_eq!(rows(&copy, relation), rows(original.connection(), relation), "{relation}");
    }
    let bytes = copied.bytes();
    assert!(!bytes.windows(7).any(|word| word.eq_ignore_ascii_case(b"laterna")), "it tells of Laterna");
}

const VIEWS: &str = "
    CREATE INDEX a_by_v ON a (v DESC, w COLLATE NOCASE);
    CREATE UNIQUE INDEX b_part ON b (n, k) WHERE w IS NOT NULL;
    CREATE INDEX c_computed ON c (g, s);
    CREATE INDEX c_all ON c (b, a, v);
    CREATE INDEX d_of ON d (typeof(k) || 'x', w);
    CREATE INDEX e_by_v ON e (v);
    CREATE VIEW \"a \"\"view\"\"\" AS SELECT k, w FROM a UNION ALL SELECT n, w FROM e;
    CREATE TABLE \"or der\" (\"se lect\" TEXT PRIMARY KEY, \"x\"\"y\" ANY DEFAULT (1 + 1) CHECK (\"x\"\"y\" IS NOT 0)) STRICT, WITHOUT ROWID;
";

#[test]
fn random_stores_come_out_row_by_row() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..40 {
        // Given tables with keys, columns, indexes and views of all kinds, of which some rows are gone again,
        let original = store(&format!("{}{VIEWS}", ddl(&KINDS)), "");
        for (table, _, columns) in KINDS {
            let written: Vec<_> = (0..random.usize(..200)).map(|_| row(&mut random, table, columns)).collect();
            insert(&original, table, columns, &written);
            original.run(&format!("DELETE FROM {table} WHERE {} % 3 = 0", random.u8(..4)));
        }
        original.run("INSERT INTO \"or der\" VALUES ('a', 1), ('b', NULL)");
        // when a moment of it is copied, then it is all there.
        let relations = ["a", "b", "c", "d", "e", "\"a \"\"view\"\"\"", "\"or der\""];
        let copy = copied(&original.store);
        assert_copies(&copy, &original, &relations);
        // And a copy of the same moment is the same, byte by byte.
        assert!(copied(&original.store).bytes() == copy.bytes(), "seed {seed}");
    }
}

#[test]
fn a_store_without_a_table_is_copied_too() {
    let original = store("", "");
    let copy = copied(&original.store);
    assert_copies(&copy, &original, &[]);
    assert!(copy.moment.bytes > 0);
}

#[test]
fn nothing_that_was_deleted_or_set_aside_is_in_the_file() {
    // Given a store with a secret that was deleted, and one among what is set aside,
    let original = store(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT; CREATE INDEX i ON t (note)",
        "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 5000)
         INSERT INTO t SELECT id, 'secret ' || id FROM n;
         DELETE FROM t WHERE id % 7 > 0; UPDATE t SET note = 'known ' || id;",
    );
    let set_aside = "INSERT INTO laterna_sequences VALUES ('s', 1, 'c', 'secret', 'secret', 't', 's', 'm', 1, 1, 1, 1)";
    original.run(set_aside);
    // when it is copied, then the file knows neither.
    let copy = copied(&original.store);
    assert_copies(&copy, &original, &["t"]);
    assert!(!copy.bytes().windows(6).any(|word| word == b"secret"));
    assert!((copy.bytes().len() as u64) < copy.moment.bytes / 2, "it is packed anew");
}

/// Says so when it goes, also where something failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn it_is_one_moment_of_a_store_that_is_written() {
    // Given a store in which each commit leaves two tables with one figure, that of its position,
    let ddl = "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER) STRICT; CREATE TABLE b (id INTEGER PRIMARY KEY, n INTEGER) STRICT;
               CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER) STRICT";
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("1.db"), ddl, "it", &Limits::default()).expect("a store");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (writing, over, _end) = (store.clone(), &over, End(&over));
        scope.spawn(move || {
            let mut session = writing.fold(Durability::Building).expect("a session");
            let fill = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 3000) INSERT INTO b SELECT id, 0 FROM n";
            session.connection().execute_batch(fill).expect("rows");
            let mut position: i64 = 0;
            while !over.load(Ordering::Relaxed) {
                position += 1;
                session.begin().expect("it is free");
                let sql = "INSERT OR REPLACE INTO a VALUES (1, ?1)";
                session.connection().execute(sql, [position]).expect("a row");
                session.connection().execute("INSERT OR REPLACE INTO c VALUES (1, ?1)", [position]).expect("a row");
                session.commit(position.cast_unsigned()).expect("it is written");
                writing.report(Progress { written: position.cast_unsigned(), applied: position.cast_unsigned() });
            }
        });
        // when it is copied all the while,
        for _ in 0..50 {
            let known = store.progress().applied;
            let copy = copied(&store);
            // then each copy is of one position, that it says, and no earlier one than was known.
            let open = copy.open();
            for table in ["a", "c"] {
                let found =
                    open.query_one(&format!("SELECT max(n) FROM {table}"), [], |row| row.get::<_, Option<i64>>(0));
                assert_eq!(found.expect("a figure").unwrap_or(0).cast_unsigned(), copy.moment.position, "{table}");
            }
            assert!(copy.moment.position >= known);
        }
    });
}

/// A million rows, and two indexes.
fn million() -> Written {
    let ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, status TEXT NOT NULL, total INTEGER NOT NULL, \
               share REAL NOT NULL, note TEXT) STRICT;
               CREATE INDEX by_customer ON t (customer); CREATE INDEX by_total ON t (total DESC, id)";
    store(
        ddl,
        "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000000)
         INSERT INTO t SELECT id, 'customer-' || (id % 9973), 'delivered', id * 100, id / 7.0, NULL FROM n;",
    )
}

#[test]
fn whoever_asked_may_abandon_it() {
    let original = million();
    // When it is not wanted any more, before it begins or after some looks, then it ends with that,
    let folder = tempfile::tempdir().expect("a folder");
    let refused = export(&original.store, &folder.path().join("0.db"), |_| Err(Stop::Unwanted), || Ok(()));
    assert!(matches!(refused, Err(Stop::Unwanted)), "{refused:?}");
    for looks in [0, 1, 100] {
        let asked = Arc::new(AtomicU64::new(0));
        let asking = Arc::clone(&asked);
        let go_on = move || {
            if asking.fetch_add(1, Ordering::Relaxed) < looks { Ok(()) } else { Err(Stop::Unwanted) }
        };
        let abandoned = export(&original.store, &folder.path().join(format!("{looks}-.db")), |_| Ok(()), go_on);
        assert!(matches!(abandoned, Err(Stop::Unwanted)), "{abandoned:?}");
        assert_eq!(asked.load(Ordering::Relaxed), looks + 1);
    }
    // and the store is as it was.
    original.run("DELETE FROM t WHERE id > 10");
    assert_copies(&copied(&original.store), &original, &["t"]);
}

#[test]
fn a_million_rows_beside_what_sqlite_does_itself() {
    let original = million();
    let source = Connection::open(original.store.path()).expect("the store");
    // Both take turns; the figures are for people.
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let copy = copied(&original.store);
        let took = begun.elapsed().as_secs_f64();
        let vacuum = copy.folder.path().join("vacuum.db").display().to_string();
        let begun = std::time::Instant::now();
        source.execute("VACUUM INTO ?1", [vacuum.as_str()]).expect("it is copied");
        let vacuumed = begun.elapsed().as_secs_f64();
        let megabytes = |path: &Path| std::fs::metadata(path).expect("a file").len() as f64 / 1e6;
        let (ours, sqlites) = (megabytes(&copy.file()), megabytes(Path::new(&vacuum)));
        eprintln!(
            "copied {ours:.1} MB, {:.0} MB/s; VACUUM INTO {sqlites:.1} MB, {:.0} MB/s",
            ours / took,
            sqlites / vacuumed
        );
        // It is packed as tightly.
        assert!(ours < sqlites * 1.02, "{ours} MB beside {sqlites} MB");
    }
    assert_copies(&copied(&original.store), &original, &["t"]);
}
