//! What falls away, what is added, and what stays as it came.

use super::*;
use crate::protocol::h1::{parse_request, parse_response};
use crate::protocol::{BodyLength, HeadLimits, Method, RequestHead, ResponseHead, Version};

const LIMITS: HeadLimits = HeadLimits { request_line: 8192, headers: 32 * 1024, count: 100 };

fn request(text: &str) -> RequestHead {
    let mut head = RequestHead::new();
    parse_request(text.as_bytes(), &LIMITS, &mut head).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    head
}

fn forward(head: &RequestHead) -> ForwardRequest<'_> {
    ForwardRequest {
        path: head.path(),
        query: head.query(),
        host: b"t:80",
        client: b"9.9.9.9",
        real_ip: b"9.9.9.9",
        proto: "https",
        forwarded_host: b"a",
        forwarded_port: 8443,
        client_lines:
            b"X-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n",
        forwarded_path: head.path(),
        prefix: None,
        trusted: false,
        via: None,
        request_id: None,
        upgrade: head.upgrade,
        body: head.body,
        expect_continue: head.expect_continue,
    }
}

fn written(head: &RequestHead, f: &ForwardRequest<'_>) -> String {
    let mut out = Vec::new();
    write_request(head, f, &mut out);
    String::from_utf8(out).expect("text")
}

/// The lines that the gateway adds to every request.
const ADDED: &str = "X-Real-IP: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n\
                     X-Forwarded-Host: a\r\nX-Forwarded-Path: /p\r\n";

#[test]
fn the_lines_of_a_connection_are_those_that_would_be_made_for_each_request() {
    let head = request("GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    let f = forward(&head);
    assert_eq!(client_lines(f.client, f.proto, f.forwarded_port), f.client_lines);
    assert_eq!(written(&head, &f), written(&head, &ForwardRequest { trusted: true, ..f }));
}

/// Sends `GET /p` with these lines, and looks at the lines that are left, between `Host` and `X-Forwarded-For`.
fn check_lines(lines: &str, expected: &str, forwarded_for: &str) {
    let head = request(&format!("GET /p HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    let expected =
        format!("GET /p HTTP/1.1\r\nHost: t:80\r\n{expected}X-Forwarded-For: {forwarded_for}\r\n{ADDED}\r\n");
    assert_eq!(written(&head, &forward(&head)), expected, "{lines:?}");
}

#[test]
fn lines_that_the_gateway_has_no_part_in_stay_as_they_came() {
    check_lines("", "", "9.9.9.9");
    let kept = "uSER-agent:  x\t\r\nX-A:\r\nAccept: */*\r\nCookie: a=b\r\nDate: d\r\nX-B: é\r\n";
    check_lines(kept, kept, "9.9.9.9");
    check_lines("A: 1\r\nKeep-Alive: 5\r\nB: 2\r\nTE: gzip\r\nC: 3\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n", "9.9.9.9");
}

#[test]
fn hop_by_hop_fields_fall_away() {
    for line in [
        "Connection: keep-alive",
        "Keep-Alive: x",
        "Proxy-Connection: x",
        "Proxy: x",
        "TE: gzip",
        "Upgrade: h2c",
        "Trailer: x",
    ] {
        check_lines(&format!("A: 1\r\n{line}\r\nB: 2\r\n"), "A: 1\r\nB: 2\r\n", "9.9.9.9");
    }
    check_lines(
        "A: 1\r\nConnection: close, b\r\nB: 2\r\nConnection: D\r\nC: 3\r\nd: 4\r\n",
        "A: 1\r\nC: 3\r\n",
        "9.9.9.9",
    );
    check_lines("TE: trailers, gzip\r\n", "Connection: te\r\nTE: trailers\r\n", "9.9.9.9");
}

#[test]
fn connection_cannot_take_out_what_the_gateway_or_a_plugin_says() {
    let mut head = request(
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nVia: 1.0 v\r\nX-Consumer: evil\r\n\
         Connection: content-length, host, via, x-forwarded-for, x-real-ip, x-consumer\r\n\r\n",
    );
    head.append("X-Consumer", b"real").expect("a good field");
    let expected = format!(
        "POST /p HTTP/1.1\r\nHost: t:80\r\nContent-Length: 3\r\nVia: 1.0 v\r\nX-Consumer: real\r\n\
         X-Forwarded-For: 9.9.9.9\r\n{ADDED}\r\n"
    );
    assert_eq!(written(&head, &forward(&head)), expected);
}

#[test]
fn nobody_else_speaks_with_the_gateways_voice() {
    let spoofed = "Forwarded: for=1\r\nX-Real-IP: 1\r\nX-Forwarded-Proto: 1\r\nX-Forwarded-Host: 1\r\nX-Forwarded-Port: 1\r\n\
                   X-Forwarded-Path: 1\r\nX-Forwarded-Prefix: 1\r\n";
    check_lines(spoofed, "", "9.9.9.9");
    check_lines("X-Consumer-ID: 1\r\nx-consumer-username: admin\r\nX-Anonymous-Consumer: 1\r\n", "", "9.9.9.9");
    check_lines("X_Consumer_Username: 1\r\nX-Consumer-Theirs: 1\r\n", "X-Consumer-Theirs: 1\r\n", "9.9.9.9");
    check_lines("X_Real_IP: 1\r\nx_forwarded_for: 1\r\nX-Forwarded_Proto: 1\r\nA_B: 1\r\n", "A_B: 1\r\n", "9.9.9.9");
    check_lines(
        "X-Forwarded-For: 1.1.1.1\r\nA: 1\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\n",
        "A: 1\r\n",
        "1.1.1.1, 2.2.2.2, 3.3.3.3, 9.9.9.9",
    );
    check_lines("X-Forwarded-For:\r\n", "", "9.9.9.9");
}

#[test]
fn a_trusted_proxy_speaks_for_itself() {
    let head = request(
        "GET /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 1.1.1.1\r\nX-Forwarded-For: 1.1.1.1\r\n\
         X-Consumer-Username: ann\r\nX-Forwarded-Prefix: /theirs\r\nConnection: x-real-ip\r\n\r\n",
    );
    let f = ForwardRequest { trusted: true, prefix: Some(b"/ours"), ..forward(&head) };
    let expected = "GET /p HTTP/1.1\r\nHost: t:80\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 1.1.1.1\r\n\
                    X-Consumer-Username: ann\r\nX-Forwarded-Prefix: /theirs\r\nX-Forwarded-For: 1.1.1.1, 9.9.9.9\r\nX-Forwarded-Port: 8443\r\n\
                    X-Forwarded-Host: a\r\nX-Forwarded-Path: /p\r\n\r\n";
    assert_eq!(written(&head, &f), expected);
}

#[test]
fn via_request_id_and_prefix_are_added_where_asked_for() {
    let head = request("GET /p?q HTTP/1.0\r\nVia: 1.1 x\r\nX-Kong-Request-ID: theirs\r\n\r\n");
    let f = ForwardRequest {
        via: Some(b"plimsoll"),
        request_id: Some(b"0f"),
        prefix: Some(b"/a b\r\nX: y"),
        ..forward(&head)
    };
    let expected = format!(
        "GET /p?q HTTP/1.1\r\nHost: t:80\r\nVia: 1.1 x\r\nX-Forwarded-For: 9.9.9.9\r\n{ADDED}\
         X-Forwarded-Prefix: /a%20b%0D%0AX:%20y\r\nVia: 1.0 plimsoll\r\nX-Kong-Request-Id: 0f\r\n\r\n"
    );
    assert_eq!(written(&head, &f), expected);
    let kept = written(&head, &ForwardRequest { prefix: Some(b"/a"), ..forward(&head) });
    assert!(kept.contains("X-Kong-Request-ID: theirs\r\n") && kept.contains("X-Forwarded-Prefix: /a\r\n"), "{kept}");
}

#[test]
fn framing_towards_the_target_is_what_the_caller_says() {
    let head = request(
        "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nExpect: 100-continue\r\n\r\n",
    );
    let check = |body, lines: &str| {
        let f = ForwardRequest { body, ..forward(&head) };
        let expected = format!(
            "POST /p HTTP/1.1\r\nHost: t:80\r\n{lines}Expect: 100-continue\r\nX-Forwarded-For: 9.9.9.9\r\n{ADDED}\r\n"
        );
        assert_eq!(written(&head, &f), expected);
    };
    check(BodyLength::Chunked, "Trailer: x\r\nTransfer-Encoding: chunked\r\n");
    check(BodyLength::Length(17), "Content-Length: 17\r\n");
    check(BodyLength::None, "");
}

#[test]
fn a_websocket_handshake_goes_on() {
    let head = request(
        "GET /p HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Upgrade: h2c\r\nSec-WebSocket-Key: k\r\n\r\n",
    );
    let expected = format!(
        "GET /p HTTP/1.1\r\nHost: t:80\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         X-Forwarded-For: 9.9.9.9\r\n{ADDED}\r\n"
    );
    assert_eq!(written(&head, &forward(&head)), expected);
}

#[test]
fn http2_targets_get_the_same_fields_in_lower_case() {
    let head = request(
        "POST /p HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: x-a, TE\r\nTE: trailers\r\nX-B: 2\r\nContent-Length: 4\r\n\
         Keep-Alive: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
    );
    let mut found = Vec::new();
    each_request_field(&head, &ForwardRequest { via: Some(b"plimsoll"), ..forward(&head) }, &mut |name, value| {
        found.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
    });
    let expected = [
        "x-b: 2",
        "content-length: 4",
        "te: trailers",
        "x-forwarded-for: 1.1.1.1, 9.9.9.9",
        "x-real-ip: 9.9.9.9",
        "x-forwarded-proto: https",
        "x-forwarded-port: 8443",
        "x-forwarded-host: a",
        "x-forwarded-path: /p",
        "via: 1.1 plimsoll",
    ];
    assert_eq!(found, expected);
}

fn response(text: &str, request: Method) -> ResponseHead {
    let mut head = ResponseHead::new();
    parse_response(text.as_bytes(), request, &mut head).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    head
}

fn answer(head: &ResponseHead) -> ForwardResponse<'static> {
    ForwardResponse {
        version: Version::Http11,
        keep_alive: true,
        body: head.body,
        upgrade: head.upgrade,
        te_trailers: false,
        added: b"".as_slice(),
        date: Some(b"Date: now\r\n"),
    }
}

fn check_response(
    text: &str,
    request: Method,
    change: fn(ForwardResponse<'static>) -> ForwardResponse<'static>,
    expected: &str,
) {
    let head = response(text, request);
    let mut out = Vec::new();
    write_response(&head, &change(answer(&head)), &mut out);
    assert_eq!(String::from_utf8_lossy(&out), expected, "{text:?}");
}

#[test]
fn responses_go_on_without_what_belongs_to_the_targets_connection() {
    check_response(
        "HTTP/1.0 200 Fine\r\nServer: s\r\nConnection: keep-alive, x-a\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\n\
         Content-Length: 3\r\nUpgrade: h2c\r\nTrailer: t\r\nX-B: 2\r\n\r\n",
        Method::Get,
        |f| ForwardResponse { added: b"Via: v\r\n".as_slice(), ..f },
        "HTTP/1.1 200 Fine\r\nServer: s\r\nContent-Length: 3\r\nX-B: 2\r\nDate: now\r\nVia: v\r\n\r\n",
    );
    check_response(
        "HTTP/1.1 200 OK\r\nDate: then\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\n\r\n",
        Method::Get,
        |f| ForwardResponse { te_trailers: true, ..f },
        "HTTP/1.1 200 OK\r\nDate: then\r\nTrailer: t\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
}

#[test]
fn framing_and_connection_towards_the_client_are_what_the_caller_says() {
    let until_close = "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n";
    check_response(
        until_close,
        Method::Get,
        |f| ForwardResponse { body: BodyLength::Chunked, ..f },
        "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    check_response(
        until_close,
        Method::Get,
        |f| ForwardResponse { body: BodyLength::Length(9), ..f },
        "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 9\r\n\r\n",
    );
    check_response(
        until_close,
        Method::Get,
        |f| ForwardResponse { keep_alive: false, ..f },
        "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close\r\n\r\n",
    );
    let length = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 1\r\n\r\n";
    check_response(
        length,
        Method::Get,
        |f| ForwardResponse { version: Version::Http10, ..f },
        "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
    );
    check_response(
        length,
        Method::Get,
        |f| ForwardResponse { body: BodyLength::Chunked, ..f },
        "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
}

#[test]
fn answers_without_a_body_tell_its_length_only_where_they_may() {
    let length = |status: u16| format!("HTTP/1.1 {status} x\r\nDate: d\r\nContent-Length: 7\r\n\r\n");
    check_response(&length(200), Method::Head, |f| f, &length(200));
    check_response(&length(304), Method::Get, |f| f, &length(304));
    check_response(&length(204), Method::Get, |f| f, "HTTP/1.1 204 x\r\nDate: d\r\n\r\n");
    check_response(
        "HTTP/1.1 200 x\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n",
        Method::Head,
        |f| f,
        "HTTP/1.1 200 x\r\nDate: d\r\n\r\n",
    );
}

#[test]
fn interim_answers_say_nothing_of_lengths_and_connections() {
    check_response(
        "HTTP/1.1 103 Early Hints\r\nLink: l\r\nContent-Length: 1\r\nConnection: x\r\n\r\n",
        Method::Get,
        |f| ForwardResponse { keep_alive: false, ..f },
        "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n",
    );
    check_response(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n",
        Method::Get,
        |f| f,
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
}

#[test]
fn http2_clients_and_targets_get_the_same_responses() {
    let head = response(
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\n\r\n",
        Method::Get,
    );
    let mut found = Vec::new();
    each_response_field(&head, &mut |name, value| found.push((name.to_vec(), value.to_vec())));
    assert_eq!(found, [(b"x-a".to_vec(), b"1".to_vec()), (b"trailer".to_vec(), b"t".to_vec())]);
    let mut head = ResponseHead::new();
    head.begin(404);
    head.push(b"x-a", b"1").expect("a good field");
    head.finish(Method::Get, false).expect("a good head");
    let mut out = Vec::new();
    write_response(&head, &answer(&head), &mut out);
    let expected = "HTTP/1.1 404 Not Found\r\nx-a: 1\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}
