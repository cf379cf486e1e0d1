use crate::bindings::process::exports::laterna::plugin::process as wit;
use crate::dates::Timestamp;
use crate::encode::encode;
use crate::{Error, Json, Result};
use serde::Serialize;
use std::time::Duration;

/// What an instance does.
///
/// ```
/// use laterna_sdk::Action;
/// use serde::Serialize;
/// use std::time::Duration;
///
/// #[derive(Serialize)]
/// enum Shipping {
///     ShipmentRequested { order_id: String },
/// }
///
/// let actions = [
///     Action::append("order-1042", &Shipping::ShipmentRequested { order_id: "1042".into() }),
///     Action::after("delivery", Duration::from_hours(72)),
///     Action::cancel("payment"),
/// ];
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Appends an event. Where the log refuses it, that is [told](crate::Happened::Refused) to the instance.
    Append(Effect),
    /// Sets a timer. One of the same name is replaced.
    Schedule(Timer),
    /// Takes back the timer of this name, if there is one.
    Cancel(String),
    /// From the next event on, the instance is found by this name.
    Associate(String),
    /// From the next event on, the instance is no longer found by this name. By its own it always is.
    Dissociate(String),
    /// The instance is forgotten, with its state, names and timers.
    End,
}

impl Action {
    /// Appends an event, a variant of an enum: its name is the type, its content is the data. [`Effect`] says more where more is to be
    /// said.
    ///
    /// ```
    /// # use laterna_sdk::Action;
    /// # #[derive(serde::Serialize)] enum Shipping { ShipmentRequested }
    /// let ship = Action::append("order-1042", &Shipping::ShipmentRequested);
    /// ```
    pub fn append(stream: impl Into<String>, event: &impl Serialize) -> Self {
        Self::Append(Effect::new(stream, event))
    }

    /// Sets a timer that is due so long after what happened was recorded.
    ///
    /// ```
    /// # use laterna_sdk::Action;
    /// # use std::time::Duration;
    /// let wait = Action::after("payment", Duration::from_mins(30));
    /// ```
    pub fn after(timer: impl Into<String>, duration: Duration) -> Self {
        Self::Schedule(Timer::after(timer, duration))
    }

    /// Sets a timer that is due at this moment: at once, if it has passed.
    ///
    /// ```
    /// # use laterna_sdk::{Action, dates::Timestamp};
    /// let wait = Action::at("payment", "2026-01-01T00:30:00Z".parse::<Timestamp>()?);
    /// # Ok::<(), laterna_sdk::Error>(())
    /// ```
    pub fn at(timer: impl Into<String>, moment: Timestamp) -> Self {
        Self::Schedule(Timer::at(timer, moment))
    }

    /// Takes back the timer of this name, if there is one.
    ///
    /// ```
    /// # use laterna_sdk::Action;
    /// let wait_no_longer = Action::cancel("payment");
    /// ```
    pub fn cancel(timer: impl Into<String>) -> Self {
        Self::Cancel(timer.into())
    }

    /// From the next event on, the instance is found by this name.
    ///
    /// ```
    /// # use laterna_sdk::Action;
    /// let hear_of_it = Action::associate("team-7");
    /// ```
    pub fn associate(name: impl Into<String>) -> Self {
        Self::Associate(name.into())
    }

    /// From the next event on, the instance is no longer found by this name.
    ///
    /// ```
    /// # use laterna_sdk::Action;
    /// let hear_of_it_no_longer = Action::dissociate("team-7");
    /// ```
    pub fn dissociate(name: impl Into<String>) -> Self {
        Self::Dissociate(name.into())
    }
}

impl From<Effect> for Action {
    fn from(effect: Effect) -> Self {
        Self::Append(effect)
    }
}

impl From<Timer> for Action {
    fn from(timer: Timer) -> Self {
        Self::Schedule(timer)
    }
}

/// An event to be appended. Its id and what it was caused by are set by the host.
///
/// ```
/// use laterna_sdk::{Action, Effect, Expected};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// enum Billing {
///     InvoiceOpened { order_id: String },
/// }
///
/// let opened = Billing::InvoiceOpened { order_id: "1042".into() };
/// let action: Action = Effect::new("invoice-1042", &opened).expected(Expected::NoStream).internal().into();
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    stream: String,
    /// Its type and data, or why it has none: told when it is to be appended, so that making it is no matter of `?`.
    event: Result<(&'static str, Json), String>,
    schema_version: u32,
    metadata: Option<Json>,
    internal: bool,
    expected: Expected,
}

impl Effect {
    /// An event, a variant of an enum, for this stream.
    ///
    /// ```
    /// # use laterna_sdk::Effect;
    /// # #[derive(serde::Serialize)] enum Shipping { ShipmentRequested }
    /// let effect = Effect::new("order-1042", &Shipping::ShipmentRequested);
    /// ```
    pub fn new(stream: impl Into<String>, event: &impl Serialize) -> Self {
        Self {
            stream: stream.into(),
            event: encode(event).map_err(|error| error.to_string()),
            schema_version: 1,
            metadata: None,
            internal: false,
            expected: Expected::Any,
        }
    }

    /// What it takes for granted of its stream; otherwise nothing.
    ///
    /// ```
    /// # use laterna_sdk::{Effect, Expected};
    /// # #[derive(serde::Serialize)] enum Shipping { ShipmentRequested }
    /// let effect = Effect::new("order-1042", &Shipping::ShipmentRequested).expected(Expected::StreamExists);
    /// ```
    #[must_use]
    pub fn expected(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// Only readers of the component's own module may read it.
    ///
    /// ```
    /// # use laterna_sdk::Effect;
    /// # #[derive(serde::Serialize)] enum Shipping { ShipmentRequested }
    /// let effect = Effect::new("order-1042", &Shipping::ShipmentRequested).internal();
    /// ```
    #[must_use]
    pub fn internal(self) -> Self {
        Self { internal: true, ..self }
    }

    /// The version of its type's shape; otherwise 1.
    ///
    /// ```
    /// # use laterna_sdk::Effect;
    /// # #[derive(serde::Serialize)] enum Shipping { ShipmentRequested }
    /// let effect = Effect::new("order-1042", &Shipping::ShipmentRequested).schema_version(2);
    /// ```
    #[must_use]
    pub fn schema_version(self, version: u32) -> Self {
        Self { schema_version: version, ..self }
    }

    /// What goes with it, a JSON object.
    ///
    /// ```
    /// # use laterna_sdk::{Effect, json};
    /// # #[derive(serde::Serialize)] enum Shipping { ShipmentRequested }
    /// let effect = Effect::new("order-1042", &Shipping::ShipmentRequested).metadata(json!({ "carrier": "snail" }));
    /// ```
    #[must_use]
    pub fn metadata(self, metadata: Json) -> Self {
        Self { metadata: Some(metadata), ..self }
    }

    pub(super) fn into_wit(self) -> Result<wit::Effect> {
        let told = |why| Error::new(format_args!("an effect for the stream `{}`: {why}", self.stream));
        let (event_type, data) = self.event.map_err(told)?;
        Ok(wit::Effect {
            stream: self.stream,
            event_type: event_type.into(),
            schema_version: self.schema_version,
            content_type: String::new(),
            data: data.to_string().into_bytes(),
            metadata: self.metadata.map_or_else(String::new, |metadata| metadata.to_string()),
            visibility: if self.internal { wit::Visibility::Internal } else { wit::Visibility::Public },
            expected: match self.expected {
                Expected::Any => wit::Expectation::Any,
                Expected::NoStream => wit::Expectation::NoStream,
                Expected::StreamExists => wit::Expectation::StreamExists,
                Expected::Revision(revision) => wit::Expectation::Revision(revision),
            },
        })
    }
}

/// What an effect takes for granted of its stream. Where that is not so, it is refused.
///
/// ```
/// use laterna_sdk::Expected;
///
/// let last = Expected::Revision(3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// There is none.
    NoStream,
    /// There is one.
    StreamExists,
    /// This is the revision of its last event.
    Revision(u64),
}

/// A deadline that an instance sets itself.
///
/// ```
/// use laterna_sdk::{Action, Timer};
/// use std::time::Duration;
///
/// const DAY: Duration = Duration::from_hours(24);
/// let action: Action = Timer::after("remind", DAY).every(DAY).into();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    name: String,
    due: Due,
    every: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    After(Duration),
    At(Timestamp),
}

impl Timer {
    /// Due so long after what happened was recorded. The name has from 1 to 32 bytes, without `:`.
    ///
    /// ```
    /// # use laterna_sdk::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::after("payment", Duration::from_mins(30));
    /// ```
    pub fn after(name: impl Into<String>, duration: Duration) -> Self {
        Self { name: name.into(), due: Due::After(duration), every: None }
    }

    /// Due at this moment: at once, if it has passed. The name has from 1 to 32 bytes, without `:`.
    ///
    /// ```
    /// # use laterna_sdk::{Timer, dates::Timestamp};
    /// let timer = Timer::at("payment", "2026-01-01T00:30:00Z".parse::<Timestamp>()?);
    /// # Ok::<(), laterna_sdk::Error>(())
    /// ```
    pub fn at(name: impl Into<String>, moment: Timestamp) -> Self {
        Self { name: name.into(), due: Due::At(moment), every: None }
    }

    /// Due again each time so long has passed, a second at least, until it is cancelled.
    ///
    /// ```
    /// # use laterna_sdk::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::after("remind", Duration::from_hours(24)).every(Duration::from_hours(24));
    /// ```
    #[must_use]
    pub fn every(self, duration: Duration) -> Self {
        Self { every: Some(duration), ..self }
    }

    pub(super) fn into_wit(self) -> Result<wit::Timer> {
        let due = match self.due {
            Due::After(duration) => wit::Due::After(microseconds(duration)?),
            Due::At(moment) => wit::Due::At(moment.as_microsecond()),
        };
        Ok(wit::Timer { name: self.name, due, every: self.every.map(microseconds).transpose()? })
    }
}

fn microseconds(duration: Duration) -> Result<u64> {
    Ok(u64::try_from(duration.as_micros())?)
}
