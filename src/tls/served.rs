//! A listener's TLS, as requests and connections see it.

use super::{Certificates, TicketKeys, TlsProblem, server_config};
use plimsoll_core::config::Listener;
use rustls::ServerConfig;
use std::path::Path;
use std::sync::Arc;

/// The certificates that a listener serves, and the configuration that serves them.
#[derive(Debug)]
pub struct ListenerCertificates {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    default: usize,
}

impl ListenerCertificates {
    /// Those of a listener; `None` where it is plain. Files are relative to `folder`.
    ///
    /// # Errors
    /// As [`server_config`].
    pub fn of(
        listener: &Listener,
        certificates: &Arc<Certificates>,
        tickets: &TicketKeys,
        folder: &Path,
    ) -> Result<Option<Self>, TlsProblem> {
        let Some(config) = server_config(listener, certificates, tickets, folder)? else { return Ok(None) };
        let named = listener.tls.as_ref().and_then(|tls| tls.default_certificate.as_ref());
        let default = named.and_then(|name| certificates.named(name)).unwrap_or(0);
        Ok(Some(Self { config, certificates: Arc::clone(certificates), default }))
    }

    /// What handshakes are made with.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Whether a request for `host` may come over a connection that asked for `sni` (RFC 9110 §7.4): the same certificate
    /// is served for both names.
    #[must_use]
    pub fn same_certificate(&self, sni: &str, host: &str) -> bool {
        let of = |name: &str| self.certificates.index().certificate_for(name).unwrap_or(self.default);
        host.is_empty() || sni.eq_ignore_ascii_case(host) || of(sni) == of(host)
    }
}
