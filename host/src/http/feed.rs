//! Feeds over server-sent events: what they have in common, whatever they tell of.

use super::App;
use super::parameters::unfit;
use super::problem::{Code, Problem};
use crate::access::Caller;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// What a feed tells of.
pub trait Source: Send + 'static {
    /// The next thing to say, a heartbeat at the latest when it is due; `None` ends the feed.
    fn next(&mut self, heartbeat: Instant) -> impl Future<Output = Option<Event>> + Send;
}

/// A feed of what this source says. It ends with the host, and with the reader's token.
pub fn feed(app: &App, caller: Caller, source: impl Source) -> Result<Response, Problem> {
    let Ok(place) = Arc::clone(&app.host.followers).try_acquire_owned() else {
        let most = app.config().followers;
        return Err(Problem::new(Code::TooManyFollowers, format!("{most} feeds are followed; raise `followers`.")));
    };
    // A comment first, so that the reader has the answer's head at once, and knows that it is connected.
    let greeting = stream::once(async { Ok::<_, Infallible>(Event::default().comment("following")) });
    let follower = Follower { app: app.clone(), caller, source, last_said: Instant::now(), _place: place };
    let said = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(greeting.chain(said)).into_response())
}

struct Follower<S> {
    app: App,
    caller: Caller,
    source: S,
    last_said: Instant,
    _place: OwnedSemaphorePermit,
}

impl<S: Source> Follower<S> {
    async fn next(&mut self) -> Option<Event> {
        let heartbeat = self.last_said + self.app.config().heartbeat;
        let event = tokio::select! {
            biased;
            () = self.app.host.stop.cancelled() => None,
            () = self.app.host.tokens.revoked(&self.caller) => None,
            event = self.source.next(heartbeat) => event,
        }?;
        self.last_said = Instant::now();
        Some(event)
    }
}

/// What a reader saw last, who takes a feed up again: a number, `what` in words.
pub fn resumed(headers: &HeaderMap, what: &str) -> Result<Option<u64>, Problem> {
    let Some(seen) = headers.get("last-event-id").filter(|seen| !seen.is_empty()) else {
        return Ok(None);
    };
    let number = seen.to_str().ok().and_then(|seen| seen.parse().ok());
    // To begin from the start instead would show everything twice.
    let no_number = || unfit("Last-Event-ID", &String::from_utf8_lossy(seen.as_bytes()), what);
    number.ok_or_else(no_number).map(Some)
}
