//! The engine over a read-only proxy, TCP and TLS.

use crate::lab::Lab;
use crate::proxy::{self, Proxy};
use crate::watching::Watching;
use plimsoll_core::config::DockerProvider;
use plimsoll_core::model::{Freshness, Phase};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_is_asked_for_and_always_with_a_version() {
    let Some(lab) = Lab::open() else { return };
    let proxy = Proxy::open();
    let mut seen = Watching::endpoint(&proxy.endpoint());
    seen.until_fresh().await;
    lab.run("a", "plain", &[], &[]);
    seen.until_phase(&lab, "a", Phase::Running).await;
    for line in proxy.requests() {
        let allowed = ["events?", "containers/", "networks"];
        let path = line.strip_prefix("GET /v1.").and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
        let reads = path.is_some_and(|path| allowed.iter().any(|prefix| path.starts_with(prefix)));
        assert!(reads || line.starts_with("GET /_ping "), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_on_a_port_of_this_machine_is_followed() {
    let Some(lab) = Lab::open() else { return };
    lab.run("a", "plain", &[], &[]);
    let port = proxy::tcp(|client| drop(tokio::spawn(proxy::forward(client)))).await;
    let mut seen = Watching::endpoint(&format!("tcp:127.0.0.1:{port}"));
    seen.until_fresh().await;
    let replica = seen.replica(&lab, "a");
    assert!(replica.phase == Phase::Running && replica.address.is_some(), "{replica:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_behind_tls_is_followed_with_the_right_certificates_alone() {
    let Some(lab) = Lab::open() else { return };
    lab.run("a", "plain", &[], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let acceptor = certificates(folder.path());
    let port = proxy::tcp(move |client| {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Ok(client) = acceptor.accept(client).await {
                proxy::forward(client).await;
            }
        });
    })
    .await;
    let with = |endpoint: String, cert_path: &Path| {
        let cert_path = Some(cert_path.to_str().expect("text").into());
        let provider = DockerProvider { endpoint: endpoint.into(), cert_path, ..DockerProvider::default() };
        Watching::with(provider, Duration::from_secs(30))
    };
    let mut seen = with(format!("tcp:localhost:{port}"), folder.path());
    seen.until_fresh().await;
    assert_eq!(seen.replica(&lab, "a").phase, Phase::Running);

    let other = tempfile::tempdir().expect("a folder");
    certificates(other.path());
    let mut refused = with(format!("tcp:localhost:{port}"), other.path());
    let named = |facts: &plimsoll_core::model::Facts| {
        facts.problems.iter().any(|problem| problem.message.contains("certificate"))
    };
    refused.until("the problem", Duration::from_secs(5), named).await;
    assert_eq!(refused.facts().freshness, Freshness::Waiting);
}

/// Writes `ca.pem`, `cert.pem` and `key.pem` for a client, and makes what accepts them.
fn certificates(folder: &Path) -> TlsAcceptor {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
    let signed = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &ca).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    let (client, client_key) = signed("client");
    let (server, server_key) = signed("localhost");
    for (file, text) in [("ca.pem", &ca.pem()), ("cert.pem", &client), ("key.pem", &client_key)] {
        std::fs::write(folder.join(file), text).expect("a file");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).expect("PEM")).expect("a root");
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(server.as_bytes()).expect("PEM")],
            PrivateKeyDer::from_pem_slice(server_key.as_bytes()).expect("PEM"),
        )
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}
