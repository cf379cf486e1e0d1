//! Bodies, bounded.

use super::problem::{Code, Problem};
use axum::body::{Body, to_bytes};
use serde::de::DeserializeOwned;

/// Reads a body of JSON.
///
/// # Errors
/// It is too large, or not JSON of this shape; the problem names the place.
pub async fn json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, Problem> {
    let bytes = to_bytes(body, limit).await.map_err(|error| {
        if error.into_inner().is::<http_body_util::LengthLimitError>() {
            let detail = format!("the body has more than {limit} bytes. Split it, or raise `request_bytes`.");
            Problem::new(Code::RequestTooLarge, detail).with("limit_bytes", limit)
        } else {
            Problem::new(Code::BadRequest, "the body ended before it was complete; nothing was stored")
        }
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Code::BadRequest, format!("the body is not as it should be: {error}")))
}
