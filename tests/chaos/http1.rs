//! Requests of HTTP/1.1, byte by byte.

use crate::account::Outcome;
use crate::schedule::{Kind, Request};
use crate::traffic::{HOST, PATIENCE, body_of, judge, path_of};
use plimsoll_test_support::wire::{Broken, Wire};
use std::cell::RefCell;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

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
        if request.kind == Kind::Upgrade {
            return upgrade(&mut wire, request).await;
        }
        let on = if reused { "on a connection kept alive" } else { "on a new connection" };
        let body = body_of(request);
        // Who answers before it has read everything may close then: a failed send is not yet a failed request.
        let sent = wire.send(bytes_of(request, &body)).await;
        match wire.answer_within(PATIENCE, false).await {
            Ok(answer) => {
                let events = answer.trailers.iter().find(|(name, _)| name == "x-events");
                let outcome =
                    judge(request, &body, answer.status, &answer.body, events.map(|(_, value)| value.as_str()));
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

fn bytes_of(request: &Request, body: &[u8]) -> Vec<u8> {
    let method = if request.kind.is_post() { "POST" } else { "GET" };
    let (path, number) = (path_of(request), request.number);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nX-Test-Request: {number}\r\n");
    match request.kind {
        Kind::FreshGet | Kind::FreshPost => head.push_str("Connection: close\r\n"),
        Kind::Upgrade => head.push_str("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        _ => {}
    }
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

async fn upgrade(wire: &mut Wire, request: &Request) -> Outcome {
    let sent = wire.send(bytes_of(request, &[])).await;
    let answer = match wire.answer_within(PATIENCE, false).await {
        Ok(answer) => answer,
        Err(broken) => return Outcome::None(format!("{broken}, sent: {sent:?}")),
    };
    if answer.status != 101 {
        return Outcome::Answered(answer.status, answer.text());
    }
    match echo(wire, request).await {
        Ok(()) => Outcome::Right(101),
        Err(error) if error.kind() == ErrorKind::InvalidData => Outcome::Wrong(error.to_string()),
        Err(error) => Outcome::Cut(101, error.to_string()),
    }
}

/// Piece by piece there and back, then an end in good order.
async fn echo(wire: &mut Wire, request: &Request) -> std::io::Result<()> {
    for number in 0..request.count {
        let piece = body_of(&Request { seed: request.seed ^ u64::from(number) << 1, ..*request });
        wire.send(&piece).await?;
        if wire.read_exact(piece.len()).await? != piece {
            return Err(Error::new(ErrorKind::InvalidData, format!("piece {number} came back changed")));
        }
        tokio::time::sleep(Duration::from_millis(request.pause_ms)).await;
    }
    wire.finish().await?;
    match wire.read_to_end().await?.len() {
        0 => Ok(()),
        more => Err(Error::new(ErrorKind::InvalidData, format!("{more} bytes that nobody sent"))),
    }
}
