//! One probe: connect, ask if it is HTTP, and say what came of it.

use super::checks::Checks;
use crate::connect;
use crate::connect::Stream;
use crate::tls::TargetTls;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use plimsoll_core::config::CheckKind;
use plimsoll_core::health::Outcome;
use plimsoll_core::upstream::Target;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// 16 KiB: as much of an answer's body is read, so that a target that is still writing it sees no reset.
const BODY_MAX: usize = 16 * 1024;
/// 5 ms: what accepts and hangs up within this time is the proxy of a published port, whose replica does not listen yet.
const SETTLE: Duration = Duration::from_millis(5);

/// What came of a probe, and in words why, where it failed.
pub(super) struct Probed {
    pub(super) outcome: Outcome,
    pub(super) said: String,
}

/// Probes once, within `checks.timeout()`.
pub(super) async fn probe(kind: CheckKind, checks: &Checks, target: &Target, tls: &Arc<TargetTls>) -> Probed {
    let attempt = async {
        match kind {
            CheckKind::Tcp | CheckKind::Grpc | CheckKind::Grpcs => connects(target).await,
            CheckKind::Http | CheckKind::Https => answers(kind == CheckKind::Https, checks, target, tls).await,
        }
    };
    let limit = checks.timeout();
    match timeout(limit, attempt).await {
        Ok(Ok(status)) => status,
        Ok(Err(failed)) => failed,
        Err(_) => Probed { outcome: Outcome::Timeout, said: format!("no answer within {limit:?}") },
    }
}

async fn connects(target: &Target) -> Result<Probed, Probed> {
    let mut connection =
        connect::connect(target, None, "", &Arc::default()).await.map_err(|error| failed("connect", &error))?;
    if let Ok(Err(error)) = timeout(SETTLE, first_bytes(&mut connection.stream)).await {
        return Err(failed("connect", &error));
    }
    Ok(Probed { outcome: Outcome::Connected, said: "connected".to_owned() })
}

/// Ready when the target says something; an error when it hangs up.
async fn first_bytes(stream: &mut Stream) -> std::io::Result<()> {
    use tokio::io::AsyncReadExt;
    let mut byte = [0];
    match stream.read(&mut byte).await? {
        0 => Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "accepted and hung up")),
        _ => Ok(()),
    }
}

async fn answers(https: bool, checks: &Checks, target: &Target, all: &Arc<TargetTls>) -> Result<Probed, Probed> {
    let host = checks.host_header.as_deref().unwrap_or(&target.name);
    let config = if https {
        let Some(config) = checks.tls(all).await else {
            return Err(Probed { outcome: Outcome::TcpFailure, said: "no TLS configuration".to_owned() });
        };
        Some(config)
    } else {
        None
    };
    let name = server_name(checks.settings.https_sni.as_deref().unwrap_or(host));
    let connection = connect::connect(target, config.as_ref(), name, &Arc::default())
        .await
        .map_err(|error| failed("connect", &error))?;
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(connection.stream)).await.map_err(|error| broken(&error))?;
    let exchange = async {
        let response = sender.send_request(request(checks, host)).await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        drain(response.into_body()).await;
        Ok(Probed { outcome: Outcome::Status(status), said: format!("status {status}") })
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        probed = &mut exchange => probed,
        // The connection is over: whatever it got out of the target has been handed to the exchange.
        _ = driver => exchange.await,
    }
}

/// The name without its port, as TLS asks for it; empty for an address, which the connection knows by itself.
fn server_name(host: &str) -> &str {
    let (name, _) = plimsoll_core::protocol::uri::split_host(host.as_bytes());
    let name = std::str::from_utf8(name).unwrap_or_default();
    if name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() { "" } else { name }
}

fn request(checks: &Checks, host: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = checks.path.clone();
    *request.headers_mut() = checks.headers.clone();
    if !checks.headers.contains_key(header::HOST)
        && let Ok(host) = HeaderValue::from_str(host)
    {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

/// Reads the body away, up to [`BODY_MAX`]. The status has come: nothing that happens here counts.
async fn drain(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > BODY_MAX {
            return;
        }
    }
}

fn failed(what: &str, error: &dyn std::error::Error) -> Probed {
    Probed { outcome: Outcome::TcpFailure, said: format!("{what}: {}", chain(error)) }
}

/// A connection that broke, or an answer that is no HTTP.
fn broken(error: &hyper::Error) -> Probed {
    let outcome = if error.is_parse() { Outcome::NotHttp } else { Outcome::TcpFailure };
    Probed { outcome, said: chain(error) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said.push_str(&format!(": {error}"));
        source = error.source();
    }
    said
}
