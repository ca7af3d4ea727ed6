//! A request's head: what its tokens mean, and what is refused.

use super::framing::{ConnectionOptions, check_transfer_encoding};
use crate::protocol::head::{RequestHead, Span, offset};
use crate::protocol::message::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use crate::protocol::{BodyLength, HeadError, HeadLimits, Known, Method, Version, syntax};
use httparse::{ParserConfig, Request, Status};
use std::mem::MaybeUninit;

/// Reads a head as [`super::HeadScan`] found it into `into`, in place of what that held. The bytes are copied once.
///
/// # Errors
/// For whatever RFC 9112 does not allow or lets be read in two ways, methods and versions that are not served, and
/// heads over the limits. `into` is then worth nothing.
pub fn parse_request(head: &[u8], limits: &HeadLimits, into: &mut RequestHead) -> Result<(), HeadError> {
    into.clear();
    check_size(head, limits)?;
    let mut fields = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
    let mut request = Request::new(&mut []);
    match ParserConfig::default().parse_request_with_uninit_headers(&mut request, head, &mut fields) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(HeadError::StartLine),
        Err(error) => return Err(refusal(error, head)),
    }
    let (Some(method), Some(target), false) = (request.method, request.path, head.starts_with(b"\r")) else {
        return Err(HeadError::StartLine);
    };
    if request.headers.len() > limits.count {
        return Err(HeadError::TooManyHeaders);
    }
    into.version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
    into.method = Method::from_bytes(method.as_bytes());
    into.check_method()?;
    into.store.bytes.extend_from_slice(head);
    into.method_span = Span::new(0, method.len());
    let start = offset(head, target.as_bytes());
    into.target = Span::new(start, start + target.len());
    into.path_end = into.target.end;
    let options = read_fields(head, request.headers, into)?;
    read_target(into)?;
    read_framing(options, into)
}

/// Sizes first: what is over a limit is not worth a closer look.
fn check_size(head: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
    if head.len() <= limits.request_line.min(limits.headers).min(HEAD_BYTES_MAX) {
        return Ok(());
    }
    let line = memchr::memchr(b'\r', head).unwrap_or(head.len());
    if line > limits.request_line {
        return Err(HeadError::RequestLineTooLong);
    }
    if (head.len() - line).saturating_sub(2) > limits.headers || head.len() > HEAD_BYTES_MAX {
        return Err(HeadError::HeadersTooLarge);
    }
    Ok(())
}

fn refusal(error: httparse::Error, head: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        httparse::Error::HeaderName => HeadError::FieldName,
        httparse::Error::HeaderValue => HeadError::FieldValue,
        httparse::Error::Version if names_a_version(head) => HeadError::Version,
        _ => HeadError::StartLine,
    }
}

/// Whether the first line is one but for its version: `HTTP/`, a digit, a dot, a digit. Then 505 says more than 400.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|&b| b == b' ').skip(2);
    let (version, None) = (parts.next().unwrap_or_default(), parts.next()) else { return false };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Notes all fields, and reads those that decide about the message.
fn read_fields(
    head: &[u8],
    lines: &[httparse::Header<'_>],
    into: &mut RequestHead,
) -> Result<ConnectionOptions, HeadError> {
    let mut options = ConnectionOptions::default();
    for (index, httparse::Header { name, value }) in lines.iter().enumerate() {
        let end = lines.get(index + 1).map_or(head.len() - 2, |next| offset(head, next.name.as_bytes()));
        let (start, value_start) = (offset(head, name.as_bytes()), offset(head, value));
        let span = Span::new(value_start, value_start + value.len());
        let before = into.store.names;
        let known = into.store.note(Span::new(start, start + name.len()), span, end, true);
        let again = before & known.bit() != 0;
        match known {
            Known::Host if again => return Err(HeadError::TwoHosts),
            Known::Host if !syntax::is_host(value) => return Err(HeadError::BadHost),
            Known::Host => into.host = span,
            Known::ContentLength if again => return Err(HeadError::ContentLength),
            Known::ContentLength => {
                into.body = BodyLength::Length(syntax::decimal(value).ok_or(HeadError::ContentLength)?);
            }
            Known::Connection => options.read(value),
            Known::Te => into.te_trailers |= syntax::list(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers")),
            Known::Expect if !value.eq_ignore_ascii_case(b"100-continue") => return Err(HeadError::Expectation),
            _ => {}
        }
    }
    if !into.store.has(Known::Host) && into.version == Version::Http11 {
        return Err(HeadError::NoHost);
    }
    Ok(options)
}

/// Resolves absolute-form: what follows the authority becomes the target, the authority takes the place of `Host`
/// (RFC 9112 §3.2.2).
fn read_target(into: &mut RequestHead) -> Result<(), HeadError> {
    let target = into.store.slice(into.target);
    if let Some(rest) = after_scheme(target) {
        let authority = target.len() - rest.len();
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        if !syntax::is_host(&rest[..end]) {
            return Err(HeadError::BadHost);
        }
        let start = usize::from(into.target.start) + authority;
        into.host = Span::new(start, start + end);
        into.target.start = into.host.end;
        if rest.get(end) != Some(&b'/') {
            // No path: `*` for OPTIONS (RFC 9112 §3.2.4), else `/`.
            let path: &[u8] = if end == rest.len() && into.method == Method::Options { b"*" } else { b"/" };
            let query = into.store.slice(into.target).to_vec();
            if into.store.bytes.len() + 1 + query.len() > usize::from(u16::MAX) {
                return Err(HeadError::HeadersTooLarge);
            }
            let start = into.store.append(path).start;
            into.target = Span { start, end: into.store.append(&query).end };
        }
    }
    into.set_path()
}

/// What follows `http://` or `https://`.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    if target.first() == Some(&b'/') {
        return None;
    }
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (found, rest) = target.split_at_checked(scheme.len())?;
        found.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// How the body ends and what becomes of the connection, once all fields are known.
fn read_framing(options: ConnectionOptions, into: &mut RequestHead) -> Result<(), HeadError> {
    if into.store.has(Known::TransferEncoding) {
        check_transfer_encoding(&into.store, into.version)?;
        into.body = BodyLength::Chunked;
    }
    let http11 = into.version == Version::Http11;
    into.keep_alive = options.persists(into.version);
    into.nominates = options.nominates;
    into.expect_continue = into.store.has(Known::Expect) && http11 && !into.body.is_empty();
    into.upgrade = options.upgrade
        && http11
        && into.store.known(Known::Upgrade).is_some_and(|value| !syntax::list(value).any(is_http));
    Ok(())
}

/// Protocols that carry requests: switched to them, a client would talk past the gateway.
fn is_http(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    [b"h2c".as_slice(), b"http", b"tls"].iter().any(|http| name.eq_ignore_ascii_case(http))
}
