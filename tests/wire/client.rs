//! A client that sends bytes as they are, at once or one by one, and reads the answers with the strict reader.

use crate::case::Then;
use crate::strict::{self, Message, Read};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// 10 s: longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pieces of one case at the most: long ones go in longer pieces.
const PIECES_MAX: usize = 600;

/// How bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Whole,
    ByteByByte,
}

/// Sends bytes at this pace. An error is that the other side has closed, which the reading side judges.
pub(crate) async fn send(to: &mut OwnedWriteHalf, bytes: &[u8], pace: Pace) -> std::io::Result<()> {
    let piece = match pace {
        Pace::Whole => bytes.len().max(1),
        Pace::ByteByByte => bytes.len().div_ceil(PIECES_MAX).max(1),
    };
    for piece in bytes.chunks(piece) {
        to.write_all(piece).await?;
        if pace == Pace::ByteByByte {
            // The gateway's threads get to run, mostly; that is all that is needed.
            for _ in 0..4 {
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
        }
    }
    Ok(())
}

/// A connection and what has come on it.
pub(crate) struct Client {
    read: OwnedReadHalf,
    write: Option<OwnedWriteHalf>,
    bytes: Vec<u8>,
    ended: bool,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (read, write) = stream.into_split();
        Self { read, write: Some(write), bytes: Vec::new(), ended: false }
    }

    /// Sends while it reads, so that a gateway that closes early is no error; gives `count` final answers.
    pub(crate) async fn talk(
        &mut self,
        bytes: &[u8],
        pace: Pace,
        finish: bool,
        to_head: &[bool],
    ) -> Result<Vec<Message>, String> {
        let mut write = self.write.take().ok_or("its sending side has ended")?;
        let bytes = bytes.to_vec();
        let sending = tokio::spawn(async move {
            let sent = send(&mut write, &bytes, pace).await.is_ok();
            if finish && sent { write.shutdown().await.map(|()| None).unwrap_or(None) } else { Some(write) }
        });
        let mut answers = Vec::new();
        for &to_head in to_head {
            match self.answer(to_head).await {
                Ok(answer) => answers.push(answer),
                Err(problem) => return Err(format!("{problem}; before it {:?}", statuses(&answers))),
            }
        }
        self.write =
            timeout(PATIENCE, sending).await.map_err(|_| "not all was sent")?.map_err(|error| error.to_string())?;
        Ok(answers)
    }

    async fn answer(&mut self, to_head: bool) -> Result<Message, String> {
        loop {
            match strict::response(&self.bytes, to_head, self.ended) {
                Read::Bad(problem) => return Err(format!("{problem}: {}", self.bytes.escape_ascii())),
                Read::Whole(message) => {
                    self.bytes.drain(..message.length);
                    if message.status >= 200 || message.status == 101 {
                        return Ok(message);
                    }
                }
                Read::Part(_) if self.ended => return Err(format!("cut: {}", self.bytes.escape_ascii())),
                Read::Part(_) => self.more().await?,
            }
        }
    }

    async fn more(&mut self) -> Result<(), String> {
        match timeout(PATIENCE, self.read.read_buf(&mut self.bytes)).await {
            Err(_) => Err(format!("nothing more came after: {}", self.bytes.escape_ascii())),
            Ok(read) => {
                self.ended = !read.is_ok_and(|count| count > 0);
                Ok(())
            }
        }
    }

    /// An answer that breaks off: its head with this status came and the connection ended, or the gateway saw it in time
    /// to answer 502.
    pub(crate) async fn broken(&mut self, status: u16) -> Result<(), String> {
        loop {
            match strict::response(&self.bytes, false, self.ended) {
                Read::Whole(message) if message.status == 502 && !message.body.is_empty() => {
                    self.bytes.drain(..message.length);
                    return Ok(());
                }
                Read::Part(Some(head)) if self.ended && head.status == status => {
                    self.bytes.clear();
                    return Ok(());
                }
                Read::Part(_) if !self.ended => self.more().await?,
                other => return Err(format!("neither cut nor 502: {other:?}")),
            }
        }
    }

    /// Everything that came and comes until the other side closes.
    pub(crate) async fn rest(&mut self) -> Result<Vec<u8>, String> {
        while !self.ended {
            self.more().await?;
        }
        Ok(std::mem::take(&mut self.bytes))
    }

    /// Whether the connection is in the state that the case says: an open one proves it by another request.
    pub(crate) async fn check(&mut self, then: Then) -> Result<(), String> {
        match then {
            Then::Open => {
                let request = b"GET /another HTTP/1.1\r\nHost: a\r\n\r\n";
                let answers = self.talk(request, Pace::Whole, false, &[false]).await;
                let answers = answers.map_err(|problem| format!("it should be open, but: {problem}"))?;
                match answers.first() {
                    Some(answer) if answer.body == b"/another" && self.bytes.is_empty() => Ok(()),
                    other => Err(format!("the next request got another's answer: {other:?}")),
                }
            }
            Then::Cut if self.bytes.is_empty() => Ok(()),
            Then::Closed | Then::Cut => match self.rest().await? {
                rest if rest.is_empty() => Ok(()),
                rest => Err(format!("more than was expected: {}", rest.escape_ascii())),
            },
        }
    }
}

/// The statuses of answers.
pub(crate) fn statuses(answers: &[Message]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}
