//! What became of an effect: what stands in the log under its id says so.

use super::facts::{EFFECT_REFUSED, EffectRefused};
use super::{ids, streams};
use crate::log::{self, Reader, Sight, StoredEvent};
use serde::Serialize;

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Became {
    /// It stands in the log.
    Done {
        /// Where.
        position: u64,
    },
    /// The log refused it, and its instance was told.
    Refused {
        /// Where it was told so.
        position: u64,
        /// Why, by its stable name; `None` for those who may not see that event.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Why, in words.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It is to be done.
    Pending,
    /// What it followed from was history already when its release came to serve: it is not done.
    Suppressed,
    /// The log refused it, and the stream is closed in which its instance could have been told; or it followed from the refusal that cut a
    /// circle.
    Lost,
}

impl Became {
    /// What stands in the log of an effect, as far as it may be seen; `None` where nothing does.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn find(
        reader: &mut Reader,
        sight: &Sight,
        process: &str,
        position: u64,
        ordinal: usize,
        instance: &str,
    ) -> Result<Option<Self>, log::Error> {
        let Some(event) = reader.by_id("", &ids::effect(process, position, ordinal, instance))? else {
            return Ok(None);
        };
        let position = event.position;
        if event.event_type != EFFECT_REFUSED || !ids::is_reserved(&event.stream) {
            return Ok(Some(Self::Done { position }));
        }
        let told = may_see(sight, process, &event).then(|| serde_json::from_slice(&event.data).ok());
        let told: Option<EffectRefused> = told.flatten();
        let (code, reason) = told.map(|told| (told.code, told.reason)).unzip();
        Ok(Some(Self::Refused { position, code, reason }))
    }

    /// What becomes of an effect of which nothing stands in the log. What followed from events up to `acts_behind` was not its release's to
    /// do; what follows from those up to `done` is done.
    #[must_use]
    pub fn without_a_trace(position: u64, acts_behind: u64, done: u64) -> Self {
        match position {
            _ if position <= acts_behind => Self::Suppressed,
            _ if position <= done => Self::Lost,
            _ => Self::Pending,
        }
    }
}

/// Whether an event that a process reacted to, or was told, is for somebody who sees so much of the log and may look into the process.
#[must_use]
pub fn may_see(sight: &Sight, process: &str, event: &StoredEvent) -> bool {
    sight.sees(streams::is_secret(process, event.internal, &event.module, &event.stream), &event.module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_no_trace_was_history_or_is_to_be_done() {
        let became = |position| Became::without_a_trace(position, 10, 20);
        assert_eq!([9, 10].map(became), [Became::Suppressed, Became::Suppressed]);
        assert_eq!([11, 20].map(became), [Became::Lost, Became::Lost]);
        assert_eq!([21, 30].map(became), [Became::Pending, Became::Pending]);
        // One that has done nothing yet behind where it acts.
        assert_eq!(Became::without_a_trace(11, 10, 10), Became::Pending);
    }
}
