//! What heads of requests and responses have in common: version, length of the body, limits.

/// A message's version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0: no chunks, no interim answers, closes unless told otherwise.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
}

impl Version {
    /// As `Via` and logs write it: `1.0`, `1.1`, `2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// How a message's body ends, by RFC 9112 §6.3 (HTTP/2: by its `content-length` and its end of stream).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// No body, and no field that speaks of one.
    #[default]
    None,
    /// That many bytes. `Length(0)` is a body that is said to be empty (`Content-Length: 0` is sent on).
    Length(u64),
    /// In chunks (HTTP/2: until the end of the stream).
    Chunked,
    /// Whatever comes until the connection closes: responses only.
    UntilClose,
}

impl BodyLength {
    /// No byte of a body will come.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// 60 KiB: the largest head that is read at all, so that every position in it, and what is appended to it, fits `u16`.
pub const HEAD_BYTES_MAX: usize = 60 * 1024;

/// 128: the most fields of a head.
pub const HEAD_FIELDS_MAX: usize = 128;

/// How large a request's head may be. [`HEAD_BYTES_MAX`] and [`HEAD_FIELDS_MAX`] hold beyond them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the request line without its CRLF; more is answered 414.
    pub request_line: usize,
    /// Bytes of all header lines together with the empty line; more is answered 431.
    pub headers: usize,
    /// Number of header lines; more is answered 431.
    pub count: usize,
}
