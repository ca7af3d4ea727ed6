//! The ways in which a target misbehaves, and some in which it merely speaks the rarer parts of HTTP/1.1.

use super::Incoming;
use std::io::Result;
use std::time::Duration;

/// What a raw target does with every connection.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Closes as soon as it has accepted.
    Close,
    /// Reads a request, then closes without a byte of an answer.
    CloseAfterRequest,
    /// Reads a request, then resets.
    Reset,
    /// Reads a request and never answers.
    Never,
    /// Answers 200 after so long, again and again.
    Delay(Duration),
    /// Answers with these bytes as they are, then closes.
    Says(&'static [u8]),
    /// Answers with these bytes as they are, and keeps the connection.
    SaysAndStays(&'static [u8]),
    /// Sends the pieces with a pause after each, then closes.
    Drips(&'static [&'static str], Duration),
    /// Sends the whole answer as soon as the head is there, then reads and drops the body.
    AnswersEarly(&'static [u8]),
    /// Sends the body back while it still arrives, as long as the request said.
    Echo,
    /// 101, then sends back what comes until the end.
    Upgrade(&'static str),
    /// `n` good answers on each connection, then closes in silence: a keep-alive that ends while the next request flies.
    ClosesAfter(usize),
}

/// An answer for the good cases.
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

impl Behaviour {
    pub(super) async fn act(self, mut incoming: Incoming) -> Result<()> {
        match self {
            Self::Close => Ok(()),
            Self::CloseAfterRequest => incoming.request().await.map(drop),
            Self::Reset => {
                incoming.request().await?;
                incoming.reset()
            }
            Self::Never => loop {
                incoming.request().await?;
            },
            Self::Delay(delay) => loop {
                incoming.request().await?;
                tokio::time::sleep(delay).await;
                incoming.send(FINE).await?;
            },
            Self::Says(bytes) => {
                incoming.request().await?;
                incoming.send(bytes).await
            }
            Self::SaysAndStays(bytes) => loop {
                incoming.request().await?;
                incoming.send(bytes).await?;
            },
            Self::Drips(pieces, pause) => {
                incoming.request().await?;
                incoming.drip(pieces, pause).await
            }
            Self::AnswersEarly(bytes) => {
                incoming.head().await?;
                incoming.send(bytes).await?;
                while !incoming.bytes().await?.is_empty() {}
                Ok(())
            }
            Self::Echo => echo(&mut incoming).await,
            Self::Upgrade(protocol) => {
                incoming.request().await?;
                let head =
                    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n");
                incoming.send(head).await?;
                loop {
                    let bytes = incoming.bytes().await?;
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    incoming.send(bytes).await?;
                }
            }
            Self::ClosesAfter(answers) => {
                for _ in 0..answers {
                    incoming.request().await?;
                    incoming.send(FINE).await?;
                }
                incoming.request().await.map(drop)
            }
        }
    }
}

async fn echo(incoming: &mut Incoming) -> Result<()> {
    loop {
        let head = incoming.head().await?;
        let mut left: usize = head.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        incoming.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n")).await?;
        while left > 0 {
            let bytes = incoming.bytes().await?;
            if bytes.is_empty() {
                return Ok(());
            }
            left = left.saturating_sub(bytes.len());
            incoming.send(bytes).await?;
        }
    }
}
