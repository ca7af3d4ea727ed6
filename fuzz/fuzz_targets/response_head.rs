//! What is read as a response, goes on as the same response, and is read so by the client, and by hyper, with the same body:
//! before and behind the gateway.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::protocol::forward::{ForwardResponse, each_response_field, write_response};
use plimsoll_core::protocol::h1::{HeadScan, parse_response};
use plimsoll_core::protocol::{BodyLength, HEAD_FIELDS_MAX, HeadError, Known, Method, ResponseHead, Version};
use plimsoll_fuzz::{ANSWER, Read, answer, body};

/// Fields that are written at the most: `Date`, `Via`, the framing's, `Connection` and `Upgrade`.
const WRITTEN: usize = 5;

fn read(bytes: &[u8], request: Method) -> Result<Option<ResponseHead>, HeadError> {
    let mut head = ResponseHead::new();
    let end = parse_response(bytes, request, &mut head)?;
    Ok(end.map(|_| head))
}

/// Another reader sees the same status and the same fields.
fn agrees_with_httparse(head: &ResponseHead, bytes: &[u8]) -> usize {
    let Ok(Some(range)) = HeadScan::new().find(bytes) else { panic!("read, though no head was found") };
    let end = range.end;
    let bytes = &bytes[range];
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let status = response.parse(bytes).expect("httparse reads it too");
    assert_eq!(status, httparse::Status::Complete(bytes.len()));
    assert_eq!(response.code, Some(head.status));
    let theirs: Vec<_> = response.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    assert_eq!(head.fields().map(|(name, value, _)| (name, value)).collect::<Vec<_>>(), theirs);
    end
}

/// Hyper refuses the response, or finds the same one in it, of the same length to the byte.
fn agrees_with_hyper(head: &ResponseHead, bytes: &[u8], rest: &[u8], request: Method) {
    let Some((raw, data)) = body(head.body, rest) else { return };
    let interim = head.is_interim();
    let next = if interim { ANSWER } else { &raw };
    let whole = [bytes, next].concat();
    let length = whole.len();
    let read = match answer(whole, request == Method::Head, head.body == BodyLength::UntilClose) {
        Read::Answer(read) => read,
        Read::Refused => return,
        Read::Part => panic!("it takes what follows for a part of it"),
    };
    assert_eq!(read.taken, length, "{read:?}");
    if interim {
        assert_eq!(read.status, 299);
        return;
    }
    assert_eq!((read.status, &read.body), (head.status, &data));
    assert_eq!(
        read.length,
        match head.body {
            BodyLength::Length(length) => Some(length),
            BodyLength::None => Some(0),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        }
    );
}

fuzz_target!(|bytes: &[u8]| {
    let _unscanned = parse_response(bytes, Method::Get, &mut ResponseHead::new());
    for request in [Method::Get, Method::Head] {
        let head = match read(bytes, request) {
            Ok(Some(head)) => head,
            Ok(None) => {
                let read = answer(bytes.to_vec(), request == Method::Head, true);
                assert!(!matches!(read, Read::Answer(_)), "more is to come: {read:?}");
                continue;
            }
            Err(_) => continue,
        };
        let end = agrees_with_httparse(&head, bytes);
        agrees_with_hyper(&head, &bytes[..end], &bytes[end..], request);
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
        let sent = read(&out, request).ok().flatten().expect("what is sent on is a response");
        agrees_with_hyper(&sent, &out, &bytes[end..], request);
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
