//! What is known of a client's connection.

use crate::snapshot::Listener;
use plimsoll_core::protocol::forward::client_lines;
use std::net::SocketAddr;
use std::sync::Arc;

/// A client's connection, as its requests see it.
pub(crate) struct Client {
    /// The other end's address, printed once. IPv4 addresses that came in over IPv6 are unmapped.
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
        let printed = peer.ip().to_canonical().to_string();
        let tls = listener.tls.is_some();
        Self {
            lines: client_lines(printed.as_bytes(), scheme(tls), port).into(),
            printed: printed.into(),
            tls,
            listener,
            port,
            sni: None,
            trusted,
        }
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
