//! `http2` 8: requests that are not well formed, and a client that pushes.

use super::case::Expect::{ConnectionError, StreamError};
use super::case::{Case, case};
use super::site::{HOST, Site, headers};
use crate::http2::frames::{END_HEADERS, END_STREAM, Field, PROTOCOL, PUSH_PROMISE, block, data, frame};

const WRONG: &[u32] = &[PROTOCOL];

pub(super) fn cases(site: &Site) -> Vec<Case> {
    [trailers(site), wrong_fields(site), pseudo_fields(site), lengths(site), vec![push(site)]]
        .into_iter()
        .flatten()
        .collect()
}

/// A POST, some of its body, and a field block that ends nothing.
fn unfinished(site: &Site, fields: &[Field]) -> Vec<u8> {
    [site.post(&[]), data(1, 0, b"test"), headers(END_HEADERS, 1, &block(fields))].concat()
}

fn trailers(site: &Site) -> Vec<Case> {
    let send = unfinished(site, &[("x-test", b"ok")]);
    vec![case("http2/8.1/1", "HEADERS in the middle that end nothing", send, StreamError(WRONG))]
}

fn wrong_fields(site: &Site) -> Vec<Case> {
    let with = |number, title, fields: &[Field]| case(number, title, site.get_with(fields), StreamError(WRONG));
    let after = [&[("x-test", &b"ok"[..])], &site.fields(b"GET")[..]].concat();
    vec![
        with("http2/8.1.2/1", "upper case in a name", &[("X-TEST", b"ok")]),
        with("http2/8.1.2.1/1", "an unknown pseudo-field", &[(":test", b"ok")]),
        with("http2/8.1.2.1/2", "a pseudo-field of answers", &[(":status", b"200")]),
        case(
            "http2/8.1.2.1/3",
            "a pseudo-field in trailers",
            unfinished(site, &[(":method", b"POST")]),
            StreamError(WRONG),
        ),
        case(
            "http2/8.1.2.1/4",
            "a pseudo-field after others",
            headers(END_HEADERS | END_STREAM, 1, &block(&after)),
            StreamError(WRONG),
        ),
        with("http2/8.1.2.2/1", "a field of a connection", &[("connection", b"keep-alive")]),
        with("http2/8.1.2.2/2", "TE of something else", &[("trailers", b"test"), ("te", b"trailers, deflate")]),
    ]
}

fn pseudo_fields(site: &Site) -> Vec<Case> {
    let of = |number, title, fields: Vec<Field>| {
        case(number, title, headers(END_HEADERS | END_STREAM, 1, &block(&fields)), StreamError(WRONG))
    };
    let good = site.fields(b"GET");
    let without = |names: &[&str]| good.iter().filter(|field| !names.contains(&field.0)).copied().collect();
    let twice = |name: &str| good.iter().chain(good.iter().filter(|field| field.0 == name)).copied().collect();
    let empty = vec![good[0], good[1], (":path", &b""[..]), (":authority", HOST.as_bytes())];
    vec![
        of("http2/8.1.2.3/1", "an empty :path", empty),
        // h2spec leaves out both.
        of("http2/8.1.2.3/2", "no :method", without(&[":method", ":scheme"])),
        of("http2/8.1.2.3/3", "no :scheme", without(&[":scheme"])),
        of("http2/8.1.2.3/4", "no :path", without(&[":path"])),
        of("http2/8.1.2.3/5", "two :method", twice(":method")),
        of("http2/8.1.2.3/6", "two :scheme", twice(":scheme")),
        of("http2/8.1.2.3/7", "two :path", twice(":path")),
    ]
}

fn lengths(site: &Site) -> Vec<Case> {
    let post = || site.post(&[("content-length", b"1")]);
    vec![
        case(
            "http2/8.1.2.6/1",
            "a body that is longer than it says",
            [post(), data(1, END_STREAM, b"test")].concat(),
            StreamError(WRONG),
        ),
        case(
            "http2/8.1.2.6/2",
            "a body in two frames that is longer than it says",
            [post(), data(1, 0, b"test"), data(1, END_STREAM, b"test")].concat(),
            StreamError(WRONG),
        ),
    ]
}

fn push(site: &Site) -> Case {
    let promise = frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 3], &site.block()[..]].concat());
    case("http2/8.2/1", "a client pushes nothing", promise, ConnectionError(WRONG))
}
