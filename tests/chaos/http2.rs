//! Requests as streams of HTTP/2: many on one connection, without TLS and with it.

use crate::account::Outcome;
use crate::excuse::refused;
use crate::grpc;
use crate::schedule::Request;
use crate::traffic::{HOST, PATIENCE, beginning, body_of, judge, path_of};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plimsoll_sample::framed;
use plimsoll_test_support::tls;
use rustls::ClientConfig;
use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connections that streams are spread over.
const CONNECTIONS: usize = 3;
/// A request that never left is sent again so often.
const SENDS: usize = 3;

type Sender = SendRequest<Sent>;

/// A request's body, whose length clients of gRPC do not tell beforehand.
struct Sent {
    bytes: Full<Bytes>,
    told: bool,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.bytes).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.told { self.bytes.size_hint() } else { SizeHint::default() }
    }
}

/// Clients that share connections.
pub(crate) struct Http2 {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    connections: [RefCell<Option<Sender>>; CONNECTIONS],
}

impl Http2 {
    pub(crate) fn new(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { address, tls, connections: Default::default() }
    }

    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        match timeout(PATIENCE, Box::pin(self.exchange(request))).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::None("timed out".to_owned()),
        }
    }

    async fn exchange(&self, request: &Request) -> Outcome {
        let body = Bytes::from(body_of(request));
        let mut why = String::new();
        for _ in 0..SENDS {
            let message = self.message(request, &body);
            let mut sender = match Box::pin(self.connection(request.number)).await {
                Ok(sender) => sender,
                Err(error) => return Outcome::None(format!("connect: {error}")),
            };
            match sender.send_request(message).await {
                Ok(answer) => return read(request, &body, answer).await,
                // It never left: the connection had been closed in good order.
                Err(error) if error.is_canceled() => why = format!("{error:?}"),
                Err(error) => return Outcome::None(format!("{error:?}")),
            }
        }
        Outcome::None(why)
    }

    fn message(&self, request: &Request, body: &Bytes) -> http::Request<Sent> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let is_call = request.kind.is_call();
        let body = if is_call { framed(body).into() } else { body.clone() };
        let mut message = http::Request::builder()
            .method(if request.kind.is_post() { "POST" } else { "GET" })
            .uri(format!("{scheme}://{HOST}{}", path_of(request)))
            .header("x-test-request", request.number)
            .header("te", "trailers");
        if is_call {
            message = message
                .header("content-type", "application/grpc")
                .header("x-test-ms", request.pause_ms)
                .header("x-test-count", request.count);
        }
        message.body(Sent { bytes: Full::new(body), told: !is_call }).expect("a good request")
    }

    async fn connection(&self, number: u32) -> Result<Sender, String> {
        let slot = &self.connections[number as usize % CONNECTIONS];
        if let Some(sender) = slot.borrow().as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = match &self.tls {
            None => shake(TcpStream::connect(self.address).await.map_err(|error| error.to_string())?).await?,
            Some(config) => {
                let stream = tls::connect(self.address, HOST, Arc::clone(config)).await;
                shake(stream.map_err(|error| error.to_string())?).await?
            }
        };
        slot.replace(Some(sender.clone()));
        Ok(sender)
    }
}

async fn shake(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) -> Result<Sender, String> {
    let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| format!("{error:?}"))?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn read(request: &Request, sent: &[u8], answer: http::Response<hyper::body::Incoming>) -> Outcome {
    let (head, mut body) = answer.into_parts();
    let (mut whole, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => whole.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            },
            Err(error) => return Outcome::Cut(head.status.as_u16(), format!("{error:?}")),
        }
    }
    if request.kind.is_call() {
        return grpc::judge(request, sent, &head, &whole, &trailers);
    }
    match head.status.as_u16() {
        200 => judge(request, sent, &whole, text(&trailers, "x-events")),
        status => refused(status, text(&head.headers, "retry-after"), &beginning(&whole)),
    }
}

fn text<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    fields.get(name)?.to_str().ok()
}
