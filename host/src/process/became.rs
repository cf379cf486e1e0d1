//! What became of an effect: what stands in the log under its id says so.

use super::facts::{EFFECT_REFUSED, EffectRefused};
use super::ids;
use crate::log::{self, Reader, Sight};
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
    /// The log refused it, and the stream is closed in which its instance could have been told.
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
        let told = sight.sees(event.internal, &event.module).then(|| serde_json::from_slice(&event.data).ok());
        let told: Option<EffectRefused> = told.flatten();
        let (code, reason) = told.map(|told| (told.code, told.reason)).unzip();
        Ok(Some(Self::Refused { position, code, reason }))
    }
}
