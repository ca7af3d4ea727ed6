//! What `Transfer-Encoding` and `Connection` say, alike for requests and responses.

use crate::protocol::head::Store;
use crate::protocol::{HeadError, Known, Version, syntax};

/// Checks that all `Transfer-Encoding` fields together say exactly `chunked` (RFC 9112 §6.1).
///
/// Empty list members, parameters, and any spelling that another reader could take for something else are refused.
pub(super) fn check_transfer_encoding(store: &Store, version: Version) -> Result<(), HeadError> {
    if version == Version::Http10 {
        return Err(HeadError::TransferEncodingInHttp10);
    }
    if store.has(Known::ContentLength) {
        return Err(HeadError::TwoLengths);
    }
    let mut codings = store.all_known(Known::TransferEncoding).flat_map(|value| value.split(|&b| b == b','));
    let (mut others, mut last) = (false, codings.next().map_or(&b""[..], syntax::trim));
    for coding in codings {
        if !syntax::is_token(last) || last.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadError::TransferEncoding);
        }
        (others, last) = (true, syntax::trim(coding));
    }
    match (last.eq_ignore_ascii_case(b"chunked"), others) {
        (true, false) => Ok(()),
        (true, true) => Err(HeadError::UnknownCoding),
        (false, _) => Err(HeadError::TransferEncoding),
    }
}

/// What `Connection` fields say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one option that may be listed")]
pub(super) struct ConnectionOptions {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    /// A field is named that is not hop-by-hop anyway.
    pub(super) nominates: bool,
}

impl ConnectionOptions {
    pub(super) fn read(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
            return;
        }
        for option in syntax::list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !option.eq_ignore_ascii_case(b"te") {
                self.nominates = true;
            }
        }
    }

    /// Whether the connection lives on (RFC 9112 §9.3).
    pub(super) fn persists(self, version: Version) -> bool {
        !self.close && (version != Version::Http10 || self.keep_alive)
    }
}
