//! A listener's side of TLS.

use super::certificate::{self, Certificates};
use super::problem::TlsProblem;
use super::provider;
use super::tickets::TicketKeys;
use plimsoll_core::config::{Listener, ListenerTls, TlsVersion};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;

/// The configuration of a listener; `None` where it is plain. Files are relative to `folder`.
///
/// # Errors
/// There is no certificate, the default one is not there, or the client CAs cannot be used.
pub fn server_config(
    listener: &Listener,
    certificates: &Arc<Certificates>,
    tickets: &TicketKeys,
    folder: &Path,
) -> Result<Option<Arc<ServerConfig>>, TlsProblem> {
    let Some(tls) = &listener.tls else { return Ok(None) };
    let built = build(listener, tls, certificates, tickets, folder);
    built.map(|config| Some(Arc::new(config))).map_err(|message| TlsProblem::listener(listener, message))
}

fn build(
    listener: &Listener,
    tls: &ListenerTls,
    certificates: &Arc<Certificates>,
    tickets: &TicketKeys,
    folder: &Path,
) -> Result<ServerConfig, String> {
    if certificates.is_empty() {
        return Err("it speaks TLS, and the document has no `certificates`".to_owned());
    }
    let default = match &tls.default_certificate {
        None => 0,
        Some(name) => certificates
            .named(name)
            .ok_or_else(|| format!("tls.default_certificate: no certificate has the id or SNI `{name}`"))?,
    };
    let versions = match tls.min_version {
        TlsVersion::V1_2 => ALL_VERSIONS,
        TlsVersion::V1_3 => &[&TLS13],
    };
    let client_ca = match &tls.client_ca {
        None => Vec::new(),
        Some(pem) => certificate::read(pem, folder)
            .and_then(|pem| certificate::chain(&pem))
            .map_err(|message| format!("tls.client_ca: {message}"))?,
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let builder = if client_ca.is_empty() {
        builder.with_no_client_auth()
    } else {
        let roots = roots(&client_ca)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
        builder.with_client_cert_verifier(verifier.map_err(|error| format!("tls.client_ca: {error}"))?)
    };
    let mut config = builder.with_cert_resolver(Arc::new(BySni { certificates: certificates.clone(), default }));
    config.alpn_protocols =
        if listener.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    config.ticketer = tickets.of(&listener.name, &client_ca).map_err(|error| format!("no ticket keys: {error}"))?;
    // Sessions live in tickets alone: a cache of them would be shared, and locked, by all workers.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn roots(client_ca: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for ca in client_ca {
        roots.add(ca.clone()).map_err(|error| format!("tls.client_ca: not a usable CA: {error}"))?;
    }
    Ok(Arc::new(roots))
}

/// Picks a certificate by the name that the client asked for.
#[derive(Debug)]
struct BySni {
    certificates: Arc<Certificates>,
    default: usize,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.certificates.index().certificate_for(name));
        self.certificates.key(named.unwrap_or(self.default)).cloned()
    }
}
