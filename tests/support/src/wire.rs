//! A client that sends exactly the bytes it is given and reads exactly what comes back, whole answers or to the end of
//! the stream, never one `read()`.

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// 10 s: longer than any answer that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Anything that bytes go in and out of.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One answer, read whole.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line, as it came.
    pub line: String,
    /// Fields in order; names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Trailers of a chunked body; names in lower case.
    pub trailers: Vec<(String, String)>,
    /// Interim answers before it: status and fields.
    pub interim: Vec<(u16, Vec<(String, String)>)>,
}

impl Answer {
    /// The first value of a field, `name` in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why no whole answer came.
#[derive(Debug)]
pub struct Broken {
    /// Whether a byte of the answer had come.
    pub begun: bool,
    /// What went wrong.
    pub error: Error,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.error, if self.begun { "in the middle of an answer" } else { "before an answer" })
    }
}

/// One connection.
pub struct Wire {
    io: Box<dyn Io>,
    /// Read, not yet consumed.
    buffer: Vec<u8>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} bytes read ahead)", self.buffer.len())
    }
}

impl Wire {
    /// Connects over TCP.
    ///
    /// # Errors
    /// As the system says.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await.map_err(|_| ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// As the system says.
    pub async fn connect_unix(path: &Path) -> Result<Self> {
        Ok(Self::over(UnixStream::connect(path).await?))
    }

    /// Speaks over any stream, such as a TLS one.
    #[must_use]
    pub fn over(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As the system says.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.io.write_all(bytes.as_ref()).await?;
        self.io.flush().await
    }

    /// Ends the sending side.
    ///
    /// # Errors
    /// As the system says.
    pub async fn finish(&mut self) -> Result<()> {
        self.io.shutdown().await
    }

    /// Everything until the other side closes.
    ///
    /// # Errors
    /// As the system says, or `TimedOut` after [`PATIENCE`].
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.buffer);
        timeout(PATIENCE, self.io.read_to_end(&mut all)).await.map_err(|_| ErrorKind::TimedOut)??;
        Ok(all)
    }

    /// Exactly `count` bytes, for what follows an upgrade.
    ///
    /// # Errors
    /// As the system says, or `TimedOut` after [`PATIENCE`].
    pub async fn read_exact(&mut self, count: usize) -> Result<Vec<u8>> {
        let reading = async {
            while self.buffer.len() < count {
                self.more().await?;
            }
            Ok(self.buffer.drain(..count).collect())
        };
        timeout(PATIENCE, reading).await.map_err(|_| ErrorKind::TimedOut)?
    }

    /// The next `count` bytes, which stay to be read. What has been read is kept where this is dropped.
    ///
    /// # Errors
    /// As the system says.
    pub async fn peek(&mut self, count: usize) -> Result<&[u8]> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        Ok(&self.buffer[..count])
    }

    /// Whether the other side has neither closed nor sent anything unasked.
    #[must_use]
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut space = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut self.io).poll_read(&mut Context::from_waker(Waker::noop()), &mut space);
        self.buffer.is_empty() && matches!(polled, Poll::Pending)
    }

    /// The next final answer, with the interim ones before it. `to_head`: the request was a HEAD.
    ///
    /// # Errors
    /// Where the stream ends or breaks before the answer is whole, or is no answer.
    pub async fn answer(&mut self, to_head: bool) -> std::result::Result<Answer, Broken> {
        self.answer_within(PATIENCE, to_head).await
    }

    /// As [`Wire::answer`], waiting so long.
    ///
    /// # Errors
    /// As [`Wire::answer`].
    pub async fn answer_within(&mut self, limit: Duration, to_head: bool) -> std::result::Result<Answer, Broken> {
        let mut begun = false;
        let read = timeout(limit, self.read_answer(to_head, &mut begun)).await;
        match read {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Broken { begun: begun || !self.buffer.is_empty(), error }),
            Err(_) => Err(Broken { begun: begun || !self.buffer.is_empty(), error: ErrorKind::TimedOut.into() }),
        }
    }

    /// The next head alone; what follows it stays to be read.
    ///
    /// # Errors
    /// As [`Wire::answer`].
    pub async fn head(&mut self) -> Result<Answer> {
        let mut begun = false;
        timeout(PATIENCE, self.read_head(&mut begun)).await.map_err(|_| ErrorKind::TimedOut)?
    }

    async fn read_answer(&mut self, to_head: bool, begun: &mut bool) -> Result<Answer> {
        let mut interim = Vec::new();
        let mut answer = loop {
            let head = self.read_head(begun).await?;
            if head.status >= 200 || head.status == 101 {
                break head;
            }
            interim.push((head.status, head.fields));
        };
        answer.interim = interim;
        if to_head || matches!(answer.status, 101 | 204 | 304) {
            return Ok(answer);
        }
        if answer.field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            self.read_chunks(&mut answer).await?;
        } else if let Some(length) = answer.field("content-length") {
            let length = length.parse().map_err(|_| invalid("content-length"))?;
            while self.buffer.len() < length {
                self.more().await?;
            }
            answer.body = self.buffer.drain(..length).collect();
        } else {
            answer.body = std::mem::take(&mut self.buffer);
            self.io.read_to_end(&mut answer.body).await?;
        }
        Ok(answer)
    }

    async fn read_head(&mut self, begun: &mut bool) -> Result<Answer> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                *begun = true;
                let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
                let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
                let status = status.and_then(|status| status.parse().ok()).ok_or_else(|| invalid(line))?;
                return Ok(Answer { status, line: line.to_owned(), fields: parse_fields(fields), ..Answer::default() });
            }
            self.more().await?;
        }
    }

    async fn read_chunks(&mut self, answer: &mut Answer) -> Result<()> {
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.map_err(|_| invalid(&line))?;
            if size == 0 {
                break;
            }
            while self.buffer.len() < size + 2 {
                self.more().await?;
            }
            answer.body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
        }
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(());
            }
            answer.trailers.extend(parse_fields(&line));
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        match self.io.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Connects, sends, and gives everything that comes until the other side closes.
///
/// # Errors
/// As the system says, or `TimedOut` after [`PATIENCE`].
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Result<String> {
    let mut wire = Wire::connect(address).await?;
    wire.send(bytes).await?;
    Ok(String::from_utf8_lossy(&wire.read_to_end().await?).into_owned())
}

fn parse_fields(lines: &str) -> Vec<(String, String)> {
    let pairs = lines.split("\r\n").filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("no answer: {what:?}"))
}
