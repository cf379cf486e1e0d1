//! A CloudEvent from an event of the log.

use super::attributes::{ADDED, MAPPED, is_absolute_uri, is_allowed, is_name, value};
use super::json::Members;
use super::media_type::{is_json, is_text};
use crate::log::StoredEvent;
use crate::plugin::batch::rfc3339;
use base64::Engine;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;

/// The attribute that takes what of an event's metadata cannot be attributes.
const METADATA: &str = "metadata";

/// An event as it goes out.
pub struct CloudEvent<'a> {
    event: &'a StoredEvent,
    own_source: &'a str,
}

impl<'a> CloudEvent<'a> {
    /// This event; `own_source` is the name of this host.
    pub fn new(event: &'a StoredEvent, own_source: &'a str) -> Self {
        Self { event, own_source }
    }
}

impl Serialize for CloudEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.event;
        let recorded_at = rfc3339(event.recorded_at_us);
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("specversion", "1.0")?;
        out.serialize_entry("id", &attribute(&event.id))?;
        out.serialize_entry("source", if event.source.is_empty() { self.own_source } else { &event.source })?;
        out.serialize_entry("type", &attribute(&event.event_type))?;
        out.serialize_entry("subject", &attribute(&event.stream))?;
        out.serialize_entry("time", event.occurred_at.as_ref().unwrap_or(&recorded_at))?;
        let content_type = if event.content_type.is_empty() { "application/json" } else { &event.content_type };
        out.serialize_entry("datacontenttype", content_type)?;
        let metadata = Metadata::of(&event.metadata);
        for (name, value) in &metadata.attributes {
            out.serialize_entry(name, value)?;
        }
        if let Some(rest) = &metadata.rest {
            out.serialize_entry(METADATA, rest)?;
        }
        for (name, id) in [("correlationid", &event.correlation_id), ("causationid", &event.causation_id)] {
            if !id.is_empty() {
                out.serialize_entry(name, &attribute(id))?;
            }
        }
        match i32::try_from(event.schema_version) {
            Ok(version) => out.serialize_entry("schemaversion", &version)?,
            Err(_) => out.serialize_entry("schemaversion", &event.schema_version.to_string())?,
        }
        // Texts, since an integer of a CloudEvent has 32 bits.
        out.serialize_entry("position", &event.position.to_string())?;
        out.serialize_entry("revision", &event.revision.to_string())?;
        out.serialize_entry("recordedtime", &recorded_at)?;
        if !event.module.is_empty() {
            out.serialize_entry("module", &attribute(&event.module))?;
        }
        if event.internal {
            out.serialize_entry("visibility", "internal")?;
        }
        data(event, &mut out)?;
        out.end()
    }
}

/// The data, if there is any: JSON as it was written, text as text, anything else in Base64.
fn data<M: SerializeMap>(event: &StoredEvent, out: &mut M) -> Result<(), M::Error> {
    if is_json(&event.content_type)
        && let Ok(json) = serde_json::from_slice::<&RawValue>(&event.data)
    {
        return if json.get() == "null" { Ok(()) } else { out.serialize_entry("data", json) };
    }
    match std::str::from_utf8(&event.data) {
        Ok("") => Ok(()),
        Ok(text) if is_text(&event.content_type) => out.serialize_entry("data", text),
        _ => out.serialize_entry("data_base64", &base64::prelude::BASE64_STANDARD.encode(&event.data)),
    }
}

/// A text of the log as an attribute. The log takes characters that an attribute cannot have: a text with one of them has it, and
/// each `%`, percent-encoded.
fn attribute(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_allowed) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if is_allowed(character) && character != '%' {
            encoded.push(character);
        } else {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            encoded.extend(percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC));
        }
    }
    Cow::Owned(encoded)
}

/// An event's metadata, taken apart.
struct Metadata {
    attributes: Vec<(String, Value)>,
    /// What cannot be attributes, as JSON.
    rest: Option<String>,
}

impl Metadata {
    fn of(metadata: &[u8]) -> Self {
        let Ok(Members(members)) = serde_json::from_slice(metadata) else {
            let rest = std::str::from_utf8(metadata).ok().filter(|json| !json.is_empty()).map(json_text);
            return Self { attributes: Vec::new(), rest };
        };
        let mut seen = HashSet::new();
        let mut attributes = Vec::new();
        let mut rest = Vec::new();
        for (name, json) in members {
            match fitting(&name, json).filter(|_| seen.insert(name.clone())) {
                Some(value) => attributes.push((name, json, value)),
                None => rest.push((name, json)),
            }
        }
        if !rest.is_empty()
            && let Some(place) = attributes.iter().position(|(name, ..)| name == METADATA)
        {
            // Its name is needed for the rest.
            let (name, json, _) = attributes.remove(place);
            rest.push((name, json));
        }
        let attributes = attributes.into_iter().map(|(name, _, value)| (name, value)).collect();
        let rest = (!rest.is_empty()).then(|| object(&rest));
        Self { attributes, rest }
    }
}

/// A member of the metadata as an attribute, if it can be one.
fn fitting(name: &str, json: &RawValue) -> Option<Value> {
    if !is_name(name) || MAPPED.contains(&name) || ADDED.contains(&name) {
        return None;
    }
    let value = value(name, json).ok().flatten()?;
    let is_schema = || value.as_str().is_some_and(is_absolute_uri);
    if name == "dataschema" && !is_schema() { None } else { Some(value) }
}

fn object(members: &[(String, &RawValue)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, json)| format!("{}:{}", Value::from(name.as_str()), json.get())).collect();
    json_text(&format!("{{{}}}", members.join(",")))
}

/// JSON as an attribute. Control characters stand in JSON only between its tokens, where they are space; other characters that an
/// attribute cannot have stand only in strings, where they can be escaped.
fn json_text(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii_control() && character != '\u{7F}' {
            text.push(' ');
        } else if is_allowed(character) {
            text.push(character);
        } else {
            let mut units = [0; 2];
            text.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}
