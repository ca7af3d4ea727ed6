//! Frames, and a client that sends them as they are.

use crate::gateway::Embedded;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// 10 s: for one answer, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// Of DATA and HEADERS; of SETTINGS and PING the same bit says ACK.
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITISED: u8 = 0x20;

// Codes (RFC 9113 §7).
pub(super) const PROTOCOL: u32 = 1;
pub(super) const FLOW_CONTROL: u32 = 3;
pub(super) const STREAM_CLOSED: u32 = 5;
pub(super) const FRAME_SIZE: u32 = 6;
pub(super) const REFUSED: u32 = 7;
pub(super) const CANCEL: u32 = 8;
pub(super) const COMPRESSION: u32 = 9;
pub(super) const CALM: u32 = 11;

// Settings (RFC 9113 §6.5.2).
pub(super) const TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_STREAMS: u16 = 3;
/// What says how large a stream's window is at first.
pub(super) const INITIAL_WINDOW: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;

pub(super) type Field = (&'static str, &'static [u8]);

/// A frame (RFC 9113 §4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literals that are not indexed, and not in Huffman's code (RFC 7541 §6.2.2).
pub(super) fn block(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name.as_bytes(), value] {
            out.extend(number(0, 7, text.len()));
            out.extend_from_slice(text);
        }
    }
    out
}

/// A number in the last `bits` of a byte that begins with `first`, and in the bytes after it where it is too large for them
/// (RFC 7541 §5.1).
pub(super) fn number(first: u8, bits: u8, value: usize) -> Vec<u8> {
    let byte = |value: usize| u8::try_from(value).expect("it is masked");
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | byte(value)];
    }
    let mut out = vec![first | byte(most)];
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(0x80 | byte(rest & 0x7f));
        rest >>= 7;
    }
    out.push(byte(rest));
    out
}

/// A request's fields, good ones first.
pub(super) fn with(more: &[Field]) -> Vec<Field> {
    let good: [Field; 4] = [(":method", b"GET"), (":scheme", b"http"), (":authority", b"a"), (":path", b"/")];
    [&good, more].concat()
}

/// A request's fields, where one stands for a good one.
pub(super) fn instead(name: &'static str, value: &'static [u8]) -> Vec<Field> {
    let put = |field: Field| if field.0 == name { (name, value) } else { field };
    with(&[]).into_iter().map(put).collect()
}

pub(super) fn without(name: &'static str) -> Vec<Field> {
    with(&[]).into_iter().filter(|field| field.0 != name).collect()
}

/// A whole request for `/`.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&with(&[])))
}

/// The head of a request for `/` whose body follows.
pub(super) fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&instead(":method", b"POST")))
}

/// `RST_STREAM` with CANCEL.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

pub(super) fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

pub(super) fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// SETTINGS with one value.
pub(super) fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Became {
    Answered(u16),
    /// The stream, or the connection, was ended.
    Ended,
}

/// A frame that came.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Came {
    /// The four bytes from `at`, big-endian: a code of GOAWAY (4) or `RST_STREAM` (0).
    pub(super) fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.payload.get(at..)?.first_chunk()?))
    }

    /// The code of a GOAWAY or `RST_STREAM`.
    pub(super) fn code(&self) -> Option<u32> {
        match self.kind {
            GOAWAY => self.number(4),
            RST_STREAM => self.number(0),
            _ => None,
        }
    }
}

pub(super) struct Reader(Box<dyn AsyncRead + Send + Unpin>);

impl Reader {
    /// The next frame; `None` at an end between two. An end inside of one is an error.
    pub(super) async fn event(&mut self) -> std::io::Result<Option<Came>> {
        let mut head = [0; 9];
        match self.0.read(&mut head[..1]).await {
            Ok(0) => return Ok(None),
            // TLS that ends without saying so: h2spec takes that for an end, too.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        };
        self.0.read_exact(&mut head[1..]).await?;
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        self.0.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok(Some(Came { kind: head[3], flags: head[4], stream, payload }))
    }

    /// The next frame; `None` at the end, of whatever kind it is.
    pub(super) async fn next(&mut self) -> Option<Came> {
        self.event().await.ok().flatten()
    }

    /// The next frame, which comes soon or not at all.
    pub(super) async fn soon(&mut self) -> Option<Came> {
        timeout(PATIENCE, self.next()).await.expect("something comes, or the end")
    }

    /// All bytes until the end, whatever they are.
    pub(super) async fn rest(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await??;
        Ok(bytes)
    }
}

pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

pub(super) struct Client {
    pub(super) write: Writer,
    pub(super) read: Reader,
}

impl Client {
    /// Over a connection that is there, whose other end has heard nothing yet.
    pub(super) fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { write: Box::new(write), read: Reader(Box::new(read)) }
    }

    /// Connects, and says nothing yet.
    pub(super) async fn silent(gateway: &Embedded) -> Self {
        let stream = TcpStream::connect(gateway.address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (read, write) = stream.into_split();
        Self { write: Box::new(write), read: Reader(Box::new(read)) }
    }

    pub(super) async fn connect(gateway: &Embedded) -> Self {
        let mut client = Self::silent(gateway).await;
        assert!(client.send(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await, "it is read");
        client
    }

    /// Sends; false if nobody reads any more.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.write.write_all(bytes)).await, Ok(Ok(())))
    }

    pub(super) async fn became(&mut self, stream: u32) -> Became {
        while let Some(came) = self.read.soon().await {
            match came.kind {
                GOAWAY => break,
                RST_STREAM if came.stream == stream => break,
                HEADERS if came.stream == stream => return Became::Answered(status(&came.payload)),
                _ => {}
            }
        }
        Became::Ended
    }
}

/// `:status`, which comes first: an entry of the static table, or one of the others as one number.
pub(super) fn status(block: &[u8]) -> u16 {
    match block.first() {
        Some(0x88) => 200,
        Some(0x8c) => 400,
        Some(0x8d) => 404,
        // By a literal: of the gateway's own answers 405, 413, 431, 502, 503.
        Some(_) => 1,
        None => 0,
    }
}
