//! Lines as JSON objects. All keys are always there, absent values as `null`, so that a reader's schema is one.

use super::escape::PutJson;
use super::record::AccessRecord;
use crate::telemetry::clock::{CachedSecond, digits};
use plimsoll_core::protocol::Version;
use plimsoll_core::protocol::put::Room;

/// Puts the line, with its newline, and says how long it is; `None` where there is not enough room for it, or where something
/// in it needs an escape.
#[inline]
pub(super) fn push_quick(record: &AccessRecord<'_>, time: &mut CachedSecond, room: &mut [u8]) -> Option<usize> {
    let mut room = Room::new(room);
    push(record, time, &mut room);
    room.written()
}

/// Puts the line, with its newline. Inlined, so that keys are constants and the room is kept in registers: stores, not calls.
#[inline(always)]
pub(super) fn push(record: &AccessRecord<'_>, time: &mut CachedSecond, out: &mut impl PutJson) {
    out.put(b"{\"time\":\"");
    let [hundreds, tens, ones] = digits::<3>(record.time_ms % 1000);
    out.put(time.rfc3339(record.time_ms / 1000));
    out.put(&[b'.', hundreds, tens, ones, b'Z']);
    // Digits, addresses and tokens hold nothing to escape.
    out.put(b"\",\"request_id\":\"");
    out.put(record.request_id);
    plain(b"\",\"client\":\"", record.client, out);
    match record.method {
        b"GET" => out.put(b"\",\"method\":\"GET"),
        method => plain(b"\",\"method\":\"", method, out),
    }
    if record.tls {
        text(b"\",\"scheme\":\"https\",\"host\":\"", record.host, out);
    } else {
        text(b"\",\"scheme\":\"http\",\"host\":\"", record.host, out);
    }
    text(b"\",\"path\":\"", record.path, out);
    match record.version {
        Version::Http11 => out.put(b"\",\"protocol\":\"HTTP/1.1\""),
        Version::Http2 => out.put(b"\",\"protocol\":\"HTTP/2\""),
        Version::Http10 => out.put(b"\",\"protocol\":\"HTTP/1.0\""),
    }
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
    } else {
        push_trouble(record, out);
    }
}

#[inline(always)]
fn push_trouble(record: &AccessRecord<'_>, out: &mut impl PutJson) {
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

#[inline(always)]
fn push_place(route: &str, service: &str, upstream: &str, out: &mut impl PutJson) {
    name(b",\"route\":", route, out);
    name(b",\"service\":", service, out);
    name(b",\"upstream\":", upstream, out);
}

#[inline(always)]
fn plain(key: &[u8], value: &[u8], out: &mut impl PutJson) {
    out.put(key);
    out.put(value);
}

#[inline(always)]
fn text(key: &[u8], value: &[u8], out: &mut impl PutJson) {
    out.put(key);
    out.put_json(value);
}

#[inline(always)]
fn name(key: &[u8], value: &str, out: &mut impl PutJson) {
    out.put(key);
    if value.is_empty() {
        out.put(b"null");
    } else {
        out.put(b"\"");
        out.put_json(value.as_bytes());
        out.put(b"\"");
    }
}

#[inline(always)]
fn number(key: &[u8], value: u64, out: &mut impl PutJson) {
    out.put(key);
    match value {
        0..10 => out.put(&digits::<1>(value)),
        10..100 => out.put(&digits::<2>(value)),
        100..1000 => out.put(&digits::<3>(value)),
        _ => out.put(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// With three decimals: microseconds are what tells two proxies apart.
#[inline(always)]
fn milliseconds(key: &[u8], micros: u64, out: &mut impl PutJson) {
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
    fn a_line_is_the_same_whichever_way_it_is_put_and_is_put_whole_or_not_at_all() {
        let example = AccessRecord::example();
        let plain = [
            example,
            AccessRecord { tls: true, method: b"OPTIONS", version: Version::Http2, ..example },
            AccessRecord { target: "", upstream_us: None, attempts: 0, error: Some("no_route"), status: 0, ..example },
            AccessRecord { version: Version::Http10, held_us: 1_234_567, attempts: 3, bytes_out: u64::MAX, ..example },
        ];
        for record in plain {
            let expected = line(&record);
            for size in 0..expected.len() + 3 {
                let mut room = vec![0; size];
                let put = push_quick(&record, &mut CachedSecond::default(), &mut room);
                assert_eq!(put, (size >= expected.len()).then_some(expected.len()), "in {size} bytes");
                assert!(put.is_none_or(|put| room[..put] == *expected.as_bytes()), "in {size} bytes");
            }
        }
        let escaped = AccessRecord { host: b"a\"b", ..example };
        assert_eq!(push_quick(&escaped, &mut CachedSecond::default(), &mut [0; 4096]), None);
    }

    #[test]
    fn numbers_of_every_length_print_as_elsewhere() {
        let powers = (0..20).map(|power| 10_u64.pow(power)).flat_map(|power| [power - 1, power, power + 1]);
        for value in powers.chain([u64::MAX]) {
            let mut out = Vec::new();
            number(b"", value, &mut out);
            milliseconds(b" ", value, &mut out);
            let expected = format!("{value} {}.{:03}", value / 1000, value % 1000);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
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
