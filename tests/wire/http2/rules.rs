//! What the standards say of frames, streams and field blocks, section by section: frames in, and what must come of them.
//! Where RFC 9113 and RFC 7541 name one code, `h2` says `PROTOCOL_ERROR` for some frames that it cannot read at all; the
//! connection ends all the same, and both are taken.

use super::frames::{
    ACK, COMPRESSION, CONTINUATION, Came, Client, END_HEADERS, END_STREAM, FLOW_CONTROL, FRAME_SIZE, GOAWAY, HEADERS,
    INITIAL_WINDOW, MAX_FRAME_SIZE, PADDED, PATIENCE, PING, PREFACE, PRIORITISED, PRIORITY, PROTOCOL, PUSH_PROMISE,
    REFUSED, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, block, data, frame, get, instead, post, reset,
    setting, status, window_update, with,
};
use crate::gateway::Embedded;
use crate::requests::fresh;
use tokio::time::timeout;

/// What must come of a case.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// The request on stream 1 is answered, and the connection goes on.
    Answer,
    /// This stream ends with one of these codes, and the connection goes on; or it ends with one of them (§5.4.1).
    Stream(u32, &'static [u32]),
    /// The connection ends with one of these codes.
    Connection(&'static [u32]),
}

type Rule = (&'static str, &'static str, Vec<u8>, Must);

/// A request whose answer's body waits for a window: its stream stays half-closed.
fn waiting(stream: u32) -> Vec<u8> {
    [setting(INITIAL_WINDOW, 0), get(stream)].concat()
}

fn good() -> Vec<u8> {
    block(&with(&[]))
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn frames() -> Vec<Rule> {
    use Must::{Answer, Connection, Stream};
    let split = |pieces: &[&[u8]]| -> Vec<u8> {
        let good = good();
        let (first, rest) = good.split_at(10);
        [&[&frame(HEADERS, END_STREAM, 1, first)[..]], pieces, &[&frame(CONTINUATION, END_HEADERS, 1, rest)]]
            .concat()
            .concat()
    };
    let first = frame(HEADERS, END_STREAM, 1, &good()[..10]);
    let too_large = vec![b'a'; (16 << 10) + 1];
    vec![
        ("9113 §4.1", "a frame of an unknown kind is ignored", [frame(0xfa, 0xff, 0, b"x"), get(1)].concat(), Answer),
        (
            "9113 §4.1",
            "flags that are not defined are ignored",
            [frame(PING, 0xfe, 0, b"12345678"), get(1)].concat(),
            Answer,
        ),
        ("9113 §4.1", "the reserved bit is ignored", [frame(PING, 0, 1 << 31, b"12345678"), get(1)].concat(), Answer),
        (
            "9113 §4.2",
            "a frame as large as may be is taken",
            [post(1), data(1, END_STREAM, &too_large[1..])].concat(),
            Answer,
        ),
        (
            "9113 §4.2",
            "DATA that is too large",
            [post(1), data(1, END_STREAM, &too_large)].concat(),
            Stream(1, &[FRAME_SIZE]),
        ),
        ("9113 §4.2", "HEADERS that are too large", frame(HEADERS, 5, 1, &too_large), Connection(&[FRAME_SIZE])),
        (
            "9113 §4.3",
            "PRIORITY inside a field block",
            split(&[&frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])]),
            Connection(&[PROTOCOL]),
        ),
        ("9113 §4.3", "another stream's HEADERS inside a field block", split(&[&get(3)]), Connection(&[PROTOCOL])),
        (
            "9113 §5.5",
            "an unknown frame inside a field block",
            split(&[&frame(0xfa, 0, 1, b"")]),
            Connection(&[PROTOCOL]),
        ),
        ("9113 §6.2", "a field block in two frames is one", split(&[]), Answer),
        ("9113 §6.2", "HEADERS on stream 0", frame(HEADERS, 5, 0, &good()), Connection(&[PROTOCOL])),
        (
            "9113 §6.2",
            "padding that is longer than HEADERS",
            frame(HEADERS, 5 | PADDED, 1, &[&[255], &good()[..]].concat()),
            Connection(&[PROTOCOL]),
        ),
        (
            "9113 §6.2",
            "padding and a priority are no part of the fields",
            frame(HEADERS, 5 | PADDED | PRIORITISED, 1, &[&[2, 0, 0, 0, 0, 9], &good()[..], &[0, 0]].concat()),
            Answer,
        ),
        (
            "9113 §5.3.1",
            "HEADERS that depend on themselves",
            [frame(HEADERS, 5 | PRIORITISED, 1, &[&[0, 0, 0, 1, 9], &good()[..]].concat())].concat(),
            Stream(1, &[PROTOCOL]),
        ),
        (
            "9113 §5.3.1",
            "PRIORITY that depends on itself",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9]),
            Stream(1, &[PROTOCOL]),
        ),
        ("9113 §6.1", "DATA on stream 0", data(0, END_STREAM, b"x"), Connection(&[PROTOCOL])),
        (
            "9113 §6.1",
            "padding that is longer than DATA",
            [post(1), data(1, END_STREAM | PADDED, &[9, b'x'])].concat(),
            Connection(&[PROTOCOL]),
        ),
        (
            "9113 §6.1",
            "padding is no part of the body",
            [post(1), data(1, END_STREAM | PADDED, &[1, b'x', 0])].concat(),
            Answer,
        ),
        ("9113 §6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 9]), Connection(&[PROTOCOL])),
        ("9113 §6.3", "PRIORITY of another length", frame(PRIORITY, 0, 1, &[0; 4]), Stream(1, &[FRAME_SIZE, PROTOCOL])),
        (
            "9113 §6.3",
            "PRIORITY of an idle stream opens nothing",
            [frame(PRIORITY, 0, 9, &[0, 0, 0, 0, 9]), get(1)].concat(),
            Answer,
        ),
        ("9113 §6.4", "RST_STREAM on stream 0", reset(0), Connection(&[PROTOCOL])),
        ("9113 §6.4", "RST_STREAM of an idle stream", reset(1), Connection(&[PROTOCOL])),
        (
            "9113 §6.4",
            "RST_STREAM of another length",
            [post(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Connection(&[FRAME_SIZE, PROTOCOL]),
        ),
        (
            "9113 §6.6",
            "a client pushes nothing",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], &good()[..]].concat()),
            Connection(&[PROTOCOL]),
        ),
        ("9113 §6.7", "PING on a stream", frame(PING, 0, 1, b"12345678"), Connection(&[PROTOCOL])),
        ("9113 §6.7", "PING of another length", frame(PING, 0, 0, b"1234567"), Connection(&[FRAME_SIZE, PROTOCOL])),
        (
            "9113 §6.7",
            "an answer to a PING that nobody sent",
            [frame(PING, ACK, 0, b"12345678"), get(1)].concat(),
            Answer,
        ),
        ("9113 §6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Connection(&[PROTOCOL])),
        ("9113 §6.10", "a field block in many frames is one", split(&[&frame(CONTINUATION, 0, 1, b"")[..]; 3]), Answer),
        ("9113 §6.10", "DATA inside a field block", split(&[&data(1, 0, b"x")]), Connection(&[PROTOCOL])),
        (
            "9113 §6.10",
            "CONTINUATION on stream 0",
            [first, frame(CONTINUATION, END_HEADERS, 0, b"")].concat(),
            Connection(&[PROTOCOL]),
        ),
        (
            "9113 §6.10",
            "CONTINUATION after the end of the fields",
            [post(1), frame(CONTINUATION, 4, 1, b"")].concat(),
            Connection(&[PROTOCOL]),
        ),
        (
            "9113 §6.10",
            "CONTINUATION after one that was the last",
            [split(&[]), frame(CONTINUATION, END_HEADERS, 1, b"")].concat(),
            Connection(&[PROTOCOL]),
        ),
        (
            "9113 §6.10",
            "CONTINUATION after DATA",
            [post(1), data(1, 0, b"x"), frame(CONTINUATION, 4, 1, b"")].concat(),
            Connection(&[PROTOCOL]),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn settings_and_windows() -> Vec<Rule> {
    use Must::{Answer, Connection, Stream};
    const WIDEST: u32 = (1 << 31) - 1;
    vec![
        (
            "9113 §6.5",
            "SETTINGS that acknowledge with a payload",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            Connection(&[FRAME_SIZE, PROTOCOL]),
        ),
        ("9113 §6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), Connection(&[PROTOCOL])),
        (
            "9113 §6.5",
            "SETTINGS of no whole number of values",
            frame(SETTINGS, 0, 0, &[0; 5]),
            Connection(&[FRAME_SIZE, PROTOCOL]),
        ),
        ("9113 §6.5.2", "ENABLE_PUSH is neither 0 nor 1", setting(2, 2), Connection(&[PROTOCOL])),
        (
            "9113 §6.5.2",
            "an initial window that is too large",
            setting(INITIAL_WINDOW, 1 << 31),
            Connection(&[FLOW_CONTROL, PROTOCOL]),
        ),
        (
            "9113 §6.5.2",
            "frames that would be too small",
            setting(MAX_FRAME_SIZE, (16 << 10) - 1),
            Connection(&[PROTOCOL]),
        ),
        ("9113 §6.5.2", "frames that would be too large", setting(MAX_FRAME_SIZE, 1 << 24), Connection(&[PROTOCOL])),
        ("9113 §6.5.2", "a setting that is not known", [setting(0xfafa, 7), get(1)].concat(), Answer),
        (
            "9113 §6.5.3",
            "the last of two values counts",
            [frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0, 0, 4, 0, 0, 0, 9]), get(1)].concat(),
            Answer,
        ),
        ("9113 §6.9", "a connection's window grows by nothing", window_update(0, 0), Connection(&[PROTOCOL])),
        (
            "9113 §6.9",
            "a stream's window grows by nothing",
            [post(1), window_update(1, 0)].concat(),
            Stream(1, &[PROTOCOL]),
        ),
        (
            "9113 §6.9",
            "WINDOW_UPDATE of another length",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Connection(&[FRAME_SIZE, PROTOCOL]),
        ),
        (
            "9113 §6.9.1",
            "a connection's window is too large",
            window_update(0, WIDEST).repeat(2),
            Connection(&[FLOW_CONTROL]),
        ),
        (
            "9113 §6.9.1",
            "a stream's window is too large",
            [waiting(1), window_update(1, WIDEST), window_update(1, 1)].concat(),
            Stream(1, &[FLOW_CONTROL]),
        ),
        (
            "9113 §6.9.2",
            "an initial window is too large for an open one",
            [post(1), window_update(1, WIDEST - 65_535), setting(INITIAL_WINDOW, 65_536)].concat(),
            Connection(&[FLOW_CONTROL]),
        ),
        (
            "9113 §6.9.2",
            "a window that opens late lets the answer through",
            [waiting(1), setting(INITIAL_WINDOW, 1)].concat(),
            Answer,
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn streams() -> Vec<Rule> {
    use Must::{Connection, Stream};
    let end = |stream| data(stream, END_STREAM, b"x");
    vec![
        ("9113 §5.1", "DATA on an idle stream", data(1, END_STREAM, b"x"), Connection(&[PROTOCOL])),
        ("9113 §5.1", "WINDOW_UPDATE of an idle stream", window_update(1, 9), Connection(&[PROTOCOL])),
        (
            "9113 §5.1",
            "CONTINUATION of an idle stream",
            frame(CONTINUATION, END_HEADERS, 1, &good()),
            Connection(&[PROTOCOL]),
        ),
        (
            "9113 §5.1",
            "DATA after its end",
            [waiting(1), data(1, END_STREAM, b"x")].concat(),
            Stream(1, &[STREAM_CLOSED, PROTOCOL]),
        ),
        ("9113 §5.1", "HEADERS after its end", [waiting(1), get(1)].concat(), Stream(1, &[STREAM_CLOSED, PROTOCOL])),
        ("9113 §5.1", "DATA after its reset", [post(1), reset(1), end(1)].concat(), Stream(1, &[STREAM_CLOSED])),
        (
            "9113 §5.1",
            "HEADERS after its reset",
            [post(1), reset(1), get(1)].concat(),
            Stream(1, &[STREAM_CLOSED, PROTOCOL]),
        ),
        ("9113 §5.1.1", "a stream of an even number", get(2), Connection(&[PROTOCOL])),
        (
            "9113 §5.1.1",
            "a stream of a number below an open one",
            [get(5), get(3)].concat(),
            Connection(&[PROTOCOL, STREAM_CLOSED]),
        ),
        (
            "9113 §5.1.2",
            "more streams than are allowed",
            (0..=128).flat_map(|number| post(number * 2 + 1)).collect(),
            Stream(257, &[REFUSED, PROTOCOL]),
        ),
        (
            "9113 §8.1",
            "HEADERS in the middle that end nothing",
            [post(1), frame(HEADERS, END_HEADERS, 1, &block(&[("x", b"1")]))].concat(),
            Stream(1, &[PROTOCOL]),
        ),
        // It should be refused; `h2` passes it over, so that nobody sees it.
        (
            "9113 §8.1",
            "a pseudo-field in trailers says nothing",
            [post(1), frame(HEADERS, 5, 1, &block(&[(":path", b"/b")]))].concat(),
            Must::Answer,
        ),
        (
            "9113 §8.1.1",
            "a body that is shorter than it says",
            [
                frame(
                    HEADERS,
                    END_HEADERS,
                    1,
                    &block(&[&instead(":method", b"POST")[..], &[("content-length", b"2")]].concat()),
                ),
                end(1),
            ]
            .concat(),
            Stream(1, &[PROTOCOL]),
        ),
        (
            "9113 §8.2.1",
            "upper case in a name",
            frame(HEADERS, 5, 1, &block(&with(&[("X", b"1")]))),
            Stream(1, &[PROTOCOL]),
        ),
        (
            "9113 §8.2.2",
            "a field of a connection",
            frame(HEADERS, 5, 1, &block(&with(&[("connection", b"close")]))),
            Stream(1, &[PROTOCOL]),
        ),
        (
            "9113 §8.3",
            "a pseudo-field after others",
            frame(HEADERS, 5, 1, &block(&[&[("x", &b"1"[..])][..], &with(&[])].concat())),
            Stream(1, &[PROTOCOL]),
        ),
    ]
}

/// A request whose field block ends with these bytes.
fn ends(with: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&good()[..], with].concat())
}

fn field_blocks() -> Vec<Rule> {
    use Must::{Answer, Connection};
    let wrong = Connection(&[COMPRESSION, PROTOCOL]);
    vec![
        ("7541 §2.3.3", "an index beyond both tables", ends(&[0xff, 0x80, 1]), wrong),
        ("7541 §6.1", "index 0", ends(&[0x80]), wrong),
        ("7541 §4.2", "the table's size changes at the end of a block", ends(&[0x20]), wrong),
        (
            "7541 §4.2",
            "the table's size changes at the beginning",
            frame(HEADERS, 5, 1, &[&[0x20], &good()[..]].concat()),
            Answer,
        ),
        (
            "7541 §6.3",
            "a table that is larger than is allowed",
            frame(HEADERS, 5, 1, &[&[0x3f, 0xe1, 0x7f], &good()[..]].concat()),
            wrong,
        ),
        (
            "7541 §5.1",
            "a number that never ends",
            ends(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            wrong,
        ),
        ("7541 §5.2", "a string that is longer than its block", ends(&[0, 1, b'x', 0x7e, b'1']), wrong),
        ("7541 §5.2", "padding of more than seven bits", ends(&[0, 1, b'x', 0x82, 0x0f, 0xff]), wrong),
        ("7541 §5.2", "padding that is not all ones", ends(&[0, 1, b'x', 0x81, 0x08]), wrong),
        ("7541 §5.2", "the symbol that ends a string", ends(&[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]), wrong),
        // An entry of one field, and that entry: what was learnt is known.
        ("7541 §6.2.1", "a field that is indexed is known afterwards", ends(&[0x40, 1, b'x', 1, b'1', 0xbe]), Answer),
    ]
}

/// Sends the frames and a PING, and reads until it is clear what came of them.
async fn check(gateway: &Embedded, frames: &[u8], must: Must) -> Result<(), String> {
    let mut client = Client::connect(gateway).await;
    client.send(&[frames, &frame(PING, 0, 0, b"is there")].concat()).await;
    let (mut stream_ended, mut there) = (false, false);
    loop {
        let came = match timeout(PATIENCE, client.read.next()).await {
            Ok(Some(came)) => came,
            Ok(None) => return Err("it ended without a GOAWAY".to_owned()),
            Err(_) => return Err(format!("nothing more came; ended: {stream_ended}, answers: {there}")),
        };
        let Came { kind, flags, stream, .. } = came;
        match (kind, must) {
            (GOAWAY, Must::Connection(codes) | Must::Stream(_, codes)) => {
                let code = came.number(4).ok_or("a GOAWAY without a code")?;
                return if codes.contains(&code) { ended(&mut client).await } else { Err(format!("GOAWAY {code}")) };
            }
            (GOAWAY, Must::Answer) => return Err(format!("GOAWAY {:?}", came.number(4))),
            (RST_STREAM, Must::Stream(wanted, codes)) if stream == wanted => {
                let code = came.number(0).ok_or("a RST_STREAM without a code")?;
                if !codes.contains(&code) {
                    return Err(format!("RST_STREAM {code}"));
                }
                stream_ended = true;
            }
            (RST_STREAM, _) => return Err(format!("stream {stream} was reset: {:?}", came.number(0))),
            (HEADERS, Must::Answer) if stream == 1 => {
                if status(&came.payload) != 200 {
                    return Err(format!("answered {}", status(&came.payload)));
                }
                stream_ended = true;
            }
            (PING, _) if flags == ACK && came.payload == b"is there" => there = true,
            _ => {}
        }
        if stream_ended && there {
            return Ok(());
        }
        if there && matches!(must, Must::Connection(_)) {
            return Err("the connection goes on".to_owned());
        }
    }
}

/// After GOAWAY nothing comes but the end.
async fn ended(client: &mut Client) -> Result<(), String> {
    match client.read.soon().await {
        None => Ok(()),
        Some(came) => Err(format!("after GOAWAY: {came:?}")),
    }
}

async fn run(rules: Vec<Rule>) {
    let (target, gateway) = fresh().await;
    let mut problems = Vec::new();
    for (section, name, frames, must) in rules {
        if let Err(problem) = check(&gateway, &frames, must).await {
            problems.push(format!("{section}, {name}: {problem}, not {must:?}"));
        }
        for fault in target.take().await.faults {
            problems.push(format!("{section}, {name}: {fault}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_are_taken_as_the_standard_says() {
    run(frames()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_and_windows_are_taken_as_the_standard_says() {
    run(settings_and_windows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_open_and_end_as_the_standard_says() {
    run(streams()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn field_blocks_are_read_as_the_standard_says() {
    run(field_blocks()).await;
}

/// RFC 9113 §3.4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_as_http_2_and_goes_on_otherwise_is_let_go() {
    let (_target, gateway) = fresh().await;
    let other = [&PREFACE[..18], b"XX\r\n\r\n", &get(1)[..]].concat();
    for bytes in [other, [PREFACE, &[0; 9][..]].concat()] {
        let mut client = Client::silent(&gateway).await;
        client.send(&bytes).await;
        while let Some(came) = client.read.soon().await {
            assert_ne!(came.kind, HEADERS, "nothing is answered");
        }
    }
}
