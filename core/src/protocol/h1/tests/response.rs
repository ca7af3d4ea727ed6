//! What is a response, and how its body ends.

use crate::protocol::h1::{HeadScan, parse_response};
use crate::protocol::{BodyLength, HeadError, Known, Method, ResponseHead, Version};

fn read(bytes: &str, request: Method) -> Result<ResponseHead, HeadError> {
    let mut head = ResponseHead::new();
    let end = parse_response(bytes.as_bytes(), request, &mut head)?.expect("the test's head is whole");
    assert_eq!(HeadScan::new().find(bytes.as_bytes()).map(|found| found.map(|range| range.end)), Ok(Some(end)));
    Ok(head)
}

fn good(bytes: &str) -> ResponseHead {
    read(bytes, Method::Get).unwrap_or_else(|error| panic!("{bytes:?}: {error}"))
}

#[test]
fn a_response_is_read_into_its_parts() {
    let head =
        good("HTTP/1.1 200 Fine by me\r\nServer: s\r\nContent-Length: 5\r\nKeep-Alive: max=9, Timeout=7\r\n\r\n");
    assert_eq!((head.status, head.version, head.body), (200, Version::Http11, BodyLength::Length(5)));
    assert_eq!((head.known(Known::Server), head.keep_alive_timeout), (Some(&b"s"[..]), Some(7)));
    assert!(head.keep_alive && !head.upgrade && !head.is_interim());
    assert_eq!(good("HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n").status, 299);
    assert_eq!(good("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n").body, BodyLength::Length(0));
    assert!(good("HTTP/1.1 103 Early Hints\r\n\r\n").is_interim());
}

#[test]
fn the_end_of_a_body_is_decided_by_the_first_rule_that_fits() {
    let check = |status: u16, lines: &str, request, body, keep_alive| {
        let head = read(&format!("HTTP/1.1 {status} x\r\n{lines}\r\n"), request).expect(lines);
        assert_eq!((head.body, head.keep_alive), (body, keep_alive), "{status} {lines:?} {request:?}");
    };
    let (length, chunked) = ("Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n");
    check(200, length, Method::Head, BodyLength::None, true);
    check(200, chunked, Method::Head, BodyLength::None, true);
    check(200, "", Method::Head, BodyLength::None, true);
    for status in [100, 103, 204, 304] {
        check(status, length, Method::Get, BodyLength::None, true);
        check(status, "", Method::Get, BodyLength::None, true);
    }
    check(200, chunked, Method::Get, BodyLength::Chunked, true);
    check(200, length, Method::Get, BodyLength::Length(7), true);
    check(200, "", Method::Get, BodyLength::UntilClose, false);
    check(205, "", Method::Get, BodyLength::UntilClose, false);
    check(200, "Connection: close\r\nContent-Length: 7\r\n", Method::Get, BodyLength::Length(7), false);
}

#[test]
fn http_1_0_targets_close_unless_they_say_otherwise() {
    let check = |lines: &str, keep_alive| {
        let head = good(&format!("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n{lines}\r\n"));
        assert_eq!((head.version, head.keep_alive), (Version::Http10, keep_alive), "{lines}");
    };
    check("", false);
    check("Connection: keep-alive\r\n", true);
}

#[test]
fn responses_that_could_end_in_two_places_are_refused() {
    let check = |bytes: &str, expected| assert_eq!(read(bytes, Method::Get).err(), Some(expected), "{bytes:?}");
    let with = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    check(&with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), HeadError::TwoLengths);
    check(&with("Content-Length: 1\r\nContent-Length: 1\r\n"), HeadError::ContentLength);
    check(&with("Content-Length: 1, 1\r\n"), HeadError::ContentLength);
    check(&with("Content-Length: -1\r\n"), HeadError::ContentLength);
    check(&with("Transfer-Encoding: gzip\r\n"), HeadError::TransferEncoding);
    check(&with("Transfer-Encoding: gzip, chunked\r\n"), HeadError::UnknownCoding);
    check("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::TransferEncodingInHttp10);
    check(&with("X : 1\r\n"), HeadError::FieldName);
    check(&with("X: 1\r\n 2\r\n"), HeadError::FieldName);
    check(&with("X: \0\r\n"), HeadError::FieldValue);
    check(&with("X: 1\n"), HeadError::BareLf);
    check("HTTP/1.1 099 x\r\n\r\n", HeadError::Status);
    check("HTTP/2.0 200 OK\r\n\r\n", HeadError::Version);
    for line in [
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 OK",
        "HTTP/1.1 200 a\0",
        "ICY 200 OK",
        "200 OK",
    ] {
        let refusal = read(&format!("{line}\r\n\r\n"), Method::Get).expect_err(line);
        assert!(matches!(refusal, HeadError::StartLine | HeadError::Version), "{line}: {refusal}");
    }
    let many = with(&"x:\r\n".repeat(129));
    check(&many, HeadError::TooManyHeaders);
    check(&with(&format!("X: {}\r\n", "x".repeat(61_440))), HeadError::HeadersTooLarge);
}

#[test]
fn switching_protocols_is_an_upgrade_only_if_it_says_to_what() {
    let upgrade = good("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert!(upgrade.upgrade && !upgrade.is_interim() && !upgrade.keep_alive);
    assert!(!good("HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n").upgrade);
    assert!(!good("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n").upgrade);
    assert!(!good("HTTP/1.1 200 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").upgrade);
}

#[test]
fn http2_responses_become_the_same_heads() {
    let read = |status, fields: &[(&str, &str)], request, end| {
        let mut head = ResponseHead::new();
        head.begin(status);
        for (name, value) in fields {
            head.push(name.as_bytes(), value.as_bytes())?;
        }
        head.finish(request, end)?;
        Ok(head)
    };
    let check = |status, fields: &[(&str, &str)], request, end, expected: Result<BodyLength, HeadError>| {
        let found = read(status, fields, request, end).map(|head: ResponseHead| head.body);
        assert_eq!(found, expected, "{status} {fields:?}");
    };
    check(200, &[("content-length", "3")], Method::Get, false, Ok(BodyLength::Length(3)));
    check(200, &[("content-length", "3")], Method::Head, true, Ok(BodyLength::None));
    check(200, &[("content-length", "3")], Method::Get, true, Err(HeadError::ContentLength));
    check(200, &[], Method::Get, false, Ok(BodyLength::Chunked));
    check(200, &[], Method::Get, true, Ok(BodyLength::Length(0)));
    check(204, &[], Method::Get, true, Ok(BodyLength::None));
    check(99, &[], Method::Get, true, Err(HeadError::Status));
    check(200, &[("connection", "close")], Method::Get, true, Err(HeadError::ConnectionField));
    check(200, &[("content-length", "x")], Method::Get, true, Err(HeadError::ContentLength));
    check(200, &[("x", "a\n")], Method::Get, true, Err(HeadError::FieldValue));
}
