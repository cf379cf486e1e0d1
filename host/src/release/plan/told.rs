//! What of a plan is for whom: what is internal to a module is told inside it only.

use super::{Change, Count, Estimate, Measured, Plan, Projection, Upcaster};
use crate::plugin::manifest::Subscription;
use crate::plugin::{Selector, Visibility};

/// Somebody to whom a plan is told.
pub trait Listener {
    /// Whether they are inside this module.
    fn is_inside(&self, module: &str) -> bool;

    /// Whether they may know that this module has events of this type.
    fn may_know(&self, module: &str, event_type: &str) -> bool;
}

impl Plan {
    /// What of it is for this listener, with the time that it is estimated to take; `None` where the read model, or the one that it
    /// takes the place of, is internal to a module that is not theirs. To others it is as if there were public events only.
    #[must_use]
    pub fn told_to(&self, listener: &impl Listener) -> Option<(Self, Option<Estimate>)> {
        let is_for = |visibility, module: &str| visibility == Visibility::Public || listener.is_inside(module);
        if self.against.as_ref().is_some_and(|against| !is_for(against.visibility, &against.module)) {
            return None;
        }
        let mut modules = vec![self.module.as_str()];
        modules.extend(self.against.as_ref().map(|against| against.module.as_str()));
        let may_know = |event_type: &str| modules.iter().all(|module| listener.may_know(module, event_type));
        let mut told = self.clone();
        let projection = match &mut told.change {
            Change::Projection(projection) => &mut **projection,
            Change::ProcessManager(process) => &mut process.projection,
            Change::Upcaster(Upcaster { steps, .. }) => {
                steps.retain(|step| may_know(&step.event_type));
                return Some((told, None));
            }
        };
        if !is_for(projection.visibility, &self.module) {
            return None;
        }
        projection.leave_out(may_know);
        let count = projection.leave_out_internal(listener.is_inside(&self.module));
        let by = |measured: &Measured, count| measured.estimate(count, listener.is_inside(&measured.module));
        let estimate = projection.measured.as_ref().zip(count).and_then(|(measured, count)| by(measured, count));
        projection.measured = None;
        Some((told, estimate))
    }
}

impl Projection {
    /// Leaves out subscriptions to types that may not be known.
    fn leave_out(&mut self, may_know: impl Fn(&str) -> bool) {
        let subscriptions = &mut self.subscriptions;
        let is_for = |subscription: &Subscription| match &subscription.what {
            Selector::Type(event_type) => may_know(event_type),
            Selector::Category(_) => true,
        };
        subscriptions.added.retain(is_for);
        subscriptions.removed.retain(is_for);
        subscriptions.changed.retain(|changed| may_know(&changed.event_type));
    }

    /// Leaves out that there are internal events, unless the listener is inside; answers how many events there are for them.
    fn leave_out_internal(&mut self, is_inside: bool) -> Option<Count> {
        let events = self.events.as_mut()?;
        if !is_inside {
            events.all = events.public;
        }
        Some(events.all)
    }
}
