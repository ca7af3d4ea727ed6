//! One connection of a raw target.

use super::Shared;
use socket2::SockRef;
use std::io::{ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request as its bytes arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Its head, with the empty line.
    pub head: String,
    /// Its body, as far as its length was known.
    pub body: Vec<u8>,
}

impl Received {
    /// The first value of a field, whatever its case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find_map(|(have, value)| have.eq_ignore_ascii_case(name).then(|| value.trim()))
    }
}

/// A connection that a raw target has to itself.
pub struct Incoming {
    /// The socket.
    pub stream: TcpStream,
    /// Which connection of the target it is, from 0.
    pub number: usize,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

impl Incoming {
    pub(super) const fn new(stream: TcpStream, number: usize, shared: Arc<Shared>) -> Self {
        Self { stream, number, shared, buffer: Vec::new() }
    }

    /// Reads a request's head, and its body where it has a length.
    ///
    /// # Errors
    /// `UnexpectedEof` where the connection ends first.
    pub async fn request(&mut self) -> Result<Received> {
        let mut received = self.head().await?;
        let length = received.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.buffer.len() < length {
            self.more().await?;
        }
        received.body = self.buffer.drain(..length).collect();
        self.shared.received.lock().push(received.clone());
        Ok(received)
    }

    /// Reads a request's head alone; its body stays to be read.
    ///
    /// # Errors
    /// `UnexpectedEof` where the connection ends first.
    pub async fn head(&mut self) -> Result<Received> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end + 4]).into_owned();
                self.buffer.drain(..end + 4);
                return Ok(Received { connection: self.number, head, body: Vec::new() });
            }
            self.more().await?;
        }
    }

    /// What has arrived and is not read yet, or the next bytes; empty at the end.
    ///
    /// # Errors
    /// As the system says.
    pub async fn bytes(&mut self) -> Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.stream.read_buf(&mut self.buffer).await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As the system says.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends bytes one piece after another, waiting between them.
    ///
    /// # Errors
    /// As the system says.
    pub async fn drip<B: AsRef<[u8]>>(&mut self, pieces: impl IntoIterator<Item = B>, pause: Duration) -> Result<()> {
        for piece in pieces {
            self.send(piece).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Ends the connection with a reset in place of a FIN.
    ///
    /// # Errors
    /// As the system says.
    pub fn reset(self) -> Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
