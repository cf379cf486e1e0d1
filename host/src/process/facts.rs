//! What Laterna tells an instance: events in its own stream, internal to the process's module.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The type of the event by which a timer fires.
pub const TIMER_FIRED: &str = "timer.fired";

/// The type of the event that tells that an effect was refused.
pub const EFFECT_REFUSED: &str = "effect.refused";

/// The data of [`TIMER_FIRED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerFired {
    /// The process manager.
    pub process: String,
    /// The instance.
    pub instance: String,
    /// The timer's name.
    pub timer: String,
    /// The position of the event that it was set by.
    pub set_by: u64,
    /// When it was due, in RFC 3339.
    pub due_at: String,
    /// From 1; it counts up where the timer has an interval.
    pub occurrence: u64,
    /// How often it was due since, and did not fire.
    pub missed: u64,
}

/// The data of [`EFFECT_REFUSED`].
#[derive(Debug, Serialize, Deserialize)]
pub struct EffectRefused {
    /// The process manager.
    pub process: String,
    /// The instance.
    pub instance: String,
    /// The position of the event that led to the effect.
    pub position: u64,
    /// The effect's place among the effects of that decision.
    pub ordinal: usize,
    /// Why, by its stable name.
    pub code: String,
    /// Why, in words.
    pub reason: String,
    /// The revision that its stream had, where it was not as it was expected to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The effect, as it is kept among the decisions.
    pub effect: Box<RawValue>,
}

/// Which instance a fact is for, whatever else it says.
#[derive(Debug, Deserialize)]
pub(super) struct Refused {
    pub(super) instance: String,
    pub(super) code: String,
}
