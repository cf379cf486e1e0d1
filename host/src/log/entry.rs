//! Entries: single events, each with what is stored in its place where the log refuses it.

use super::append::{Expected, Refusal};
use super::event::NewEvent;

/// One event, which comes to the log for good: as it is, or as what is stored [`otherwise`](Self::otherwise). Whichever it is, it
/// has this event's source and id, so that asking again changes nothing.
pub struct Entry {
    /// The stream that it is for.
    pub stream: String,
    /// What is taken for granted of the stream.
    pub expected: Expected,
    /// What happened. Where it has no id, it is given one.
    pub event: NewEvent,
    /// What whoever looked the event over has against it. It counts only where the id is new.
    pub fault: Option<Refusal>,
    /// What is stored where this is refused. It is asked on the thread that writes, while others wait: it answers at once.
    pub otherwise: Otherwise,
}

/// What is stored where an [`Entry`] is refused.
pub type Otherwise = Box<dyn FnOnce(&Refusal) -> Alternative + Send>;

/// What is stored in an entry's place, whatever its stream holds.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// The stream that it is for.
    pub stream: String,
    /// What happened. Its source and id are those of the entry.
    pub event: NewEvent,
}

/// What became of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// Its event was stored.
    Stored {
        /// Its place in the log.
        position: u64,
    },
    /// An event of its id stood in the log already: itself, its alternative, or another one. Nothing was stored.
    Known(Place),
    /// It was refused, and its alternative was stored.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The alternative's place in the log.
        position: u64,
    },
    /// It was refused, and so was its alternative. Nothing was stored.
    Lost {
        /// Why it was refused.
        refusal: Refusal,
        /// Why its alternative was.
        alternative: Refusal,
    },
}

/// Where an event stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Place in the log, from 1.
    pub position: u64,
    /// Its stream.
    pub stream: String,
    /// Place in its stream, from 0.
    pub revision: u64,
    /// Its type.
    pub event_type: String,
}

#[cfg(test)]
mod tests {
    use super::super::{Append, Log, Misfit, Options, StoredEvent, StreamAppend, Unfit};
    use super::*;
    use tempfile::TempDir;

    const REFUSALS: &str = "refusals";

    fn log() -> (TempDir, Log) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(&folder.path().join("log.db"), &Options::default()).expect("a log");
        (folder, log)
    }

    fn event(id: &str, event_type: &str) -> NewEvent {
        NewEvent { id: Some(id.into()), ..NewEvent::json(event_type, "{}") }
    }

    /// An entry whose refusal is stored in a stream of its own.
    fn entry(id: &str, stream: &str, expected: Expected) -> Entry {
        let otherwise = Box::new(|refusal: &Refusal| Alternative {
            stream: REFUSALS.into(),
            event: NewEvent::json("refused", serde_json::to_vec(&refusal.to_string()).expect("JSON")),
        });
        Entry { stream: stream.into(), expected, event: event(id, "done"), fault: None, otherwise }
    }

    fn unfit(stream: &str) -> Refusal {
        let misfit = Misfit { pointer: String::new(), message: "is none".into(), schema_pointer: None };
        let (schema, misfits) = ("done".to_owned(), vec![misfit]);
        Refusal::Unfit(Box::new(Unfit { stream: stream.into(), event: None, schema, misfits, more: 0 }))
    }

    async fn append(log: &Log, stream: &str, event: NewEvent) {
        let streams = vec![StreamAppend { stream: stream.into(), expected: Expected::Any, events: vec![event] }];
        log.append(Append { streams, fault: None }).await.expect("the log works").expect("it is taken");
    }

    async fn enter(log: &Log, entries: Vec<Entry>) -> Vec<Entered> {
        log.append_each(entries).await.expect("the log works")
    }

    fn everything(log: &Log) -> Vec<StoredEvent> {
        let mut reader = log.reader().expect("a reader");
        let page = reader.page(0, log.head(), &super::super::Filter::default(), usize::MAX, usize::MAX);
        page.expect("it can be read").events
    }

    /// What stands in the log, in short: stream, type and id.
    fn told(log: &Log) -> Vec<String> {
        let line = |event: StoredEvent| format!("{} {} {}", event.stream, event.event_type, event.id);
        everything(log).into_iter().map(line).collect()
    }

    fn known(position: u64, stream: &str, revision: u64, event_type: &str) -> Entered {
        Entered::Known(Place { position, stream: stream.into(), revision, event_type: event_type.into() })
    }

    #[tokio::test]
    async fn each_entry_ends_in_one_event_however_often_it_comes() {
        // Given a closed stream, one that has gone on, and an id that is taken
        let (_folder, log) = log();
        append(&log, "closed", event("a", "opened")).await;
        append(&log, "busy", event("b", "begun")).await;
        log.close_stream("closed".into()).await.expect("the log works").expect("it is there");
        let entries = || {
            let fault = Some(unfit("busy"));
            vec![
                entry("1", "new", Expected::NoStream),
                entry("2", "new", Expected::NoStream),
                entry("3", "closed", Expected::Any),
                Entry { fault, ..entry("4", "busy", Expected::Any) },
                entry("b", "elsewhere", Expected::Any),
                entry("5", "new", Expected::Revision(0)),
                entry("1", "new", Expected::Any),
            ]
        };

        // When entries come in one request
        let entered = enter(&log, entries()).await;

        // Then each is judged behind those before it, in order, and what was refused stands there in its own words
        let wrong =
            Refusal::WrongExpectedRevision { stream: "new".into(), expected: Expected::NoStream, current: Some(0) };
        let closed = Refusal::StreamClosed { stream: "closed".into() };
        let stored = |position| Entered::Stored { position };
        let refused = |refusal, position| Entered::Refused { refusal, position };
        let expected = [
            stored(3),
            refused(wrong.clone(), 4),
            refused(closed, 5),
            refused(unfit("busy"), 6),
            known(2, "busy", 0, "begun"),
            stored(7),
            known(3, "new", 0, "done"),
        ];
        assert_eq!(entered, expected);
        let stands = [
            "closed opened a",
            "busy begun b",
            "new done 1",
            "refusals refused 2",
            "refusals refused 3",
            "refusals refused 4",
            "new done 5",
        ];
        assert_eq!(told(&log), stands);
        assert_eq!(everything(&log)[3].data, serde_json::to_vec(&wrong.to_string()).expect("JSON"));

        // And when they come again, each is known as what it became, and nothing is stored
        let again = [
            known(3, "new", 0, "done"),
            known(4, REFUSALS, 0, "refused"),
            known(5, REFUSALS, 1, "refused"),
            known(6, REFUSALS, 2, "refused"),
            known(2, "busy", 0, "begun"),
            known(7, "new", 1, "done"),
            known(3, "new", 0, "done"),
        ];
        assert_eq!(enter(&log, entries()).await, again);
        assert_eq!(told(&log), stands);
        log.close();
    }

    #[tokio::test]
    async fn an_entry_whose_alternative_is_refused_leaves_nothing() {
        // Given that the stream of refusals is closed, too
        let (_folder, log) = log();
        append(&log, REFUSALS, event("a", "opened")).await;
        log.close_stream(REFUSALS.into()).await.expect("the log works").expect("it is there");

        // When one entry of three is refused
        let entries = vec![
            entry("1", "new", Expected::Any),
            entry("2", "new", Expected::NoStream),
            entry("3", "new", Expected::Any),
        ];
        let entered = enter(&log, entries).await;

        // Then it is told so with both reasons, and the others are stored
        let Entered::Lost { refusal, alternative } = &entered[1] else {
            panic!("{entered:?}");
        };
        assert!(matches!(refusal, Refusal::WrongExpectedRevision { .. }), "{refusal}");
        assert_eq!(*alternative, Refusal::StreamClosed { stream: REFUSALS.into() });
        assert_eq!([&entered[0], &entered[2]], [&Entered::Stored { position: 2 }, &Entered::Stored { position: 3 }]);
        assert_eq!(told(&log), ["refusals opened a", "new done 1", "new done 3"]);

        // And its id is still free
        let entered = enter(&log, vec![entry("2", "new", Expected::Any)]).await;
        assert_eq!(entered, [Entered::Stored { position: 4 }]);
        log.close();
    }

    #[tokio::test]
    async fn an_alternative_has_the_id_of_its_entry_whatever_it_says() {
        let (_folder, log) = log();
        append(&log, "new", event("a", "begun")).await;
        let otherwise = |_: &Refusal| Alternative { stream: REFUSALS.into(), event: event("another", "refused") };
        let from_afar = NewEvent { source: "afar".into(), ..event("1", "done") };
        let without_id = NewEvent { id: None, ..event("", "done") };
        let entry =
            |event: NewEvent| Entry { event, otherwise: Box::new(otherwise), ..entry("", "new", Expected::NoStream) };
        enter(&log, vec![entry(from_afar), entry(without_id.clone()), entry(without_id)]).await;
        let stored = everything(&log);
        assert_eq!((stored[1].source.as_str(), stored[1].id.as_str()), ("afar", "1"));
        assert_eq!((stored[2].source.as_str(), stored[2].id.len()), ("", 36));
        assert_eq!(stored.len(), 4);
        log.close();
    }

    #[tokio::test]
    async fn all_entries_of_a_request_become_durable_together() {
        let (_folder, log) = log();
        let before = log.groups();
        let entries = (0..100).map(|n| entry(&n.to_string(), &format!("s-{n}"), Expected::NoStream)).collect();
        let entered = enter(&log, entries).await;
        assert_eq!(entered, (1..=100).map(|position| Entered::Stored { position }).collect::<Vec<_>>());
        assert_eq!(log.groups(), before + 1);
        assert_eq!(enter(&log, Vec::new()).await, []);
        log.close();
    }
}
