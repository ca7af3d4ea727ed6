//! What is known of a client's connection.

use crate::snapshot::Listener;
use std::net::SocketAddr;
use std::sync::Arc;

/// A client's connection, as its requests see it.
pub(crate) struct Client {
    /// The other end's address, printed once. IPv4 addresses that came in over IPv6 are unmapped.
    pub(crate) printed: Box<str>,
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
    /// A client at the other end of a connection from `peer` to `local`.
    #[must_use]
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, listener: Arc<Listener>, trusted: bool) -> Self {
        let address = peer.ip().to_canonical();
        Self {
            printed: address.to_string().into(),
            tls: listener.tls.is_some(),
            listener,
            port: local.port(),
            sni: None,
            trusted,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}
