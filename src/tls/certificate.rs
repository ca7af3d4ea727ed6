//! The document's certificates, loaded and checked.

use super::index::CertIndex;
use super::problem::TlsProblem;
use super::provider;
use plimsoll_core::config::{Certificate, Pem};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// All certificates of a document, in its order.
#[derive(Debug, Default)]
pub struct Certificates {
    keys: Vec<Arc<CertifiedKey>>,
    ids: Vec<Arc<str>>,
    index: CertIndex,
    warnings: Vec<TlsProblem>,
}

impl Certificates {
    /// Loads them. Files are relative to `folder`; `now_ms` is wall time, for what expired.
    ///
    /// # Errors
    /// Every certificate that cannot be served: unreadable, not PEM, a key that does not match, a name that two have.
    pub fn load(certificates: &[Certificate], folder: &Path, now_ms: u64) -> Result<Self, Vec<TlsProblem>> {
        let mut loaded = Self::default();
        let mut problems = Vec::new();
        for (place, certificate) in certificates.iter().enumerate() {
            let problem = |message: String| TlsProblem::certificate(certificate, message);
            match certified_key(certificate, folder) {
                Ok(key) => {
                    loaded.warnings.extend(doubts(&key, certificate, now_ms).into_iter().map(problem));
                    loaded.keys.push(Arc::new(key));
                }
                Err(message) => problems.push(problem(message)),
            }
            loaded.ids.push(certificate.id.clone());
            for sni in &certificate.snis {
                if let Some(other) = loaded.index.insert(sni, place).filter(|other| *other != place) {
                    let owner = &certificates[other].id;
                    problems.push(problem(format!("SNI `{sni}` belongs to certificate `{owner}` already")));
                }
            }
        }
        if problems.is_empty() { Ok(loaded) } else { Err(problems) }
    }

    /// Which host is served with which.
    #[must_use]
    pub fn index(&self) -> &CertIndex {
        &self.index
    }

    /// What an operator should know about certificates that are served nevertheless, as Kong does: expired ones, SNIs
    /// that they do not cover.
    #[must_use]
    pub fn warnings(&self) -> &[TlsProblem] {
        &self.warnings
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The certificate with this id, or with this SNI.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.ids.iter().position(|id| **id == *name).or_else(|| self.index.certificate_for(name))
    }

    pub(super) fn key(&self, place: usize) -> Option<&Arc<CertifiedKey>> {
        self.keys.get(place)
    }
}

/// The text of a PEM, from the document or its file.
pub(super) fn read(pem: &Pem, folder: &Path) -> Result<Vec<u8>, String> {
    match pem {
        Pem::Text(text) => Ok(text.as_bytes().to_vec()),
        Pem::File(path) => {
            std::fs::read(folder.join(&**path)).map_err(|error| format!("file `{path}` cannot be read: {error}"))
        }
    }
}

/// The certificates in a PEM: at least one.
pub(super) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("there is no `-----BEGIN CERTIFICATE-----` in it".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("it is not valid PEM: {error}")),
    }
}

fn certified_key(certificate: &Certificate, folder: &Path) -> Result<CertifiedKey, String> {
    let cert = read(&certificate.cert, folder).map_err(|message| format!("cert: {message}"))?;
    let chain = chain(&cert).map_err(|message| format!("cert: {message}"))?;
    if let Err(error) = ParsedCertificate::try_from(&chain[0]) {
        return Err(format!("cert: it is no X.509 certificate that can be used: {error}"));
    }
    let key = read(&certificate.key, folder).map_err(|message| format!("key: {message}"))?;
    let key = private_key(&key).map_err(|message| format!("key: {message}"))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate (is the chain's first certificate the server's own?)".to_owned()
        }
        error => format!("key: it cannot be used: {error}"),
    })
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    use rustls::pki_types::pem::Error as PemError;
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound if memchr::memmem::find(pem, b"ENCRYPTED PRIVATE KEY").is_some() => {
            "it is encrypted; decrypt it, for example with `openssl pkey`".to_owned()
        }
        PemError::NoItemsFound => "there is no `-----BEGIN … PRIVATE KEY-----` in it".to_owned(),
        error => format!("it is not valid PEM: {error}"),
    })
}

/// What would make clients refuse it.
fn doubts(key: &CertifiedKey, certificate: &Certificate, now_ms: u64) -> Vec<String> {
    let Ok(parsed) = key.end_entity_cert().and_then(ParsedCertificate::try_from) else { return Vec::new() };
    let mut doubts = Vec::new();
    // Verified against no root at all: validity is looked at first, and whatever comes after that is of no interest.
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
    let algorithms = provider().signature_verification_algorithms.all;
    let roots = RootCertStore::empty();
    let day = |time: UnixTime| {
        let mut text = crate::telemetry::clock::rfc3339(time.as_secs().saturating_mul(1000));
        text.truncate("2026-11-25".len());
        text
    };
    match verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            doubts.push(format!("it expired on {}", day(not_after)));
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            doubts.push(format!("it is not valid before {}", day(not_before)));
        }
        _ => {}
    }
    for sni in &certificate.snis {
        let sample = sni.replace('*', "x");
        let covered = ServerName::try_from(sample).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok());
        if !covered && **sni != *"*" {
            doubts.push(format!("it does not cover its SNI `{sni}`: clients will refuse it there"));
        }
    }
    doubts
}
