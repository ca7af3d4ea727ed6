//! Connections to an engine: bytes over a Unix socket, TCP, or TLS.

use super::Endpoint;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// How connections to one endpoint are made.
pub(super) struct Transport {
    endpoint: Endpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Transport {
    /// Reads certificates, if the endpoint has some.
    pub(super) fn new(endpoint: Endpoint) -> Result<Self, String> {
        let tls = match &endpoint {
            Endpoint::Tcp { host, tls: Some(folder), .. } => {
                let config =
                    tls_config(folder).map_err(|error| format!("certificates in {}: {error}", folder.display()))?;
                let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => None,
        };
        Ok(Self { endpoint, tls })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A new connection; the error is in words, with the way out.
    pub(super) async fn connect(&self) -> Result<Box<dyn Duplex>, String> {
        match &self.endpoint {
            Endpoint::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(unix_error(path, &error)),
            },
            Endpoint::Tcp { host, port, .. } => {
                let fail = |error: io::Error| format!("connecting to {}: {error}", self.endpoint);
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(fail)?;
                // A stream of events may be silent for days: without this a dead peer would never show.
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
                SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(fail)?;
                match &self.tls {
                    None => Ok(Box::new(stream)),
                    Some((connector, name)) => {
                        Ok(Box::new(connector.connect(name.clone(), stream).await.map_err(fail)?))
                    }
                }
            }
        }
    }
}

fn unix_error(path: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => ": add the user to the socket's group (docker), or run as one that may",
        io::ErrorKind::NotFound => ": the engine does not run, or its socket is elsewhere",
        io::ErrorKind::ConnectionRefused => ": the engine does not run",
        _ => "",
    };
    format!("connecting to unix:{}: {error}{remedy}", path.display())
}

fn tls_config(folder: &Path) -> Result<ClientConfig, String> {
    let text = |error: &dyn std::fmt::Display, file: &str| format!("{file}: {error}");
    let certificates = |file: &str| -> Result<Vec<CertificateDer<'static>>, String> {
        CertificateDer::pem_file_iter(folder.join(file)).and_then(Iterator::collect).map_err(|error| text(&error, file))
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca.pem")? {
        roots.add(certificate).map_err(|error| text(&error, "ca.pem"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    if !folder.join("cert.pem").is_file() {
        return Ok(builder.with_no_client_auth());
    }
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).map_err(|error| text(&error, "key.pem"))?;
    builder.with_client_auth_cert(certificates("cert.pem")?, key).map_err(|error| error.to_string())
}

/// Between probes of a silent connection.
const KEEPALIVE: Duration = Duration::from_secs(30);
