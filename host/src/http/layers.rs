//! What every request and every answer passes, whatever the route: those that there are not included.
//!
//! From the outside in, and why in this order:
//! * compression, so that what follows sees answers as they are;
//! * the request's id, which everything that follows may name; the access log, which so tells of every answer;
//! * CORS, before anybody is asked for a token: a browser's preflight shows none, and a page must be let to read refusals, too;
//! * panics, which become answers like others;
//! * bodies, in time and to their end.

use super::problem::{Code, Problem};
use super::{Origins, accept, answer, incoming};
use crate::access::Caller;
use crate::config;
use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::time::{Duration, SystemTime};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::{OnResponse, TraceLayer};
use tracing::Span;
use tracing::field::Empty;
use uuid::{Builder, Uuid};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a caller gives a request: more would fill logs.
const REQUEST_ID_CHARS: usize = 128;
/// Bytes of a path that are logged.
const PATH_BYTES: usize = 512;
/// Bytes from which on compressing is worth its time: less fits one packet anyway.
const COMPRESSED_BYTES: u64 = 1 << 10;
/// Time for which a browser may keep what a preflight answered.
const PREFLIGHT_AGE: Duration = Duration::from_secs(60 * 60);

/// Puts the layers around the routes.
pub fn around(router: Router, config: &config::Http) -> Router {
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(COMPRESSED_BYTES).and(is_text));
    let access = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_request(())
        .on_response(AccessLog { is_on: config.access_log })
        .on_body_chunk(())
        .on_eos(())
        .on_failure(());
    let layers = ServiceBuilder::new()
        .map_request(tidy)
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION]))
        .layer(compression)
        .layer(SetRequestIdLayer::new(REQUEST_ID, NewId))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(access)
        .option_layer(cors(&config.cors_origins))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(config.body, incoming::receive));
    router.layer(layers)
}

/// Takes away what is not to be listened to.
fn tidy(mut request: Request) -> Request {
    let ids: Vec<&HeaderValue> = request.headers().get_all(REQUEST_ID).iter().collect();
    if !ids.is_empty() && !matches!(ids[..], [id] if is_sane(id.as_bytes())) {
        request.headers_mut().remove(REQUEST_ID);
    }
    // Who accepts nothing that there is would hear 406 once everything is done. They are answered as all who do not want gzip.
    if accept::prefers_gzip(request.headers()) {
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    } else {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    request
}

/// Whether an id can stand in a line of a log.
fn is_sane(id: &[u8]) -> bool {
    let is_sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=~@".contains(byte);
    (1..=REQUEST_ID_CHARS).contains(&id.len()) && id.iter().all(is_sane)
}

/// An id that sorts by time, UUIDv7. Nobody needs to be kept from guessing one, so the system is not asked for randomness.
#[derive(Clone)]
struct NewId;

impl MakeRequestId for NewId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(now.as_millis()).unwrap_or_default();
        let mut random = [0; 10];
        fastrand::fill(&mut random);
        let id = Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        HeaderValue::from_str(id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())).ok().map(RequestId::new)
    }
}

/// What is said while a request is answered says by which. Parameters are left out: they are what people ask for.
fn span(request: &Request) -> Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    let path = &path[..path.floor_char_boundary(PATH_BYTES)];
    tracing::error_span!(target: "laterna::access", "request", id, method = %request.method(), path, token = Empty, module = Empty)
}

/// Says who asks, once that is known: never their secret.
pub fn tell_who(caller: &Caller) {
    let span = Span::current();
    if let Some(token) = caller.token() {
        span.record("token", token);
    }
    if let Some(module) = caller.module() {
        span.record("module", module);
    }
}

#[derive(Clone, Copy)]
struct AccessLog {
    is_on: bool,
}

impl<B: HttpBody> OnResponse<B> for AccessLog {
    fn on_response(self, response: &Response<B>, took: Duration, _: &Span) {
        if self.is_on {
            let (status, ms) = (response.status().as_u16(), took.as_secs_f64() * 1e3);
            // A feed has no size.
            let bytes = response.body().size_hint().exact();
            tracing::info!(target: "laterna::access", status, ms = format_args!("{ms:.1}"), bytes, "answered");
        }
    }
}

/// Pages of other origins, where they may ask at all.
fn cors(origins: &Origins) -> Option<CorsLayer> {
    let allowed = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::These(origins) if origins.is_empty() => return None,
        Origins::These(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    let exposed = [answer::POSITION, answer::RELEASE, HeaderName::from_static("laterna-count"), REQUEST_ID];
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        // Whichever are asked for: the attributes of a CloudEvent are headers of any name.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(
            exposed.into_iter().chain([header::ETAG, header::LINK, header::RETRY_AFTER]).collect::<Vec<_>>(),
        )
        .max_age(PREFLIGHT_AGE);
    Some(layer)
}

/// What shrinks, and is not said piece by piece: a feed's events would wait in the compressor for others.
fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let of_type = headers.get(header::CONTENT_TYPE).and_then(|of_type| of_type.to_str().ok()).unwrap_or_default();
    let essence = of_type.split(';').next().unwrap_or_default();
    essence.ends_with("json") || (essence.starts_with("text/") && essence != "text/event-stream")
}

/// The answer of a handler that gave up. The panic hook has said where.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(what = what.unwrap_or("it said nothing"), "the host made a mistake");
    let detail = "the host could not answer, by a mistake of its own. Its standard error says more under the request's id, \
                  which is in `X-Request-Id`. Whether anything was stored is open: repeat an append with the same ids.";
    Problem::new(Code::InternalError, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    #[tokio::test]
    async fn a_mistake_of_the_host_is_told_as_a_problem() {
        let broken = get(|| async {
            if true {
                panic!("seventeen is no colour");
            }
        });
        let config = Settings::default().complete(std::path::Path::new("/nowhere")).expect("the defaults are fine");
        let service = TowerToHyperService::new(around(Router::new().route("/", broken), &config.http));
        let request =
            Request::builder().uri("/").header("x-request-id", "it-17").body(Body::empty()).expect("a request");
        let answer = service.call(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["x-request-id"], "it-17");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = to_bytes(answer.into_body(), 1 << 16).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["type"], "/errors/internal-error");
        assert!(!body.to_string().contains("colour"), "its words are for the operator alone: {body}");
    }
}
