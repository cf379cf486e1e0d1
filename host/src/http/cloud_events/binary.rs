//! The binary content mode of HTTP: attributes are headers, and the body is the data.

use super::super::problem::Problem;
use super::attributes::{self, Attributes, bad};
use super::incoming::{self, Data, Rules};
use crate::log::NewEvent;
use axum::http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// What the header of an attribute begins with.
const PREFIX: &str = "ce-";

/// The attribute that has a header of its own.
const CONTENT_TYPE: &str = "datacontenttype";

/// Whether a request has an attribute among its headers.
pub fn has_attributes(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PREFIX))
}

/// The event.
///
/// # Errors
/// It is not one, or not one that this host can store.
pub fn event(headers: &HeaderMap, body: Vec<u8>, rules: Rules<'_>) -> Result<(String, NewEvent), Problem> {
    let mut attributes = Attributes::new();
    for header in headers.keys() {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        if name == CONTENT_TYPE {
            return Err(bad(format!("there is a header `{header}`; the type of the data is the `Content-Type`")));
        }
        attributes::check_name(name)?;
        let mut values = headers.get_all(header).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(bad(format!("the header `{header}` stands twice")));
        };
        let value = decoded(value).map_err(|why| bad(format!("the header `{header}` {why}")))?;
        attributes::check_text(name, &value)?;
        attributes.insert(name.to_owned(), Value::String(value));
    }
    if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
        let content_type = content_type.to_str().map_err(|_| bad("the header `content-type` is not ASCII"))?;
        attributes.insert(CONTENT_TYPE.to_owned(), content_type.into());
    }
    incoming::event(attributes, Data::Bytes(body), rules)
}

/// An attribute from its header: quotes are undone first, where an older sender set them, then one round of percent-encoding.
fn decoded(value: &HeaderValue) -> Result<String, &'static str> {
    let text = value.to_str().map_err(|_| "is not ASCII; write other characters in percent-encoded UTF-8")?;
    let text = unquoted(text)?;
    let whole = text
        .split('%')
        .skip(1)
        .all(|part| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    if !whole {
        return Err("has a `%` without two hexadecimal digits; write it `%25`");
    }
    let text =
        percent_decode_str(&text).decode_utf8().map_err(|_| "is not UTF-8 once its percent-encoding is undone")?;
    Ok(text.into_owned())
}

/// A value without the quotes around it (RFC 7230, 3.2.6).
fn unquoted(text: &str) -> Result<String, &'static str> {
    const STRAY: &str = "has a stray double quote; write it `%22`";
    let Some(rest) = text.strip_prefix('"') else {
        return if text.contains('"') { Err(STRAY) } else { Ok(text.to_owned()) };
    };
    let mut plain = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next() {
            Some('"') if characters.as_str().is_empty() => return Ok(plain),
            Some('\\') => plain.push(characters.next().ok_or(STRAY)?),
            Some('"') | None => return Err(STRAY),
            Some(character) => plain.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_undone_and_then_percents_once() {
        for (header, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("%e2%82%ac", "€"),
            ("%61%2562", "a%62"),
            ("with space", "with space"),
            (r#""quoted""#, "quoted"),
            (r#""""#, ""),
            (r#""a \"b\" \\ c""#, r#"a "b" \ c"#),
            (r#""%22%5C""#, r#""\"#),
            (r"back\slash", r"back\slash"),
            ("%22", "\""),
        ] {
            assert_eq!(decoded(&HeaderValue::from_static(header)).as_deref(), Ok(expected), "{header}");
        }
        for header in ["100%", "%4", "%zz", "%C0%A0", "%FF", "%ED%A0%80", r#"""#, r#""a"#, r#"a""#, r#""a"b"#, r#""a\"#]
        {
            assert!(decoded(&HeaderValue::from_static(header)).is_err(), "{header}");
        }
        let beyond_ascii = HeaderValue::from_bytes("€".as_bytes()).expect("bytes that a header may have");
        assert!(decoded(&beyond_ascii).is_err());
    }
}
