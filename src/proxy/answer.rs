//! The gateway's own answers.

use super::failure::{Failure, Fault};
use super::request::Request;
use plimsoll_core::protocol::answer::{error_body, negotiate};
use plimsoll_core::protocol::put::{Put, Text};
use plimsoll_core::protocol::status::reason_phrase;
use plimsoll_core::protocol::{Known, Method, RequestHead, Version, grpc, uri};

/// An answer that the gateway makes itself.
pub(crate) struct Answer {
    /// Its status, as it is sent: clients of gRPC are always sent 200.
    pub(crate) status: u16,
    /// Fields besides `Date`, `Content-Length` and `Connection`.
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
    /// Its body; not sent in answer to HEAD, but counted in `Content-Length`.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What a failure is answered. `None` where nobody is left to be answered.
    #[must_use]
    pub(crate) fn of(failure: &Failure, request: &Request) -> Option<Self> {
        if *failure == Failure::ClientGone {
            return None;
        }
        let id = &request.record.id;
        let mut answer = if is_call(&request.head) {
            Self::of_call(failure, id)
        } else {
            let mut answer = Self::of_head(failure, &request.head, id);
            if let Failure::HttpsRequired(status) = failure {
                answer.require_https(*status, request);
            }
            answer
        };
        answer.fields.extend(retry_after(failure));
        let headers = request.settings().headers;
        if headers.server {
            answer.fields.push(("server", crate::telemetry::SERVER.into()));
        }
        if headers.request_id {
            answer.fields.push(("x-kong-request-id", id.to_vec()));
        }
        if headers.latency {
            let took = request.worker.now().micros_since(request.record.started) / 1000;
            let took = itoa::Buffer::new().format(took).as_bytes().to_vec();
            answer.fields.push(("x-kong-response-latency", took));
        }
        Some(answer)
    }

    fn of_head(failure: &Failure, head: &RequestHead, id: &[u8]) -> Self {
        let row = failure.row();
        let format = negotiate(head.known(Known::Accept));
        let mut body = Vec::with_capacity(128);
        error_body(format, row.message, id, &mut body);
        let mut fields = vec![("content-type", format.content_type().into())];
        if row.status == 405 {
            fields.push(("allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_vec()));
        }
        Self { status: row.status, fields, body }
    }

    /// What a client of gRPC is answered: a head alone with 200 that says the rest, gRPC's "Trailers-Only". It is the only
    /// answer after which all of its libraries show the message, and try again where their policy says so: grpc-go and
    /// grpc-java look for no `grpc-status` beside another HTTP status, with which Kong sends it. Envoy does as we do.
    fn of_call(failure: &Failure, id: &[u8]) -> Self {
        let row = failure.row();
        let mut message = Vec::with_capacity(128);
        grpc::push_message(row.message.as_bytes(), &mut message);
        message.extend_from_slice(b", request_id: ");
        grpc::push_message(id, &mut message);
        let status = itoa::Buffer::new().format(grpc::status(row.status)).as_bytes().to_vec();
        let fields =
            vec![("content-type", grpc::CONTENT_TYPE.into()), ("grpc-status", status), ("grpc-message", message)];
        Self { status: 200, fields, body: Vec::new() }
    }

    /// Kong's answer to a plain request where https is wanted.
    fn require_https(&mut self, status: u16, request: &Request) {
        if status == 426 {
            self.fields.push(("upgrade", b"TLS/1.2, HTTP/1.1".to_vec()));
            return;
        }
        let (host, _) = uri::split_host(request.head.host());
        let mut location = b"https://".to_vec();
        location.extend_from_slice(host);
        location.extend_from_slice(request.head.target());
        self.fields.push(("location", location));
    }

    /// The answer as HTTP/1.1 sends it.
    pub(crate) fn write(&self, method: Method, keep_alive: bool, date: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(self.status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason_phrase(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(date);
        let mut upgrade = false;
        for (name, value) in &self.fields {
            upgrade |= *name == "upgrade";
            push_name(name, out);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(itoa::Buffer::new().format(self.body.len()).as_bytes());
        out.extend_from_slice(match (keep_alive, upgrade) {
            (true, false) => b"\r\n\r\n".as_slice(),
            (true, true) => b"\r\nConnection: Upgrade\r\n\r\n",
            (false, false) => b"\r\nConnection: close\r\n\r\n",
            (false, true) => b"\r\nConnection: Upgrade, close\r\n\r\n",
        });
        if method != Method::Head {
            out.extend_from_slice(&self.body);
        }
    }
}

/// Whether the client speaks gRPC.
fn is_call(head: &RequestHead) -> bool {
    head.version == Version::Http2 && head.all("content-type").next().is_some_and(grpc::is_call)
}

/// When the client may come again, where it is refused for now.
fn retry_after(failure: &Failure) -> Option<(&'static str, Vec<u8>)> {
    let seconds = if let Failure::TooManyRequests(seconds) = failure { *seconds } else { 1 };
    let shed = failure.row().fault == Fault::Shed;
    shed.then(|| ("retry-after", itoa::Buffer::new().format(seconds).as_bytes().to_vec()))
}

/// Names in HTTP/1's usual spelling: `Content-Type`.
fn push_name(name: &str, out: &mut Vec<u8>) {
    let mut upper = true;
    for byte in name.bytes() {
        out.push(if upper { byte.to_ascii_uppercase() } else { byte });
        upper = byte == b'-';
    }
}

/// The lines that the gateway adds to a target's answer.
pub(crate) struct Added<'a>(pub(crate) &'a Request);

impl Text for Added<'_> {
    #[inline(always)]
    fn put_to(&self, out: &mut impl Put) {
        let Self(request) = *self;
        let (record, headers) = (&request.record, request.settings().headers);
        if headers.via {
            out.put(b"Via: 1.1 plimsoll\r\n");
        }
        if headers.latency {
            let upstream = record.upstream_us.unwrap_or_default();
            out.put(b"X-Kong-Upstream-Latency: ");
            put_millis(upstream, out);
            out.put(b"\r\nX-Kong-Proxy-Latency: ");
            put_millis(record.answered_us.saturating_sub(upstream), out);
            out.put(b"\r\n");
        }
        if headers.request_id {
            out.put(b"X-Kong-Request-Id: ");
            out.put(&record.id);
            out.put(b"\r\n");
        }
    }
}

fn put_millis(micros: u64, out: &mut impl Put) {
    match micros / 1000 {
        0 => out.put(b"0"),
        millis => out.put(itoa::Buffer::new().format(millis).as_bytes()),
    }
}
