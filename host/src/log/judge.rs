//! The verdict over one append, before anything of it is written.

use super::append::{Append, Appended, Expected, Import, Refusal, StreamAppend, StreamAppended};
use super::entry::Place;
use super::{Error, names};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashSet;

/// What is to be done with an append.
pub(super) enum Verdict {
    /// Everything is as expected: write it behind these revisions, one for each stream.
    Store(Vec<Option<u64>>),
    /// Nothing is to be written: the answer is known.
    Answer(Appended),
    /// It is refused.
    Refuse(Refusal),
}

/// Judges an append by the rules of the log: repeats by id first, over the whole list; then what was
/// said against its events; then each stream's expectation.
pub(super) fn judge(connection: &Connection, append: &Append, head: u64) -> Result<Verdict, Error> {
    let mut streams = HashSet::new();
    if let Some(twice) = append.streams.iter().find(|stream| !streams.insert(&stream.stream)) {
        return Ok(Verdict::Refuse(Refusal::StreamTwice { stream: twice.stream.clone() }));
    }
    if append.streams.iter().all(|stream| stream.events.is_empty()) {
        return nothing_to_append(connection, append, head).map(Verdict::Answer);
    }
    if let Some(verdict) = judge_ids(connection, append)? {
        return Ok(verdict);
    }
    if let Some(fault) = &append.fault {
        return Ok(Verdict::Refuse(fault.clone()));
    }
    let mut revisions = Vec::with_capacity(append.streams.len());
    for StreamAppend { stream, expected, events } in &append.streams {
        let judged = match events.is_empty() {
            true => judge_expectation(connection, stream, *expected)?,
            false => judge_stream(connection, stream, *expected)?,
        };
        match judged {
            Ok(last_revision) => revisions.push(last_revision),
            Err(refusal) => return Ok(Verdict::Refuse(refusal)),
        }
    }
    Ok(Verdict::Store(revisions))
}

/// The last revision of a stream that takes events, if it has any, where it is as expected.
pub(super) fn judge_stream(
    connection: &Connection,
    stream: &str,
    expected: Expected,
) -> Result<Result<Option<u64>, Refusal>, Error> {
    if is_closed(connection, stream)? {
        return Ok(Err(Refusal::StreamClosed { stream: stream.to_owned() }));
    }
    judge_expectation(connection, stream, expected)
}

fn judge_expectation(
    connection: &Connection,
    stream: &str,
    expected: Expected,
) -> Result<Result<Option<u64>, Refusal>, Error> {
    let current = last_revision(connection, stream)?;
    let holds = expected.holds(current);
    let wrong = || Refusal::WrongExpectedRevision { stream: stream.to_owned(), expected, current };
    Ok(holds.then_some(current).ok_or_else(wrong))
}

/// Judges by ids alone. `None`: every id is new.
fn judge_ids(connection: &Connection, append: &Append) -> Result<Option<Verdict>, Error> {
    let mut seen = HashSet::new();
    let mut known = None;
    let mut new = false;
    for stream in &append.streams {
        for event in &stream.events {
            let Some(id) = &event.id else {
                new = true;
                continue;
            };
            if !seen.insert((event.source.as_str(), id.as_str())) {
                return Ok(Some(conflict(id, "stands twice in one append")));
            }
            if is_known(connection, &event.source, id)? {
                known.get_or_insert(id);
            } else {
                new = true;
            }
        }
    }
    match known {
        None => Ok(None),
        Some(id) if new => Ok(Some(conflict(id, "is known, and other events of this append are new"))),
        Some(_) => repeat(connection, append).map(Some),
    }
}

/// Every id is known: a repeat where each stream's events stand in it, contiguous and in this order.
fn repeat(connection: &Connection, append: &Append) -> Result<Verdict, Error> {
    let mut answers = Vec::with_capacity(append.streams.len());
    let (mut first_position, mut last_position) = (u64::MAX, 0);
    for StreamAppend { stream, events, .. } in &append.streams {
        let mut answer =
            StreamAppended { stream: stream.clone(), first_position: None, last_position: None, last_revision: None };
        for event in events {
            let Some(place) = event.id.as_deref().map(|id| place(connection, &event.source, id)).transpose()?.flatten()
            else {
                continue;
            };
            let in_order = answer.last_revision.is_none_or(|last| place.revision == last + 1);
            if place.stream != *stream || !in_order {
                let id = event.id.as_deref().unwrap_or_default();
                return Ok(conflict(id, "is known in another stream, or in another order"));
            }
            answer.first_position.get_or_insert(place.position);
            answer.last_position = Some(place.position);
            answer.last_revision = Some(place.revision);
            first_position = first_position.min(place.position);
            last_position = last_position.max(place.position);
        }
        answers.push(answer);
    }
    for answer in answers.iter_mut().filter(|answer| answer.first_position.is_none()) {
        // As the first time, although the stream may have gone on since.
        answer.last_revision = last_revision_before(connection, &answer.stream, first_position)?;
    }
    Ok(Verdict::Answer(Appended { streams: answers, repeated: true, position: last_position }))
}

fn nothing_to_append(connection: &Connection, append: &Append, head: u64) -> Result<Appended, Error> {
    let mut streams = Vec::with_capacity(append.streams.len());
    for StreamAppend { stream, .. } in &append.streams {
        streams.push(StreamAppended {
            stream: stream.clone(),
            first_position: None,
            last_position: None,
            last_revision: last_revision(connection, stream)?,
        });
    }
    Ok(Appended { streams, repeated: false, position: head })
}

fn conflict(id: &str, problem: &'static str) -> Verdict {
    Verdict::Refuse(Refusal::IdConflict { id: id.to_owned(), problem })
}

/// What is to be said against an import that is stored as a whole, or not at all.
pub(super) fn judge_import(connection: &Connection, events: &[Import]) -> Result<Option<Refusal>, Error> {
    for Import { stream, event, fault } in events {
        let known = match &event.id {
            Some(id) => is_known(connection, &event.source, id)?,
            None => false,
        };
        if known {
            continue;
        }
        if fault.is_some() {
            return Ok(fault.clone());
        }
        if is_closed(connection, stream)? {
            return Ok(Some(Refusal::StreamClosed { stream: stream.clone() }));
        }
    }
    Ok(None)
}

/// Whether an event of this source has this id.
pub(super) fn is_known(connection: &Connection, source: &str, id: &str) -> Result<bool, Error> {
    let Some(source) = names::find(connection, source)? else {
        return Ok(false);
    };
    let mut statement = connection.prepare_cached("SELECT 1 FROM events WHERE id = ?1 AND source = ?2")?;
    Ok(statement.exists((id, source))?)
}

/// Where the event stands that has this id in this source, if there is one.
pub(super) fn place(connection: &Connection, source: &str, id: &str) -> Result<Option<Place>, Error> {
    let Some(source) = names::find(connection, source)? else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(
        "SELECT position, stream, revision, (SELECT name FROM names WHERE names.id = events.type)
         FROM events WHERE id = ?1 AND source = ?2",
    )?;
    let place = statement.query_one((id, source), |row| {
        Ok(Place {
            position: row.get::<_, i64>(0)?.cast_unsigned(),
            stream: row.get(1)?,
            revision: row.get::<_, i64>(2)?.cast_unsigned(),
            event_type: row.get::<_, Option<_>>(3)?.unwrap_or_default(),
        })
    });
    Ok(place.optional()?)
}

/// The revision of a stream's last event, if it has any.
pub(super) fn last_revision(connection: &Connection, stream: &str) -> Result<Option<u64>, Error> {
    let mut statement = connection.prepare_cached("SELECT max(revision) FROM events WHERE stream = ?1")?;
    let revision: Option<i64> = statement.query_one([stream], |row| row.get(0))?;
    Ok(revision.map(i64::cast_unsigned))
}

/// The revision of a stream's last event before a position, if it has any. Looks at few events, however long ago that was:
/// positions rise with revisions.
fn last_revision_before(connection: &Connection, stream: &str, position: u64) -> Result<Option<u64>, Error> {
    let mut statement = connection.prepare_cached("SELECT position FROM events WHERE stream = ?1 AND revision = ?2")?;
    let (mut before, mut not_before) = (0, last_revision(connection, stream)?.map_or(0, |last| last + 1));
    while before < not_before {
        let middle = before.midpoint(not_before);
        let at: i64 = statement.query_one((stream, middle.cast_signed()), |row| row.get(0))?;
        if at.cast_unsigned() < position {
            before = middle + 1;
        } else {
            not_before = middle;
        }
    }
    Ok(before.checked_sub(1))
}

/// Whether a stream was closed.
pub(super) fn is_closed(connection: &Connection, stream: &str) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM closed_streams WHERE stream = ?1")?;
    Ok(statement.exists([stream])?)
}
