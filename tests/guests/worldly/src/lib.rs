//! A component that wants to know the time and to read a file. There is neither where it runs.

use laterna_sdk::prelude::*;
use std::time::SystemTime;

#[derive(Default)]
struct Worldly;

impl Projection for Worldly {
    fn manifest() -> Manifest {
        Manifest::new("worldly", env!("CARGO_PKG_VERSION"))
            .describe("When each event was seen, and what the news was.")
            .schema(
                "CREATE TABLE seen (position INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, news TEXT NOT NULL) STRICT",
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let news = std::fs::read_to_string("/news.txt")?;
        store
            .execute("INSERT INTO seen VALUES (?1, ?2, ?3)", (event.position() as i64, since.as_secs() as i64, news))?;
        Ok(())
    }
}

laterna_sdk::export!(Worldly);
