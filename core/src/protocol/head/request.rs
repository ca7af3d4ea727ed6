//! A request's head.

use super::store::{Span, Store};
use crate::protocol::message::HEAD_BYTES_MAX;
use crate::protocol::search::find;
use crate::protocol::{BodyLength, HeadError, HeadLimits, Known, Method, Version, syntax};
use wide::u8x16;

/// A request's head, from HTTP/1 ([`crate::protocol::h1::parse_request`]) or HTTP/2 (`begin`, `push`, `finish_http2`).
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the head, read on its own")]
pub struct RequestHead {
    /// The method; [`RequestHead::method_bytes`] has it as it came.
    pub method: Method,
    /// The version that the client spoke.
    pub version: Version,
    /// How the body ends: `None`, `Length` or `Chunked`.
    pub body: BodyLength,
    /// Whether the client lets the connection live on.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends its body; never set without a body or in HTTP/1.0.
    pub expect_continue: bool,
    /// The client asks for another protocol (RFC 9110 §7.8): `Connection: upgrade` and `Upgrade` in HTTP/1.1. Other
    /// versions of HTTP and TLS are never asked for: with `h2c` the client would talk past the gateway.
    pub upgrade: bool,
    /// `TE: trailers`.
    pub te_trailers: bool,
    /// `Connection` names other fields, which must not be sent on.
    pub(in crate::protocol) nominates: bool,
    pub(in crate::protocol) store: Store,
    pub(in crate::protocol) method_span: Span,
    pub(in crate::protocol) target: Span,
    /// Where the path ends in the bytes: at the `?`, or the target's end.
    pub(in crate::protocol) path_end: u16,
    pub(in crate::protocol) host: Span,
    /// What `begin` found, told by `finish_http2`.
    fault: Option<HeadError>,
}

impl RequestHead {
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

    /// The method as it came.
    #[must_use]
    pub fn method_bytes(&self) -> &[u8] {
        self.store.slice(self.method_span)
    }

    /// Path and query as they came; `*` for `OPTIONS *`. Of an absolute-form target the part after the authority.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.store.slice(self.target)
    }

    /// The path as it came, without the query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        // A head that was refused half way through has no path's end yet.
        self.store.slice(Span { start: self.target.start, end: self.path_end.max(self.target.start) })
    }

    /// What follows the first `?`: empty for a bare one, `None` without.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        let length = usize::from(self.path_end.checked_sub(self.target.start)?);
        self.target().get(length..)?.get(1..)
    }

    /// The authority of an absolute-form target or `:authority`, else `Host`: with its port, as sent. Empty where an
    /// HTTP/1.0 client sent none.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.store.slice(self.host)
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
    /// If the name is no token, the value holds control characters, or the head would grow over [`HEAD_BYTES_MAX`].
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HeadError> {
        self.store.push(name.as_bytes(), value).map(|_| ())
    }

    /// Begins the head of an HTTP/2 request, in place of what the buffer held.
    pub fn begin(&mut self, method: &[u8], target: &[u8], authority: &[u8]) {
        self.clear();
        if method.len() + target.len() + authority.len() > HEAD_BYTES_MAX {
            self.fault = Some(HeadError::RequestLineTooLong);
            return;
        }
        self.version = Version::Http2;
        self.keep_alive = true;
        self.method = Method::from_bytes(method);
        self.method_span = self.store.append(method);
        self.target = self.store.append(target);
        self.path_end = self.target.end;
        self.host = self.store.append(authority);
        self.fault = self.set_path().err();
        if !authority.is_empty() && !syntax::is_host(authority) {
            self.fault = self.fault.or(Some(HeadError::BadHost));
        }
        if !syntax::is_token(method) {
            self.fault = Some(HeadError::StartLine);
        }
    }

    /// Adds a field of an HTTP/2 request.
    ///
    /// # Errors
    /// For a malformed name or value, a field that HTTP/2 forbids (RFC 9113 §8.2.2), a second or malformed
    /// `content-length`, a second or malformed `host`, another `expect` than `100-continue`.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let before = self.store.names;
        let known = self.store.push(name, value)?;
        let value = syntax::trim(value);
        let again = before & known.bit() != 0;
        match known {
            Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade => return Err(HeadError::ConnectionField),
            Known::Te if !value.eq_ignore_ascii_case(b"trailers") => return Err(HeadError::ConnectionField),
            Known::Te => self.te_trailers = true,
            Known::ContentLength if again => return Err(HeadError::ContentLength),
            Known::ContentLength => {
                self.body = BodyLength::Length(syntax::decimal(value).ok_or(HeadError::ContentLength)?);
            }
            Known::Host if again => return Err(HeadError::TwoHosts),
            Known::Host if !syntax::is_host(value) => return Err(HeadError::BadHost),
            Known::Expect if !value.eq_ignore_ascii_case(b"100-continue") => return Err(HeadError::Expectation),
            Known::Expect => self.expect_continue = true,
            _ => {}
        }
        Ok(())
    }

    /// Ends the head of an HTTP/2 request. A body without `content-length` is [`BodyLength::Chunked`].
    ///
    /// # Errors
    /// What `begin` or the whole head shows: limits, target, CONNECT and TRACE, no or two different hosts, a length
    /// of a body that does not come.
    pub fn finish_http2(&mut self, end_of_stream: bool, limits: &HeadLimits) -> Result<(), HeadError> {
        let start = usize::from(self.host.end);
        if usize::from(self.target.end) + "  HTTP/2".len() > limits.request_line {
            return Err(HeadError::RequestLineTooLong);
        }
        if self.store.bytes.len() - start > limits.headers {
            return Err(HeadError::HeadersTooLarge);
        }
        if self.store.fields.len() > limits.count {
            return Err(HeadError::TooManyHeaders);
        }
        self.check_method()?;
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if let Some(field) = self.store.fields.iter().find(|field| field.known == Known::Host) {
            if self.host.start == self.host.end {
                self.host = field.value;
            } else if !self.host().eq_ignore_ascii_case(self.store.slice(field.value)) {
                return Err(HeadError::HostConflict);
            }
        }
        if self.host().is_empty() {
            return Err(HeadError::NoHost);
        }
        match self.body {
            BodyLength::Length(length) if end_of_stream && length > 0 => return Err(HeadError::ContentLength),
            BodyLength::None if !end_of_stream => self.body = BodyLength::Chunked,
            _ => {}
        }
        self.expect_continue &= !self.body.is_empty();
        self.join_cookies()
    }

    /// CONNECT and TRACE are not for a reverse proxy.
    pub(in crate::protocol) fn check_method(&self) -> Result<(), HeadError> {
        match self.method {
            Method::Connect => Err(HeadError::Connect),
            Method::Trace => Err(HeadError::Trace),
            _ => Ok(()),
        }
    }

    /// Checks an origin-form or asterisk-form target and finds its path's end.
    pub(in crate::protocol) fn set_path(&mut self) -> Result<(), HeadError> {
        let target = self.store.slice(self.target);
        let form = match target {
            [b'/', ..] => true,
            b"*" => self.method == Method::Options,
            _ => false,
        };
        if !form || (self.version == Version::Http2 && !target.iter().all(|&b| b > b' ' && b != 0x7f)) {
            return Err(HeadError::Target);
        }
        let path = find(target, 0, |chunk| {
            (chunk.simd_eq(u8x16::splat(b'?')) | chunk.simd_eq(u8x16::splat(b'#'))).to_bitmask()
        });
        if target.get(path..).is_some_and(|rest| rest.contains(&b'#')) {
            return Err(HeadError::Target);
        }
        self.path_end = Span::new(0, usize::from(self.target.start) + path).end;
        Ok(())
    }

    /// HTTP/2 clients may split their cookies over fields; what is not HTTP/2 expects one (RFC 9113 §8.2.3).
    fn join_cookies(&mut self) -> Result<(), HeadError> {
        if self.store.all_known(Known::Cookie).nth(1).is_none() {
            return Ok(());
        }
        let joined = self.store.all_known(Known::Cookie).collect::<Vec<_>>().join(b"; " as &[u8]);
        self.store.remove("cookie");
        self.append("cookie", &joined)
    }
}
