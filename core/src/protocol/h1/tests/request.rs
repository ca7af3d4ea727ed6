//! What is a request, and what is refused with which status.

use super::LIMITS;
use crate::protocol::h1::{HeadScan, parse_request};
use crate::protocol::{BodyLength, HeadError, HeadLimits, Known, Method, RequestHead, Version};

/// Reads the head, as the data path does.
fn read(bytes: &str, limits: &HeadLimits) -> Result<RequestHead, HeadError> {
    let mut head = RequestHead::new();
    let end = parse_request(bytes.as_bytes(), limits, &mut head)?.expect("the test's head is whole");
    assert_eq!(HeadScan::new().find(bytes.as_bytes()).map(|found| found.map(|range| range.end)), Ok(Some(end)));
    Ok(head)
}

fn good(bytes: &str) -> RequestHead {
    read(bytes, &LIMITS).unwrap_or_else(|error| panic!("{bytes:?}: {error}"))
}

fn refused(bytes: &str, expected: HeadError) {
    assert_eq!(read(bytes, &LIMITS).err(), Some(expected), "{bytes:?}");
}

/// A request line, a `Host`, and these lines.
fn with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn a_request_is_read_into_its_parts() {
    let head = good("GET /a/b?c=d HTTP/1.1\r\nHost: x.example:8000\r\nAccept:  a \r\nX-Y:\r\nx-y: 2\r\n\r\n");
    assert_eq!((head.method, head.version, head.body), (Method::Get, Version::Http11, BodyLength::None));
    assert_eq!(head.method_bytes(), b"GET");
    assert_eq!((head.target(), head.path(), head.query()), (&b"/a/b?c=d"[..], &b"/a/b"[..], Some(&b"c=d"[..])));
    assert_eq!(head.host(), b"x.example:8000");
    assert_eq!(head.known(Known::Accept), Some(&b"a"[..]));
    assert_eq!(head.known(Known::Cookie), None);
    assert_eq!(head.all("X-y").collect::<Vec<_>>(), [&b""[..], b"2"]);
    assert_eq!(head.fields().count(), 4);
    assert!(head.keep_alive && !head.expect_continue && !head.upgrade);
}

#[test]
fn a_head_that_is_used_again_remembers_nothing() {
    let mut head =
        good("POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close, x\r\nTE: trailers\r\n\r\n");
    let capacity = head.capacity();
    let next = b"GET / HTTP/1.0\r\n\r\n";
    assert_eq!(parse_request(next, &LIMITS, &mut head), Ok(Some(next.len())));
    assert_eq!((head.body, head.query(), head.host(), head.fields().count()), (BodyLength::None, None, &b""[..], 0));
    assert!(!head.te_trailers && !head.keep_alive && head.capacity() == capacity);
    head.clear();
    assert!(head.is_empty() && head.capacity() == capacity);
}

#[test]
fn targets_come_in_the_forms_of_a_gateway() {
    let check = |method: &str, target: &str, host: &str, path: &str, query: Option<&str>| {
        let head = good(&format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.host(), host.as_bytes(), "{target}");
        assert_eq!(head.path(), path.as_bytes(), "{target}");
        assert_eq!(head.query(), query.map(str::as_bytes), "{target}");
    };
    check("GET", "/", "a", "/", None);
    check("GET", "/?", "a", "/", Some(""));
    check("GET", "/a?b?c", "a", "/a", Some("b?c"));
    check("GET", "//a/../é%zz\"{", "a", "//a/../é%zz\"{", None);
    check("GET", "http://b:80/c?d", "b:80", "/c", Some("d"));
    check("GET", "HTTPS://B", "B", "/", None);
    check("GET", "http://b?c", "b", "/", Some("c"));
    check("GET", "http://[::1]:8/", "[::1]:8", "/", None);
    check("OPTIONS", "*", "a", "*", None);
    check("OPTIONS", "http://b", "b", "*", None);
    check("OPTIONS", "http://b/", "b", "/", None);
    for target in ["*", "a", "ftp://a/", "http:/a", "?a", "/a#b", "/a?b#c", "http://b#c", "http:", "a:443"] {
        refused(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), HeadError::Target);
    }
    for target in ["http://", "http:///a", "http://u@b/", "http://b:c/", "http://b%20/"] {
        refused(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), HeadError::BadHost);
    }
    refused("OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target);
}

#[test]
fn request_lines_that_are_none_are_refused() {
    for line in [
        "GET /",
        "GET",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET / http/1.1",
        "GET / FOO/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.10",
        "GE(T / HTTP/1.1",
        "GET /\r HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET\r / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET / HTTPS/1.1",
        ": / HTTP/1.1",
        "GET / ICY/1.0",
    ] {
        let refusal = read(&format!("{line}\r\nHost: a\r\n\r\n"), &LIMITS).expect_err(line);
        assert_eq!((refusal, refusal.status()), (HeadError::StartLine, 400), "{line:?}");
    }
    for version in ["0.9", "1.2", "2.0", "3.0", "9.9"] {
        refused(&format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"), HeadError::Version);
    }
    refused("PRI * HTTP/2.0\r\n\r\n", HeadError::Version);
    assert_eq!(HeadError::Version.status(), 505);
}

#[test]
fn methods_that_a_gateway_does_not_serve_are_refused() {
    refused("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Connect);
    refused("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Trace);
    assert_eq!((HeadError::Connect.status(), HeadError::Trace.status()), (405, 405));
    assert_eq!(good("brew / HTTP/1.1\r\nHost: a\r\n\r\n").method, Method::Other);
}

#[test]
fn http_1_1_needs_exactly_one_good_host() {
    refused("GET / HTTP/1.1\r\n\r\n", HeadError::NoHost);
    refused("GET http://a/ HTTP/1.1\r\n\r\n", HeadError::NoHost);
    refused("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", HeadError::TwoHosts);
    for host in ["", "a b", "a, b", "a/b", "u@a", "a:b", ":80", "[::1"] {
        refused(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), HeadError::BadHost);
        refused(&format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"), HeadError::BadHost);
    }
    assert_eq!(good("GET / HTTP/1.0\r\n\r\n").host(), b"");
    refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", HeadError::TwoHosts);
}

#[test]
fn lines_that_are_no_fields_are_refused() {
    for (lines, expected) in [
        ("X : 1\r\n", HeadError::FieldName),
        ("X\t: 1\r\n", HeadError::FieldName),
        (" X: 1\r\n", HeadError::FieldName),
        ("X: 1\r\n 2\r\n", HeadError::FieldName),
        ("X: 1\r\n\t2\r\n", HeadError::FieldName),
        ("X\r\n", HeadError::FieldName),
        (": 1\r\n", HeadError::FieldName),
        ("X(: 1\r\n", HeadError::FieldName),
        ("Xé: 1\r\n", HeadError::FieldName),
        ("X\0: 1\r\n", HeadError::FieldName),
        ("X: a\0b\r\n", HeadError::FieldValue),
        ("X: a\rb\r\n", HeadError::FieldValue),
        ("X: a\r\r\n", HeadError::FieldValue),
        ("X: \rY: 1\r\n", HeadError::FieldValue),
        ("X\r: 1\r\n", HeadError::FieldName),
        ("\rX: 1\r\n", HeadError::FieldName),
        ("X: a\x0bb\r\n", HeadError::FieldValue),
        ("X: \x7f\r\n", HeadError::FieldValue),
    ] {
        refused(&with(lines), expected);
    }
    refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", HeadError::FieldName);
    assert_eq!(good(&with("X: é\t\"(\r\n")).all("x").next(), Some("é\t\"(".as_bytes()));
}

#[test]
fn a_head_ends_with_its_empty_line_and_what_follows_is_left_alone() {
    let mut head = RequestHead::new();
    let mut end = |bytes: &[u8]| parse_request(bytes, &LIMITS, &mut head);
    assert_eq!(end(b"GET / HTTP/1.0\r\n\r\nX"), Ok(Some(18)));
    assert_eq!(end(b"\r\nGET / HTTP/1.0\r\n\r\n\n"), Ok(Some(20)));
    assert_eq!(end(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n"), Err(HeadError::LeadingLines));
    let whole = b"\r\nGET / HTTP/1.1\r\nHost:  a \r\nX-Y:\r\n\r\n";
    for cut in 0..whole.len() {
        assert_eq!(end(&whole[..cut]), Ok(None), "the first {cut} bytes");
    }
    let lines = [
        "\n",
        "GET / HTTP/1.1\n",
        "GET /\nHTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost\n",
    ];
    for bad in lines {
        assert_eq!(end(bad.as_bytes()), Err(HeadError::BareLf), "{bad:?}");
    }
}

#[test]
fn the_length_of_a_body_is_said_once_and_in_one_way() {
    let body = |lines: &str| good(&with(lines)).body;
    assert_eq!(body(""), BodyLength::None);
    assert_eq!(body("Content-Length: 0\r\n"), BodyLength::Length(0));
    assert_eq!(body("content-length:12 \r\n"), BodyLength::Length(12));
    assert_eq!(body("Transfer-Encoding: chunked\r\n"), BodyLength::Chunked);
    assert_eq!(body("transfer-encoding:\tCHUNKED \r\n"), BodyLength::Chunked);
    for value in ["", "-1", "+1", "1, 1", "5, 5", "0x5", "1 1", "1.0", "99999999999999999999", "1;", "\"1\""] {
        refused(&with(&format!("Content-Length: {value}\r\n")), HeadError::ContentLength);
    }
    refused(&with("Content-Length: 5\r\nContent-Length: 5\r\n"), HeadError::ContentLength);
    refused(&with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), HeadError::TwoLengths);
    refused(&with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), HeadError::TwoLengths);
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::TransferEncodingInHttp10);
}

#[test]
fn a_transfer_encoding_is_chunked_and_nothing_else() {
    for value in ["gzip, chunked", "gzip,deflate , chunked", "identity, chunked", "gzip;q=\"1\", chunked"] {
        let expected = if value.contains(';') { HeadError::TransferEncoding } else { HeadError::UnknownCoding };
        refused(&with(&format!("Transfer-Encoding: {value}\r\n")), expected);
    }
    refused(&with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), HeadError::UnknownCoding);
    for value in [
        "",
        "identity",
        "gzip",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        ", chunked",
        "xchunked",
        "chunked;a=b",
        "chunked identity",
        "\"chunked\"",
        "chunked\t,",
        "chunkéd",
    ] {
        refused(&with(&format!("Transfer-Encoding: {value}\r\n")), HeadError::TransferEncoding);
    }
    refused(&with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), HeadError::TransferEncoding);
    refused(&with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), HeadError::TransferEncoding);
    assert_eq!((HeadError::UnknownCoding.status(), HeadError::TransferEncoding.status()), (501, 400));
}

#[test]
fn connections_live_on_as_their_version_says() {
    let check = |version: &str, connection: &str, keep_alive| {
        let line = if connection.is_empty() { String::new() } else { format!("Connection: {connection}\r\n") };
        assert_eq!(
            good(&format!("GET / HTTP/{version}\r\nHost: a\r\n{line}\r\n")).keep_alive,
            keep_alive,
            "{connection}"
        );
    };
    check("1.1", "", true);
    check("1.1", "close", false);
    check("1.1", "Keep-Alive, CLOSE", false);
    check("1.0", "", false);
    check("1.0", "keep-alive", true);
    check("1.0", "keep-alive, close", false);
}

#[test]
fn expectations_are_met_or_refused() {
    assert!(good(&with("Content-Length: 1\r\nExpect: 100-Continue\r\n")).expect_continue);
    assert!(
        !good(&with("Content-Length: 0\r\nExpect: 100-continue\r\n")).expect_continue,
        "no body, nothing to wait for"
    );
    let old = "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n";
    assert!(!good(old).expect_continue, "HTTP/1.0 knows no interim answers");
    refused(&with("Expect: 200-ok\r\n"), HeadError::Expectation);
    refused(&with("Expect: 100-continue, x\r\n"), HeadError::Expectation);
    assert_eq!(HeadError::Expectation.status(), 417);
}

#[test]
fn an_upgrade_is_asked_for_unless_it_is_to_http_itself() {
    let check = |request: &str, lines: &str, upgrade| {
        assert_eq!(good(&format!("{request}\r\nHost: a\r\n{lines}\r\n")).upgrade, upgrade, "{request} {lines}");
    };
    let websocket = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    check("GET / HTTP/1.1", websocket, true);
    check("GET / HTTP/1.0", websocket, false);
    check("POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n", true);
    check("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, HTTP/2.0\r\n", false);
    check("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n", false);
    check("GET / HTTP/1.1", "Upgrade: websocket\r\n", false);
    check("GET / HTTP/1.1", "Connection: upgrade\r\n", false);
    check("GET / HTTP/1.1", "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n", false);
}

#[test]
fn heads_over_their_limits_are_refused_at_the_first_byte_too_many() {
    let limits = HeadLimits { request_line: 16, headers: 20, count: 2 };
    let check = |bytes: &str, expected| assert_eq!(read(bytes, &limits).err(), expected, "{bytes:?}");
    check("GET /aa HTTP/1.1\r\nHost: a\r\n\r\n", None);
    check("GET /aaa HTTP/1.1\r\nHost: a\r\n\r\n", Some(HeadError::RequestLineTooLong));
    check("GET / HTTP/1.1\r\nHost: abcdefghij\r\n\r\n", None);
    check("GET / HTTP/1.1\r\nHost: abcdefghijk\r\n\r\n", Some(HeadError::HeadersTooLarge));
    check("GET / HTTP/1.1\r\nHost:a\r\nb:\r\nc:\r\n\r\n", Some(HeadError::TooManyHeaders));
    let wide = HeadLimits { request_line: usize::MAX, headers: usize::MAX, count: usize::MAX };
    let long = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length));
    assert!(read(&long(60_000), &wide).is_ok());
    assert_eq!(read(&long(61_440), &wide).err(), Some(HeadError::HeadersTooLarge));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x:\r\n".repeat(128));
    assert_eq!(read(&many, &wide).err(), Some(HeadError::TooManyHeaders));
    let absolute = format!("GET http://a?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(40_000));
    assert_eq!(read(&absolute, &wide).err(), Some(HeadError::HeadersTooLarge));
    assert_eq!((HeadError::RequestLineTooLong.status(), HeadError::HeadersTooLarge.status()), (414, 431));
}

#[test]
fn fields_are_taken_out_and_added() {
    let mut head = good(&with("X-Y: 1\r\nCookie: a\r\nx-y: 2\r\n"));
    assert!(head.remove("x-Y") && !head.remove("x-y") && head.remove("COOKIE"));
    assert_eq!((head.all("x-y").count(), head.known(Known::Cookie)), (0, None));
    head.append("X-Y", b" 3 ").expect("a good field");
    assert_eq!(head.all("x-y").collect::<Vec<_>>(), [b"3"]);
    assert_eq!(head.append("X Y", b"3"), Err(HeadError::FieldName));
    assert_eq!(head.append("X", b"a\r\nb: c"), Err(HeadError::FieldValue));
    assert_eq!(head.append("X", &[b'a'; 61_440]), Err(HeadError::HeadersTooLarge));
}

/// Begins, pushes and ends a head as the HTTP/2 side does.
fn http2(
    method: &str,
    target: &str,
    authority: &str,
    fields: &[(&str, &str)],
    end: bool,
) -> Result<RequestHead, HeadError> {
    let mut head = RequestHead::new();
    head.begin(method.as_bytes(), target.as_bytes(), authority.as_bytes());
    for (name, value) in fields {
        head.push(name.as_bytes(), value.as_bytes())?;
    }
    head.finish_http2(end, &LIMITS)?;
    Ok(head)
}

#[test]
fn http2_requests_become_the_same_heads() {
    let fields = [("accept", "a"), ("cookie", "b=1"), ("te", "trailers"), ("cookie", "c=2")];
    let head = http2("GET", "/a?b", "x:1", &fields, true).expect("a good head");
    assert_eq!((head.method, head.version, head.body), (Method::Get, Version::Http2, BodyLength::None));
    assert_eq!((head.path(), head.query(), head.host()), (&b"/a"[..], Some(&b"b"[..]), &b"x:1"[..]));
    assert_eq!(head.all("cookie").collect::<Vec<_>>(), [b"b=1; c=2"]);
    assert!(head.te_trailers && head.keep_alive && !head.upgrade);
    let host = http2("GET", "/", "", &[("host", "y")], true).expect("host alone will do");
    assert_eq!(host.host(), b"y");
    assert_eq!(http2("POST", "/", "a", &[], false).map(|head| head.body), Ok(BodyLength::Chunked));
    let length = http2("POST", "/", "a", &[("content-length", "5"), ("expect", "100-continue")], false);
    assert_eq!(length.map(|head| (head.body, head.expect_continue)), Ok((BodyLength::Length(5), true)));
    assert!(http2("GET", "/", "A", &[("host", "a")], true).is_ok());
}

#[test]
fn http2_requests_are_judged_as_strictly() {
    let check = |fields: &[(&str, &str)], expected| {
        assert_eq!(http2("GET", "/", "a", fields, true).err(), Some(expected), "{fields:?}");
    };
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "Connection"] {
        check(&[(name, "x")], HeadError::ConnectionField);
    }
    check(&[("te", "gzip")], HeadError::ConnectionField);
    check(&[("x", "a\r\nb: c")], HeadError::FieldValue);
    check(&[("x", "a\0")], HeadError::FieldValue);
    check(&[("x y", "a")], HeadError::FieldName);
    check(&[("", "a")], HeadError::FieldName);
    check(&[("host", "b")], HeadError::HostConflict);
    check(&[("host", "a"), ("host", "a")], HeadError::TwoHosts);
    check(&[("content-length", "1")], HeadError::ContentLength);
    check(&[("content-length", "0"), ("content-length", "0")], HeadError::ContentLength);
    check(&[("content-length", "x")], HeadError::ContentLength);
    check(&[("expect", "x")], HeadError::Expectation);
    let check = |method: &str, target: &str, authority: &str, expected| {
        assert_eq!(http2(method, target, authority, &[], true).err(), Some(expected), "{method} {target} {authority}");
    };
    check("CONNECT", "a:1", "a:1", HeadError::Connect);
    check("TRACE", "/", "a", HeadError::Trace);
    check("GET", "", "a", HeadError::Target);
    check("GET", "*", "a", HeadError::Target);
    check("GET", "/ a", "a", HeadError::Target);
    check("GET", "/a\r\n", "a", HeadError::Target);
    check("GET", "/a#", "a", HeadError::Target);
    check("G T", "/", "a", HeadError::StartLine);
    check("GET", "/", "u@a", HeadError::BadHost);
    check("GET", "/", "", HeadError::NoHost);
    check("GET", &format!("/{}", "a".repeat(9000)), "a", HeadError::RequestLineTooLong);
    check("GET", &format!("/{}", "a".repeat(70_000)), "a", HeadError::RequestLineTooLong);
    let many: Vec<_> = (0..101).map(|_| ("x", "y")).collect();
    assert_eq!(http2("GET", "/", "a", &many, true).err(), Some(HeadError::TooManyHeaders));
    let large = "y".repeat(33_000);
    assert_eq!(http2("GET", "/", "a", &[("x", &large)], true).err(), Some(HeadError::HeadersTooLarge));
}

/// The access log asks what was refused for its path.
#[test]
fn a_head_that_was_refused_half_way_through_can_be_looked_at() {
    for line in ["GET /a?b HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET foo HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut head = RequestHead::new();
        parse_request(line.as_bytes(), &LIMITS, &mut head).expect_err("it is no request");
        assert!(head.path().len() <= head.target().len());
        assert_eq!(head.query(), None, "{line:?}");
    }
    let mut head = RequestHead::new();
    head.begin(b"GET", b"*", b"a");
    assert_eq!((head.path(), head.query()), (&b"*"[..], None));
}
