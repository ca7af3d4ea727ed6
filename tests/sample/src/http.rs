//! As much HTTP/1.1 as the sample needs: one request read whole, one answer written whole.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt};

/// 64 KiB: far more than any head the gateway sends.
const HEAD_MAX: usize = 64 << 10;
/// 16 MiB: far more than any body that a test sends to a sample.
const BODY_MAX: usize = 16 << 20;
/// How HTTP/2 begins, and no request of HTTP/1 (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI ";

/// A request, read whole.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The first value of a field; `name` in lower case.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value)
    }

    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of `NAME=` in the query, 0 where there is none.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// Reads requests off one connection.
pub(crate) struct Reader<R> {
    from: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) const fn new(from: R) -> Self {
        Self { from, buffer: Vec::new() }
    }

    /// Whether part of a request is here already.
    pub(crate) const fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Waits for the first byte of the next request; false at the end of the stream. Safe to drop.
    pub(crate) async fn begin(&mut self) -> Result<bool> {
        if self.has_begun() {
            return Ok(true);
        }
        Ok(self.from.read_buf(&mut self.buffer).await? > 0)
    }

    /// Whether what has begun is HTTP/2.
    pub(crate) async fn speaks_http2(&mut self) -> Result<bool> {
        while self.buffer.len() < HTTP2.len() && HTTP2.starts_with(&self.buffer) {
            self.more(HEAD_MAX).await?;
        }
        Ok(self.buffer.starts_with(HTTP2))
    }

    /// What was read ahead, and where more comes from.
    pub(crate) fn into_parts(self) -> (Vec<u8>, R) {
        (self.buffer, self.from)
    }

    /// What follows an upgrade: bytes read ahead, then everything else.
    pub(crate) async fn bytes(&mut self) -> Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.from.read_buf(&mut self.buffer).await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// The next request, read whole.
    pub(crate) async fn request(&mut self) -> Result<Request> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            self.more(HEAD_MAX).await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default().to_owned();
        let fields = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Request { method, target, fields, body: Vec::new() };
        request.body = if request.field("transfer-encoding").eq_ignore_ascii_case("chunked") {
            self.chunked().await?
        } else {
            let length = request.field("content-length").parse().unwrap_or(0);
            self.exactly(length).await?
        };
        Ok(request)
    }

    async fn chunked(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| invalid("chunk size"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend_from_slice(&self.exactly(size).await?);
            self.line().await?;
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..at]).into_owned();
                self.buffer.drain(..at + 2);
                return Ok(line);
            }
            self.more(BODY_MAX).await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        if length > BODY_MAX {
            return Err(invalid("body too long"));
        }
        while self.buffer.len() < length {
            self.more(BODY_MAX * 2).await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn more(&mut self, max: usize) -> Result<()> {
        if self.buffer.len() > max {
            return Err(invalid("too long"));
        }
        match self.from.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// A sum over a body (FNV-1a, 64 bits), so that one byte lost or swapped on the way shows.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Bytes that depend on `seed` alone (xorshift64*), so that whoever knows it can check every one of a long answer.
pub fn generated(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed | 1 << 63;
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    })
    .flatten()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}
