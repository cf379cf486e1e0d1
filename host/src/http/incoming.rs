//! How bodies come in: in time, and to their end, also where nobody wants them.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_http::timeout::{TimeoutBody, TimeoutError};

/// Bytes of a body that are read although nobody wants them, and for how long: as many as clients send before they listen, so that
/// they hear the answer and can go on to use the connection.
const UNWANTED_BYTES: usize = 64 << 10;
const UNWANTED_TIME: Duration = Duration::from_secs(1);

/// Bounds how long more of a body is waited for, and reads what the handler left of it.
pub async fn receive(State(time): State<Duration>, request: Request, next: Next) -> Response {
    // Who waits to be told to go on has sent nothing yet, and to read would tell them to.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (left, mut unwanted) = oneshot::channel();
    let request = request.map(|body| {
        let announced = body.size_hint();
        Body::new(Incoming { body: Body::new(TimeoutBody::new(time, body)), announced, left: Some(left) })
    });
    let response = next.run(request).await;
    if let Ok(body) = unwanted.try_recv() {
        let mut unwanted = Limited::new(body, UNWANTED_BYTES);
        let read = async { while let Some(Ok(_)) = unwanted.frame().await {} };
        drop(timeout(UNWANTED_TIME, read).await);
    }
    response
}

/// Whether a body could not be read because no more of it came in time.
pub fn is_late(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<TimeoutError>())
}

/// A body that is handed on when its reader lets go of it before its end.
struct Incoming {
    body: Body,
    /// What its head says of its size, for as long as nothing of it was read.
    announced: SizeHint,
    /// Where the rest goes; nowhere once there is none.
    left: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.left = None;
        }
        self.announced = SizeHint::default();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.announced
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(left) = self.left.take() {
            // Where nobody waits for it any more, the connection is gone.
            drop(left.send(std::mem::take(&mut self.body)));
        }
    }
}
