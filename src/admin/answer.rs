//! What is answered: mostly JSON, always said not to be kept or guessed at.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// An answer.
pub(super) type Answer = Response<Body>;

const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// JSON, in lines: people read it too.
pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    // Values of strings, numbers, lists and maps can always be written.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    with(status, "application/json; charset=utf-8", text)
}

/// 200 with JSON.
pub(super) fn ok(value: &Value) -> Answer {
    json(StatusCode::OK, value)
}

/// A message, as Kong words an error.
pub(super) fn message(status: StatusCode, text: &str) -> Answer {
    json(status, &json!({"message": text}))
}

/// Not now: it should be asked again in a moment.
pub(super) fn later(text: &str) -> Answer {
    let mut answer = message(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// There is no such thing, in Kong's words.
pub(super) fn not_found() -> Answer {
    message(StatusCode::NOT_FOUND, "Not found")
}

/// Nothing to say.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    dress(answer)
}

/// Text of some type.
pub(super) fn with(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    dress(answer)
}

fn dress(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    answer
}
