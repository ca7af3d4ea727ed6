//! TLS towards targets.

use super::provider;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Sessions that are remembered of each profile: names of targets, some tickets each.
const SESSIONS: usize = 1024;

/// How a target is trusted and spoken to. Part of what connections are shared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetProfile {
    /// Whether its certificate is verified.
    pub verify: bool,
    /// HTTP/2 (and nothing else) is offered, rather than HTTP/1.1.
    pub http2: bool,
}

/// Which CAs certificates of targets are verified with.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The system's; where it has none (a `scratch` image), Mozilla's as they were at build time.
    System,
    /// These.
    Roots(Arc<RootCertStore>),
}

/// Configurations towards targets, made at first use and kept with their sessions.
#[derive(Debug)]
pub struct TargetTls {
    trust: Trust,
    configs: Mutex<FxHashMap<TargetProfile, Arc<ClientConfig>>>,
}

impl TargetTls {
    /// With this trust; reads nothing yet.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self { trust, configs: Mutex::default() }
    }

    /// The configuration of a profile. Profiles never share sessions, since one that verifies could resume what another
    /// did not verify. Reads the system's CAs the first time, so it belongs into the compile step.
    ///
    /// # Errors
    /// The roots cannot be used.
    pub fn config(&self, profile: TargetProfile) -> Result<Arc<ClientConfig>, Error> {
        let mut configs = self.configs.lock();
        if let Some(config) = configs.get(&profile) {
            return Ok(config.clone());
        }
        let verifier: Arc<dyn ServerCertVerifier> =
            if profile.verify { verifier(&self.trust)? } else { Arc::new(NoVerification) };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![if profile.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let config = Arc::new(config);
        configs.insert(profile, config.clone());
        Ok(config)
    }
}

/// The name that a target is asked for (SNI) and verified by: a host name, or an address (verified, but never sent).
/// `None` where it is neither.
#[must_use]
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare).ok().map(|name| name.to_owned())
}

fn verifier(trust: &Trust) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let roots = match trust {
        Trust::Roots(roots) => roots.clone(),
        Trust::System => match rustls_platform_verifier::Verifier::new(provider()) {
            Ok(verifier) => return Ok(Arc::new(verifier)),
            Err(error) => {
                tracing::info!(%error, "the system has no CAs: certificates of targets are verified with built-in ones");
                Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
            }
        },
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    verifier.map(|verifier| verifier as Arc<dyn ServerCertVerifier>).map_err(|error| Error::General(error.to_string()))
}

/// Takes every certificate, as a document that was written for Kong expects; the handshake's signature is checked all
/// the same, so that at least the peer holds the key of what it shows.
#[derive(Debug)]
struct NoVerification;

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
