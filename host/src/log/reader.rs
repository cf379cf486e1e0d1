//! Reading: the events of a stream, or of the log in order from a position.

use super::event::{EventRef, StoredEvent};
use super::filter::{Filter, Listed, NumberedKind, Sight};
use super::judge;
use super::names::Names;
use super::{Error, schema};
use rusqlite::{Connection, Row};
use std::path::Path;

/// What a row of [`COLUMNS`] holds; `category` last, since only filters look at it.
pub(super) const COLUMNS: &str = "position, source, id, stream, revision, type, schema_version, module, internal, occurred_at, \
                       recorded_at, correlation_id, causation_id, content_type, data, metadata, category";

/// Ranges up to this many positions are read whole: looking an index up would cost more.
const SHORT_RANGE: u64 = 512;

/// An index is worth its detour where fewer than one event in so many is wanted.
const SPARSE: i64 = 8;

/// How many positions the index is asked for to find out how sparse the wanted events are.
const PROBE: i64 = 64;

/// Lists that one query merges; a filter with more of them reads the whole range.
const MERGED_LISTS: usize = 100;

/// A number that no name has.
const NO_MODULE: i64 = -1;

/// Reads the log. Each has a connection of its own, and is used by one thread at a time.
pub struct Reader {
    pub(super) connection: Connection,
    pub(super) names: Names,
}

/// The order of a stream's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From older to newer.
    Forwards,
    /// From newer to older.
    Backwards,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The events, in the order asked.
    pub events: Vec<StoredEvent>,
    /// There are more behind them.
    pub more: bool,
    /// The position up to which the log was looked at.
    pub through: u64,
}

/// How a [`Reader::scan`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// The position up to which the log was looked at: what is wanted up to there was seen.
    pub through: u64,
    /// The limit was reached before the end of the range.
    pub more: bool,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let connection = schema::open_reader(path)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { connection, names: Names::default() })
    }

    /// Visits the wanted events behind `after` and up to `up_to`, in order, until `visit` has enough of them and answers
    /// false; the event that it said that for was seen.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn scan(
        &mut self,
        after: u64,
        up_to: u64,
        filter: &Filter,
        mut visit: impl FnMut(EventRef<'_>) -> bool,
    ) -> Result<Scan, Error> {
        let Self { connection, names } = self;
        if after >= up_to {
            return Ok(Scan { through: up_to, more: false });
        }
        let wanted = filter.numbered(connection)?;
        let bounds = (after.cast_signed(), up_to.cast_signed());
        let lists = wanted.lists().filter(|lists| lists.len() <= MERGED_LISTS && up_to - after > SHORT_RANGE);
        let merged = lists.map(|lists| merge(&lists));
        if let Some(merged) = merged
            && is_sparse(connection, &merged, bounds)?
        {
            let mut positions = connection.prepare_cached(&merged)?;
            let mut positions = positions.query(bounds)?;
            let mut event = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE position = ?1"))?;
            while let Some(position) = positions.next()? {
                let position: i64 = position.get(0)?;
                let mut rows = event.query([position])?;
                if let Some(row) = rows.next()?
                    && wanted.wants(&kind(row)?)
                    && !visit(view(row, connection, names)?)
                {
                    return Ok(Scan { through: position.cast_unsigned(), more: true });
                }
            }
        } else {
            let mut events = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM events WHERE position > ?1 AND position <= ?2 ORDER BY position"
            ))?;
            let mut rows = events.query(bounds)?;
            while let Some(row) = rows.next()? {
                if wanted.wants(&kind(row)?) && !visit(view(row, connection, names)?) {
                    return Ok(Scan { through: row.get::<_, i64>(0)?.cast_unsigned(), more: true });
                }
            }
        }
        Ok(Scan { through: up_to, more: false })
    }

    /// How many wanted events stand behind `after` and up to `up_to`, counted no further than `at_most`. Rows are looked at only
    /// where an index does not say whether they are wanted, and never what the events carry.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn count(&mut self, after: u64, up_to: u64, filter: &Filter, at_most: u64) -> Result<u64, Error> {
        let connection = &self.connection;
        if after >= up_to {
            return Ok(0);
        }
        let wanted = filter.numbered(connection)?;
        if wanted.is_everything() {
            // Positions have no gaps.
            let last: Option<i64> = connection.query_one("SELECT max(position) FROM events", [], |row| row.get(0))?;
            let last = last.unwrap_or_default().cast_unsigned().min(up_to);
            return Ok(last.saturating_sub(after).min(at_most));
        }
        let bounds = (after.cast_signed(), up_to.cast_signed());
        let merged = wanted.lists().filter(|lists| lists.len() <= MERGED_LISTS).map(|lists| merge(&lists));
        let counted = match merged {
            Some(merged) if wanted.is_listed() => format!("SELECT 1 FROM ({merged})"),
            Some(merged) if is_sparse(connection, &merged, bounds)? => format!(
                "SELECT 1 FROM ({merged}) AS listed CROSS JOIN events NOT INDEXED USING (position) WHERE {}",
                wanted.condition()
            ),
            _ => format!(
                "SELECT 1 FROM events NOT INDEXED WHERE position > ?1 AND position <= ?2 AND ({})",
                wanted.condition()
            ),
        };
        let mut statement = connection.prepare_cached(&format!("SELECT count(*) FROM ({counted} LIMIT ?3)"))?;
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let count: i64 = statement.query_one((bounds.0, bounds.1, at_most), |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Whether what is wanted between `after` and `up_to` is so sparse that a scan looks only at that, by an index.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn is_sparse(&mut self, after: u64, up_to: u64, filter: &Filter) -> Result<bool, Error> {
        if up_to.saturating_sub(after) <= SHORT_RANGE {
            return Ok(false);
        }
        match filter.numbered(&self.connection)?.lists() {
            Some(lists) if lists.len() <= MERGED_LISTS => {
                is_sparse(&self.connection, &merge(&lists), (after.cast_signed(), up_to.cast_signed()))
            }
            _ => Ok(false),
        }
    }

    /// A page of at most `limit` wanted events, and about `bytes`, behind `after` and up to `up_to`.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn page(&mut self, after: u64, up_to: u64, filter: &Filter, limit: usize, bytes: usize) -> Result<Page, Error> {
        let mut events = Vec::new();
        let mut size = 0;
        let scan = self.scan(after, up_to, filter, |event| {
            size += event.data.len() + event.metadata.len();
            events.push(StoredEvent::from(event));
            events.len() < limit && size < bytes
        })?;
        Ok(Page { events, more: scan.more && scan.through < up_to, through: scan.through })
    }

    /// A page of a stream's events that `sight` may see, from revision `from` on, in this direction; `None` where there is no such
    /// stream.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn stream(
        &mut self,
        stream: &str,
        from: u64,
        direction: Direction,
        sight: &Sight,
        limit: usize,
        bytes: usize,
    ) -> Result<Option<Page>, Error> {
        let Self { connection, names } = self;
        if judge::last_revision(connection, stream)?.is_none() {
            return Ok(None);
        }
        let (compare, order) = match direction {
            Direction::Forwards => (">=", "ASC"),
            Direction::Backwards => ("<=", "DESC"),
        };
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE stream = ?1 AND revision {compare} ?2 ORDER BY revision {order}"
        ))?;
        let mut rows = statement.query((stream, i64::try_from(from).unwrap_or(i64::MAX)))?;
        let mut page = Page { events: Vec::new(), more: false, through: 0 };
        let mut size = 0;
        while let Some(row) = rows.next()? {
            let event = view(row, connection, names)?;
            if !sight.sees(event.internal, event.module) {
                continue;
            }
            if page.events.len() == limit || size >= bytes {
                page.more = true;
                break;
            }
            size += event.data.len() + event.metadata.len();
            page.through = page.through.max(event.position);
            page.events.push(event.into());
        }
        Ok(Some(page))
    }

    /// Whether any event of a stream can be seen.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn sees_any(&mut self, stream: &str, sight: &Sight) -> Result<bool, Error> {
        self.exists("stream = ?1 AND (NOT internal OR module = ?2 OR ?3)", stream, sight)
    }

    /// Whether every event of a stream can be seen.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn sees_all(&mut self, stream: &str, sight: &Sight) -> Result<bool, Error> {
        Ok(!self.exists("stream = ?1 AND internal AND module <> ?2 AND NOT ?3", stream, sight)?)
    }

    /// Whether there is such an event: of stream `?1`; `?2` is the module whose internal events are seen, `?3` whether all are.
    fn exists(&self, such: &str, stream: &str, sight: &Sight) -> Result<bool, Error> {
        let seen = sight.numbered(&self.connection)?;
        let (module, everything) = (seen.flatten().unwrap_or(NO_MODULE), seen.is_none());
        let mut statement = self.connection.prepare_cached(&format!("SELECT 1 FROM events WHERE {such}"))?;
        Ok(statement.exists((stream, module, everything))?)
    }

    /// Whether a stream was closed.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn is_closed(&mut self, stream: &str) -> Result<bool, Error> {
        judge::is_closed(&self.connection, stream)
    }
}

/// One query for the positions of several lists, in order, each once. SQLite merges the sorted parts as it steps.
fn merge(lists: &[Listed]) -> String {
    let parts: Vec<String> = lists
        .iter()
        .map(|list| {
            let (index, number) = match list {
                Listed::Type(number) => ("type", number),
                Listed::Category(number) => ("category", number),
            };
            format!(
                "SELECT position FROM events INDEXED BY events_by_{index} \
                 WHERE {index} = {number} AND position > ?1 AND position <= ?2"
            )
        })
        .collect();
    if parts.is_empty() {
        return "SELECT position FROM events WHERE false AND position > ?1 AND position <= ?2".to_owned();
    }
    format!("{} ORDER BY 1", parts.join(" UNION "))
}

fn is_sparse(connection: &Connection, merged: &str, bounds: (i64, i64)) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached(merged)?;
    let mut positions = statement.query(bounds)?;
    let mut last = bounds.0;
    for _ in 0..PROBE {
        let Some(row) = positions.next()? else {
            return Ok(true);
        };
        last = row.get(0)?;
    }
    Ok(last - bounds.0 > PROBE * SPARSE)
}

/// What a filter looks at in a row of [`COLUMNS`].
fn kind(row: &Row<'_>) -> Result<NumberedKind, Error> {
    Ok(NumberedKind { event_type: row.get(5)?, category: row.get(16)?, module: row.get(7)?, internal: row.get(8)? })
}

/// Shows a row of [`COLUMNS`] as an event.
pub(super) fn view<'a>(row: &'a Row<'_>, connection: &Connection, names: &'a mut Names) -> Result<EventRef<'a>, Error> {
    let [source, event_type, module, content_type]: [i64; 4] = [row.get(1)?, row.get(5)?, row.get(7)?, row.get(13)?];
    names.load(connection, [source, event_type, module, content_type])?;
    let text = |column| -> Result<&'a str, Error> {
        Ok(row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?.unwrap_or_default())
    };
    let blob = |column| -> Result<&'a [u8], Error> {
        Ok(row.get_ref(column)?.as_blob_or_null().map_err(rusqlite::Error::from)?.unwrap_or_default())
    };
    Ok(EventRef {
        position: row.get::<_, i64>(0)?.cast_unsigned(),
        source: names.get(source),
        id: text(2)?,
        stream: text(3)?,
        revision: row.get::<_, i64>(4)?.cast_unsigned(),
        event_type: names.get(event_type),
        schema_version: row.get(6)?,
        module: names.get(module),
        internal: row.get(8)?,
        occurred_at: row.get_ref(9)?.as_str_or_null().map_err(rusqlite::Error::from)?,
        recorded_at_us: row.get(10)?,
        correlation_id: text(11)?,
        causation_id: text(12)?,
        content_type: names.get(content_type),
        data: blob(14)?,
        metadata: blob(15)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Import, Log, NewEvent, Options, Which};
    use super::*;
    use fastrand::Rng;

    const TYPES: [&str; 4] = ["common", "usual", "rare", "unheard of"];
    const MODULES: [&str; 3] = ["", "sales", "stock"];

    async fn log(folder: &Path, random: &mut Rng, events: usize) -> Log {
        let log = Log::open(&folder.join("log.db"), &Options::default()).expect("a log");
        let event = |_| {
            let event_type = match random.u32(..1_000) {
                0..2 => TYPES[2],
                2..100 => TYPES[1],
                _ => TYPES[0],
            };
            let module = MODULES[random.usize(..3)].to_owned();
            let internal = random.u32(..5) == 0;
            let event = NewEvent { module, internal, ..NewEvent::json(event_type, vec![b'1'; 200]) };
            Import { stream: format!("{}-{}", TYPES[random.usize(..3)], random.u32(..500)), event, fault: None }
        };
        let events: Vec<Import> = (0..events).map(event).collect();
        for chunk in events.chunks(5_000) {
            log.import(chunk.to_vec()).await.expect("it is stored").expect("all of it");
        }
        log
    }

    fn some(random: &mut Rng, names: &[&str]) -> Vec<String> {
        names.iter().filter(|_| random.u32(..3) == 0).map(|name| (*name).to_owned()).collect()
    }

    fn filter(random: &mut Rng) -> Filter {
        let (types, categories, modules) = (some(random, &TYPES), some(random, &TYPES), some(random, &MODULES));
        let which = match random.u32(..3) {
            0 => Which::All,
            1 => Which::AnyOf { types, categories },
            _ => Which::AllOf { types, categories, modules },
        };
        let sight = match random.u32(..3) {
            0 => Sight::Everything,
            1 => Sight::Outside,
            _ => Sight::Inside([MODULES[random.usize(..3)], "nobody's"][random.usize(..2)].to_owned()),
        };
        Filter { which, sight }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn as_many_are_counted_as_are_seen() {
        let seed = fastrand::u64(..);
        println!("as_many_are_counted_as_are_seen: seed {seed}");
        let (mut random, folder) = (Rng::with_seed(seed), tempfile::tempdir().expect("a folder"));
        let log = log(folder.path(), &mut random, 10_000).await;
        let mut reader = log.reader().expect("a reader");
        for _ in 0..300 {
            let filter = filter(&mut random);
            let (after, up_to) = (random.u64(..10_100), random.u64(..10_100));
            let mut seen = 0;
            let scan = reader.scan(after, up_to, &filter, |_| {
                seen += 1;
                true
            });
            scan.expect("it can be read");
            for at_most in [u64::MAX, seen, seen + 1, seen / 2, 0] {
                let counted = reader.count(after, up_to, &filter, at_most).expect("it can be read");
                assert_eq!(counted, seen.min(at_most), "{filter:?} from {after} to {up_to}, at most {at_most}");
            }
        }
        log.close();
    }
}
