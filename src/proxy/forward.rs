//! The request as a target gets it.

use super::client::printed;
use super::failure::Failure;
use super::request::Request;
use crate::snapshot::{HostRule, Service};
use http::{HeaderName, HeaderValue, Method, Uri, request::Parts};
use plimsoll_core::protocol::forward::{ForwardRequest, each_request_field, write_request};
use plimsoll_core::protocol::uri;
use plimsoll_core::upstream::Target;

/// The Host that a target is asked by.
#[must_use]
pub(crate) fn host<'a>(request: &'a Request, service: &'a Service, target: &'a Target) -> &'a [u8] {
    let preserve = request.route().is_some_and(|route| route.preserve_host);
    match &service.host {
        _ if preserve && !request.head.host().is_empty() => request.head.host(),
        HostRule::Target => target.name.as_bytes(),
        HostRule::Written(host) => host.as_bytes(),
    }
}

/// The head as bytes, for a target that speaks HTTP/1.1.
#[must_use]
pub(crate) fn request(request: &Request, service: &Service, target: &Target) -> Vec<u8> {
    let buffers = &request.worker.buffers;
    let mut out = buffers.take_head();
    with_forward(request, service, target, |forward| write_request(&request.head, forward, &mut out));
    out
}

/// The head as `h2` takes it, for a target that speaks HTTP/2.
///
/// # Errors
/// What HTTP/2 cannot carry.
pub(crate) fn request_parts(request: &Request, service: &Service, target: &Target) -> Result<Parts, Failure> {
    let parts = with_forward(request, service, target, |forward| {
        let scheme = if service.protocol.is_tls() { "https" } else { "http" };
        let mut full = forward.path.to_vec();
        if let Some(query) = forward.query {
            full.push(b'?');
            full.extend_from_slice(query);
        }
        let uri = Uri::builder().scheme(scheme).authority(forward.host).path_and_query(full).build().ok()?;
        let method = Method::from_bytes(request.head.method_bytes()).ok()?;
        let (mut parts, ()) = http::Request::builder().method(method).uri(uri).body(()).ok()?.into_parts();
        each_request_field(&request.head, forward, &mut |name, value| {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                parts.headers.append(name, value);
            }
        });
        Some(parts)
    });
    parts.ok_or(Failure::BadBody("a request that http/2 cannot carry"))
}

fn with_forward<T>(
    request: &Request,
    service: &Service,
    target: &Target,
    use_it: impl FnOnce(&ForwardRequest<'_>) -> T,
) -> T {
    let head = &request.head;
    let route = request.route();
    let (strip, v1) = route.map_or((false, false), |route| (route.strip_path, route.path_v1));
    let service_path = service.path.as_ref().map_or(&b"/"[..], |path| path.as_bytes());
    // Nothing to take off, put before or escape: most paths go on as they are.
    let as_it_is = head.target() == b"*" || (request.path_is_plain && !strip && service_path == b"/");
    let mut joined = None;
    if !as_it_is {
        let mut path = request.worker.buffers.take_head();
        uri::join_path(v1, Some(service_path), &request.path, request.matched, strip, &mut path);
        joined = Some(path);
    }
    let stripped = request.path.get(..request.matched).unwrap_or_default();
    let settings = request.settings();
    let behind = request.client.behind(head, settings).map(printed);
    let used = use_it(&ForwardRequest {
        path: joined.as_deref().unwrap_or(&request.path),
        query: head.query(),
        host: host(request, service, target),
        client: request.client.printed.as_bytes(),
        real_ip: behind.as_deref().unwrap_or(request.client.printed.as_bytes()),
        proto: request.client.scheme(),
        client_lines: &request.client.lines,
        forwarded_host: uri::split_host(head.host()).0,
        forwarded_port: request.client.port,
        forwarded_path: head.path(),
        prefix: (strip && stripped.len() > 1).then_some(stripped),
        trusted: request.client.trusted,
        via: settings.headers.via.then_some(request.worker.shared.via.as_bytes()),
        request_id: settings.headers.request_id.then_some(&request.record.id[..]),
        upgrade: head.upgrade,
        body: head.body,
        expect_continue: head.expect_continue,
    });
    if let Some(path) = joined {
        request.worker.buffers.put_head(path);
    }
    used
}
