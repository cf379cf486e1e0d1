//! The disk that the other tests cut the power of loses what SQLite says may be lost, and nothing else.

use laterna_tests::random::seeded;
use laterna_tests::unsynced::Disk;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const CUTS: u64 = 200;

#[test]
fn in_wal_mode_only_full_synchronisation_keeps_what_was_committed() {
    assert!(cuts_that_lose("WAL", "OFF") > 0);
    assert!(cuts_that_lose("WAL", "NORMAL") > 0);
    assert_eq!(cuts_that_lose("WAL", "FULL"), 0);
}

/// "EXTRA provides additional durability if the commit is followed closely by a power loss": it syncs the folder once the
/// journal was deleted. <https://sqlite.org/pragma.html#pragma_synchronous>
#[test]
fn with_a_rollback_journal_a_commit_lasts_once_the_journal_is_certain_to_be_gone() {
    assert!(cuts_that_lose("DELETE", "OFF") > 0);
    assert!(cuts_that_lose("DELETE", "FULL") > 0);
    assert_eq!(cuts_that_lose("DELETE", "EXTRA"), 0);
}

#[test]
fn a_killed_process_loses_nothing_whatever_was_synced() {
    let mut rng = seeded("a_killed_process_loses_nothing");
    for _ in 0..CUTS {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        std::fs::create_dir(&image).unwrap();
        let target = image.clone();
        let committed = commit_many(place.path(), "WAL", "OFF", rng.u64(1..800), move |disk| drop(disk.kill(&target)));
        assert!(rows(&image) >= Some(committed));
    }
}

/// Of many power losses, those after which a committed row was missing or the database was broken.
fn cuts_that_lose(journal_mode: &str, synchronous: &str) -> usize {
    let mut rng = seeded(&format!("{journal_mode} {synchronous}"));
    let lost = (0..CUTS).filter(|_| {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        std::fs::create_dir(&image).unwrap();
        let (target, mut fork) = (image.clone(), rng.fork());
        let committed = commit_many(place.path(), journal_mode, synchronous, rng.u64(1..800), move |disk| {
            drop(disk.power_loss(&target, &mut fork));
        });
        rows(&image) < Some(committed)
    });
    let lost = lost.count();
    println!("journal_mode={journal_mode} synchronous={synchronous}: {lost} of {CUTS} cuts lost something");
    lost
}

/// Commits row after row, and checkpoints often. Answers with how many were committed before the witness was called.
fn commit_many(
    folder: &Path,
    journal_mode: &str,
    synchronous: &str,
    instant: u64,
    witness: impl FnOnce(&Disk) + Send + 'static,
) -> u64 {
    let disk = Disk::watch(folder);
    let committed = Arc::new(AtomicU64::new(0));
    let before = Arc::new(AtomicU64::new(0));
    disk.at_instant(instant, {
        let (committed, before) = (Arc::clone(&committed), Arc::clone(&before));
        move |disk| {
            before.store(committed.load(Ordering::SeqCst), Ordering::SeqCst);
            witness(disk);
        }
    });
    let connection = Connection::open(folder.join("rows.db")).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = {journal_mode};
             PRAGMA synchronous = {synchronous};
             PRAGMA wal_autocheckpoint = 20;
             CREATE TABLE rows (row INTEGER PRIMARY KEY, filler BLOB NOT NULL) STRICT;"
        ))
        .unwrap();
    while disk.instants() < instant {
        connection.execute("INSERT INTO rows (filler) VALUES (zeroblob(1500))", []).unwrap();
        committed.fetch_add(1, Ordering::SeqCst);
    }
    before.load(Ordering::SeqCst)
}

/// How many rows there are, the first ones without a gap; `None` where the database is broken.
fn rows(folder: &Path) -> Option<u64> {
    let connection = Connection::open(folder.join("rows.db")).ok()?;
    let number = |sql| connection.query_one(sql, [], |row| row.get::<_, i64>(0)).ok();
    let faults = number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'")?;
    let tables = number("SELECT count(*) FROM sqlite_schema WHERE name = 'rows'")?;
    let rows = if tables == 0 { 0 } else { number("SELECT count(*) FROM rows")? };
    let last = if tables == 0 { 0 } else { number("SELECT ifnull(max(row), 0) FROM rows")? };
    (faults == 0 && rows == last).then_some(rows.cast_unsigned())
}
