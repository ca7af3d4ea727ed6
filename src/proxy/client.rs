//! What is known of a client's connection.

use crate::snapshot::{Listener, Settings};
use plimsoll_core::protocol::RequestHead;
use plimsoll_core::protocol::forward::{client_behind_proxies, client_lines};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A client's connection, as its requests see it.
pub(crate) struct Client {
    /// The other end's address. IPv4 addresses that came in over IPv6 are unmapped.
    ip: IpAddr,
    /// The same, printed once.
    pub(crate) printed: Box<str>,
    /// What each of its requests says of it.
    pub(crate) lines: Box<[u8]>,
    /// Where it came in.
    pub(crate) listener: Arc<Listener>,
    /// The port it came in by.
    pub(crate) port: u16,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// The name it asked for by SNI.
    pub(crate) sni: Option<Box<str>>,
    /// Whether its forwarded headers are believed.
    pub(crate) trusted: bool,
}

impl Client {
    /// A client at the other end of a connection from `peer` to a port of ours.
    #[must_use]
    pub(crate) fn new(peer: SocketAddr, port: u16, listener: Arc<Listener>, trusted: bool) -> Self {
        let ip = peer.ip().to_canonical();
        let printed = ip.to_string();
        let tls = listener.tls.is_some();
        Self {
            ip,
            lines: client_lines(printed.as_bytes(), scheme(tls), port).into(),
            printed: printed.into(),
            tls,
            listener,
            port,
            sni: None,
            trusted,
        }
    }

    /// Who sent a request, where the other end is a trusted proxy that says so: not worked out before somebody asks.
    #[must_use]
    #[inline]
    pub(crate) fn behind(&self, head: &RequestHead, settings: &Settings) -> Option<IpAddr> {
        if self.trusted { client_behind_proxies(head, |ip| settings.trusts(ip)) } else { None }
    }

    /// Who sent a request.
    #[must_use]
    pub(crate) fn of(&self, head: &RequestHead, settings: &Settings) -> IpAddr {
        self.behind(head, settings).unwrap_or(self.ip)
    }

    /// `http` or `https`.
    #[must_use]
    pub(crate) fn scheme(&self) -> &'static str {
        scheme(self.tls)
    }
}

const fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

/// An address as it is printed, without a trip to the heap.
pub(crate) struct Printed {
    bytes: [u8; Self::MAX],
    length: usize,
}

impl Printed {
    /// Eight groups of IPv6; one of IPv4 that is written into it is unmapped before.
    const MAX: usize = 40;
}

impl std::ops::Deref for Printed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Prints an address.
pub(crate) fn printed(ip: IpAddr) -> Printed {
    let mut bytes = [0; Printed::MAX];
    let mut rest = &mut bytes[..];
    // No address is longer than there is room.
    let _fits = write!(rest, "{ip}");
    let length = Printed::MAX - rest.len();
    Printed { bytes, length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_is_printed_as_elsewhere() {
        for text in
            ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:255.255.255.255"]
        {
            assert_eq!(printed(text.parse().unwrap())[..], *text.as_bytes());
        }
    }
}
