//! Answers that stay open: a stream of ticks, and a `WebSocket` that sends them. Who reads them sees a cut at once.

use crate::http::{Reader, Request};
use crate::sha1::sha1;
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
    let accept = base64(&sha1(format!("{}{WEBSOCKET_KEY}", request.field("sec-websocket-key")).as_bytes()));
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

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| (bits << 8) | usize::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_key_is_accepted_as_the_standard_says() {
        let accept = base64(&sha1(format!("dGhlIHNhbXBsZSBub25jZQ=={WEBSOCKET_KEY}").as_bytes()));
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
