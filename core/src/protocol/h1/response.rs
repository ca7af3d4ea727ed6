//! A response's head, and how its body ends.

use super::framing::{ConnectionOptions, check_transfer_encoding};
use crate::protocol::head::{ResponseHead, Span, offset};
use crate::protocol::message::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use crate::protocol::{BodyLength, HeadError, Known, Method, Version, syntax};
use httparse::{ParserConfig, Response, Status};
use std::mem::MaybeUninit;

/// Reads the head of a response to a request of that method, as [`super::HeadScan`] found it, into `into`, in place of
/// what that held. The length of the body is decided by RFC 9112 §6.3.
///
/// # Errors
/// For what is no response, or one whose end could be read in two ways. `into` is then worth nothing.
pub fn parse_response(head: &[u8], request: Method, into: &mut ResponseHead) -> Result<(), HeadError> {
    into.clear();
    if head.len() > HEAD_BYTES_MAX {
        return Err(HeadError::HeadersTooLarge);
    }
    let mut fields = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
    let mut response = Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, &mut fields) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(HeadError::StartLine),
        Err(error) => return Err(refusal(error)),
    }
    let (Some(status), true) = (response.code, head.starts_with(b"HTTP/1.")) else { return Err(HeadError::StartLine) };
    if status < 100 {
        return Err(HeadError::Status);
    }
    into.status = status;
    into.version = if response.version == Some(0) { Version::Http10 } else { Version::Http11 };
    into.store.bytes.extend_from_slice(head);
    let lines_start = response.headers.first().map_or(head.len() - 2, |field| offset(head, field.name.as_bytes()));
    into.status_line = Span::new("HTTP/1.1 ".len(), lines_start);
    let options = read_fields(head, response.headers, into)?;
    read_framing(request, options, into)
}

fn refusal(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        httparse::Error::HeaderName => HeadError::FieldName,
        httparse::Error::HeaderValue => HeadError::FieldValue,
        httparse::Error::Version => HeadError::Version,
        _ => HeadError::StartLine,
    }
}

/// Notes all fields, and reads those that decide about the message.
fn read_fields(
    head: &[u8],
    lines: &[httparse::Header<'_>],
    into: &mut ResponseHead,
) -> Result<ConnectionOptions, HeadError> {
    let mut options = ConnectionOptions::default();
    for (index, httparse::Header { name, value }) in lines.iter().enumerate() {
        let end = lines.get(index + 1).map_or(head.len() - 2, |next| offset(head, next.name.as_bytes()));
        let (start, value_start) = (offset(head, name.as_bytes()), offset(head, value));
        let span = Span::new(value_start, value_start + value.len());
        let before = into.store.names;
        let known = into.store.note(Span::new(start, start + name.len()), span, end, true);
        match known {
            Known::ContentLength if before & known.bit() != 0 => return Err(HeadError::ContentLength),
            Known::ContentLength => {
                into.body = BodyLength::Length(syntax::decimal(value).ok_or(HeadError::ContentLength)?);
            }
            Known::Connection => options.read(value),
            Known::KeepAlive => into.keep_alive_timeout = keep_alive_timeout(value),
            _ => {}
        }
    }
    Ok(options)
}

/// The seconds of `timeout=` in a `Keep-Alive` field.
fn keep_alive_timeout(value: &[u8]) -> Option<u32> {
    syntax::list(value).find_map(|parameter| {
        let (name, seconds) = parameter.split_at_checked("timeout=".len())?;
        let seconds = syntax::decimal(seconds)?;
        name.eq_ignore_ascii_case(b"timeout=").then(|| u32::try_from(seconds).unwrap_or(u32::MAX))
    })
}

/// How the body ends and what becomes of the connection (RFC 9112 §6.3 and §9.3).
fn read_framing(request: Method, options: ConnectionOptions, into: &mut ResponseHead) -> Result<(), HeadError> {
    let chunked = into.store.has(Known::TransferEncoding);
    if chunked {
        check_transfer_encoding(&into.store, into.version)?;
    }
    into.body = match into.body {
        _ if into.has_no_body(request) => BodyLength::None,
        _ if chunked => BodyLength::Chunked,
        BodyLength::None => BodyLength::UntilClose,
        length => length,
    };
    into.nominates = options.nominates;
    into.upgrade = into.status == 101 && options.upgrade && into.store.has(Known::Upgrade);
    into.keep_alive = options.persists(into.version) && into.body != BodyLength::UntilClose && into.status != 101;
    Ok(())
}
