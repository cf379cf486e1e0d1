//! Attributes: how one may be called, and what it may be.

use super::super::problem::{Code, Problem};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Attributes of an event, in the order in which they were sent. One that is `null` is not there.
pub type Attributes = Map<String, Value>;

/// What the log has a place of its own for.
pub const MAPPED: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "correlationid",
    "causationid",
    "schemaversion",
];

/// What a host adds to the events that go out. Skipped where they come in, since they speak of another log.
pub const ADDED: [&str; 5] = ["position", "revision", "recordedtime", "module", "visibility"];

/// The member that holds an event's data. It is no attribute, and no attribute can be called so.
pub const DATA: &str = "data";

/// Whether an attribute can be called so.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty() && name.bytes().all(allowed) && name != DATA
}

/// Makes sure that an attribute can be called so.
///
/// # Errors
/// It cannot.
pub fn check_name(name: &str) -> Result<(), Problem> {
    if is_name(name) {
        return Ok(());
    }
    let name = shown(name);
    Err(bad(format!("no attribute can be called `{name}`: names are of a-z and 0-9, and `{DATA}` is not one of them")))
}

/// An attribute's value from JSON; `None` where it is `null`, which is as good as not being there.
///
/// # Errors
/// An attribute cannot be that.
pub fn value(name: &str, json: &RawValue) -> Result<Option<Value>, Problem> {
    let json = json.get();
    match json.bytes().next() {
        Some(b'n') => Ok(None),
        Some(b't' | b'f') => Ok(Some(Value::Bool(json == "true"))),
        Some(b'"') => {
            let text: String = serde_json::from_str(json).map_err(|error| bad(format!("`{name}`: {error}")))?;
            check_text(name, &text)?;
            Ok(Some(Value::String(text)))
        }
        Some(b'{' | b'[') => {
            Err(bad(format!("`{name}` is an object or an array; an attribute is a text, an integer or a boolean")))
        }
        // By its text: `1.0` and `1e3` are not integers here.
        _ => json.parse::<i32>().map(|number| Some(number.into())).map_err(|_| {
            bad(format!("`{name}` is not an integer from {} to {}: send another number as a text", i32::MIN, i32::MAX))
        }),
    }
}

/// Makes sure that a text has none of the characters that an attribute must not have.
///
/// # Errors
/// It has one.
pub fn check_text(name: &str, text: &str) -> Result<(), Problem> {
    match text.chars().find(|character| !is_allowed(*character)) {
        None => Ok(()),
        Some(character) => {
            let code = u32::from(character);
            Err(bad(format!(
                "`{name}` has the character U+{code:04X}: attributes have no control characters and no noncharacters"
            )))
        }
    }
}

/// Whether an attribute may have this character.
pub fn is_allowed(character: char) -> bool {
    let code = u32::from(character);
    let is_noncharacter = matches!(code, 0xFDD0..=0xFDEF) || code & 0xFFFE == 0xFFFE;
    !character.is_control() && !is_noncharacter
}

/// Makes sure that a text is a URI-reference (RFC 3986, 4.1).
///
/// # Errors
/// It is not.
pub fn check_uri_reference(name: &str, text: &str) -> Result<(), Problem> {
    match fluent_uri::UriRef::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(bad(format!("`{name}` is `{text}`, which is not a URI-reference: {error}"))),
    }
}

/// Whether a text is an absolute URI (RFC 3986, 4.3), which has a scheme and no fragment.
pub fn is_absolute_uri(text: &str) -> bool {
    fluent_uri::Uri::parse(text).is_ok_and(|uri| !uri.has_fragment())
}

/// So much of a text as a problem shows.
pub fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// What is said against a CloudEvent.
pub fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(Code::BadRequest, detail)
}
