//! `http2` 4: frames, their size, and field blocks in them.

use super::case::Expect::{Answer, ConnectionError, Ping, Pong, StreamError};
use super::case::{Case, case};
use super::site::{HEAVY, Site, ZEROS, headers, long_fields, ping};
use crate::http2::frames::{
    COMPRESSION, END_HEADERS, END_STREAM, FRAME_SIZE, MAX_FRAME_SIZE, PING, PRIORITY, PROTOCOL, data, frame,
};

/// 16 KiB: where none is announced.
const FRAME: u32 = 16 << 10;

pub(super) fn cases(site: &Site) -> Vec<Case> {
    let largest = vec![b'x'; site.announces(MAX_FRAME_SIZE).unwrap_or(FRAME) as usize];
    let too_large = [&largest[..], b"x"].concat();
    let long = [site.block(), long_fields(5)].concat();
    let wrong = ConnectionError(&[PROTOCOL]);
    vec![
        case(
            "http2/4.1/1",
            "a frame of an unknown kind",
            [frame(0x16, 0, 0, &[0; 8]), ping(ZEROS)].concat(),
            Pong(ZEROS),
        ),
        case("http2/4.1/2", "flags that are not defined", frame(PING, 0x16, 0, ZEROS), Ping),
        case("http2/4.1/3", "the reserved bit", frame(PING, 0x16, 1 << 31, ZEROS), Ping),
        case(
            "http2/4.2/1",
            "DATA as large as may be",
            [site.post(&[]), data(1, END_STREAM, &largest)].concat(),
            Answer,
        ),
        case(
            "http2/4.2/2",
            "DATA that is too large",
            [site.post(&[]), data(1, END_STREAM, &too_large)].concat(),
            StreamError(&[FRAME_SIZE]),
        ),
        case(
            "http2/4.2/3",
            "HEADERS that are too large",
            headers(END_HEADERS | END_STREAM, 1, &long),
            ConnectionError(&[FRAME_SIZE]),
        ),
        // A literal to be indexed, which has neither a name nor a value.
        case(
            "http2/4.3/1",
            "half a field",
            headers(END_HEADERS | END_STREAM, 1, &[0x40]),
            ConnectionError(&[COMPRESSION]),
        )
        .by_the_end(PROTOCOL),
        case("http2/4.3/2", "PRIORITY inside a field block", site.interrupted(&frame(PRIORITY, 0, 1, &HEAVY)), wrong),
        case("http2/4.3/3", "another stream's HEADERS inside a field block", site.interrupted(&site.get(3)), wrong),
    ]
}
