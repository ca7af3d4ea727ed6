//! What a request costs in the protocol's rules: `cargo bench -p plimsoll-core --bench protocol`.
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plimsoll_core::protocol::forward::{ForwardRequest, ForwardResponse, write_request, write_response};
use plimsoll_core::protocol::h1::{ChunkDecoder, parse_request, parse_response};
use plimsoll_core::protocol::{HeadLimits, Method, RequestHead, ResponseHead, Version, uri};
use std::hint::black_box;

const REQUEST: &[u8] = b"GET /api/v1/items/42?expand=owner HTTP/1.1\r\nHost: shop.example:8000\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.7\r\n\
    Accept-Encoding: gzip, deflate, br\r\nReferer: http://shop.example:8000/\r\nCookie: session=0123456789abcdef\r\n\
    Connection: keep-alive\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: app/1.0\r\nDate: Tue, 03 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\nContent-Length: 128\r\nCache-Control: no-store\r\n\
    ETag: \"0123456789abcdef\"\r\nConnection: keep-alive\r\n\r\n";

const CLIENT_LINES: &[u8] = b"X-Forwarded-For: 192.168.100.17\r\nX-Real-IP: 192.168.100.17\r\n\
    X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8000\r\n";

const LIMITS: HeadLimits = HeadLimits { request_line: 8192, headers: 32 * 1024, count: 100 };

/// Finds and reads a request's head, as the data path does for each request.
fn parse(bytes: &[u8], head: &mut RequestHead) {
    parse_request(bytes, &LIMITS, head).expect("a good head").expect("a whole head");
}

/// Writes the request's head as its target gets it.
fn rewrite(head: &RequestHead, path: &mut Vec<u8>, joined: &mut Vec<u8>, out: &mut Vec<u8>) {
    uri::normalise_path(head.path(), path);
    uri::join_path(false, Some(b"/"), path, 0, false, joined);
    let forward = ForwardRequest {
        path: joined,
        query: head.query(),
        host: b"172.17.0.2:8080",
        client: b"192.168.100.17",
        real_ip: b"192.168.100.17",
        proto: "http",
        forwarded_host: uri::split_host(head.host()).0,
        forwarded_port: 8000,
        client_lines: CLIENT_LINES,
        forwarded_path: head.path(),
        prefix: None,
        trusted: false,
        via: Some(b"plimsoll"),
        request_id: Some(b"0123456789abcdef0123456789abcdef"),
        upgrade: head.upgrade,
        body: head.body,
        expect_continue: head.expect_continue,
    };
    out.clear();
    write_request(head, &forward, out);
}

/// Finds and reads a response's head.
fn parse_answer(bytes: &[u8], head: &mut ResponseHead) {
    parse_response(bytes, Method::Get, head).expect("a good head").expect("a whole head");
}

/// Writes the response's head as its client gets it.
fn rewrite_answer(head: &ResponseHead, out: &mut Vec<u8>) {
    let forward = ForwardResponse {
        version: Version::Http11,
        keep_alive: true,
        body: head.body,
        upgrade: false,
        te_trailers: false,
        added: b"Via: 1.1 plimsoll\r\nX-Kong-Request-Id: 0123456789abcdef0123456789abcdef\r\n".as_slice(),
        date: Some(b"Date: Tue, 03 Nov 2026 10:00:00 GMT\r\n"),
    };
    out.clear();
    write_response(head, &forward, out);
}

fn heads(criterion: &mut Criterion) {
    let (mut head, mut path, mut joined, mut out) = (RequestHead::new(), Vec::new(), Vec::new(), Vec::new());
    let mut group = criterion.benchmark_group("request head");
    group.bench_function("parse", |bencher| bencher.iter(|| parse(black_box(REQUEST), &mut head)));
    parse(REQUEST, &mut head);
    group.bench_function("rewrite", |bencher| {
        bencher.iter(|| rewrite(black_box(&head), &mut path, &mut joined, &mut out));
    });
    group.finish();
    let mut head = ResponseHead::new();
    let mut group = criterion.benchmark_group("response head");
    group.bench_function("parse", |bencher| bencher.iter(|| parse_answer(black_box(RESPONSE), &mut head)));
    parse_answer(RESPONSE, &mut head);
    group.bench_function("rewrite", |bencher| bencher.iter(|| rewrite_answer(black_box(&head), &mut out)));
    group.finish();
}

fn chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunks of 4 KiB");
    let chunk = [b"1000\r\n" as &[u8], &[b'x'; 4096], b"\r\n"].concat();
    let body = [chunk.repeat(16), b"0\r\n\r\n".to_vec()].concat();
    group.throughput(Throughput::Bytes(16 * 4096));
    let mut buf = body.clone();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            buf.copy_from_slice(black_box(&body));
            let end = buf.len();
            ChunkDecoder::new().decode(&mut buf, 0, end).expect("a good body").data_end
        });
    });
    group.finish();
}

criterion_group!(benches, heads, chunks);
criterion_main!(benches);
