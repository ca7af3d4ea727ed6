//! How the gateway ends a connection of HTTP/2, in frames: it says so, serves what has begun, and closes.

use super::fixture::{Fixture, Options, answering, read_until, serve};
use super::http2::frame;
use plimsoll_core::config::Timeouts;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const REFUSED_STREAM: u32 = 7;

/// A frame that came.
struct Came {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Came {
    /// The four bytes from `at`: a code of GOAWAY (4) or `RST_STREAM` (0).
    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(*self.payload[at..].first_chunk().unwrap())
    }
}

/// The next frame; `None` at the end.
fn next(stream: &mut TcpStream) -> Option<Came> {
    let mut head = [0; 9];
    match stream.read_exact(&mut head) {
        Ok(()) => {}
        // What the client wrote after the end resets the connection.
        Err(error) => {
            let ended = [std::io::ErrorKind::UnexpectedEof, std::io::ErrorKind::ConnectionReset];
            assert!(ended.contains(&error.kind()), "neither a frame nor an end: {error}");
            return None;
        }
    }
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).unwrap();
    Some(Came { kind: head[3], flags: head[4], stream: u32::from_be_bytes(*head[5..].first_chunk().unwrap()), payload })
}

/// A connection that has said that it speaks HTTP/2.
fn connect(fixture: &Fixture) -> TcpStream {
    let mut stream = fixture.connect();
    let settings = frame(SETTINGS, 0, 0, b"");
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings].concat()).unwrap();
    stream
}

/// GET / with :authority `a`, by static entries and one literal.
fn get(stream: u8) -> Vec<u8> {
    frame(HEADERS, 5, stream, &[0x82, 0x84, 0x86, 0x41, 1, b'a'])
}

/// Reads up to a GOAWAY; its last stream and its code.
fn goaway(stream: &mut TcpStream) -> (u32, u32) {
    loop {
        let came = next(stream).expect("it is told before it ends");
        if came.kind == GOAWAY {
            return (came.number(0), came.number(4));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_a_client_by_goaway_and_lets_its_stream_come_to_its_end() {
    let (go, going) = mpsc::channel();
    let going = std::sync::Arc::new(parking_lot::Mutex::new(going));
    let target = serve(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst").unwrap();
        going.lock().recv().unwrap();
        stream.write_all(b"last").unwrap();
    });
    let fixture = Fixture::new(Options { targets: vec![target], ..Options::default() });
    let mut stream = connect(&fixture);
    stream.write_all(&get(1)).unwrap();
    let mut body = Vec::new();
    while body != b"first" {
        let came = next(&mut stream).unwrap();
        assert_ne!(came.kind, GOAWAY, "nothing drains yet");
        if came.kind == DATA {
            body.extend_from_slice(&came.payload);
        }
    }
    let began = Instant::now();
    let client = tokio::task::spawn_blocking(move || {
        let mut goaways = Vec::new();
        let mut is_whole = false;
        while let Some(came) = next(&mut stream) {
            match (came.kind, came.flags) {
                (GOAWAY, _) => {
                    goaways.push((came.number(0), came.number(4)));
                    if goaways.len() == 1 {
                        assert!(!is_whole, "it is told while its stream is under way");
                    } else {
                        go.send(()).unwrap();
                    }
                }
                // By this it says that it has read the GOAWAY.
                (PING, 0) => stream.write_all(&frame(PING, ACK, 0, &came.payload)).unwrap(),
                (DATA, flags) => {
                    body.extend_from_slice(&came.payload);
                    is_whole = flags & END_STREAM != 0;
                }
                (RST_STREAM, _) => panic!("the stream was reset: {}", came.number(0)),
                _ => {}
            }
        }
        (goaways, is_whole, body)
    });
    fixture.server.drain(Duration::from_secs(20)).await;
    let took = began.elapsed();
    let (goaways, is_whole, body) = client.await.unwrap();
    assert_eq!(goaways, [((1 << 31) - 1, 0), (1, 0)], "first that no more is to come, then what was served");
    assert!(is_whole && body == b"firstlast", "{is_whole}: {}", body.escape_ascii());
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// As of a request that was asked after the GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Served,
    Refused,
    /// The connection has ended.
    Over,
}

fn ask(stream: &mut TcpStream, number: u8) -> Outcome {
    if stream.write_all(&get(number)).is_err() {
        return Outcome::Over;
    }
    let mut outcome = None;
    while let Some(came) = next(stream) {
        match (came.kind, came.stream) {
            (HEADERS, of) if of == u32::from(number) => {
                assert_eq!(came.payload[0], 0x88, "200 of the static table");
                outcome = Some(Outcome::Served);
            }
            (RST_STREAM, of) if of == u32::from(number) => {
                assert_eq!((came.number(0), outcome), (REFUSED_STREAM, None), "it may safely be asked elsewhere");
                return Outcome::Refused;
            }
            _ => {}
        }
        if came.kind == DATA && came.flags & END_STREAM != 0 && came.stream == u32::from(number) {
            return outcome.expect("a head comes before its body");
        }
    }
    assert_eq!(outcome, None, "an answer that has begun is whole");
    Outcome::Over
}

#[test]
fn a_client_that_goes_on_after_its_goaway_is_refused_and_ended() {
    let timeouts = Timeouts { client_idle: Duration::from_millis(300), ..Timeouts::default() };
    let fixture = Fixture::new(Options { targets: vec![answering(OK)], timeouts, ..Options::default() });
    let mut stream = connect(&fixture);
    // The PING that comes with it is not answered: no second GOAWAY follows, and nothing is above the last stream.
    assert_eq!(goaway(&mut stream), ((1 << 31) - 1, 0));
    let began = Instant::now();
    let mut outcomes = Vec::new();
    while outcomes.last() != Some(&Outcome::Over) {
        outcomes.push(ask(&mut stream, u8::try_from(outcomes.len() * 2 + 1).expect("it ends before that")));
        std::thread::sleep(Duration::from_millis(250));
    }
    let took = began.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&took), "{took:?}");
    let (served, refused) = {
        let count = |what| outcomes.iter().filter(|outcome| **outcome == what).count();
        (count(Outcome::Served), count(Outcome::Refused))
    };
    assert!(served > 0 && refused > 0, "{outcomes:?}");
    assert!(outcomes[..served].iter().all(|outcome| *outcome == Outcome::Served), "{outcomes:?}");
    fixture.until_metric("plimsoll_client_connections{", 0.0);
}
