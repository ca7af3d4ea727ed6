//! Clients from hyper: HTTP/1.1 and HTTP/2, plain and over TLS, so that one test body can run over each.

use crate::tls;
use crate::wire::PATIENCE;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// 64 MiB: more than any answer of a test.
const BODY_MAX: usize = 64 << 20;

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; by prior knowledge where there is no TLS.
    Http2,
}

/// Where a client connects, and how.
#[derive(Clone)]
pub struct Client {
    /// The gateway's listener.
    pub address: SocketAddr,
    /// The protocol.
    pub speaks: Speaks,
    /// SNI and trust; `None`: plain.
    pub tls: Option<(String, Arc<ClientConfig>)>,
}

type Sending<B> = Result<Response<B>, hyper::Error>;

impl Client {
    /// Plain HTTP/1.1.
    #[must_use]
    pub const fn http1(address: SocketAddr) -> Self {
        Self { address, speaks: Speaks::Http1, tls: None }
    }

    /// HTTP/2 by prior knowledge.
    #[must_use]
    pub const fn http2(address: SocketAddr) -> Self {
        Self { address, speaks: Speaks::Http2, tls: None }
    }

    /// The same over TLS. Offers the one protocol by ALPN.
    #[must_use]
    pub fn over_tls(self, name: &str, authority: &tls::Authority) -> Self {
        let alpn = match self.speaks {
            Speaks::Http1 => "http/1.1",
            Speaks::Http2 => "h2",
        };
        Self { tls: Some((name.to_owned(), authority.client(&[alpn]))), ..self }
    }

    /// A new connection, one request, one whole answer.
    ///
    /// # Errors
    /// Where any of the three fails, with the reason in words.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        timeout(PATIENCE, Box::pin(self.exchange(request))).await.map_err(|_| "timed out".to_owned())?
    }

    /// A GET of `path` with this Host.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn get(&self, host: &str, path: &str) -> Result<Response<Bytes>, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let request = match self.speaks {
            Speaks::Http1 => Request::get(path).header("host", host),
            Speaks::Http2 => Request::get(format!("{scheme}://{host}{path}")),
        };
        self.send(request.body(Full::default()).map_err(|error| error.to_string())?).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let answer = match &self.tls {
            None => {
                let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
                Box::pin(self.over(TokioIo::new(stream), request)).await
            }
            Some((name, config)) => {
                let stream = tls::connect(self.address, name, Arc::clone(config)).await;
                Box::pin(self.over(TokioIo::new(stream.map_err(|error| error.to_string())?), request)).await
            }
        };
        let (head, body) = answer.map_err(|error| format!("{error:?}"))?.into_parts();
        let body = Limited::new(body, BODY_MAX);
        #[expect(clippy::disallowed_methods, reason = "the body is Limited")]
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    async fn over<I>(&self, io: I, request: Request<Full<Bytes>>) -> Sending<hyper::body::Incoming>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        match self.speaks {
            Speaks::Http1 => {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
                tokio::spawn(connection.with_upgrades());
                sender.send_request(request).await
            }
            Speaks::Http2 => {
                let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        }
    }
}
