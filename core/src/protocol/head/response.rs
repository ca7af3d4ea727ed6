//! A response's head.

use super::store::{Span, Store};
use crate::protocol::{BodyLength, HeadError, Known, Method, Version, status, syntax};

/// A response's head, from HTTP/1 ([`crate::protocol::h1::parse_response`]) or HTTP/2 (`begin`, `push`, `finish`).
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    /// The version that the target spoke.
    pub version: Version,
    /// How the body ends.
    pub body: BodyLength,
    /// Whether the connection can be used again after the body.
    pub keep_alive: bool,
    /// Seconds that the target keeps an idle connection, where it says so (`Keep-Alive: timeout=5`).
    pub keep_alive_timeout: Option<u32>,
    /// A 101 that names what it switches to.
    pub upgrade: bool,
    /// `Connection` names other fields, which must not be sent on.
    pub(in crate::protocol) nominates: bool,
    pub(in crate::protocol) store: Store,
    /// Status and phrase with their CRLF: what follows `HTTP/1.1 `.
    pub(in crate::protocol) status_line: Span,
}

impl ResponseHead {
    /// An empty head, without a buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the head and keeps the buffers.
    pub fn clear(&mut self) {
        let mut store = std::mem::take(&mut self.store);
        store.clear();
        *self = Self { store, ..Self::default() };
    }

    /// Holds no head.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.bytes.is_empty()
    }

    /// Bytes that the buffer can hold without growing: what a pool looks at before it keeps it.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.store.bytes.capacity()
    }

    /// Whether more heads follow for the same request: 1xx, except 101.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn known(&self, known: Known) -> Option<&[u8]> {
        self.store.known(known)
    }

    /// All fields in their order: name as it came, value, classification.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8], Known)> {
        self.store.fields()
    }

    /// The values of all fields of that name, whatever its case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.store.all(name)
    }

    /// Takes every field of that name out; whether there was one. Framing was decided when the head was read.
    pub fn remove(&mut self, name: &str) -> bool {
        self.store.remove(name)
    }

    /// Adds a field after the others.
    ///
    /// # Errors
    /// If the name is no token, the value holds control characters, or the head would grow too large.
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HeadError> {
        self.store.push(name.as_bytes(), value).map(|_| ())
    }

    /// Begins the head of an HTTP/2 response, in place of what the buffer held.
    pub fn begin(&mut self, status: u16) {
        self.clear();
        self.status = status;
        self.version = Version::Http2;
        self.keep_alive = true;
        let mut digits = itoa::Buffer::new();
        let start = self.store.append(digits.format(status).as_bytes()).start;
        self.store.bytes.push(b' ');
        self.store.bytes.extend_from_slice(status::reason_phrase(status).as_bytes());
        let end = self.store.append(b"\r\n").end;
        self.status_line = Span { start, end };
    }

    /// Adds a field of an HTTP/2 response.
    ///
    /// # Errors
    /// For a malformed name or value, a field that HTTP/2 forbids, a second or malformed `content-length`.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let before = self.store.names;
        let known = self.store.push(name, value)?;
        match known {
            Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade => Err(HeadError::ConnectionField),
            Known::ContentLength if before & known.bit() != 0 => Err(HeadError::ContentLength),
            Known::ContentLength => {
                let length = syntax::decimal(syntax::trim(value)).ok_or(HeadError::ContentLength)?;
                self.body = BodyLength::Length(length);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Ends the head of an HTTP/2 response to a request of that method. A body without `content-length` is
    /// [`BodyLength::Chunked`].
    ///
    /// # Errors
    /// For a status below 100, or the length of a body that does not come.
    pub fn finish(&mut self, request: Method, end_of_stream: bool) -> Result<(), HeadError> {
        if self.status < 100 {
            return Err(HeadError::Status);
        }
        if self.has_no_body(request) {
            self.body = BodyLength::None;
            return Ok(());
        }
        match self.body {
            BodyLength::Length(length) if end_of_stream && length > 0 => return Err(HeadError::ContentLength),
            BodyLength::None if end_of_stream => self.body = BodyLength::Length(0),
            BodyLength::None => self.body = BodyLength::Chunked,
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 §6.3, 1: answers to HEAD, 1xx, 204 and 304 end with their head, whatever it says.
    pub(in crate::protocol) fn has_no_body(&self, request: Method) -> bool {
        request == Method::Head || self.status < 200 || matches!(self.status, 204 | 304)
    }

    /// Whether the head may speak of a length: not in 1xx and 204 (RFC 9110 §8.6).
    pub(in crate::protocol) fn may_have_length(&self) -> bool {
        self.status >= 200 && self.status != 204
    }
}
