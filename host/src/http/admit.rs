//! Whatever comes in is looked over at the edge, on the thread of its request. What is found travels with the event to the log, which
//! says it only of events that are new: a repeat is answered like the first time, even if a schema came since.

use super::App;
use super::problem::{Code, Problem};
use crate::log::{Misfit, NewEvent, Refusal, StreamAppend, Unfit};
use serde_json::{Value, json};

impl App {
    /// Looks an event over by the schemas in force, once it is known to which module it belongs: makes it internal where its type is,
    /// and answers what is to be said against it. `index` is its place in what came together.
    #[must_use]
    pub fn admit(&self, stream: &str, index: Option<usize>, event: &mut NewEvent) -> Option<Refusal> {
        self.host.schemas.current().admit(stream, index, event)
    }

    /// Looks the events of an append over, as [`admit`](Self::admit) does, and answers what is to be said against the first one that is
    /// at fault.
    #[must_use]
    pub fn admit_all(&self, streams: &mut [StreamAppend]) -> Option<Refusal> {
        let registry = self.host.schemas.current();
        let mut fault = None;
        for StreamAppend { stream, events, .. } in streams {
            for (index, event) in events.iter_mut().enumerate() {
                // The others go nowhere then.
                if fault.is_none() {
                    fault = registry.admit(stream, Some(index), event);
                }
            }
        }
        fault
    }
}

/// What is told to whoever sent an event that does not fit.
pub fn violation(unfit: &Unfit) -> Problem {
    let violations: Vec<Value> = unfit.misfits.iter().map(misfit).collect();
    let pointer = unfit.misfits.first().map_or("", |first| first.pointer.as_str());
    let detail =
        format!("{unfit}. Mend the event's data, or say of which `schema_version` it is; `GET /schemas` lists them.");
    let problem = Problem::new(Code::SchemaViolation, detail)
        .with("stream", unfit.stream.as_str())
        .with("schema", unfit.schema.as_str())
        .with("pointer", pointer)
        .with("violations", violations)
        .with("more", unfit.more);
    match unfit.event {
        Some(event) => problem.with("event", event),
        None => problem,
    }
}

fn misfit(misfit: &Misfit) -> Value {
    let Misfit { pointer, message, schema_pointer } = misfit;
    let mut told = json!({ "pointer": pointer, "message": message });
    if let Some(schema_pointer) = schema_pointer {
        told["schema_pointer"] = schema_pointer.as_str().into();
    }
    told
}
