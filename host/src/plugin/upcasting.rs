//! Older versions of events, led to the version that a component handles.

use super::batch::Batch;
use super::call::{CallError, Verdict};
use super::component::Upcaster;
use super::manifest::Manifest;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the events of a release come to the versions that its component handles: by upcasters, each a step of one version, as many as
/// it takes. Cheap to clone.
#[derive(Clone, Default)]
pub struct Upcasting {
    paths: Arc<BTreeMap<String, Path>>,
}

/// Where the events of a type are led.
#[derive(Default)]
struct Path {
    /// The version that the component handles; `None`: as far as there are steps.
    handled: Option<u32>,
    steps: Vec<Step>,
}

struct Step {
    from_version: u32,
    /// The module whose events it takes; empty for those of every module that has no step of its own.
    module: String,
    upcaster: Arc<Upcaster>,
}

impl Upcasting {
    /// For a component with this manifest, by these upcasters, each with its module.
    #[must_use]
    pub fn new(manifest: &Manifest, upcasters: Vec<(String, Upcaster)>) -> Self {
        let mut paths: BTreeMap<String, Path> = BTreeMap::new();
        for subscription in &manifest.consumes {
            if let (super::Selector::Type(name), Some(version)) = (&subscription.what, subscription.version) {
                paths.entry(name.clone()).or_default().handled = Some(version);
            }
        }
        for (module, upcaster) in upcasters {
            let upcaster = Arc::new(upcaster);
            for step in &upcaster.manifest().steps {
                let (from_version, module, upcaster) = (step.from_version, module.clone(), Arc::clone(&upcaster));
                let path = paths.entry(step.event_type.clone()).or_default();
                path.steps.push(Step { from_version, module, upcaster });
            }
        }
        Self { paths: Arc::new(paths) }
    }

    /// The batch with every event in the version that the component handles, without those that were dropped on the way.
    ///
    /// # Errors
    /// An upcaster fails, or an event cannot be led there.
    pub fn upcast<'b>(&self, batch: &'b Batch) -> Result<Cow<'b, Batch>, CallError> {
        let mut batch = Cow::Borrowed(batch);
        if self.paths.is_empty() {
            return Ok(batch);
        }
        // Each round brings every event that goes further by one version.
        loop {
            let mut groups: Vec<(&Arc<Upcaster>, Vec<usize>)> = Vec::new();
            for (index, shape) in batch.shapes().enumerate() {
                let Some(path) = self.paths.get(shape.event_type) else { continue };
                let Some(upcaster) = path.next(shape.schema_version, shape.module) else { continue };
                match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, upcaster)) {
                    Some((_, events)) => events.push(index),
                    None => groups.push((upcaster, vec![index])),
                }
            }
            if groups.is_empty() {
                break;
            }
            batch = Cow::Owned(round(&batch, &groups)?);
        }
        for shape in batch.shapes() {
            if let Some(handled) = self.paths.get(shape.event_type).and_then(|path| path.handled)
                && handled != shape.schema_version
            {
                return Err(Verdict::UnknownVersion {
                    position: shape.position,
                    event_type: shape.event_type.to_owned(),
                    version: shape.schema_version,
                    handled,
                }
                .into());
            }
        }
        Ok(batch)
    }
}

impl Path {
    /// The upcaster for an event of this version and module, where it goes further.
    fn next(&self, version: u32, module: &str) -> Option<&Arc<Upcaster>> {
        if self.handled.is_some_and(|handled| version >= handled) {
            return None;
        }
        let of = |wanted: &str| {
            self.steps
                .iter()
                .find(|step| step.from_version == version && step.module == wanted)
                .map(|step| &step.upcaster)
        };
        of(module).or_else(|| of(""))
    }
}

/// Brings the events of each group one version further.
fn round(batch: &Batch, groups: &[(&Arc<Upcaster>, Vec<usize>)]) -> Result<Batch, CallError> {
    let mut upcasted = BTreeMap::new();
    for (upcaster, events) in groups {
        let mut part = Batch::default();
        events.iter().for_each(|index| part.push_from(batch, *index));
        upcasted.extend(events.iter().copied().zip(upcaster.upcast(&part)?));
    }
    let mut next = Batch::default();
    for (index, mut event) in batch.iter().enumerate() {
        match upcasted.get(&index) {
            None => next.push(&event),
            Some(None) => {}
            Some(Some(data)) => {
                event.schema_version += 1;
                event.data = data;
                next.push(&event);
            }
        }
    }
    Ok(next)
}
