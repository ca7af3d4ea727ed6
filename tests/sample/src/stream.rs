//! Answers that take a while: long ones, slow ones, and connections that stop speaking HTTP.

use crate::http::{Reader, Request, generated};
use std::io::Result;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// 16 KiB: what is written at a time.
const PIECE: usize = 16 << 10;

/// `n` bytes that depend on `seed`.
pub(crate) async fn bytes(
    request: &Request,
    to: &mut (impl AsyncWrite + Unpin),
    replica: &str,
    last: bool,
) -> Result<()> {
    let count = request.number("n");
    let connection = if last { "Connection: close\r\n" } else { "" };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\nX-Replica: {replica}\r\n{connection}\r\n");
    to.write_all(head.as_bytes()).await?;
    let mut source = generated(request.number("seed"));
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    while left > 0 {
        let piece: Vec<u8> = source.by_ref().take(left.min(PIECE)).collect();
        left -= piece.len();
        to.write_all(&piece).await?;
    }
    Ok(())
}

/// `n` events, `ms` before each; how many there were is told again by a trailer.
pub(crate) async fn events(
    request: &Request,
    to: &mut (impl AsyncWrite + Unpin),
    replica: &str,
    last: bool,
) -> Result<()> {
    let (count, every) = (request.number("n"), Duration::from_millis(request.number("ms")));
    let connection = if last { "Connection: close\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nTrailer: X-Events\r\n\
         X-Replica: {replica}\r\n{connection}\r\n"
    );
    to.write_all(head.as_bytes()).await?;
    for number in 0..count {
        tokio::time::sleep(every).await;
        let event = format!("id: {number}\ndata: of {}\n\n", request.field("x-test-request"));
        to.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
    }
    to.write_all(format!("0\r\nX-Events: {count}\r\n\r\n").as_bytes()).await
}

/// Takes the upgrade, to whatever was asked for, then gives back what comes until the other side ends.
pub(crate) async fn echo(
    reader: &mut Reader<impl AsyncRead + Unpin>,
    to: &mut (impl AsyncWrite + Unpin),
    protocol: &str,
    replica: &str,
) -> Result<()> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nX-Replica: {replica}\r\n\r\n"
    );
    to.write_all(head.as_bytes()).await?;
    loop {
        let bytes = reader.bytes().await?;
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(&bytes).await?;
    }
}
