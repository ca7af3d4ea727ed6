//! A response towards a client.

use super::added::{Lines, Pairs, Sink};
use crate::protocol::put::{self, Put, Text};
use crate::protocol::{BodyLength, Known, ResponseHead, Version};

/// What a response towards a client says besides what the target sent.
#[derive(Clone, Copy, Debug)]
pub struct ForwardResponse<'a, A = &'a [u8]> {
    /// What the client speaks.
    pub version: Version,
    /// Whether the client's connection lives on.
    pub keep_alive: bool,
    /// Framing towards the client. `UntilClose` goes with `keep_alive: false`.
    pub body: BodyLength,
    /// Send the target's `Upgrade` on (101).
    pub upgrade: bool,
    /// The client takes trailers: keep `Trailer`.
    pub te_trailers: bool,
    /// Lines to add, each with its CRLF.
    pub added: A,
    /// `Date: …` with its CRLF, added where the target sent none.
    pub date: Option<&'a [u8]>,
}

/// Appends the head of an HTTP/1.1 response to `out`; also of an interim one (1xx), which says nothing of lengths and
/// connections.
pub fn write_response<A: Text>(head: &ResponseHead, f: &ForwardResponse<'_, A>, out: &mut Vec<u8>) {
    // The date, what may be said of length and connection, and what a gateway adds.
    const OWN: usize = 288;
    put::append(&Written(head, f), head.store.bytes.len() + OWN, out);
}

/// A head, and what is made of it.
struct Written<'a, A>(&'a ResponseHead, &'a ForwardResponse<'a, A>);

impl<A: Text> Text for Written<'_, A> {
    #[inline(always)]
    fn put_to(&self, out: &mut impl Put) {
        let Self(head, f) = *self;
        out.put(b"HTTP/1.1 ");
        out.put(head.store.slice(head.status_line));
        let mut kept = kept(head, f.body);
        if f.te_trailers {
            kept |= Known::Trailer.bit();
        }
        head.store.copy_lines(kept, head.nominates, out);
        if let Some(date) = f.date.filter(|_| head.status >= 200 && !head.store.has(Known::Date)) {
            out.put(date);
        }
        f.added.put_to(out);
        let mut lines = Lines(out);
        match f.body {
            BodyLength::Length(length)
                if kept & Known::ContentLength.bit() & head.store.names == 0 && head.may_have_length() =>
            {
                lines.field("Content-Length", &[itoa::Buffer::new().format(length).as_bytes()]);
            }
            BodyLength::Chunked => lines.field("Transfer-Encoding", &[b"chunked"]),
            _ => {}
        }
        if f.upgrade {
            lines.field("Connection", &[b"upgrade"]);
            lines.field("Upgrade", &[head.known(Known::Upgrade).unwrap_or_default()]);
        } else if head.status >= 200 {
            match (f.keep_alive, f.version) {
                (false, _) => lines.field("Connection", &[b"close"]),
                (true, Version::Http10) => lines.field("Connection", &[b"keep-alive"]),
                (true, _) => {}
            }
        }
        out.put(b"\r\n");
    }
}

/// The same fields for an HTTP/2 client: names in lower case, without what belongs to a connection.
pub fn each_response_field(head: &ResponseHead, visit: &mut dyn FnMut(&[u8], &[u8])) {
    let kept = kept(head, head.body) | Known::Trailer.bit();
    let mut pairs = Pairs(visit);
    for field in head.store.kept(kept, head.nominates) {
        pairs.lower(head.store.slice(field.name), head.store.slice(field.value));
    }
}

/// What belongs to the target's connection, or is written anew.
const NEVER: u64 = Known::ContentLength.bit()
    | Known::TransferEncoding.bit()
    | Known::Connection.bit()
    | Known::KeepAlive.bit()
    | Known::ProxyConnection.bit()
    | Known::Te.bit()
    | Known::Trailer.bit()
    | Known::Upgrade.bit()
    | Known::Removed.bit();

/// The names whose lines are sent on as they came. `Content-Length` is where it is the framing, and where it tells of
/// the body that HEAD and 304 do not have.
fn kept(head: &ResponseHead, body: BodyLength) -> u64 {
    let tells = match body {
        BodyLength::Length(_) => head.body == body,
        BodyLength::None => head.body == BodyLength::None,
        BodyLength::Chunked | BodyLength::UntilClose => false,
    };
    if tells && head.may_have_length() { !NEVER | Known::ContentLength.bit() } else { !NEVER }
}
