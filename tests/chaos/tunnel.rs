//! Connections that stop speaking HTTP: one that gives everything back, and `WebSocket`s.

use crate::account::Outcome;
use crate::excuse::refused;
use crate::http1::bytes_of;
use crate::schedule::Request;
use crate::traffic::{PATIENCE, body_of};
use plimsoll_test_support::wire::Wire;
use std::io::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A text frame of the sample's (RFC 6455 §5.2).
const TICK: &[u8] = b"\x81\x04tick";
/// A frame that closes, with 1001: the server goes away.
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";
/// The client's own: empty, and masked with zeros.
const CLOSE: &[u8] = b"\x88\x80\0\0\0\0";

/// Piece by piece there and back, then an end in good order.
pub(crate) async fn echo(wire: &mut Wire, request: &Request) -> Outcome {
    if let Err(outcome) = open(wire, request).await {
        return outcome;
    }
    match echo_pieces(wire, request).await {
        Ok(()) => Outcome::Right(101),
        Err(error) => broken(&error),
    }
}

/// Whole frames for a while, then an end in good order; or a Close frame that tells to go before.
pub(crate) async fn socket(wire: &mut Wire, request: &Request) -> Outcome {
    if let Err(outcome) = open(wire, request).await {
        return outcome;
    }
    match listen(wire, request).await {
        Ok(true) => Outcome::Told(101),
        Ok(false) => Outcome::Right(101),
        Err(error) => broken(&error),
    }
}

async fn open(wire: &mut Wire, request: &Request) -> std::result::Result<(), Outcome> {
    let sent = wire.send(bytes_of(request, &[])).await;
    let answer = wire.answer_within(PATIENCE, false).await;
    let answer = answer.map_err(|broken| Outcome::None(format!("{broken}, sent: {sent:?}")))?;
    if answer.status == 101 { Ok(()) } else { Err(refused(answer.status, answer.field("retry-after"), &answer.text())) }
}

fn broken(error: &Error) -> Outcome {
    match error.kind() {
        ErrorKind::InvalidData => Outcome::Wrong(error.to_string()),
        _ => Outcome::Cut(101, error.to_string()),
    }
}

async fn echo_pieces(wire: &mut Wire, request: &Request) -> Result<()> {
    for number in 0..request.count {
        let piece = body_of(&Request { seed: request.seed ^ u64::from(number) << 1, ..*request });
        wire.send(&piece).await?;
        if wire.read_exact(piece.len()).await? != piece {
            return Err(wrong(format!("piece {number} came back changed")));
        }
        tokio::time::sleep(Duration::from_millis(request.pause_ms)).await;
    }
    wire.finish().await?;
    match wire.read_to_end().await?.len() {
        0 => Ok(()),
        more => Err(wrong(format!("{more} bytes that nobody sent"))),
    }
}

/// Whether it was told to go.
async fn listen(wire: &mut Wire, request: &Request) -> Result<bool> {
    let end = Instant::now() + Duration::from_millis(request.pause_ms) * request.count;
    while let Ok(begin) = timeout_at(end, wire.peek(2)).await {
        let begin = begin?;
        if *begin == GOING_AWAY[..2] {
            return part(wire).await;
        }
        if wire.read_exact(TICK.len()).await? != TICK {
            return Err(wrong("no frame of the sample's".to_owned()));
        }
    }
    wire.send(CLOSE).await?;
    wire.finish().await?;
    // What came meanwhile, and perhaps it is told to go at this very moment.
    let rest = wire.read_to_end().await?;
    let rest = rest.strip_suffix(GOING_AWAY).unwrap_or(&rest);
    match rest.chunks(TICK.len()).all(|frame| frame == TICK) {
        true => Ok(false),
        false => Err(wrong(format!("{} bytes that are no frames", rest.len()))),
    }
}

/// Says goodbye, too; nothing comes after the other's.
async fn part(wire: &mut Wire) -> Result<bool> {
    if wire.read_exact(GOING_AWAY.len()).await? != GOING_AWAY {
        return Err(wrong("a Close frame for another reason".to_owned()));
    }
    // Who has said so may have gone.
    if wire.send(CLOSE).await.is_ok() {
        wire.finish().await.ok();
    }
    match wire.read_to_end().await {
        Ok(rest) if !rest.is_empty() => Err(wrong(format!("{} bytes after the Close frame", rest.len()))),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(error),
        _ => Ok(true),
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
