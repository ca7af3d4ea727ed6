//! What is read as a response, goes on as the same response, and is read so by the client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::protocol::forward::{ForwardResponse, each_response_field, write_response};
use plimsoll_core::protocol::h1::{HeadScan, parse_response};
use plimsoll_core::protocol::{BodyLength, HEAD_FIELDS_MAX, Known, Method, ResponseHead, Version};

/// Fields that are written at the most: `Date`, `Via`, the framing's, `Connection` and `Upgrade`.
const WRITTEN: usize = 5;

fn read(bytes: &[u8], request: Method) -> Option<ResponseHead> {
    let mut head = ResponseHead::new();
    parse_response(bytes, request, &mut head).ok()??;
    Some(head)
}

/// Another reader sees the same status and the same fields.
fn agrees_with_httparse(head: &ResponseHead, bytes: &[u8]) {
    let Ok(Some(range)) = HeadScan::new().find(bytes) else { panic!("read, though no head was found") };
    let bytes = &bytes[range];
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let status = response.parse(bytes).expect("httparse reads it too");
    assert_eq!(status, httparse::Status::Complete(bytes.len()));
    assert_eq!(response.code, Some(head.status));
    let theirs: Vec<_> = response.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    assert_eq!(head.fields().map(|(name, value, _)| (name, value)).collect::<Vec<_>>(), theirs);
}

fuzz_target!(|bytes: &[u8]| {
    let _unscanned = parse_response(bytes, Method::Get, &mut ResponseHead::new());
    for request in [Method::Get, Method::Head] {
        let Some(head) = read(bytes, request) else { continue };
        agrees_with_httparse(&head, bytes);
        if head.fields().count() + WRITTEN > HEAD_FIELDS_MAX {
            // With those that are written it has more than we read.
            continue;
        }
        let forward = ForwardResponse {
            version: Version::Http11,
            keep_alive: head.keep_alive,
            body: head.body,
            upgrade: head.upgrade,
            te_trailers: true,
            added: b"Via: 1.1 plimsoll\r\n".as_slice(),
            date: Some(b"Date: now\r\n"),
        };
        let mut out = Vec::new();
        write_response(&head, &forward, &mut out);
        let sent = read(&out, request).expect("what is sent on is a response");
        assert_eq!((sent.status, sent.body, sent.upgrade), (head.status, head.body, head.upgrade));
        if head.status >= 200 {
            assert_eq!(sent.keep_alive, head.keep_alive);
            assert!(sent.known(Known::Date).is_some());
        }
        assert_eq!(sent.known(Known::KeepAlive), None);
        assert_eq!(sent.known(Known::TransferEncoding).is_some(), head.body == BodyLength::Chunked);
        each_response_field(&head, &mut |name, value| {
            assert!(!name.iter().any(u8::is_ascii_uppercase) && !value.contains(&b'\n'));
        });
    }
});
