//! A response's head, and how its body ends.

use super::framing::{ConnectionOptions, check_transfer_encoding};
use super::tokens::{Line, Stop, Tokens};
use crate::protocol::head::{ResponseHead, Span};
use crate::protocol::{BodyLength, HeadError, Known, Method, syntax};

/// Reads the head that `bytes` begin with, of a response to a request of that method, into `into`, in place of what that
/// held. The length of the body is decided by RFC 9112 §6.3. Where the head ends, or `None` if it is not whole: `into` is
/// then empty.
///
/// It begins anew at every call. For a head that comes in pieces, [`super::HeadScan`] tells when it is whole.
///
/// # Errors
/// For what is no response, or one whose end could be read in two ways; also where that shows before the head is whole.
/// `into` is then empty.
pub fn parse_response(bytes: &[u8], request: Method, into: &mut ResponseHead) -> Result<Option<usize>, HeadError> {
    into.clear();
    let stop = match read(bytes, request, into) {
        Ok(end) => return Ok(Some(end)),
        Err(stop) => stop,
    };
    into.clear();
    match stop {
        Stop::Incomplete => Ok(None),
        Stop::Error(error) => Err(error),
    }
}

fn read(bytes: &[u8], request: Method, into: &mut ResponseHead) -> Result<usize, Stop> {
    let (mut tokens, before) = Tokens::new(bytes)?;
    (into.version, into.status) = tokens.status_line()?;
    if into.status < 100 {
        return Err(HeadError::Status.into());
    }
    tokens.in_bounds()?;
    into.status_line = Span::new("HTTP/1.1 ".len(), tokens.at);
    let mut options = ConnectionOptions::default();
    while let Some(line) = tokens.line()? {
        read_field(tokens.bytes, line, &mut options, into)?;
    }
    into.store.bytes.extend_from_slice(&tokens.bytes[..tokens.at]);
    read_framing(request, options, into)?;
    Ok(before + tokens.at)
}

/// Notes a field, and reads it if it decides about the message.
#[inline]
fn read_field(
    bytes: &[u8],
    line: Line,
    options: &mut ConnectionOptions,
    into: &mut ResponseHead,
) -> Result<(), HeadError> {
    let before = into.store.names;
    let known = into.store.note(bytes, line)?;
    let value = &bytes[line.value_start..line.value_end];
    match known {
        Known::ContentLength if before & known.bit() != 0 => return Err(HeadError::ContentLength),
        Known::ContentLength => {
            into.body = BodyLength::Length(syntax::decimal(value).ok_or(HeadError::ContentLength)?);
        }
        Known::Connection => options.read(value),
        Known::KeepAlive => into.keep_alive_timeout = keep_alive_timeout(value),
        _ => {}
    }
    Ok(())
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
