//! Answers that stay open: a stream of ticks, and a `WebSocket` that sends them. Who reads them sees a cut at once.

use crate::http::{Reader, Request};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};
use std::io::Result;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

const TICK: Duration = Duration::from_millis(100);
/// RFC 6455 §1.3.
const WEBSOCKET_KEY: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A frame that closes, with 1001: the server goes away.
const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];

/// A chunk each tick for `?ms=`, then the end: it is served whole also by a replica that was told to stop.
pub(crate) async fn stream<W: AsyncWrite + Unpin>(to: &mut W, request: &Request, replica: &str) -> Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nX-Replica: {replica}\r\n\r\n"
    );
    to.write_all(head.as_bytes()).await?;
    let mut left = Duration::from_millis(request.number("ms"));
    while !left.is_zero() {
        to.write_all(b"5\r\ntick\n\r\n").await?;
        tokio::time::sleep(TICK.min(left)).await;
        left = left.saturating_sub(TICK);
    }
    to.write_all(b"0\r\n\r\n").await
}

/// A text frame each tick, until the client goes or the replica ends, which it says with a close frame.
pub(crate) async fn websocket<R, W>(
    reader: &mut Reader<R>,
    to: &mut W,
    request: &Request,
    replica: &str,
    stopping: &mut watch::Receiver<bool>,
) -> Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let accept = accepted(request.field("sec-websocket-key"));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nX-Replica: {replica}\r\n\r\n"
    );
    to.write_all(head.as_bytes()).await?;
    loop {
        tokio::select! {
            sent = reader.bytes() => if sent?.is_empty() { return Ok(()) },
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => {
                to.write_all(&GOING_AWAY).await?;
                return to.shutdown().await;
            }
            () = tokio::time::sleep(TICK) => to.write_all(b"\x81\x04tick").await?,
        }
    }
}

fn accepted(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{WEBSOCKET_KEY}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_key_is_accepted_as_the_standard_says() {
        assert_eq!(accepted("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
