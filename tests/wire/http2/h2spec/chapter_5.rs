//! `http2` 5: streams, their states and numbers, and how errors are told.

use super::case::Expect::{ConnectionError, End, Finished, GoAway, Pong, StreamError};
use super::case::{Case, case};
use super::site::{Site, ZEROS, headers, long_fields, ping};
use crate::http2::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, INITIAL_WINDOW, MAX_STREAMS, PING, PRIORITISED, PRIORITY, PROTOCOL, REFUSED,
    STREAM_CLOSED, data, frame, reset, setting, window_update,
};

const PROTOCOL_ALONE: &[u32] = &[PROTOCOL];
const CLOSED: &[u32] = &[STREAM_CLOSED];
const EITHER: &[u32] = &[STREAM_CLOSED, PROTOCOL];

pub(super) fn cases(site: &Site) -> Vec<Case> {
    [idle(site), half_closed(site), reset_before(site), closed(site), numbers(site), priorities(site), errors(site)]
        .into_iter()
        .flatten()
        .collect()
}

fn test_data() -> Vec<u8> {
    data(1, END_STREAM, b"test")
}

fn more_fields() -> Vec<u8> {
    frame(CONTINUATION, END_HEADERS, 1, &long_fields(1))
}

fn idle(site: &Site) -> Vec<Case> {
    let wrong = ConnectionError(PROTOCOL_ALONE);
    vec![
        case("http2/5.1/1", "DATA of an idle stream", test_data(), wrong),
        case("http2/5.1/2", "RST_STREAM of an idle stream", reset(1), wrong),
        case("http2/5.1/3", "WINDOW_UPDATE of an idle stream", window_update(1, 100), wrong),
        case(
            "http2/5.1/4",
            "CONTINUATION of an idle stream",
            frame(CONTINUATION, END_HEADERS, 1, &site.block()),
            wrong,
        ),
    ]
}

fn half_closed(site: &Site) -> Vec<Case> {
    let after = |more: Vec<u8>| [site.get(1), more].concat();
    let same = frame(CONTINUATION, END_HEADERS, 1, &site.block());
    vec![
        case("http2/5.1/5", "DATA of a half-closed stream", after(test_data()), StreamError(CLOSED))
            .by_the_end(PROTOCOL),
        case("http2/5.1/6", "HEADERS of a half-closed stream", after(site.get(1)), StreamError(CLOSED))
            .by_the_end(PROTOCOL),
        case("http2/5.1/7", "CONTINUATION of a half-closed stream", after(same), StreamError(EITHER)),
    ]
}

fn reset_before(site: &Site) -> Vec<Case> {
    let after = |more: Vec<u8>| [site.open(), reset(1), more].concat();
    vec![
        case("http2/5.1/8", "DATA after RST_STREAM", after(test_data()), StreamError(CLOSED)),
        case("http2/5.1/9", "HEADERS after RST_STREAM", after(site.get(1)), StreamError(CLOSED)).by_the_end(PROTOCOL),
        case("http2/5.1/10", "CONTINUATION after RST_STREAM", after(more_fields()), StreamError(EITHER)),
    ]
}

fn closed(site: &Site) -> Vec<Case> {
    let closed = |number, title| case(number, title, site.get(1), Finished);
    vec![
        closed("http2/5.1/11", "DATA of a closed stream").then(test_data(), StreamError(CLOSED)),
        closed("http2/5.1/12", "HEADERS of a closed stream")
            .then(site.get(1), ConnectionError(CLOSED))
            .by_the_end(PROTOCOL),
        closed("http2/5.1/13", "CONTINUATION of a closed stream").then(more_fields(), ConnectionError(EITHER)),
    ]
}

fn numbers(site: &Site) -> Vec<Case> {
    let wrong = ConnectionError(PROTOCOL_ALONE);
    // h2spec passes this case over where no limit is announced.
    let streams = site.announces(MAX_STREAMS).unwrap_or(0);
    let too_many = (0..=streams).flat_map(|stream| site.get(2 * stream + 1));
    vec![
        case("http2/5.1.1/1", "an even number", site.get(2), wrong),
        case("http2/5.1.1/2", "a number below another", [site.get(5), site.get(3)].concat(), wrong),
        case(
            "http2/5.1.2/1",
            "more streams than are allowed",
            setting(INITIAL_WINDOW, 0).into_iter().chain(too_many).collect(),
            StreamError(&[PROTOCOL, REFUSED]),
        ),
    ]
}

fn priorities(site: &Site) -> Vec<Case> {
    let itself = [0, 0, 0, 1, 255];
    let flags = END_HEADERS | END_STREAM | PRIORITISED;
    let wrong = StreamError(PROTOCOL_ALONE);
    vec![
        case(
            "http2/5.3.1/1",
            "HEADERS that depend on themselves",
            headers(flags, 1, &[&itself[..], &site.block()].concat()),
            wrong,
        ),
        case("http2/5.3.1/2", "PRIORITY that depends on itself", frame(PRIORITY, 0, 1, &itself), wrong),
    ]
}

fn errors(site: &Site) -> Vec<Case> {
    let wrong = || frame(PING, 0, 3, ZEROS);
    let unknown = || frame(0x16, 0, 0, &[0; 8]);
    vec![
        case("http2/5.4.1/1", "PING of a stream ends the connection", wrong(), End),
        // Of h2spec's strict mode.
        case("http2/5.4.1/2", "PING of a stream is answered by GOAWAY", wrong(), GoAway),
        case("http2/5.5/1", "a frame of an unknown kind", [unknown(), ping(ZEROS)].concat(), Pong(ZEROS)),
        case(
            "http2/5.5/2",
            "a frame of an unknown kind inside a field block",
            [headers(END_STREAM, 1, &site.block()), unknown()].concat(),
            ConnectionError(PROTOCOL_ALONE),
        ),
    ]
}
