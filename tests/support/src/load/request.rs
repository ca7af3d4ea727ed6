//! One request of the load, and the judgement of its answer.

use super::Load;
use super::report::Outcome;
use crate::wire::{Answer, Broken, Wire};
use plimsoll_sample::checksum;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::ErrorKind;

/// 32 KiB: the longest body of a POST.
const BODY_MAX: usize = 32 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Get,
    Post,
    Slow,
    FreshGet,
    FreshPost,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Slow => "slow GET",
            Self::FreshGet => "GET, new connection",
            Self::FreshPost => "POST, new connection",
        }
    }

    pub(super) const fn is_post(self) -> bool {
        matches!(self, Self::Post | Self::FreshPost)
    }

    const fn is_fresh(self) -> bool {
        matches!(self, Self::FreshGet | Self::FreshPost)
    }
}

/// What all requests share: the settings, and connections that are idle.
pub(super) struct Clients {
    pub(super) load: Load,
    idle: RefCell<Vec<Wire>>,
    /// What bodies are cut from.
    bytes: Vec<u8>,
}

impl Clients {
    pub(super) fn new(load: Load) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let bytes = std::iter::repeat_with(|| random.u8(..)).take(BODY_MAX).collect();
        Self { load, idle: RefCell::default(), bytes }
    }

    pub(super) async fn send(&self, number: u32, kind: Kind) -> Outcome {
        let body = if kind.is_post() { self.body(number) } else { &[] };
        let (mut wire, reused) = match self.connection(kind).await {
            Ok(pair) => pair,
            Err(error) => return Outcome::Lost { reason: format!("connect: {error}"), begun: false },
        };
        let on = if reused { "on a connection kept alive" } else { "on a new connection" };
        // A server may answer and close before it has read everything: a failed send is not yet a failed request.
        let sent = wire.send(self.bytes_of(number, kind, body)).await;
        match wire.answer_within(self.load.patience, false).await {
            Ok(answer) => {
                let outcome = judge(&answer, &self.load.service, number, body);
                let closes = answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                if sent.is_ok() && !kind.is_fresh() && !closes {
                    self.idle.borrow_mut().push(wire);
                }
                outcome
            }
            Err(Broken { begun, error }) => {
                let reason = match (error.kind(), sent) {
                    (ErrorKind::UnexpectedEof, _) => format!("closed {on}"),
                    (_, Err(error)) => format!("send: {error} {on}"),
                    (_, Ok(())) => format!("{error} {on}"),
                };
                Outcome::Lost { reason, begun }
            }
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
        Ok((Wire::connect(self.load.address).await?, false))
    }

    fn body(&self, number: u32) -> &[u8] {
        let length = 1 + (number as usize).wrapping_mul(2_654_435_761) % BODY_MAX;
        &self.bytes[..length]
    }

    fn bytes_of(&self, number: u32, kind: Kind, body: &[u8]) -> Vec<u8> {
        let method = if kind.is_post() { "POST" } else { "GET" };
        let query = if kind == Kind::Slow { format!("?ms={}", self.load.slow.as_millis()) } else { String::new() };
        let mut head = format!(
            "{method} /load/{number}{query} HTTP/1.1\r\nHost: {}\r\nX-Test-Request: {number}\r\n",
            self.load.host
        );
        if kind.is_fresh() {
            head.push_str("Connection: close\r\n");
        }
        let chunked = kind.is_post() && number.is_multiple_of(2);
        match (kind.is_post(), chunked) {
            (false, _) => head.push_str("\r\n"),
            (true, false) => write!(head, "Content-Length: {}\r\n\r\n", body.len()).expect("a String takes it"),
            (true, true) => {
                write!(head, "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()).expect("a String takes it");
            }
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        if chunked {
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        }
        bytes
    }
}

/// Right: the sample of this service answered this very request, and every byte of its body had arrived.
fn judge(answer: &Answer, service: &str, number: u32, body: &[u8]) -> Outcome {
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| said.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    if answer.status != 200 {
        let message = text("message");
        let lost = matches!(answer.status, 502 | 504) || message.is_empty();
        let reason = format!("{} {message}", answer.status);
        return if lost { Outcome::Lost { reason, begun: false } } else { Outcome::Refused { reason } };
    }
    let (asked, sum) = (number.to_string(), format!("{:016x}", checksum(body)));
    for (what, want, got) in
        [("service", service, text("service")), ("request", &asked, text("request")), ("sum", &sum, text("sum"))]
    {
        if want != got {
            return Outcome::Lost { reason: format!("wrong {what}: {got} instead of {want}"), begun: true };
        }
    }
    Outcome::Right { replica: text("replica") }
}
