//! A small HTTP client for commands: one request, one connection, a bounded answer.

use crate::admin::Token;
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The largest answer that is read.
const ANSWER_MAX: usize = 64 << 20;

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `http://HOST:PORT` or `HOST:PORT`.
    Tcp(String),
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An endpoint and what of a URL came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) endpoint: Endpoint,
    /// Path and query; `/` where none was written.
    pub(super) path: String,
}

impl Address {
    /// From a URL, or the address alone. Without a port: 80.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self { endpoint: Endpoint::Unix(path.into()), path: "/".to_owned() });
        }
        if text.starts_with("https:") {
            bail!("{text}: https is not spoken here; ask over loopback or a Unix socket");
        }
        let written = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = written.parse().with_context(|| format!("`{text}` is no URL"))?;
        let host = uri.host().filter(|host| !host.is_empty()).with_context(|| format!("`{text}` names no host"))?;
        let endpoint = Endpoint::Tcp(format!("{host}:{}", uri.port_u16().unwrap_or(80)));
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { endpoint, path })
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// GETs, within `timeout` from the connect to the last byte.
pub(super) async fn get(
    endpoint: &Endpoint,
    path: &str,
    token: Option<&Token>,
    timeout: Duration,
) -> anyhow::Result<Answer> {
    let ask = async {
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address.as_str()).await;
                exchange(stream.with_context(|| format!("cannot connect to {address}"))?, address, path, token).await
            }
            Endpoint::Unix(socket) => {
                let stream = UnixStream::connect(socket).await;
                let stream = stream.with_context(|| format!("cannot connect to {}", socket.display()))?;
                exchange(stream, "localhost", path, token).await
            }
        }
    };
    tokio::time::timeout(timeout, ask).await.with_context(|| format!("no answer within {timeout:?}"))?
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
    path: &str,
    token: Option<&Token>,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::get(path).header(header::HOST, host).header(header::ACCEPT, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, token.field());
    }
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = response.status().as_u16();
    let body = whole(response.into_body(), ANSWER_MAX).await?;
    connection.abort();
    Ok(Answer { status, body })
}

/// A body to its end, of `max` bytes at the most.
#[expect(clippy::disallowed_methods, reason = "this is where it is wrapped in Limited")]
pub(super) async fn whole(body: Incoming, max: usize) -> anyhow::Result<Bytes> {
    let body = Limited::new(body, max).collect().await;
    Ok(body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_from_what_people_type() {
        let tcp = |address: &str, path: &str| {
            Some(Address { endpoint: Endpoint::Tcp(address.to_owned()), path: path.to_owned() })
        };
        let cases = [
            ("http://127.0.0.1:8001", tcp("127.0.0.1:8001", "/")),
            ("127.0.0.1:8001", tcp("127.0.0.1:8001", "/")),
            ("localhost", tcp("localhost:80", "/")),
            ("http://[::1]:9/x?y=1", tcp("[::1]:9", "/x?y=1")),
            ("unix:/run/p.sock", Some(Address { endpoint: Endpoint::Unix("/run/p.sock".into()), path: "/".into() })),
            ("https://a.example", None),
            ("http://", None),
            ("a b", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Address::parse(text).ok(), expected, "{text}");
        }
    }
}
