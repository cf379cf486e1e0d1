//! The shapes that answers have in common.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The position that an answer is as of, or that an append ended at.
pub const POSITION: HeaderName = HeaderName::from_static("laterna-position");
/// The number of the release that answered.
pub const RELEASE: HeaderName = HeaderName::from_static("laterna-release");

/// The number of rows of all pages.
pub const COUNT: HeaderName = HeaderName::from_static("laterna-count");

/// JSON with the position that it is as of.
pub fn at_position(status: StatusCode, position: u64, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(POSITION, HeaderValue::from(position));
    response
}

/// The address of a following page, on this host.
pub fn page_url(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    parameters.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        query.append_pair(name, value);
    });
    format!("{path}?{}", query.finish())
}

/// A name as one segment of a path.
pub fn path_segment(name: &str) -> String {
    // A form's encoding, but for the space, which a path writes otherwise.
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Whether a tag is among those of `If-None-Match` (RFC 9110, 13.1.2), compared weakly.
pub fn is_known<'h>(known: impl IntoIterator<Item = &'h HeaderValue>, tag: &str) -> bool {
    let opaque = |tag: &'h str| tag.strip_prefix("W/").unwrap_or(tag);
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let mut known = known.into_iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    known.any(|known| known.trim() == "*" || opaque(known.trim()) == tag)
}
