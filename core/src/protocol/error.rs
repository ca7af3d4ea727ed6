//! Why a head or a body is refused.

use std::fmt;

/// Why a head is refused. After most of them the connection cannot be used: where the next message begins is unsure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// A line ended in LF without CR (RFC 9112 §2.2 lets a recipient take it; that is how heads are smuggled).
    BareLf,
    /// More than one empty line before the head.
    LeadingLines,
    /// The request line or status line is not one.
    StartLine,
    /// The target is neither `/…`, nor `http(s)://…`, nor `*` of OPTIONS, or holds a `#`.
    Target,
    /// A version other than 1.0 and 1.1.
    Version,
    /// The request line is over its limit.
    RequestLineTooLong,
    /// The header lines are over their limit.
    HeadersTooLarge,
    /// More header lines than allowed.
    TooManyHeaders,
    /// A field's name is not a token: also a space before the colon, or a folded line.
    FieldName,
    /// A field's value holds a control character, such as a CR without LF.
    FieldValue,
    /// `Content-Length` is no number, or is there twice.
    ContentLength,
    /// Both `Content-Length` and `Transfer-Encoding`.
    TwoLengths,
    /// `Transfer-Encoding` that does not end in one `chunked`.
    TransferEncoding,
    /// `Transfer-Encoding` in an HTTP/1.0 message.
    TransferEncodingInHttp10,
    /// A transfer coding besides `chunked`.
    UnknownCoding,
    /// HTTP/1.1 without `Host`.
    NoHost,
    /// More than one `Host`.
    TwoHosts,
    /// A `Host` or authority that is not `name[:port]`.
    BadHost,
    /// HTTP/2's `:authority` and `host` differ.
    HostConflict,
    /// CONNECT: this is no forward proxy.
    Connect,
    /// TRACE: it would echo credentials (RFC 9110 §9.3.8).
    Trace,
    /// An `Expect` other than `100-continue`.
    Expectation,
    /// A field that belongs to an HTTP/1 connection, in HTTP/2 (RFC 9113 §8.2.2).
    ConnectionField,
    /// A response's status below 100.
    Status,
}

impl HeadError {
    /// The status of the answer, where a request is refused. A response that is refused is answered 502.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.row().0
    }

    /// What to write into the log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (u16, &'static str) {
        match self {
            Self::BareLf => (400, "a line of the head ends in LF without CR"),
            Self::LeadingLines => (400, "more than one empty line before the head"),
            Self::StartLine => (400, "malformed first line"),
            Self::Target => (400, "malformed request target"),
            Self::Version => (505, "version of HTTP is neither 1.0 nor 1.1"),
            Self::RequestLineTooLong => (414, "request line over its limit"),
            Self::HeadersTooLarge => (431, "headers over their limit"),
            Self::TooManyHeaders => (431, "too many headers"),
            Self::FieldName => (400, "malformed header name"),
            Self::FieldValue => (400, "control character in a header value"),
            Self::ContentLength => (400, "malformed or repeated Content-Length"),
            Self::TwoLengths => (400, "both Content-Length and Transfer-Encoding"),
            Self::TransferEncoding => (400, "Transfer-Encoding does not end in one chunked"),
            Self::TransferEncodingInHttp10 => (400, "Transfer-Encoding in HTTP/1.0"),
            Self::UnknownCoding => (501, "transfer coding other than chunked"),
            Self::NoHost => (400, "no Host"),
            Self::TwoHosts => (400, "more than one Host"),
            Self::BadHost => (400, "malformed Host"),
            Self::HostConflict => (400, ":authority and host differ"),
            Self::Connect => (405, "CONNECT is not served"),
            Self::Trace => (405, "TRACE is not served"),
            Self::Expectation => (417, "Expect other than 100-continue"),
            Self::ConnectionField => (400, "connection-specific header in HTTP/2"),
            Self::Status => (400, "status below 100"),
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for HeadError {}

/// Why a chunked body is refused: 400 towards a client, a broken answer where it came from a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// A chunk's size is not a hexadecimal number of at most 16 digits.
    ChunkSize,
    /// Something other than CRLF where a chunk or a line ends.
    ChunkEnd,
    /// A control character in an extension, or more than 16 KiB of extensions.
    Extension,
    /// A trailer line that is no field.
    Trailer,
    /// More than 8 KiB or 64 fields of trailers.
    TrailersTooLarge,
}

impl BodyError {
    /// What to write into the log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ChunkSize => "malformed chunk size",
            Self::ChunkEnd => "no CRLF where a chunk ends",
            Self::Extension => "malformed or too many chunk extensions",
            Self::Trailer => "malformed trailer",
            Self::TrailersTooLarge => "trailers over their limit",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for BodyError {}
