//! An event that is to come to the log, looked over by the schemas in force.

use super::{Registry, Violation};
use crate::log::{Misfit, NewEvent, Refusal, Unfit};

impl Registry {
    /// Looks an event over, once it is known to which module it belongs: makes it internal where its type is, and answers what is to be
    /// said against it. `index` is its place in what came together.
    #[must_use]
    pub fn admit(&self, stream: &str, index: Option<usize>, event: &mut NewEvent) -> Option<Refusal> {
        event.internal |= self.is_to_be_internal(&event.module, &event.event_type);
        let NewEvent { event_type, schema_version, module, content_type, data, .. } = event;
        let violation = self.check(module, event_type, *schema_version, content_type, data).err()?;
        Some(refusal(stream, index, violation))
    }
}

fn refusal(stream: &str, event: Option<usize>, violation: Violation) -> Refusal {
    let Violation { file, faults, more } = violation;
    let misfit = |fault: super::Fault| Misfit {
        pointer: fault.pointer,
        message: fault.message,
        schema_pointer: fault.schema_pointer,
    };
    let misfits = faults.into_iter().map(misfit).collect();
    Refusal::Unfit(Box::new(Unfit { stream: stream.to_owned(), event, schema: file, misfits, more }))
}
