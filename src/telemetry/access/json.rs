//! Lines as JSON objects. All keys are always there, absent values as `null`, so that a reader's schema is one.

use super::escape::push_json;
use super::record::AccessRecord;
use crate::telemetry::clock::{CachedSecond, digits};
use plimsoll_core::protocol::put::Put;

/// Puts the line, with its newline.
pub(super) fn push(record: &AccessRecord<'_>, time: &mut CachedSecond, out: &mut impl Put) {
    out.put(b"{\"time\":\"");
    time.push_rfc3339(record.time_ms, out);
    // Digits, addresses and tokens hold nothing to escape.
    plain(b"\",\"request_id\":\"", record.request_id, out);
    plain(b"\",\"client\":\"", record.client, out);
    plain(b"\",\"method\":\"", record.method, out);
    plain(b"\",\"scheme\":\"", record.scheme.as_bytes(), out);
    text(b"\",\"host\":\"", record.host, out);
    text(b"\",\"path\":\"", record.path, out);
    plain(b"\",\"protocol\":\"", record.protocol.as_bytes(), out);
    out.put(b"\"");
    if record.place.is_empty() {
        push_place(record.route, record.service, record.upstream, out);
    } else {
        out.put(record.place);
    }
    name(b",\"target\":", record.target, out);
    number(b",\"status\":", u64::from(record.status), out);
    number(b",\"bytes_in\":", record.bytes_in, out);
    number(b",\"bytes_out\":", record.bytes_out, out);
    milliseconds(b",\"duration_ms\":", record.duration_us, out);
    match record.upstream_us {
        Some(micros) => milliseconds(b",\"upstream_ms\":", micros, out),
        None => out.put(b",\"upstream_ms\":null"),
    }
    if (record.held_us, record.attempts, record.error) == (0, 1, None) {
        out.put(b",\"held_ms\":0.000,\"attempts\":1,\"error\":null}\n");
        return;
    }
    milliseconds(b",\"held_ms\":", record.held_us, out);
    number(b",\"attempts\":", u64::from(record.attempts), out);
    name(b",\"error\":", record.error.unwrap_or(""), out);
    out.put(b"}\n");
}

/// What all lines of a route have in common, to be printed once for all of them.
#[must_use]
pub fn place_json(route: &str, service: &str, upstream: &str) -> Box<[u8]> {
    let mut out = Vec::with_capacity(128);
    push_place(route, service, upstream, &mut out);
    out.into()
}

fn push_place(route: &str, service: &str, upstream: &str, out: &mut impl Put) {
    name(b",\"route\":", route, out);
    name(b",\"service\":", service, out);
    name(b",\"upstream\":", upstream, out);
}

// The helpers are inlined so that keys are constants: stores, not calls.
#[inline(always)]
fn plain(key: &[u8], value: &[u8], out: &mut impl Put) {
    out.put(key);
    out.put(value);
}

#[inline(always)]
fn text(key: &[u8], value: &[u8], out: &mut impl Put) {
    out.put(key);
    push_json(value, out);
}

#[inline(always)]
fn name(key: &[u8], value: &str, out: &mut impl Put) {
    out.put(key);
    if value.is_empty() {
        out.put(b"null");
    } else {
        out.put(b"\"");
        push_json(value.as_bytes(), out);
        out.put(b"\"");
    }
}

#[inline(always)]
fn number(key: &[u8], value: u64, out: &mut impl Put) {
    out.put(key);
    match u8::try_from(value) {
        Ok(digit @ 0..10) => out.put(&[b'0' + digit]),
        _ => out.put(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// With three decimals: microseconds are what tells two proxies apart.
#[inline(always)]
fn milliseconds(key: &[u8], micros: u64, out: &mut impl Put) {
    number(key, micros / 1000, out);
    let [hundreds, tens, ones] = digits::<3>(micros % 1000);
    out.put(&[b'.', hundreds, tens, ones]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(record: &AccessRecord<'_>) -> String {
        let mut out = Vec::new();
        push(record, &mut CachedSecond::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_has_every_field_in_its_order() {
        let expected = concat!(
            r#"{"time":"2026-11-25T19:20:31.042Z","request_id":"0123456789abcdef0123456789abcdef","#,
            r#""client":"192.0.2.7","method":"GET","scheme":"http","host":"shop.example","path":"/cart","#,
            r#""protocol":"HTTP/1.1","route":"cart","service":"web","upstream":"web.shop","target":"10.0.0.5:8080","#,
            r#""status":200,"bytes_in":78,"bytes_out":1234,"duration_ms":12.345,"upstream_ms":11.007,"held_ms":0.000,"#,
            r#""attempts":1,"error":null}"#,
            "\n"
        );
        let record = AccessRecord::example();
        assert_eq!(line(&record), expected);
        let place = place_json(record.route, record.service, record.upstream);
        assert_eq!(line(&AccessRecord { place: &place, ..record }), expected);
    }

    #[test]
    fn a_request_that_the_gateway_answered_says_null_and_why() {
        let record = AccessRecord {
            route: "",
            service: "",
            upstream: "",
            target: "",
            upstream_us: None,
            attempts: 0,
            error: Some("no_route"),
            path: b"/\"\x01\xff",
            ..AccessRecord::example()
        };
        let read: serde_json::Value = serde_json::from_str(&line(&record)).unwrap();
        for absent in ["route", "service", "upstream", "target", "upstream_ms"] {
            assert!(read[absent].is_null(), "{absent}");
        }
        assert_eq!((&read["error"], &read["path"]), (&"no_route".into(), &"/\"\u{1}\u{fffd}".into()));
    }
}
