//! What holds for every input.

use super::LIMITS;
use crate::protocol::forward::{ForwardRequest, ForwardResponse, write_request, write_response};
use crate::protocol::h1::{ChunkDecoder, HeadScan, parse_request, parse_response, write_chunk_head};
use crate::protocol::{BodyLength, Known, Method, RequestHead, ResponseHead, Version};
use proptest::prelude::*;

/// Bytes that look enough like HTTP to get past the first check.
pub(super) fn near_http() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET ".to_vec()),
        Just(b"/a?b".to_vec()),
        Just(b" HTTP/1.1\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"Host: a\r\n".to_vec()),
        Just(b"Content-Length: 1\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Connection: close, x\r\n".to_vec()),
        Just(b"http://h".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Fields of which none is known to the gateway.
fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(("[a-z][a-zA-Z0-9!#._-]{0,12}[0-9]", "([!-~]([ -~é]{0,20}[!-~])?)?"), 0..20)
}

fn lines(fields: &[(String, String)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

fn read_request(bytes: &[u8]) -> Option<RequestHead> {
    let mut head = RequestHead::new();
    parse_request(bytes, &LIMITS, &mut head).ok()??;
    Some(head)
}

fn read_response(bytes: &[u8]) -> Option<ResponseHead> {
    let mut head = ResponseHead::new();
    parse_response(bytes, Method::Get, &mut head).ok()??;
    Some(head)
}

fn unknown<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8], Known)>) -> Vec<(String, Vec<u8>)> {
    let others = fields.filter(|(.., known)| *known == Known::Other);
    others.map(|(name, value, _)| (String::from_utf8_lossy(name).into_owned(), value.to_vec())).collect()
}

fn forward<'a>(head: &'a RequestHead) -> ForwardRequest<'a> {
    ForwardRequest {
        path: head.path(),
        query: head.query(),
        host: b"target:80",
        client: b"10.0.0.1",
        real_ip: b"10.0.0.1",
        proto: "http",
        forwarded_host: b"a",
        forwarded_port: 8000,
        client_lines:
            b"X-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 8000\r\n",
        forwarded_path: head.path(),
        prefix: None,
        trusted: false,
        via: Some(b"plimsoll"),
        request_id: Some(b"0123"),
        upgrade: head.upgrade,
        body: head.body,
        expect_continue: head.expect_continue,
    }
}

proptest! {
    #[test]
    fn no_input_makes_a_parser_panic(bytes in near_http(), raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        for bytes in [&bytes, &raw] {
            let _results = (
                parse_request(bytes, &LIMITS, &mut RequestHead::new()),
                parse_response(bytes, Method::Get, &mut ResponseHead::new()),
                ChunkDecoder::new().decode(&mut bytes.clone(), 0, bytes.len()),
            );
            if let Some(head) = read_request(bytes) {
                let mut out = Vec::new();
                write_request(&head, &forward(&head), &mut out);
                prop_assert!(read_request(&out).is_some(), "{:?} became {:?}", bytes, out);
            }
        }
    }

    #[test]
    fn a_scan_finds_the_same_head_however_it_is_cut(bytes in near_http(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len() + 1);
        let whole = HeadScan::new().find(&bytes);
        let mut scan = HeadScan::new();
        let first = scan.find(&bytes[..cut]);
        let found = if first == Ok(None) { scan.find(&bytes) } else { first };
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn a_forwarded_request_says_what_came(fields in fields(), query in "[!-\"$-~]{0,20}", length in any::<u32>()) {
        let came = format!("PUT /p?{query} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nX-Forwarded-For: b\r\n{}Connection: close\r\n\r\n", lines(&fields));
        let head = read_request(came.as_bytes()).expect("a good request");
        let mut out = Vec::new();
        write_request(&head, &forward(&head), &mut out);
        let sent = read_request(&out).expect("a good request");
        prop_assert_eq!(unknown(sent.fields()), unknown(head.fields()));
        prop_assert_eq!((sent.method, sent.target(), sent.body), (head.method, head.target(), head.body));
        prop_assert_eq!((sent.host(), sent.known(Known::XForwardedFor)), (&b"target:80"[..], Some(&b"b, 10.0.0.1"[..])));
        prop_assert_eq!(sent.known(Known::Connection), None);
    }

    #[test]
    fn a_forwarded_response_says_what_came(fields in fields(), status in 200_u16..600, chunked in any::<bool>()) {
        let framing = if chunked { "Transfer-Encoding: chunked\r\n" } else { "Content-Length: 12\r\n" };
        let came = format!("HTTP/1.1 {status} Some reason\r\n{framing}{}Keep-Alive: timeout=1\r\n\r\n", lines(&fields));
        let head = read_response(came.as_bytes()).expect("a good response");
        let mut out = Vec::new();
        let f = ForwardResponse { version: Version::Http11, keep_alive: true, body: head.body, upgrade: false, te_trailers: false, added: b"".as_slice(), date: None };
        write_response(&head, &f, &mut out);
        let sent = read_response(&out).expect("a good response");
        prop_assert_eq!(unknown(sent.fields()), unknown(head.fields()));
        prop_assert_eq!((sent.status, sent.body, sent.keep_alive), (status, head.body, true));
        prop_assert_eq!(sent.known(Known::KeepAlive), None);
    }

    #[test]
    fn chunks_of_any_size_in_pieces_of_any_size_are_the_data(
        data in proptest::collection::vec(any::<u8>(), 0..600),
        sizes in proptest::collection::vec(1_usize..90, 1..20),
        pieces in proptest::collection::vec(1_usize..70, 1..20),
    ) {
        let (mut input, mut rest) = (Vec::new(), &data[..]);
        for size in sizes.iter().cycle() {
            let (chunk, tail) = rest.split_at(rest.len().min(*size));
            let mut head = [0; 18];
            let written = write_chunk_head(chunk.len(), &mut head);
            input.extend_from_slice(&head[..written]);
            input.extend_from_slice(chunk);
            input.extend_from_slice(b"\r\n");
            if chunk.is_empty() { break }
            rest = tail;
        }
        let (mut decoder, mut found, mut at, mut finished) = (ChunkDecoder::new(), Vec::new(), 0, false);
        for size in pieces.iter().cycle() {
            let end = input.len().min(at + size);
            let done = decoder.decode(&mut input, at, end).expect("a good body");
            found.extend_from_slice(&input[at..done.data_end]);
            at = done.consumed;
            finished |= done.finished;
            if at == input.len() { break }
        }
        prop_assert_eq!((found, finished), (data, true));
    }

    #[test]
    fn the_length_of_a_body_survives_forwarding(came in 0_u64..1000, sent in prop::option::of(0_u64..1000)) {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {came}\r\nConnection: content-length, host\r\n\r\n");
        let head = read_request(text.as_bytes()).expect("a good request");
        let body = sent.map_or(BodyLength::Chunked, BodyLength::Length);
        let mut out = Vec::new();
        write_request(&head, &ForwardRequest { body, ..forward(&head) }, &mut out);
        prop_assert_eq!(read_request(&out).map(|head| head.body), Some(body));
    }
}
