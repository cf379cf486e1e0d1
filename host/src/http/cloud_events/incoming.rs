//! An event of the log from the attributes and the data of a CloudEvent.

use super::super::event_json::{check_json, check_name, check_reserved, check_size, check_stream, check_time};
use super::super::problem::Problem;
use super::attributes::{ADDED, Attributes, bad, check_uri_reference, is_absolute_uri, shown};
use super::media_type::{is_json, is_media_type, is_utf_8, stored};
use crate::log::NewEvent;
use serde_json::Value;
use serde_json::value::RawValue;

/// The data of an event, before it is known what its type says about it.
pub enum Data<'a> {
    /// There is none.
    None,
    /// A value in JSON.
    Json(&'a RawValue),
    /// Bytes; none of them is no data.
    Bytes(Vec<u8>),
}

/// What a host holds events to.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Its own name as a source: such an event is one of its own.
    pub own_source: &'a str,
    /// The module of who sends events; empty for none.
    pub module: &'a str,
    /// Bytes that data and metadata may have.
    pub event_bytes: usize,
}

/// The event, and the stream that it is for.
///
/// # Errors
/// It is not a CloudEvent, or not one that this host can store.
pub fn event(mut attributes: Attributes, data: Data<'_>, rules: Rules<'_>) -> Result<(String, NewEvent), Problem> {
    let version = required(&mut attributes, "specversion")?;
    if version != "1.0" {
        return Err(bad(format!("`specversion` is `{version}`; this host takes CloudEvents of version 1.0")));
    }
    let id = required(&mut attributes, "id")?;
    let source = required(&mut attributes, "source")?;
    check_uri_reference("source", &source)?;
    let event_type = required(&mut attributes, "type")?;
    let subject = name(&mut attributes, "subject")?;
    let occurred_at = text(&mut attributes, "time")?;
    if let Some(time) = &occurred_at {
        check_time("time", time)?;
    }
    let stream = subject.unwrap_or_else(|| source.clone());
    check_stream(&stream)?;
    let content_type = content_type(&mut attributes)?;
    let correlation_id = name(&mut attributes, "correlationid")?;
    let causation_id = name(&mut attributes, "causationid")?;
    let schema_version = schema_version(&mut attributes)?;
    match attributes.get("dataschema") {
        None => {}
        Some(Value::String(schema)) if is_absolute_uri(schema) => {}
        Some(schema) => {
            return Err(bad(format!(
                "`dataschema` is `{}`; it must be an absolute URI, without a fragment",
                shown(&said(schema))
            )));
        }
    }
    // What was internal elsewhere is not made public here.
    let internal = attributes.get("visibility").is_some_and(|visibility| visibility == "internal");
    for name in ADDED {
        attributes.shift_remove(name);
    }
    let metadata = if attributes.is_empty() { String::new() } else { Value::Object(attributes).to_string() };
    let data = payload(data, &content_type)?;
    let event = NewEvent {
        source: if source == rules.own_source { String::new() } else { source },
        id: Some(id),
        event_type,
        schema_version,
        module: rules.module.to_owned(),
        internal,
        occurred_at,
        correlation_id,
        causation_id,
        content_type: stored(content_type),
        data,
        metadata: metadata.into(),
    };
    if event.source.is_empty() {
        check_reserved("id", event.id.as_deref().unwrap_or_default())?;
    }
    check_size(&event, rules.event_bytes)?;
    Ok((stream, event))
}

/// The bytes to store: JSON as it was written, texts in UTF-8. Where there is no data, they are what says so in this type.
///
/// # Errors
/// The data is not what its type says.
pub fn payload(data: Data<'_>, content_type: &str) -> Result<Vec<u8>, Problem> {
    let is_json = is_json(content_type);
    match data {
        Data::Json(json) if is_json => {
            check_json("data", Some(json))?;
            Ok(json.get().into())
        }
        Data::Json(json) => {
            let text: String = serde_json::from_str(json.get())
                .map_err(|error| bad(format!("`data` is not a text, although it is `{content_type}`: {error}")))?;
            if !is_utf_8(content_type) {
                let detail = format!(
                    "`data` is a text, which is kept in UTF-8, and `datacontenttype` is `{content_type}`: send `data_base64`"
                );
                return Err(bad(detail));
            }
            Ok(text.into())
        }
        Data::Bytes(bytes) if !bytes.is_empty() => {
            if !is_json {
                return Ok(bytes);
            }
            let json: &RawValue = serde_json::from_slice(&bytes).map_err(|error| {
                bad(format!("the data is not JSON, and its type does not say that it is anything else: {error}"))
            })?;
            check_json("data", Some(json))?;
            Ok(json.get().into())
        }
        Data::None | Data::Bytes(_) if is_json => Ok("null".into()),
        Data::None | Data::Bytes(_) => Ok(Vec::new()),
    }
}

fn content_type(attributes: &mut Attributes) -> Result<String, Problem> {
    let Some(content_type) = name(attributes, "datacontenttype")? else {
        return Ok(String::new());
    };
    check_content_type(&content_type)?;
    Ok(content_type)
}

/// Makes sure that a type is one, or empty, where nothing is said.
///
/// # Errors
/// It is neither.
pub fn check_content_type(content_type: &str) -> Result<(), Problem> {
    if content_type.is_empty() || is_media_type(content_type) {
        return Ok(());
    }
    let content_type = shown(content_type);
    Err(bad(format!("the data's type is `{content_type}`, which is not a media type such as `text/plain`")))
}

fn schema_version(attributes: &mut Attributes) -> Result<u32, Problem> {
    let Some(version) = attributes.shift_remove("schemaversion") else {
        return Ok(1);
    };
    let text = said(&version);
    let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()) && !version.is_boolean());
    match number {
        Some(version) if version > 0 => Ok(version),
        _ => Err(bad(format!("`schemaversion` is `{}`; versions count from 1", shown(&text)))),
    }
}

/// An attribute that must be there, and can be a name in the log.
fn required(attributes: &mut Attributes, attribute: &str) -> Result<String, Problem> {
    name(attributes, attribute)?.ok_or_else(|| bad(format!("`{attribute}` is missing; a CloudEvent must have it")))
}

/// An attribute that can be a name in the log, if it is there.
fn name(attributes: &mut Attributes, name: &str) -> Result<Option<String>, Problem> {
    let text = text(attributes, name)?;
    check_name(name, text.as_deref())?;
    Ok(text)
}

fn text(attributes: &mut Attributes, name: &str) -> Result<Option<String>, Problem> {
    match attributes.shift_remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(bad(format!("`{name}` is {other}; it must be a text"))),
    }
}

/// A value as one says it.
fn said(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
