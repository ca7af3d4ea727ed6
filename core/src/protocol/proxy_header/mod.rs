//! The PROXY protocol, versions 1 and 2: what a load balancer that passes bytes on says of its client before the first of
//! them.
//!
//! Source: <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>, its sections named where they are followed. Both
//! versions are read push style, over all bytes that have come so far: they are few, and a header that is cut in two is
//! rare. What can no longer become a header is told at its first wrong byte, so that nobody waits for more of it.
//!
//! Deliberately not here: whose word is believed (`gateway.trusted_proxies`, before this is asked at all), and what TLVs say
//! (§2.2): they are passed over within the length that the header states.

mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;

/// 4 KiB: the longest header that is read, TLVs and all. A sender "should" stay within 536 bytes (§2.2); nginx stops here
/// too.
pub const PROXY_HEADER_MAX: usize = 4096;

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Whose connection this is.
    pub announced: Announced,
    /// Bytes of the header. What follows is the client's.
    pub length: usize,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// The sender's own (`LOCAL`: a health check), or one of which it can say nothing (`UNKNOWN`, `UNSPEC`, a Unix socket, a
    /// datagram): the connection's own addresses count.
    Nobody,
    /// A client's.
    Client {
        /// Where it is.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeaderError {
    /// The connection begins with something else.
    Missing,
    /// It begins as a header does, and goes on as none may.
    Malformed(&'static str),
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no PROXY header",
            Self::Malformed(why) => why,
        })
    }
}

impl std::error::Error for ProxyHeaderError {}

/// Reads the header that a connection's first bytes are, or begin with; `None`: more is needed, and what has come so far is
/// the header's.
///
/// # Errors
/// They are no header, whatever follows.
pub fn parse_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    // The two versions' first bytes differ (§2.2).
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::parse(bytes),
        Some(_) => v2::parse(bytes),
    }
}

/// Whether `bytes` are `signature`, as far as they go: `None` where they go further, and are.
fn begins(bytes: &[u8], signature: &[u8]) -> Result<Option<()>, ProxyHeaderError> {
    let common = bytes.len().min(signature.len());
    if bytes.get(..common) != signature.get(..common) {
        return Err(ProxyHeaderError::Missing);
    }
    Ok((common == signature.len()).then_some(()))
}
