//! CloudEvents in JSON: one as an object, several as an array.

use super::super::problem::Problem;
use super::attributes::{self, Attributes, DATA, bad};
use super::incoming::{self, Data, Rules};
use super::media_type::stored;
use crate::log::NewEvent;
use base64::Engine;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// The member that holds data that is bytes.
const DATA_BASE64: &str = "data_base64";

/// The members of an object as they were written: all of them, in order.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllMembers;

        impl<'de> Visitor<'de> for AllMembers {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a CloudEvent, which is an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(AllMembers)
    }
}

/// One event.
///
/// # Errors
/// It is not one, or not one that this host can store.
pub fn event(json: &[u8], rules: Rules<'_>) -> Result<(String, NewEvent), Problem> {
    let Members(members) = serde_json::from_slice(json).map_err(unreadable)?;
    let mut seen = HashSet::new();
    let mut attributes = Attributes::new();
    let mut data = None;
    let mut base64: Option<String> = None;
    for (name, json) in &members {
        if !seen.insert(name) {
            return Err(bad(format!("`{}` stands twice in one event", attributes::shown(name))));
        }
        match name.as_str() {
            DATA => data = Some(*json),
            DATA_BASE64 => base64 = text(json)?,
            name => {
                attributes::check_name(name)?;
                if let Some(value) = attributes::value(name, json)? {
                    attributes.insert(name.to_owned(), value);
                }
            }
        }
    }
    let data = one_of(data, base64.as_deref())?;
    incoming::event(attributes, data, rules)
}

/// Several events; a problem names the place of its event.
///
/// # Errors
/// One of them is not an event that this host can store.
pub fn events(json: &[u8], rules: Rules<'_>) -> Result<Vec<(String, NewEvent)>, Problem> {
    let events: Vec<&RawValue> = serde_json::from_slice(json).map_err(unreadable)?;
    let read = |(index, json): (usize, &RawValue)| {
        event(json.get().as_bytes(), rules).map_err(|problem| problem.with("event", index))
    };
    events.into_iter().enumerate().map(read).collect()
}

/// The type and the bytes to store of data that is written as a CloudEvent's, whatever it belongs to.
///
/// # Errors
/// It is not written so.
pub fn payload(
    json: Option<&RawValue>,
    base64: Option<&str>,
    content_type: Option<String>,
) -> Result<(String, Vec<u8>), Problem> {
    let content_type = content_type.unwrap_or_default();
    incoming::check_content_type(&content_type)?;
    let data = incoming::payload(one_of(json, base64)?, &content_type)?;
    Ok((stored(content_type), data))
}

fn one_of<'a>(json: Option<&'a RawValue>, base64: Option<&str>) -> Result<Data<'a>, Problem> {
    match (json, base64) {
        (Some(_), Some(_)) => Err(bad(format!("there are both `{DATA}` and `{DATA_BASE64}`; send one of them"))),
        (Some(json), None) => Ok(Data::Json(json)),
        (None, Some(base64)) => match base64::prelude::BASE64_STANDARD.decode(base64) {
            Ok(bytes) => Ok(Data::Bytes(bytes)),
            Err(error) => Err(bad(format!("`{DATA_BASE64}` is not Base64: {error}"))),
        },
        (None, None) => Ok(Data::None),
    }
}

/// The text that stands for bytes, if there is one.
fn text(json: &RawValue) -> Result<Option<String>, Problem> {
    serde_json::from_str(json.get()).map_err(|error| bad(format!("`{DATA_BASE64}` is not a text: {error}")))
}

fn unreadable(error: serde_json::Error) -> Problem {
    bad(format!("the body is not as it should be: {error}"))
}
