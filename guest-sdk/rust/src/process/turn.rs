use crate::dates::Timestamp;
use crate::{Error, Event, Json, Result};
use serde::Deserialize;

/// The type of the event that a timer comes as.
pub(crate) const FIRED: &str = "timer.fired";

/// The type of the event that a refused effect comes as.
pub(crate) const REFUSED: &str = "effect.refused";

/// An instance's turn: what happened, and to whom.
///
/// ```
/// use laterna_sdk::Turn;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// enum Shop {
///     OrderPaid { cents: i64 },
/// }
///
/// fn cents(turn: &Turn<'_, Shop>) -> i64 {
///     match turn.event() {
///         Some(Shop::OrderPaid { cents }) => *cents,
///         None => 0,
///     }
/// }
/// ```
pub struct Turn<'a, E> {
    instance: &'a str,
    raw: Event<'a>,
    happened: &'a Happened<E>,
}

impl<'a, E> Turn<'a, E> {
    pub(crate) fn new(instance: &'a str, raw: Event<'a>, happened: &'a Happened<E>) -> Self {
        Self { instance, raw, happened }
    }

    /// What the instance is called: the name of the [key](crate::Key) that it began with.
    ///
    /// ```
    /// # use laterna_sdk::Turn;
    /// fn stream<E>(turn: &Turn<'_, E>) -> String {
    ///     format!("order-{}", turn.instance())
    /// }
    /// ```
    pub fn instance(&self) -> &'a str {
        self.instance
    }

    /// What happened.
    ///
    /// ```
    /// # use laterna_sdk::{Happened, Turn};
    /// fn is_refusal<E>(turn: &Turn<'_, E>) -> bool {
    ///     matches!(turn.happened(), Happened::Refused(_))
    /// }
    /// ```
    pub fn happened(&self) -> &'a Happened<E> {
        self.happened
    }

    /// The event that happened, where it was one.
    ///
    /// ```
    /// # use laterna_sdk::Turn;
    /// # enum Shop { OrderPlaced, OrderCancelled }
    /// fn is_cancelled(turn: &Turn<'_, Shop>) -> bool {
    ///     matches!(turn.event(), Some(Shop::OrderCancelled))
    /// }
    /// ```
    pub fn event(&self) -> Option<&'a E> {
        match self.happened {
            Happened::Event(event) => Some(event),
            Happened::Fired(_) | Happened::Refused(_) => None,
        }
    }

    /// The timer of this name, where it fired.
    ///
    /// ```
    /// # use laterna_sdk::Turn;
    /// fn is_too_late<E>(turn: &Turn<'_, E>) -> bool {
    ///     turn.fired("payment").is_some()
    /// }
    /// ```
    pub fn fired(&self, timer: &str) -> Option<&'a Fired> {
        match self.happened {
            Happened::Fired(fired) if fired.timer == timer => Some(fired),
            Happened::Fired(_) | Happened::Event(_) | Happened::Refused(_) => None,
        }
    }

    /// What happened as it stands in the log: its position, id, stream and times.
    ///
    /// ```
    /// # use laterna_sdk::{Turn, dates::Timestamp};
    /// fn when<E>(turn: &Turn<'_, E>) -> Timestamp {
    ///     turn.raw().recorded()
    /// }
    /// ```
    pub fn raw(&self) -> &Event<'a> {
        &self.raw
    }
}

/// What an instance is told.
///
/// ```
/// use laterna_sdk::Happened;
///
/// fn named<E>(happened: &Happened<E>) -> &str {
///     match happened {
///         Happened::Event(_) => "an event",
///         Happened::Fired(fired) => &fired.timer,
///         Happened::Refused(refused) => &refused.code,
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Happened<E> {
    /// An event that the manager consumes.
    Event(E),
    /// A timer of the instance was due.
    Fired(Fired),
    /// The log refused an effect of the instance.
    Refused(Refused),
}

impl<'a, E: Deserialize<'a>> Happened<E> {
    pub(crate) fn read(raw: &Event<'a>) -> Result<Self> {
        match raw.event_type() {
            FIRED => raw.json().map(Self::Fired),
            REFUSED => raw.json().map(Self::Refused),
            _ => raw.decode().map(Self::Event),
        }
    }
}

/// A timer that was due.
///
/// ```
/// use laterna_sdk::{Fired, Turn};
///
/// fn days<E>(turn: &Turn<'_, E>) -> u64 {
///     turn.fired("daily").map_or(0, |fired| 1 + fired.missed)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fired {
    /// Its name.
    pub timer: String,
    /// When it was due. It fires then, or soon after.
    pub due_at: Timestamp,
    /// The position of the event that it was set by.
    pub set_by: u64,
    /// Counts up from 1, each time when it fires.
    pub occurrence: u64,
    /// How often it was due since, and did not fire.
    pub missed: u64,
}

/// An effect that the log refused.
///
/// ```
/// use laterna_sdk::{Action, Refused, Turn};
///
/// /// Somebody else was faster; that is as good.
/// fn is_there_already(refused: &Refused) -> bool {
///     refused.code == "wrong-expected-revision"
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Refused {
    /// The position of the event that led to the effect.
    pub position: u64,
    /// The effect's place among what the instance appended in that turn, from 0.
    pub ordinal: u32,
    /// The stable code of the refusal: `wrong-expected-revision`, for example.
    pub code: String,
    /// Why it was refused, in words for people.
    pub reason: String,
    /// The revision that its stream had, where it was not as it was expected to be: what to expect in the next attempt.
    #[serde(default)]
    pub revision: Option<u64>,
    /// What was to be appended.
    pub effect: RefusedEffect,
}

/// What was to be appended.
///
/// ```
/// use laterna_sdk::Refused;
///
/// fn about(refused: &Refused) -> &str {
///     &refused.effect.stream
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RefusedEffect {
    /// Its stream.
    pub stream: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its data.
    #[serde(default)]
    pub data: Json,
}

impl Refused {
    /// As an error, for a manager that cannot go on without its effect.
    ///
    /// ```
    /// # use laterna_sdk::{Refused, Result};
    /// fn give_up(refused: &Refused) -> Result<()> {
    ///     Err(refused.to_error())
    /// }
    /// ```
    pub fn to_error(&self) -> Error {
        let RefusedEffect { stream, event_type, .. } = &self.effect;
        Error::new(format_args!("{event_type} for the stream `{stream}` was refused ({}): {}", self.code, self.reason))
    }
}
