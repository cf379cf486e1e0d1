//! Bodies, bounded: each by itself, and all that are read at once together.

use super::problem::{Code, Problem};
use super::{App, incoming};
use axum::body::{Body, HttpBody, to_bytes};
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;

/// Reads a body of JSON.
///
/// # Errors
/// It is too large, or not JSON of this shape; the problem names the place.
pub async fn json<T: DeserializeOwned>(app: &App, body: Body) -> Result<T, Problem> {
    let (bytes, _place) = bytes(app, body, app.config().request_bytes, "request_bytes").await?;
    // What reads an object here would also take an array of its members.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::new(Code::BadRequest, "the body is an array; it should be an object of JSON"));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Code::BadRequest, format!("the body is not as it should be: {error}")))
}

/// Reads a body of at most `limit` bytes; `setting` is the name of that limit. The bytes have their place until it is given back.
///
/// # Errors
/// It is too large, or it broke off.
pub async fn bytes<'a>(
    app: &'a App,
    body: Body,
    limit: usize,
    setting: &str,
) -> Result<(Vec<u8>, SemaphorePermit<'a>), Problem> {
    let size = body.size_hint().upper().and_then(|size| usize::try_from(size).ok()).unwrap_or(limit);
    let place = place(app, size.min(limit)).await?;
    let bytes = to_bytes(body, limit).await.map_err(|error| {
        let late = incoming::is_late(&error);
        if error.into_inner().is::<http_body_util::LengthLimitError>() {
            let detail = format!("the body has more than {limit} bytes. Send less, or raise `{setting}`.");
            Problem::new(Code::RequestTooLarge, detail).with("limit_bytes", limit)
        } else {
            broken_off(app, late, "Nothing was stored; send it again.")
        }
    })?;
    Ok((bytes.into(), place))
}

/// A body that did not come to its end; `then` says what became of what came, and what to do.
pub fn broken_off(app: &App, is_late: bool, then: &str) -> Problem {
    if is_late {
        let detail = format!("no more of the body came within {:?} (`body_ms`). {then}", app.config().body);
        return Problem::new(Code::RequestTooSlow, detail);
    }
    Problem::new(Code::BadRequest, format!("the body ended before it was complete. {then}"))
}

/// Waits for a place for so many bytes of a body.
///
/// # Errors
/// The host is being stopped.
pub async fn place(app: &App, bytes: usize) -> Result<SemaphorePermit<'_>, Problem> {
    // One that is larger than all places together waits until it has them for itself.
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(app.config().bodies_bytes);
    app.host.bodies.acquire_many(bytes).await.map_err(|_| crate::log::Error::Closed.into())
}
