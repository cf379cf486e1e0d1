//! Plans of releases, for who asks.

use super::App;
use super::reading::{may_know, may_read};
use crate::access::Caller;
use crate::release::{Component, Listener, Plan};
use crate::schemas::Registry;
use serde_json::{Value, json};
use std::sync::Arc;

/// Somebody who asks, with the schemas that say which types are internal.
struct Asker<'a> {
    caller: &'a Caller,
    schemas: Arc<Registry>,
}

impl Listener for Asker<'_> {
    fn is_inside(&self, module: &str) -> bool {
        self.caller.is_inside(module)
    }

    fn may_know(&self, module: &str, event_type: &str) -> bool {
        may_know(&self.schemas, self.caller, module, event_type)
    }
}

/// A plan as far as it is for who asks, with the time that it is estimated to take; null where nothing of it is.
pub fn plan_json(app: &App, caller: &Caller, component: Option<&Component>, plan: &Plan) -> Value {
    let live = component.and_then(|component| Some((component, component.live.as_ref()?)));
    if live.is_some_and(|(component, live)| !may_read(caller, component, live)) {
        return Value::Null;
    }
    let asker = Asker { caller, schemas: app.host.schemas.current() };
    let Some((plan, estimate)) = plan.told_to(&asker) else { return Value::Null };
    let mut shown = json!(plan);
    // Which build it is estimated by, the estimate says.
    if let Some(members) = shown.as_object_mut()
        && members.remove("measured").is_some()
    {
        members.insert("estimate".into(), json!(estimate));
    }
    shown
}
