//! A request towards a target.

use super::added::{Lines, Pairs, Sink};
use crate::protocol::put::{self, Put, Text};
use crate::protocol::{BodyLength, Known, RequestHead, uri};
use smallvec::SmallVec;

/// What a request towards a target says besides what the client sent.
#[derive(Clone, Copy, Debug)]
pub struct ForwardRequest<'a> {
    /// The path, ready to be sent ([`uri::join_path`] makes it so); no query.
    pub path: &'a [u8],
    /// The query after its `?`, as the client sent it.
    pub query: Option<&'a [u8]>,
    /// `Host` towards the target.
    pub host: &'a [u8],
    /// The address at the other end of the connection, printed.
    pub client: &'a [u8],
    /// `X-Real-IP`, where a trusted proxy says none.
    pub real_ip: &'a [u8],
    /// `http` or `https`: how the client came.
    pub proto: &'a str,
    /// The listener's port.
    pub forwarded_port: u16,
    /// What [`client_lines`] makes of the three, for all requests of a connection: used where neither the client's own
    /// fields nor its being trusted make a difference.
    pub client_lines: &'a [u8],
    /// The host that the client asked for, without port.
    pub forwarded_host: &'a [u8],
    /// The path as the client sent it, without query.
    pub forwarded_path: &'a [u8],
    /// What was stripped off the path, for `X-Forwarded-Prefix`; control characters and the like are escaped here.
    pub prefix: Option<&'a [u8]>,
    /// The client is a trusted proxy: its `X-Forwarded-Proto`, `-Host`, `-Port`, `-Path`, `-Prefix` and `X-Real-IP`
    /// stay where it sent them.
    pub trusted: bool,
    /// The gateway's name for `Via`.
    pub via: Option<&'a [u8]>,
    /// `X-Kong-Request-Id` towards the target, in place of the client's.
    pub request_id: Option<&'a [u8]>,
    /// Send the client's `Upgrade` on.
    pub upgrade: bool,
    /// Framing towards the target.
    pub body: BodyLength,
    /// Send `Expect: 100-continue`.
    pub expect_continue: bool,
}

/// Appends the head of an HTTP/1.1 request to `out`.
pub fn write_request(head: &RequestHead, f: &ForwardRequest<'_>, out: &mut Vec<u8>) {
    // The names of the lines that nearly all have, and the id.
    const NAMES: usize = 192;
    let values = [f.path, f.host, f.client_lines, f.forwarded_host, f.forwarded_path];
    let values = values.iter().chain(&f.via).chain(&f.prefix).map(|value| value.len()).sum::<usize>();
    let bound = head.store.bytes.len() + values + NAMES;
    put::append(&Written(head, f), bound, out);
}

/// A head, and what is made of it.
struct Written<'a>(&'a RequestHead, &'a ForwardRequest<'a>);

impl Text for Written<'_> {
    #[inline(always)]
    fn put_to(&self, out: &mut impl Put) {
        let Self(head, f) = *self;
        out.put(head.method_bytes());
        out.put(b" ");
        out.put(f.path);
        if let Some(query) = f.query {
            out.put(b"?");
            out.put(query);
        }
        out.put(b" HTTP/1.1\r\nHost: ");
        out.put(f.host);
        out.put(b"\r\n");
        head.store.copy_lines(kept(head, f), head.nominates, out);
        let mut lines = Lines(out);
        match f.body {
            BodyLength::Length(length) if head.body != f.body => {
                lines.field("Content-Length", &[itoa::Buffer::new().format(length).as_bytes()]);
            }
            BodyLength::Chunked | BodyLength::UntilClose => lines.field("Transfer-Encoding", &[b"chunked"]),
            BodyLength::Length(_) | BodyLength::None => {}
        }
        match (f.upgrade, head.te_trailers) {
            (true, _) => {
                lines.field("Connection", &[b"upgrade"]);
                lines.field("Upgrade", &[head.known(Known::Upgrade).unwrap_or_default()]);
            }
            (false, true) => {
                lines.field("Connection", &[b"te"]);
                lines.field("TE", &[b"trailers"]);
            }
            (false, false) => {}
        }
        if f.expect_continue {
            lines.field("Expect", &[b"100-continue"]);
        }
        if f.trusted || head.store.has(Known::XForwardedFor) {
            added_for_client(head, f, &mut lines);
        } else {
            lines.0.put(f.client_lines);
        }
        added_for_request(head, f, &mut lines);
        out.put(b"\r\n");
    }
}

/// The lines of an HTTP/1 head that say who the client is, where nobody before the gateway said so.
#[must_use]
pub fn client_lines(client: &[u8], proto: &str, port: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut lines = Lines(&mut out);
    lines.field("X-Forwarded-For", &[client]);
    lines.field("X-Real-IP", &[client]);
    lines.field("X-Forwarded-Proto", &[proto.as_bytes()]);
    lines.field("X-Forwarded-Port", &[itoa::Buffer::new().format(port).as_bytes()]);
    out
}

/// The same fields for an HTTP/2 target: names in lower case, without `Host` and what belongs to a connection; `te`
/// only as `trailers`.
pub fn each_request_field(head: &RequestHead, f: &ForwardRequest<'_>, visit: &mut dyn FnMut(&[u8], &[u8])) {
    let kept = kept(head, f);
    let mut pairs = Pairs(visit);
    for field in head.store.kept(kept, head.nominates) {
        pairs.lower(head.store.slice(field.name), head.store.slice(field.value));
    }
    match f.body {
        BodyLength::Length(length) if head.body != f.body => {
            pairs.field("content-length", &[itoa::Buffer::new().format(length).as_bytes()]);
        }
        _ => {}
    }
    if head.te_trailers {
        pairs.field("te", &[b"trailers"]);
    }
    if f.expect_continue {
        pairs.field("expect", &[b"100-continue"]);
    }
    added_for_client(head, f, &mut pairs);
    added_for_request(head, f, &mut pairs);
}

/// Names whose lines the gateway has no part in.
const ALWAYS: u64 = Known::Other.bit()
    | Known::Date.bit()
    | Known::Server.bit()
    | Known::Via.bit()
    | Known::UserAgent.bit()
    | Known::Accept.bit()
    | Known::Cookie.bit();

/// Names that a trusted proxy may speak for itself.
const FORWARDED: u64 = Known::Forwarded.bit()
    | Known::XForwardedProto.bit()
    | Known::XForwardedHost.bit()
    | Known::XForwardedPort.bit()
    | Known::XForwardedPath.bit()
    | Known::XForwardedPrefix.bit()
    | Known::XRealIp.bit()
    | Known::Consumer.bit();

/// The names whose lines are sent on as they came.
fn kept(head: &RequestHead, f: &ForwardRequest<'_>) -> u64 {
    let mut kept = ALWAYS;
    if f.trusted {
        kept |= FORWARDED;
    }
    if f.request_id.is_none() {
        kept |= Known::XRequestId.bit();
    }
    match f.body {
        BodyLength::Length(_) if f.body == head.body => kept |= Known::ContentLength.bit(),
        BodyLength::Chunked => kept |= Known::Trailer.bit(),
        _ => {}
    }
    kept
}

/// What says who the client is, whatever the target speaks.
fn added_for_client(head: &RequestHead, f: &ForwardRequest<'_>, sink: &mut impl Sink) {
    forwarded_for(head, f, sink);
    let own = |known| !(f.trusted && head.store.has(known));
    if own(Known::XRealIp) {
        sink.field("X-Real-IP", &[f.real_ip]);
    }
    if own(Known::XForwardedProto) {
        sink.field("X-Forwarded-Proto", &[f.proto.as_bytes()]);
    }
    if own(Known::XForwardedPort) {
        sink.field("X-Forwarded-Port", &[itoa::Buffer::new().format(f.forwarded_port).as_bytes()]);
    }
}

/// What says how the client asked, whatever the target speaks.
fn added_for_request(head: &RequestHead, f: &ForwardRequest<'_>, sink: &mut impl Sink) {
    let own = |known| !(f.trusted && head.store.has(known));
    if own(Known::XForwardedHost) {
        sink.field("X-Forwarded-Host", &[f.forwarded_host]);
    }
    if own(Known::XForwardedPath) {
        sink.field("X-Forwarded-Path", &[f.forwarded_path]);
    }
    if let Some(prefix) = f.prefix.filter(|_| own(Known::XForwardedPrefix)) {
        let mut escaped = Vec::new();
        if !uri::is_plain(prefix) {
            uri::escape(prefix, &mut escaped);
        }
        sink.field("X-Forwarded-Prefix", &[if escaped.is_empty() { prefix } else { &escaped }]);
    }
    if let Some(name) = f.via {
        sink.field("Via", &[head.version.name().as_bytes(), b" ", name]);
    }
    if let Some(id) = f.request_id {
        sink.field("X-Kong-Request-Id", &[id]);
    }
}

/// Those who forwarded it before, then the client, in one field.
fn forwarded_for(head: &RequestHead, f: &ForwardRequest<'_>, sink: &mut impl Sink) {
    if !head.store.has(Known::XForwardedFor) {
        return sink.field("X-Forwarded-For", &[f.client]);
    }
    let mut parts: SmallVec<[&[u8]; 8]> = SmallVec::new();
    for before in head.store.all_known(Known::XForwardedFor).filter(|value| !value.is_empty()) {
        parts.extend([before, b", "]);
    }
    parts.push(f.client);
    sink.field("X-Forwarded-For", &parts);
}
