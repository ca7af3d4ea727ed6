//! What is read as a request, goes on as the same request, and is read so by the next one, and by hyper, with the same body:
//! before and behind the gateway.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::protocol::forward::{ForwardRequest, each_request_field, write_request};
use plimsoll_core::protocol::h1::{HeadScan, parse_request, write_chunk_head};
use plimsoll_core::protocol::{BodyLength, HeadError, HeadLimits, Known, RequestHead};
use plimsoll_fuzz::{End, body, requests, says_the_same};

const LIMITS: HeadLimits = HeadLimits { request_line: 8192, headers: 32 * 1024, count: 100 };
/// For what is sent on: there are fields of ours in it, and paths that were repeated in them.
const WIDER: HeadLimits = HeadLimits { request_line: 8192, headers: 64 * 1024, count: 120 };

fn parse(bytes: &[u8], limits: &HeadLimits) -> Result<Option<RequestHead>, HeadError> {
    let mut head = RequestHead::new();
    let end = parse_request(bytes, limits, &mut head)?;
    Ok(end.map(|_| head))
}

fn others(head: &RequestHead) -> Vec<(&[u8], &[u8])> {
    head.fields().filter(|(.., known)| *known == Known::Other).map(|(name, value, _)| (name, value)).collect()
}

/// Another reader sees the same method and the same fields.
fn agrees_with_httparse(head: &RequestHead, bytes: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(bytes).expect("httparse reads it too");
    assert_eq!(status, httparse::Status::Complete(bytes.len()));
    assert_eq!(request.method.map(str::as_bytes), Some(head.method_bytes()));
    let theirs: Vec<_> = request.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    assert_eq!(head.fields().map(|(name, value, _)| (name, value)).collect::<Vec<_>>(), theirs);
}

/// In the framing that the gateway would send it in.
fn framed(length: BodyLength, data: &[u8]) -> Vec<u8> {
    if length != BodyLength::Chunked {
        return data.to_vec();
    }
    let mut out = Vec::new();
    // The last chunk has no data.
    for part in data.chunks(data.len().max(1)).chain([&[][..]]) {
        let mut size = [0; 18];
        let end = write_chunk_head(part.len(), &mut size);
        out.extend_from_slice(&[&size[..end], part, b"\r\n"].concat());
    }
    out
}

/// Hyper refuses the request, or finds the same one in it; so what follows it is the same, too.
fn agrees_with_hyper(head: &RequestHead, bytes: &[u8], rest: &[u8], sent: &[u8]) {
    match body(head.body, rest) {
        Some((raw, data)) => {
            says_the_same(head, &[bytes, &raw].concat(), &data);
            says_the_same(head, &[sent, &framed(head.body, &data)].concat(), &data);
        }
        None => {
            for request in requests(bytes.to_vec()).0 {
                assert_eq!(head.body, BodyLength::Length(request.length.expect("a length")));
                assert_eq!(request.end, End::TooEarly);
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let whole = HeadScan::new().find(bytes);
    let mut scan = HeadScan::new();
    let steps = (0..=bytes.len()).map(|end| scan.find(&bytes[..end])).find(|found| *found != Ok(None));
    assert_eq!(steps.unwrap_or(Ok(None)), whole, "byte by byte");
    let head = match parse(bytes, &LIMITS) {
        Ok(Some(head)) => head,
        Ok(None) => {
            let (seen, _) = requests(bytes.to_vec());
            return assert!(seen.is_empty(), "more is to come: {seen:?}");
        }
        Err(_) => return,
    };
    let Ok(Some(range)) = whole else { panic!("read, though no head was found") };
    let end = range.end;
    agrees_with_httparse(&head, &bytes[range]);
    assert!(head.path().starts_with(b"/") || head.path() == b"*");
    let forward = ForwardRequest {
        path: head.path(),
        query: head.query(),
        host: b"target",
        client: b"::1",
        real_ip: b"::1",
        proto: "http",
        forwarded_host: head.host(),
        forwarded_port: 80,
        client_lines: b"X-Forwarded-For: ::1\r\nX-Real-IP: ::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n",
        forwarded_path: head.path(),
        prefix: Some(head.path()),
        trusted: bytes.len() % 2 == 0,
        via: Some(b"plimsoll"),
        request_id: Some(b"0f"),
        upgrade: head.upgrade,
        body: head.body,
        expect_continue: head.expect_continue,
    };
    let mut out = Vec::new();
    write_request(&head, &forward, &mut out);
    agrees_with_hyper(&head, &bytes[..end], &bytes[end..], &out);
    let sent = parse(&out, &WIDER).ok().flatten().expect("what is sent on is a request");
    assert_eq!((sent.method_bytes(), sent.target(), sent.body), (head.method_bytes(), head.target(), head.body));
    assert_eq!((sent.host(), sent.upgrade, sent.expect_continue), (&b"target"[..], head.upgrade, head.expect_continue));
    let kept = others(&sent);
    assert!(kept.iter().all(|field| others(&head).contains(field)), "no field is made up");
    for name in [Known::KeepAlive, Known::ProxyConnection, Known::Proxy, Known::Underscored] {
        assert_eq!(sent.known(name), None);
    }
    each_request_field(&head, &forward, &mut |name, value| {
        assert!(!name.iter().any(u8::is_ascii_uppercase) && !value.contains(&b'\n'));
    });
});
