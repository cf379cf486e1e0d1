//! Looking up: single events, by their position or by their ids.

use super::event::StoredEvent;
use super::reader::{COLUMNS, Page, Reader, view};
use super::{Error, names};

impl Reader {
    /// The event at a position, if the log reaches so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn event_at(&mut self, position: u64) -> Result<Option<StoredEvent>, Error> {
        let Self { connection, names } = self;
        let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE position = ?1"))?;
        let mut rows = statement.query([i64::try_from(position).unwrap_or(i64::MAX)])?;
        rows.next()?.map(|row| view(row, connection, names).map(Into::into)).transpose()
    }

    /// The event that has this id in this source (empty for this host), if there is one.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn by_id(&mut self, source: &str, id: &str) -> Result<Option<StoredEvent>, Error> {
        let Self { connection, names } = self;
        let Some(source) = names::find(connection, source)? else {
            return Ok(None);
        };
        let mut statement =
            connection.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE id = ?1 AND source = ?2"))?;
        let mut rows = statement.query((id, source))?;
        rows.next()?.map(|row| view(row, connection, names).map(Into::into)).transpose()
    }

    /// A page of at most `limit` events of this host, and about `bytes`, whose ids are behind `after` and before `before`, in the
    /// order of their ids' bytes. The next page is behind the last one's id. Costs what stands in that range, not what the log holds.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn ids(&mut self, after: &str, before: &str, limit: usize, bytes: usize) -> Result<Page, Error> {
        let Self { connection, names } = self;
        let mut statement = connection.prepare_cached(&in_order_of_ids())?;
        let mut rows = statement.query((after, before, names::EMPTY))?;
        let mut page = Page { events: Vec::new(), more: false, through: 0 };
        let mut size = 0;
        while let Some(row) = rows.next()? {
            if page.events.len() == limit || size >= bytes {
                page.more = true;
                break;
            }
            let event = view(row, connection, names)?;
            size += event.data.len() + event.metadata.len();
            page.through = page.through.max(event.position);
            page.events.push(event.into());
        }
        Ok(page)
    }
}

/// The events of source `?3` whose ids are behind `?1` and before `?2`.
fn in_order_of_ids() -> String {
    format!("SELECT {COLUMNS} FROM events WHERE id > ?1 AND id < ?2 AND source = ?3 ORDER BY id")
}

#[cfg(test)]
mod tests {
    use super::super::{Import, Log, NewEvent, Options};
    use super::*;
    use std::path::Path;

    async fn log(folder: &Path) -> Log {
        let log = Log::open(&folder.join("log.db"), &Options::default()).expect("a log");
        let event = |source: &str, id: &str| Import {
            stream: format!("stream-{id}"),
            event: NewEvent {
                source: source.into(),
                id: Some(id.into()),
                module: "sales".into(),
                internal: true,
                occurred_at: Some("2010-12-01T08:26:00Z".into()),
                correlation_id: Some("all".into()),
                causation_id: Some("first".into()),
                metadata: b"{}".to_vec(),
                ..NewEvent::json("happened", format!("{id:?}"))
            },
            fault: None,
        };
        let here = ["b/2", "a", "b/10", "b/1", "c", "b/", "b0"].map(|id| event("", id));
        let afar = ["b/1", "b/11"].map(|id| event("afar", id));
        let events = afar.into_iter().chain(here).collect();
        log.import(events).await.expect("it is stored").expect("all of it");
        log
    }

    #[tokio::test]
    async fn an_event_is_found_by_its_position_and_by_its_id() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = log(folder.path()).await;
        let mut reader = log.reader().expect("a reader");
        let all =
            reader.page(0, log.head(), &super::super::Filter::default(), 100, usize::MAX).expect("it can be read");
        assert_eq!(all.events.len(), 9);
        for event in all.events {
            assert_eq!(reader.event_at(event.position).expect("it can be read").as_ref(), Some(&event));
            assert_eq!(reader.by_id(&event.source, &event.id).expect("it can be read"), Some(event));
        }
        for position in [0, 10, u64::MAX] {
            assert_eq!(reader.event_at(position).expect("it can be read"), None);
        }
        for (source, id) in [("", "b/11"), ("afar", "a"), ("unheard of", "a"), ("", "")] {
            assert_eq!(reader.by_id(source, id).expect("it can be read"), None, "{source} {id}");
        }
        log.close();
    }

    #[tokio::test]
    async fn ids_are_paged_in_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = log(folder.path()).await;
        let mut reader = log.reader().expect("a reader");
        for limit in 1..5 {
            let (mut after, mut seen) = ("b/".to_owned(), Vec::new());
            loop {
                let page = reader.ids(&after, "b0", limit, usize::MAX).expect("it can be read");
                assert!(page.events.len() <= limit && page.events.iter().all(|event| event.source.is_empty()));
                seen.extend(page.events.into_iter().map(|event| event.id));
                if !page.more {
                    break;
                }
                after.clone_from(seen.last().expect("there is one, as there are more"));
            }
            assert_eq!(seen, ["b/1", "b/10", "b/2"], "{limit} at a time");
        }
        let page = reader.ids("", "c", 100, 1).expect("it can be read");
        assert_eq!((page.events.len(), page.more), (1, true));
        let nothing = reader.ids("c", "z", 100, 1).expect("it can be read");
        assert_eq!((nothing.events.len(), nothing.more), (0, false));
        log.close();
    }

    #[tokio::test]
    async fn ids_are_found_by_their_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = log(folder.path()).await;
        let reader = log.reader().expect("a reader");
        let explained = format!("EXPLAIN QUERY PLAN {}", in_order_of_ids());
        let mut statement = reader.connection.prepare(&explained).expect("a plan");
        let steps = statement.query_map(("a", "b", 0), |row| row.get::<_, String>(3)).expect("a plan");
        let steps: Vec<String> = steps.collect::<Result<_, _>>().expect("a plan");
        assert_eq!(steps, ["SEARCH events USING INDEX events_by_id (id>? AND id<?)"]);
        drop(statement);
        log.close();
    }
}
