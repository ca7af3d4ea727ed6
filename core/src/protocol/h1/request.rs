//! A request's head: what its tokens mean, and what is refused.

use super::framing::{ConnectionOptions, check_transfer_encoding};
use super::tokens::{Line, Stop, Tokens};
use crate::protocol::head::{RequestHead, Span};
use crate::protocol::message::HEAD_BYTES_MAX;
use crate::protocol::{BodyLength, HeadError, HeadLimits, Known, Method, Version, syntax};

/// Reads the head that `bytes` begin with into `into`, in place of what that held: after one empty line that may precede it.
/// The bytes are copied once. Where the head ends, or `None` if it is not whole: `into` is then empty.
///
/// It begins anew at every call. For a head that comes in pieces, [`super::HeadScan`] tells when it is whole.
///
/// # Errors
/// For whatever RFC 9112 does not allow or lets be read in two ways, methods and versions that are not served, and
/// heads over the limits; also where that shows before the head is whole. `into` then holds what was understood.
pub fn parse_request(bytes: &[u8], limits: &HeadLimits, into: &mut RequestHead) -> Result<Option<usize>, HeadError> {
    into.clear();
    match read(bytes, limits, into) {
        Ok(end) => Ok(Some(end)),
        Err(Stop::Incomplete) => {
            into.clear();
            Ok(None)
        }
        Err(Stop::Error(error)) => {
            // The access log asks for what was understood of it.
            if into.store.bytes.is_empty() {
                let head = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
                into.store.bytes.extend_from_slice(&head[..head.len().min(HEAD_BYTES_MAX)]);
            }
            Err(error)
        }
    }
}

fn read(bytes: &[u8], limits: &HeadLimits, into: &mut RequestHead) -> Result<usize, Stop> {
    let (mut tokens, before) = Tokens::new(bytes)?;
    let method_end = tokens.method()?;
    let target_start = tokens.at;
    let target_end = tokens.target()?;
    into.version = tokens.request_version()?;
    if tokens.at - 2 > limits.request_line || tokens.at > HEAD_BYTES_MAX {
        return Err(HeadError::RequestLineTooLong.into());
    }
    let line_end = tokens.at;
    into.method = Method::from_bytes(&tokens.bytes[..method_end]);
    into.check_method()?;
    into.method_span = Span::new(0, method_end);
    into.target = Span::new(target_start, target_end);
    into.path_end = into.target.end;
    let mut options = ConnectionOptions::default();
    while let Some(line) = tokens.line()? {
        read_field(tokens.bytes, line, &mut options, into)?;
    }
    if tokens.at - line_end > limits.headers {
        return Err(HeadError::HeadersTooLarge.into());
    }
    if into.store.fields.len() > limits.count {
        return Err(HeadError::TooManyHeaders.into());
    }
    if into.version == Version::Http11 && !into.store.has(Known::Host) {
        return Err(HeadError::NoHost.into());
    }
    into.store.bytes.extend_from_slice(&tokens.bytes[..tokens.at]);
    read_target(into)?;
    read_framing(options, into)?;
    Ok(before + tokens.at)
}

/// Notes a field, and reads it if it decides about the message.
#[inline]
fn read_field(
    bytes: &[u8],
    line: Line,
    options: &mut ConnectionOptions,
    into: &mut RequestHead,
) -> Result<(), HeadError> {
    let before = into.store.names;
    let known = into.store.note(bytes, line)?;
    if known == Known::Other {
        return Ok(());
    }
    let again = before & known.bit() != 0;
    let value = &bytes[line.value_start..line.value_end];
    match known {
        Known::Host if again => return Err(HeadError::TwoHosts),
        Known::Host if !syntax::is_host(value) => return Err(HeadError::BadHost),
        Known::Host => into.host = Span::new(line.value_start, line.value_end),
        Known::ContentLength if again => return Err(HeadError::ContentLength),
        Known::ContentLength => {
            into.body = BodyLength::Length(syntax::decimal(value).ok_or(HeadError::ContentLength)?);
        }
        Known::Connection => options.read(value),
        Known::Te => into.te_trailers |= syntax::list(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers")),
        Known::Expect if !value.eq_ignore_ascii_case(b"100-continue") => return Err(HeadError::Expectation),
        _ => {}
    }
    Ok(())
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
