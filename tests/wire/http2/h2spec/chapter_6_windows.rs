//! `http2` 6.7 to 6.10: PING, GOAWAY, `WINDOW_UPDATE` with the windows that it opens, and CONTINUATION.

use super::case::Expect::{
    Answer, ConnectionError, Data, DataOfOneOctet, GoAwayWith, Pong, ResetWith, SettingsAcknowledged, StreamError,
};
use super::case::{Case, case};
use super::site::{NAME, Site, ZEROS, headers, long_fields, ping};
use crate::http2::frames::{
    ACK, CONTINUATION, END_HEADERS, END_STREAM, FLOW_CONTROL, FRAME_SIZE, GOAWAY, INITIAL_WINDOW, PING, PROTOCOL,
    WINDOW_UPDATE, block, data, frame, setting, window_update,
};

/// As much as a window may be.
const WIDEST: u32 = (1 << 31) - 1;

pub(super) fn cases(site: &Site) -> Vec<Case> {
    [pings(), updates(site), windows(site), initial_windows(site), continuations(site)].into_iter().flatten().collect()
}

fn pings() -> Vec<Case> {
    let wrong = ConnectionError(&[PROTOCOL]);
    let nobody_asked = frame(PING, ACK, 0, b"invalid\0");
    vec![
        case("http2/6.7/1", "PING is answered", ping(NAME), Pong(NAME)),
        case("http2/6.7/2", "PING that answers is not answered", [nobody_asked, ping(NAME)].concat(), Pong(NAME)),
        case("http2/6.7/3", "PING of a stream", frame(PING, 0, 1, ZEROS), wrong),
        case("http2/6.7/4", "PING of another length", frame(PING, 0, 0, &[0; 6]), ConnectionError(&[FRAME_SIZE]))
            .by_the_end(PROTOCOL),
        case("http2/6.8/1", "GOAWAY of a stream", frame(GOAWAY, 0, 1, &[0; 8]), wrong),
    ]
}

fn updates(site: &Site) -> Vec<Case> {
    vec![
        case(
            "http2/6.9/1",
            "the connection's window grows by nothing",
            window_update(0, 0),
            ConnectionError(&[PROTOCOL]),
        ),
        case(
            "http2/6.9/2",
            "a stream's window grows by nothing",
            [site.open(), window_update(1, 0)].concat(),
            StreamError(&[PROTOCOL]),
        ),
        case(
            "http2/6.9/3",
            "WINDOW_UPDATE of another length",
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]),
            ConnectionError(&[FRAME_SIZE]),
        )
        .by_the_end(PROTOCOL),
    ]
}

fn windows(site: &Site) -> Vec<Case> {
    vec![
        case("http2/6.9.1/1", "an answer's body waits for a window", setting(INITIAL_WINDOW, 1), SettingsAcknowledged)
            .then(site.get(1), DataOfOneOctet),
        case(
            "http2/6.9.1/2",
            "the connection's window is too large",
            window_update(0, WIDEST).repeat(2),
            GoAwayWith(FLOW_CONTROL),
        ),
        case(
            "http2/6.9.1/3",
            "a stream's window is too large",
            [site.open(), window_update(1, WIDEST).repeat(2)].concat(),
            ResetWith(FLOW_CONTROL),
        ),
    ]
}

fn initial_windows(site: &Site) -> Vec<Case> {
    let initial = |size| setting(INITIAL_WINDOW, size);
    vec![
        case("http2/6.9.2/1", "an open stream's window grows with the initial one", initial(0), SettingsAcknowledged)
            .then([site.get(1), initial(1)].concat(), DataOfOneOctet),
        // Three of it are sent; then it is one below nothing, and one above.
        case("http2/6.9.2/2", "a window may be less than nothing", initial(3), SettingsAcknowledged)
            .then(site.get(1), Data)
            .then(initial(2), SettingsAcknowledged)
            .then(window_update(1, 2), DataOfOneOctet),
        case(
            "http2/6.9.2/3",
            "an initial window that is too large",
            initial(1 << 31),
            ConnectionError(&[FLOW_CONTROL]),
        )
        .by_the_end(PROTOCOL),
    ]
}

fn continuations(site: &Site) -> Vec<Case> {
    let wrong = ConnectionError(&[PROTOCOL]);
    let next = |stream, flags| frame(CONTINUATION, flags, stream, &long_fields(1));
    let unfinished = || headers(END_STREAM, 1, &site.block());
    let unfinished_post = || headers(0, 1, &block(&site.fields(b"POST")));
    let body = || data(1, END_STREAM, b"test");
    vec![
        case(
            "http2/6.10/1",
            "CONTINUATION more than once",
            [unfinished(), next(1, 0), next(1, END_HEADERS)].concat(),
            Answer,
        ),
        case("http2/6.10/2", "DATA inside a field block", [unfinished_post(), next(1, 0), body()].concat(), wrong),
        case("http2/6.10/3", "CONTINUATION of stream 0", [unfinished(), next(0, END_HEADERS)].concat(), wrong),
        case(
            "http2/6.10/4",
            "CONTINUATION after HEADERS that were the last",
            [site.get(1), next(1, END_HEADERS)].concat(),
            wrong,
        ),
        case(
            "http2/6.10/5",
            "CONTINUATION after one that was the last",
            [unfinished(), next(1, END_HEADERS), next(1, END_HEADERS)].concat(),
            wrong,
        ),
        case(
            "http2/6.10/6",
            "CONTINUATION after DATA",
            [unfinished_post(), body(), next(1, 0), next(0, END_HEADERS)].concat(),
            wrong,
        ),
    ]
}
