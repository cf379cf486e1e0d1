//! How fast builds were, and how long another one takes by that.

use super::{Count, Estimate, Measured};
use crate::release::control::{Record, Step};
use crate::release::releases::Component;
use serde_json::Value;

/// The figure of a step: events that the component was given.
pub const FOLDED: &str = "folded";

/// The figure of a step: those of them that are public.
pub const FOLDED_PUBLIC: &str = "folded_public";

/// A build of so many events tells how fast a component is, whatever is to be built; starting and sealing are little of it.
const ENOUGH: u64 = 1_000;

/// A smaller one tells it for so many times as many events.
const STRETCH: u64 = 10;

impl Measured {
    /// The newest build that tells how long this component takes for so many events: one of its own, or else of any other.
    pub(super) fn of<'a>(name: &str, components: impl Iterator<Item = &'a Component>, events: u64) -> Option<Self> {
        let builds = components.flat_map(|component| {
            let steps =
                component.releases.iter().flat_map(|record| record.steps.iter().map(move |step| (record, step)));
            steps.filter_map(|(record, step)| Some((step.id, Self::at(&component.name, record, step)?)))
        });
        let telling = builds.filter(|(_, build)| build.tells(events));
        telling.max_by_key(|(id, build)| (build.component == name, *id)).map(|(_, build)| build)
    }

    /// What was measured at a step, if it ended a build.
    fn at(component: &str, record: &Record, step: &Step) -> Option<Self> {
        let figure = |name: &str| step.figures.get(name).and_then(Value::as_u64);
        Some(Self {
            component: component.to_owned(),
            module: record.module.clone(),
            release: record.release,
            folded: figure(FOLDED)?,
            folded_public: figure(FOLDED_PUBLIC)?,
            seconds: step.figures.get("seconds").and_then(Value::as_f64)?,
        })
    }

    fn tells(&self, events: u64) -> bool {
        self.folded > 0 && (self.folded >= ENOUGH || events <= self.folded.saturating_mul(STRETCH))
    }

    /// How long it takes to fold so many events; of internal ones of its own it is told only inside its module.
    pub(super) fn estimate(&self, events: Count, is_inside: bool) -> Option<Estimate> {
        let folded = if is_inside { self.folded } else { self.folded_public };
        let rate = folded as f64 / self.seconds;
        (rate > 0.0).then(|| Estimate {
            seconds: events.count as f64 / rate,
            rate: rate.round(),
            from: format!("release {} of {}", self.release, self.component),
        })
    }
}
