//! `http2` 6.1 to 6.5: DATA, HEADERS, PRIORITY, `RST_STREAM` and SETTINGS.

use super::case::Expect::{ConnectionError, DataOfOneOctet, Pong, SettingsAcknowledged, StreamError};
use super::case::{Case, case};
use super::site::{HEAVY, Site, ZEROS, headers, ping};
use crate::http2::frames::{
    ACK, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL, FRAME_SIZE, INITIAL_WINDOW, MAX_FRAME_SIZE, PADDED,
    PRIORITY, PROTOCOL, RST_STREAM, SETTINGS, STREAM_CLOSED, block, data, frame, reset, setting,
};

pub(super) fn cases(site: &Site) -> Vec<Case> {
    [bodies(site), fields(site), priorities_and_resets(site), settings(), values(site)].into_iter().flatten().collect()
}

fn bodies(site: &Site) -> Vec<Case> {
    let wrong = ConnectionError(&[PROTOCOL]);
    let whole_post = headers(END_HEADERS | END_STREAM, 1, &block(&site.fields(b"POST")));
    // Six octets of padding, of four that are left.
    let padded = frame(DATA, END_STREAM | PADDED, 1, b"\x06Test");
    vec![
        case("http2/6.1/1", "DATA of stream 0", data(0, END_STREAM, b"test"), wrong),
        case(
            "http2/6.1/2",
            "DATA of a half-closed stream",
            [whole_post, data(1, END_STREAM, b"test")].concat(),
            StreamError(&[STREAM_CLOSED]),
        )
        .by_the_end(PROTOCOL),
        case(
            "http2/6.1/3",
            "padding that is longer than DATA",
            [site.post(&[("content-length", b"4")]), padded].concat(),
            wrong,
        ),
    ]
}

fn fields(site: &Site) -> Vec<Case> {
    let wrong = ConnectionError(&[PROTOCOL]);
    let whole = END_HEADERS | END_STREAM;
    let length = u8::try_from(site.block().len() + 2).expect("it is short");
    vec![
        case("http2/6.2/1", "PRIORITY inside a field block", site.interrupted(&frame(PRIORITY, 0, 1, &HEAVY)), wrong),
        case("http2/6.2/2", "another stream's HEADERS inside a field block", site.interrupted(&site.get(3)), wrong),
        case("http2/6.2/3", "HEADERS of stream 0", site.get(0), wrong),
        case(
            "http2/6.2/4",
            "padding that is longer than HEADERS",
            headers(whole | PADDED, 1, &[&[length], &site.block()[..]].concat()),
            StreamError(&[PROTOCOL]),
        ),
    ]
}

fn priorities_and_resets(site: &Site) -> Vec<Case> {
    let wrong = ConnectionError(&[PROTOCOL]);
    let size = StreamError(&[FRAME_SIZE]);
    vec![
        case("http2/6.3/1", "PRIORITY of stream 0", frame(PRIORITY, 0, 0, &HEAVY), wrong),
        case(
            "http2/6.3/2",
            "PRIORITY of another length",
            [site.get(1), frame(PRIORITY, 0, 1, &[0x80, 0, 0, 1])].concat(),
            size,
        )
        .by_the_end(PROTOCOL),
        case("http2/6.4/1", "RST_STREAM of stream 0", reset(0), wrong),
        case("http2/6.4/2", "RST_STREAM of an idle stream", reset(1), wrong),
        case(
            "http2/6.4/3",
            "RST_STREAM of another length",
            [site.get(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            size,
        )
        .by_the_end(PROTOCOL),
    ]
}

fn settings() -> Vec<Case> {
    vec![
        case(
            "http2/6.5/1",
            "SETTINGS that acknowledge with a payload",
            frame(SETTINGS, ACK, 0, &[0]),
            ConnectionError(&[FRAME_SIZE]),
        )
        .by_the_end(PROTOCOL),
        case(
            "http2/6.5/2",
            "SETTINGS of a stream",
            frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100]),
            ConnectionError(&[PROTOCOL]),
        ),
        case(
            "http2/6.5/3",
            "SETTINGS of no whole number of values",
            frame(SETTINGS, 0, 0, &[0, 3, 0]),
            StreamError(&[PROTOCOL, FRAME_SIZE]),
        ),
    ]
}

fn values(site: &Site) -> Vec<Case> {
    let wrong = ConnectionError(&[PROTOCOL]);
    let unknown = [setting(0xff, 1), ping(ZEROS)].concat();
    let twice = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 100, 0, 4, 0, 0, 0, 1]);
    vec![
        case("http2/6.5.2/1", "ENABLE_PUSH that is neither 0 nor 1", setting(ENABLE_PUSH, 2), wrong),
        case(
            "http2/6.5.2/2",
            "an initial window that is too large",
            setting(INITIAL_WINDOW, 1 << 31),
            ConnectionError(&[FLOW_CONTROL]),
        )
        .by_the_end(PROTOCOL),
        case("http2/6.5.2/3", "frames that would be too small", setting(MAX_FRAME_SIZE, (16 << 10) - 1), wrong),
        case("http2/6.5.2/4", "frames that would be too large", setting(MAX_FRAME_SIZE, 1 << 24), wrong),
        case("http2/6.5.2/5", "a setting that is not known", unknown, Pong(ZEROS)),
        case("http2/6.5.3/1", "the last of two initial windows counts", twice, SettingsAcknowledged)
            .then(site.get(1), DataOfOneOctet),
        case("http2/6.5.3/2", "SETTINGS are acknowledged", setting(ENABLE_PUSH, 0), SettingsAcknowledged),
    ]
}
