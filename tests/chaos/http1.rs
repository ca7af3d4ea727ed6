//! Requests of HTTP/1.1, byte by byte.

use crate::account::Outcome;
use crate::excuse::refused;
use crate::schedule::{Kind, Request};
use crate::traffic::{PATIENCE, beginning, body_of, judge, path_of};
use crate::tunnel;
use plimsoll_test_support::wire::{Broken, Wire};
use std::cell::RefCell;
use std::net::SocketAddr;

/// How a WebSocket asks (RFC 6455 §1.3).
const SOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Clients that keep connections.
pub(crate) struct Http1 {
    address: SocketAddr,
    idle: RefCell<Vec<Wire>>,
}

impl Http1 {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, idle: RefCell::new(Vec::new()) }
    }

    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let (mut wire, reused) = match self.connection(request.kind).await {
            Ok(pair) => pair,
            Err(error) => return Outcome::None(format!("connect: {error}")),
        };
        match request.kind {
            Kind::Upgrade => return tunnel::echo(&mut wire, request).await,
            Kind::Socket => return tunnel::socket(&mut wire, request).await,
            _ => {}
        }
        let on = if reused { "on a connection kept alive" } else { "on a new connection" };
        let body = body_of(request);
        // Who answers before it has read everything may close then: a failed send is not yet a failed request.
        let sent = wire.send(bytes_of(request, &body)).await;
        match wire.answer_within(PATIENCE, false).await {
            Ok(answer) => {
                let events = answer.trailers.iter().find(|(name, _)| name == "x-events");
                let outcome = match answer.status {
                    200 => judge(request, &body, &answer.body, events.map(|(_, value)| value.as_str())),
                    status => refused(status, answer.field("retry-after"), &beginning(&answer.body)),
                };
                let closes = answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                if sent.is_ok() && !request.kind.is_fresh() && !closes {
                    self.idle.borrow_mut().push(wire);
                }
                outcome
            }
            Err(Broken { begun: true, error }) => Outcome::Cut(200, error.to_string()),
            Err(Broken { begun: false, error }) => Outcome::None(format!("{error} {on}, sent: {sent:?}")),
        }
    }

    async fn connection(&self, kind: Kind) -> std::io::Result<(Wire, bool)> {
        if !kind.is_fresh() {
            // One that was closed while it was idle is passed over, as every client does.
            while let Some(mut wire) = self.idle.borrow_mut().pop() {
                if wire.is_quiet() {
                    return Ok((wire, true));
                }
            }
        }
        Ok((Wire::connect(self.address).await?, false))
    }
}

pub(crate) fn bytes_of(request: &Request, body: &[u8]) -> Vec<u8> {
    let method = if request.kind.is_post() { "POST" } else { "GET" };
    let (path, host, number) = (path_of(request), request.kind.host(), request.number);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Test-Request: {number}\r\n");
    head.push_str(match request.kind {
        Kind::FreshGet | Kind::FreshPost | Kind::NamedPost => "Connection: close\r\n",
        Kind::Upgrade => "Connection: Upgrade\r\nUpgrade: echo\r\n",
        Kind::Socket => SOCKET,
        _ => "",
    });
    match (request.kind.is_post(), request.chunked) {
        (false, _) => (head + "\r\n").into_bytes(),
        (true, false) => [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat(),
        (true, true) => {
            let mut bytes = (head + "Transfer-Encoding: chunked\r\n\r\n").into_bytes();
            for piece in body.chunks(10_000) {
                bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            bytes
        }
    }
}
