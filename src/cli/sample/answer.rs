//! What the sample answers, path by path.

use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// The page for people: it asks again and again, and shows who answered.
const PAGE: &str = include_str!("page.html");
/// Names the replica on every answer.
const REPLICA: HeaderName = HeaderName::from_static("x-replica");
/// `/bytes` comes in pieces of this size.
const PIECE: usize = 16 << 10;
/// The most that `/bytes` sends.
const BYTES_MAX: u64 = 4 << 30;
/// Bodies that nobody asked to have back are read and counted up to this.
const BODY_MAX: usize = 1 << 30;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Who answers, and how often it did.
pub(super) struct Replica {
    pub(super) name: String,
    header: HeaderValue,
    requests: AtomicU64,
    stopping: AtomicBool,
    /// What `/health` answers.
    health: AtomicU16,
}

impl Replica {
    pub(super) fn new(name: String) -> Self {
        let header = HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("unnamed"));
        let health = AtomicU16::new(StatusCode::OK.as_u16());
        Self { name, header, requests: AtomicU64::new(0), stopping: AtomicBool::new(false), health }
    }

    /// From now on, answers ask clients to go elsewhere with their next request.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn identity(&self, requests: u64) -> Value {
        json!({"replica": self.name, "pid": std::process::id(), "requests": requests})
    }
}

/// Answers one request.
pub(super) async fn answer(replica: &Replica, request: Request<Incoming>) -> Response<Body> {
    let version = request.version();
    let requests = replica.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let mut response = route(replica, request, requests).await;
    response.headers_mut().insert(REPLICA, replica.header.clone());
    if replica.stopping.load(Ordering::Relaxed) && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn route(replica: &Replica, request: Request<Incoming>, requests: u64) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let number = |name: &str, default: u64| parameter(&query, name).unwrap_or(default);
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/" if wants_html(&request) => typed("text/html; charset=utf-8", full(PAGE)),
        "/slow" => {
            let wait = drain(request);
            let sleep = sleep(Duration::from_millis(number("ms", 1_000)));
            tokio::join!(wait, sleep);
            as_json(&replica.identity(requests))
        }
        "/echo" => echo(request),
        "/headers" => as_json(&head_of(&request, replica.identity(requests))),
        "/health" => health(replica, &request, number("status", 0)),
        "/status" => with_status(number("code", 200), as_json(&replica.identity(requests))),
        "/sse" => events(&replica.name, number("n", 10), Duration::from_millis(number("ms", 1_000))),
        "/bytes" => bytes(number("n", 1 << 20).min(BYTES_MAX)),
        _ => {
            drain(request).await;
            as_json(&replica.identity(requests))
        }
    }
}

/// `POST /health?status=503` makes later `GET /health` answer that.
fn health(replica: &Replica, request: &Request<Incoming>, status: u64) -> Response<Body> {
    if request.method() == http::Method::POST
        && let Ok(status @ 200..600) = u16::try_from(status)
    {
        replica.health.store(status, Ordering::Relaxed);
        return typed("text/plain", full(format!("/health answers {status} from now on\n")));
    }
    let status = replica.health.load(Ordering::Relaxed);
    with_status(status.into(), typed("text/plain", full(if status < 300 { "well\n" } else { "not well\n" })))
}

/// The body as it comes, while it comes.
fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(body.boxed_unsync());
    for name in [CONTENT_TYPE, CONTENT_LENGTH] {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn head_of(request: &Request<Incoming>, mut identity: Value) -> Value {
    let field =
        |(name, value): (&HeaderName, &HeaderValue)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]);
    identity["method"] = request.method().as_str().into();
    identity["uri"] = request.uri().to_string().into();
    identity["version"] = format!("{:?}", request.version()).into();
    identity["headers"] = request.headers().iter().map(field).collect();
    identity
}

fn events(name: &str, count: u64, every: Duration) -> Response<Body> {
    let name = name.to_owned();
    let events = stream::unfold(0, move |sent| {
        let event = format!("id: {sent}\ndata: {{\"replica\":\"{name}\",\"event\":{sent}}}\n\n");
        async move {
            if sent > 0 {
                sleep(every).await;
            }
            (sent < count).then(|| (Ok(Frame::data(Bytes::from(event))), sent + 1))
        }
    });
    let mut response = typed("text/event-stream", StreamBody::new(events).boxed_unsync());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn bytes(count: u64) -> Response<Body> {
    let piece = Bytes::from_static(&[b'.'; PIECE]);
    let pieces = stream::unfold(count, move |left| {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let frame = (size > 0).then(|| (Ok(Frame::data(piece.slice(..size))), left - size as u64));
        async move { frame }
    });
    let mut response = typed("application/octet-stream", StreamBody::new(pieces).boxed_unsync());
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(count));
    response
}

/// Reads the body to its end, so that the connection can be used again.
async fn drain(request: Request<Incoming>) {
    let mut body = Limited::new(request.into_body(), BODY_MAX);
    while let Some(Ok(_)) = body.frame().await {}
}

fn wants_html(request: &Request<Incoming>) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn parameter(query: &str, name: &str) -> Option<u64> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

fn with_status(status: u64, mut response: Response<Body>) -> Response<Body> {
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    *response.status_mut() = status.filter(|status| status.as_u16() >= 200).unwrap_or(StatusCode::BAD_REQUEST);
    response
}

fn as_json(value: &Value) -> Response<Body> {
    typed("application/json", full(format!("{value}\n")))
}

fn typed(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_whole_name() {
        for (query, expected) in
            [("ms=20", Some(20)), ("n=1&ms=5", Some(5)), ("xms=5", None), ("ms=", None), ("", None)]
        {
            assert_eq!(parameter(query, "ms"), expected, "{query}");
        }
    }
}
