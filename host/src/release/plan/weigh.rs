//! Bytes checked, and the events counted that they are to fold: what takes time of a plan.

use super::{Count, Events};
use crate::log::{self, Filter, Log, Reader, Sight};
use crate::plugin::{Limits, Loaded, Plugin};
use crate::projector::consumed;
use crate::release::component::{self, Checked, RejectError};
use crate::release::serving::Parts;

/// A component that was checked, with what it has to fold.
pub(in crate::release) struct Weighed {
    pub(in crate::release) checked: Checked,
    /// `None` for an upcaster, and where the log could not be read.
    pub(in crate::release) events: Option<Events>,
}

/// Checks bytes that are offered as this component, and counts what they are to fold. Blocks.
pub(in crate::release) fn weigh(
    parts: &Parts,
    name: &str,
    module: &str,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Weighed, RejectError> {
    let checked = component::check(&parts.engine, name, bytes, limits)?;
    let events = match &checked.component {
        // What is not known of the log is no reason to refuse a component.
        Loaded::Plugin(plugin) => count(&parts.log, plugin, module, parts.config.plan_events)
            .inspect_err(|error| tracing::warn!(component = name, %error, "its events could not be counted"))
            .ok(),
        Loaded::Upcaster(_) => None,
    };
    Ok(Weighed { checked, events })
}

fn count(log: &Log, plugin: &Plugin, module: &str, at_most: u64) -> Result<Events, log::Error> {
    let (mut reader, head) = (log.reader()?, log.head());
    let wanted = consumed(plugin.manifest(), module);
    let public = Filter { sight: Sight::Outside, ..wanted.clone() };
    let mut count = |filter: &Filter| count_up_to(&mut reader, head, filter, at_most);
    Ok(Events { all: count(&wanted)?, public: count(&public)?, head })
}

fn count_up_to(reader: &mut Reader, head: u64, filter: &Filter, at_most: u64) -> Result<Count, log::Error> {
    let counted = reader.count(0, head, filter, at_most.saturating_add(1))?;
    Ok(Count { count: counted.min(at_most), at_least: counted > at_most })
}
