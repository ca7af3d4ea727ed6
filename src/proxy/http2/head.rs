//! Heads between `h2` and ours.

use crate::proxy::answer::{Added, Answer};
use crate::proxy::request::Request;
use crate::proxy::trailers;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use plimsoll_core::protocol::forward::each_response_field;
use plimsoll_core::protocol::put::Text;
use plimsoll_core::protocol::{HeadError, HeadLimits, Known, RequestHead, ResponseHead};

/// A request's head as ours.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(
    parts: &http::request::Parts,
    end_of_stream: bool,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), HeadError> {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = parts.uri.authority().map_or("", http::uri::Authority::as_str);
    head.begin(parts.method.as_str().as_bytes(), target.as_bytes(), authority.as_bytes());
    for (name, value) in &parts.headers {
        head.push(name.as_str().as_bytes(), value.as_bytes())?;
    }
    head.finish_http2(end_of_stream, limits)
}

/// A target's answer.
#[must_use]
pub(super) fn write(request: &Request, head: &ResponseHead) -> Response<()> {
    let mut response = Response::new(());
    write_interim(head, &mut response);
    let headers = response.headers_mut();
    let mut added = request.worker.buffers.take_head();
    Added(request).put_to(&mut added);
    headers.extend(trailers::to_map(&added));
    request.worker.buffers.put_head(added);
    if head.known(Known::Date).is_none() {
        request.worker.with_date(|date| headers.extend(trailers::to_map(date)));
    }
    response
}

/// An interim answer, or what of an answer is the target's; its size, about.
pub(super) fn write_interim(head: &ResponseHead, response: &mut Response<()>) -> usize {
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    let mut size = 16;
    each_response_field(head, &mut |name, value| {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            size += name.as_str().len() + value.len();
            headers.append(name, value);
        }
    });
    size
}

/// The gateway's own answer, without its body.
#[must_use]
pub(super) fn write_own(request: &Request, answer: &Answer) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    request.worker.with_date(|date| headers.extend(trailers::to_map(date)));
    for (name, value) in &answer.fields {
        // Fields of a connection have no place in HTTP/2.
        if *name != "upgrade"
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    // One without a body is gRPC's, and says its end otherwise.
    if !answer.body.is_empty() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    }
    response
}
