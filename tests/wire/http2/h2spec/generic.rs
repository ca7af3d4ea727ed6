//! `generic` 1 to 4: what every client sends, and every server takes.

use super::case::Expect::{Answer, Data, Finished, Pong, PongOrEnd, SettingsAcknowledged, SettingsFirst};
use super::case::{Case, case};
use super::site::{HEAVY, NAME, Site, ZEROS, greeting, headers, ping};
use crate::http2::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, INITIAL_WINDOW, PADDED, PRIORITISED, PRIORITY, SETTINGS,
    block, data, frame, reset, setting, window_update,
};

pub(super) fn cases(site: &Site) -> Vec<Case> {
    [vec![preface()], streams(site), frames(site), priorities(site), others(site), messages(site)]
        .into_iter()
        .flatten()
        .collect()
}

fn preface() -> Case {
    case("generic/1/1", "a client's preface is answered by the server's", greeting(), SettingsFirst).silent()
}

fn streams(site: &Site) -> Vec<Case> {
    let heavy = || frame(PRIORITY, 0, 1, &HEAVY);
    // An answer whose body waits for a window keeps its stream open.
    let waiting = || [setting(INITIAL_WINDOW, 0), site.get(1)].concat();
    vec![
        case("generic/2/1", "PRIORITY of an idle stream", [heavy(), ping(ZEROS)].concat(), Pong(ZEROS)),
        case("generic/2/2", "WINDOW_UPDATE of a half-closed stream", [waiting(), window_update(1, 1)].concat(), Data),
        case(
            "generic/2/3",
            "PRIORITY of a half-closed stream",
            [waiting(), heavy(), window_update(1, 1)].concat(),
            Data,
        ),
        case(
            "generic/2/4",
            "RST_STREAM of a half-closed stream",
            [site.get(1), reset(1), ping(ZEROS)].concat(),
            Pong(ZEROS),
        ),
        case("generic/2/5", "PRIORITY of a closed stream", site.get(1), Finished)
            .then([heavy(), ping(ZEROS)].concat(), Pong(ZEROS)),
    ]
}

fn frames(site: &Site) -> Vec<Case> {
    let post = || site.post(&[]);
    let whole = END_HEADERS | END_STREAM;
    let padded = [&[5], &b"test"[..], &[0; 5]].concat();
    vec![
        case("generic/3.1/1", "DATA", [post(), data(1, END_STREAM, b"test")].concat(), Answer),
        case(
            "generic/3.1/2",
            "DATA in several frames",
            [post(), data(1, 0, b"test"), data(1, END_STREAM, b"test")].concat(),
            Answer,
        ),
        case(
            "generic/3.1/3",
            "DATA with padding",
            [post(), frame(DATA, END_STREAM | PADDED, 1, &padded)].concat(),
            Answer,
        ),
        case("generic/3.2/1", "HEADERS", site.get(1), Answer),
        case(
            "generic/3.2/2",
            "HEADERS with padding",
            headers(whole | PADDED, 1, &[&[8], &site.block()[..], &[0; 8]].concat()),
            Answer,
        ),
        case(
            "generic/3.2/3",
            "HEADERS with a priority",
            headers(whole | PRIORITISED, 1, &[&HEAVY[..], &site.block()].concat()),
            Answer,
        ),
    ]
}

fn priorities(site: &Site) -> Vec<Case> {
    let before = |stream, priority: [u8; 5]| [frame(PRIORITY, 0, stream, &priority), site.get(1)].concat();
    vec![
        case("generic/3.3/1", "PRIORITY of 1", before(1, [0; 5]), Answer),
        case("generic/3.3/2", "PRIORITY of 256", before(1, HEAVY), Answer),
        case("generic/3.3/3", "PRIORITY after another stream", before(3, [0, 0, 0, 1, 0]), Answer),
        case("generic/3.3/4", "PRIORITY that shares with nobody", before(1, [0x80, 0, 0, 0, 0]), Answer),
        case("generic/3.3/5", "PRIORITY of a later stream, which opens none", before(3, HEAVY), Answer),
    ]
}

fn others(site: &Site) -> Vec<Case> {
    let settings = [(1, 4096), (2, 1), (3, 100), (4, 65_535), (5, 16_384), (6, 100)]
        .iter()
        .flat_map(|(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    let goaway = frame(GOAWAY, 0, 0, &[&[0; 8], &b"h2spec"[..]].concat());
    let pieces = |at: &[usize]| {
        let block = site.block();
        let mut ends = at.to_vec();
        ends.push(block.len());
        let mut out = headers(END_STREAM, 1, &block[..ends[0]]);
        for pair in ends.windows(2) {
            let flags = if pair[1] == block.len() { END_HEADERS } else { 0 };
            out.extend(frame(CONTINUATION, flags, 1, &block[pair[0]..pair[1]]));
        }
        out
    };
    vec![
        case("generic/3.4/1", "RST_STREAM", [site.open(), reset(1), ping(ZEROS)].concat(), Pong(ZEROS)),
        case("generic/3.5/1", "SETTINGS", frame(SETTINGS, 0, 0, &settings.collect::<Vec<_>>()), SettingsAcknowledged),
        case("generic/3.7/1", "PING", ping(NAME), Pong(NAME)),
        case("generic/3.8/1", "GOAWAY", [goaway, ping(NAME)].concat(), PongOrEnd(NAME)),
        case(
            "generic/3.9/1",
            "WINDOW_UPDATE of the connection",
            [window_update(0, 1), ping(ZEROS)].concat(),
            Pong(ZEROS),
        ),
        case("generic/3.9/2", "WINDOW_UPDATE of a stream", [site.get(1), window_update(1, 1)].concat(), Answer),
        case("generic/3.10/1", "CONTINUATION", pieces(&[5]), Answer),
        case("generic/3.10/2", "CONTINUATION more than once", pieces(&[5, 10]), Answer),
    ]
}

fn messages(site: &Site) -> Vec<Case> {
    let head = headers(END_HEADERS | END_STREAM, 1, &block(&site.fields(b"HEAD")));
    let trailers = headers(END_HEADERS | END_STREAM, 1, &block(&[("x-test", b"ok")]));
    vec![
        case("generic/4/1", "GET", site.get(1), Answer),
        case("generic/4/2", "HEAD", head, Answer),
        case("generic/4/3", "POST", [site.post(&[]), data(1, END_STREAM, b"test")].concat(), Answer),
        case(
            "generic/4/4",
            "POST with trailers",
            [site.post(&[("trailer", b"x-test")]), data(1, 0, b"test"), trailers].concat(),
            Answer,
        ),
    ]
}
