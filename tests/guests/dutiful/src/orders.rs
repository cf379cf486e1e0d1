//! What an event can tell an instance to do.

use laterna_sdk::dates::Timestamp;
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::time::Duration;

/// What an event finds, and what those that it finds are to do.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Orders {
    pub keys: Vec<Named>,
    #[serde(rename = "do")]
    pub orders: Vec<Order>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Named {
    Starts(String),
    Finds(String),
}

/// Something to be done, by all instances and versions or by some.
#[derive(Clone, Deserialize, Serialize)]
pub struct Order {
    /// The only instance that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The tag of the only version that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    #[serde(flatten)]
    pub deed: Deed,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    Append(Append),
    Schedule(Schedule),
    Cancel(String),
    Associate(String),
    Dissociate(String),
    End(bool),
    Fail(String),
    Panic(String),
    /// What is to be done when an effect is refused.
    Otherwise(Vec<Order>),
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Append {
    pub stream: String,
    #[serde(default, rename = "type")]
    pub of_type: Produced,
    /// `any`, `no-stream`, `stream-exists` or a revision.
    #[serde(default)]
    pub expected: Json,
    #[serde(default)]
    pub data: Map<String, Json>,
    /// It does not say who appends it, so that two versions append the same.
    #[serde(default)]
    pub untagged: bool,
    /// It tells whoever finds it the same orders again.
    #[serde(default)]
    pub again: bool,
    /// Bytes that it has besides.
    #[serde(default)]
    pub padding: usize,
    #[serde(default)]
    pub internal: bool,
}

/// A type that is appended.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
pub enum Produced {
    #[default]
    Done,
    Echoed,
    Checked,
    /// The manifest does not say that it is produced.
    Undeclared,
}

/// The event that is appended.
#[derive(Serialize)]
pub enum Appended {
    Done(Map<String, Json>),
    Echoed(Map<String, Json>),
    Checked(Map<String, Json>),
    Undeclared(Map<String, Json>),
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Schedule {
    pub timer: String,
    /// So long after the event.
    #[serde(default)]
    after_s: u64,
    /// At this moment instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every_s: Option<u64>,
    /// What is to be done when it fires.
    #[serde(default)]
    pub then: Vec<Order>,
}

impl Append {
    /// The effect of an instance that has seen so much.
    pub fn effect(&self, tag: &str, instance: &str, nth: usize, raw: &Event<'_>) -> Result<Effect> {
        let mut data = self.data.clone();
        data.extend([("instance".to_owned(), instance.into()), ("nth".to_owned(), nth.into())]);
        if !self.untagged {
            data.insert("by".to_owned(), tag.into());
        }
        if self.padding > 0 {
            data.insert("padding".to_owned(), "x".repeat(self.padding).into());
        }
        if self.again {
            let told: Map<String, Json> = raw.json()?;
            data.extend(told.into_iter().filter(|(name, _)| ["keys", "do"].contains(&name.as_str())));
        }
        let event = match self.of_type {
            Produced::Done => Appended::Done(data),
            Produced::Echoed => Appended::Echoed(data),
            Produced::Checked => Appended::Checked(data),
            Produced::Undeclared => Appended::Undeclared(data),
        };
        let effect = Effect::new(&self.stream, &event).expected(self.expected()?);
        Ok(if self.internal { effect.internal() } else { effect })
    }

    fn expected(&self) -> Result<Expected> {
        Ok(match &self.expected {
            Json::Null => Expected::Any,
            Json::Number(revision) => Expected::Revision(revision.as_u64().unwrap_or_default()),
            Json::String(text) if text == "any" => Expected::Any,
            Json::String(text) if text == "no-stream" => Expected::NoStream,
            Json::String(text) if text == "stream-exists" => Expected::StreamExists,
            other => return Err(Error::new(format_args!("nothing is expected by {other}"))),
        })
    }
}

impl Schedule {
    pub fn timer(&self) -> Timer {
        let timer = match self.at {
            Some(at) => Timer::at(&self.timer, at),
            None => Timer::after(&self.timer, Duration::from_secs(self.after_s)),
        };
        match self.every_s {
            Some(every) => timer.every(Duration::from_secs(every)),
            None => timer,
        }
    }
}
