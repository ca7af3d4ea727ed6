//! Floods: while one connection does its worst, others of the same worker are answered, and memory stays level. What goes
//! too far is ended with `ENHANCE_YOUR_CALM`; the rest is taken, and costs who sends it more than us.

use super::frames::{
    ACK, CALM, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, Reader, SETTINGS,
    WINDOW_UPDATE, Writer, block, frame, get, instead, post, reset, setting, with,
};
use crate::gateway::{self, Embedded};
use crate::recorder::Recorder;
use crate::requests::fresh;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// 64 MiB: what a flood may make this process grow by, the tests' own client and target among it.
const MEMORY: u64 = 64 << 20;
/// 3 s: an answer takes no longer on a busy machine.
const SLOW: Duration = Duration::from_secs(3);
/// 20 s: no flood of these takes longer to send, unless it is not read.
const FLOOD: Duration = Duration::from_secs(20);
/// 2 s: a connection on which so little as 17 KB cannot be written for so long is not read.
const STUCK: Duration = Duration::from_secs(2);
/// 64 MiB: more than the kernel keeps of a connection, in all its four buffers.
const TAKEN: usize = 64 << 20;
/// Requests of each of the others, at the least.
const ASKED: usize = 50;

/// What becomes of the connection that floods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    /// It is told to calm down, and ended.
    Ended,
    /// It is taken for what it is, and answers still come on it.
    Served,
}

/// An attacker's way to the gateway.
struct Attacker(Writer);

impl Attacker {
    /// Sends; false if nobody reads any more.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(FLOOD, self.0.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends the same `times` times, a hundred at once.
    async fn repeat(&mut self, bytes: &[u8], times: usize) {
        let hundred = bytes.repeat(100);
        for _ in 0..times / 100 {
            if !self.send(&hundred).await {
                return;
            }
        }
    }
}

/// Reads what the attacker gets: the code of a GOAWAY, or 0 when the PING of the end is answered, or `None`.
async fn listen(mut read: Reader) -> Option<u32> {
    while let Some(came) = read.next().await {
        match came.kind {
            GOAWAY => return came.number(4),
            PING if came.flags == ACK && came.payload == LAST => return Some(0),
            _ => {}
        }
    }
    None
}

/// A PING's payload that no flood has.
const LAST: &[u8] = b"the last";

/// While `flood` goes on, others are answered, and afterwards memory is what it was, about.
async fn survives(becomes: Becomes, flood: impl AsyncFnOnce(&mut Attacker)) {
    let (target, gateway) = fresh().await;
    let over = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn(others(gateway.address, Client::connect(&gateway).await, Arc::clone(&over)));
    let before = resident();
    let Client { write, read } = Client::connect(&gateway).await;
    let mut attacker = Attacker(write);
    let heard = tokio::spawn(listen(read));
    let began = Instant::now();
    flood(&mut attacker).await;
    attacker.send(&frame(PING, 0, 0, LAST)).await;
    let code = timeout(FLOOD, heard).await.expect("the flood comes to an end").expect("it reads");
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let mut times = others.await.expect("all are answered");
    let grown = resident().saturating_sub(before);
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    eprintln!(
        "{took:?}, code {code:?}; {} others: half within {:?}, 99% {:?}, all {:?}; {} KiB more memory",
        times.len(),
        at(50),
        at(99),
        at(100),
        grown >> 10
    );
    match becomes {
        // What is sent after the end resets the connection, but takes nothing back that had come before.
        Becomes::Ended => assert_eq!(code, Some(CALM)),
        Becomes::Served => assert_eq!(code, Some(0)),
    }
    assert!(at(100) < SLOW, "{:?}", at(100));
    assert!(grown < MEMORY, "{grown} bytes");
    still_serves(&gateway, &target).await;
}

/// Asks over one connection of HTTP/1 and one of HTTP/2 until it is over; how long each answer took.
async fn others(address: std::net::SocketAddr, mut client: Client, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut plain = TcpStream::connect(address).await.expect("it listens");
    let mut times = Vec::new();
    let mut stream = 1;
    while times.len() < 2 * ASKED || !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it is read");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n/") {
            assert!(plain.read_buf(&mut answer).await.expect("it is answered") > 0, "{}", answer.escape_ascii());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
        times.push(began.elapsed());
        let began = Instant::now();
        assert!(client.send(&get(stream)).await);
        loop {
            let came = client.read.soon().await.expect("it is answered");
            if came.stream == stream && came.kind == HEADERS {
                assert_eq!(super::frames::status(&came.payload), 200);
                break;
            }
        }
        times.push(began.elapsed());
        stream += 2;
    }
    times
}

async fn still_serves(gateway: &Embedded, target: &Recorder) {
    target.take().await;
    let mut client = Client::connect(gateway).await;
    client.send(&get(1)).await;
    assert_eq!(client.became(1).await, super::frames::Became::Answered(200));
    assert_eq!(target.take().await.requests.len(), 1);
}

/// Resident memory of this process, in which the gateway is.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is resident");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// The number of the nth stream.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

/// One test for each flood.
macro_rules! floods {
    ($($name:ident: $becomes:ident, $flood:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                survives(Becomes::$becomes, $flood).await;
            }
        )*
    };
}

floods! {
    // CVE-2023-44487.
    requests_that_are_reset_at_once: Ended, async |attacker| {
        for number in 0..500 {
            let burst: Vec<u8> =
                (0..20).flat_map(|more| [get(stream(number * 20 + more)), reset(stream(number * 20 + more))].concat()).collect();
            if !attacker.send(&burst).await {
                return;
            }
        }
    };
    // CVE-2025-8671: what makes the gateway itself reset the stream.
    requests_that_are_made_to_be_reset: Ended, async |attacker| {
        for number in 0..5000 {
            let one = [post(stream(number)), frame(WINDOW_UPDATE, 0, stream(number), &((1_u32 << 31) - 1).to_be_bytes())].concat();
            if !attacker.send(&one).await {
                return;
            }
        }
    };
    more_streams_than_are_allowed: Ended, async |attacker| {
        for number in 0..5000 {
            if !attacker.send(&post(stream(number))).await {
                return;
            }
        }
    };
    // CVE-2024-27316.
    field_blocks_without_end: Ended, async |attacker| {
        attacker.send(&frame(HEADERS, END_STREAM, 1, &block(&with(&[])))).await;
        attacker.repeat(&frame(CONTINUATION, 0, 1, &block(&[("x", b"0123456789".as_slice()); 400])), 20_000).await;
    };
    empty_continuations: Ended, async |attacker| {
        attacker.send(&frame(HEADERS, END_STREAM, 1, &block(&with(&[])))).await;
        attacker.repeat(&frame(CONTINUATION, 0, 1, b""), 100_000).await;
    };
    // CVE-2016-1544, CVE-2016-6581: an entry of the table, and an octet for each time that it is meant.
    a_field_block_that_unpacks_to_much: Ended, async |attacker| {
        let entry = [&[0x40, 1, b'x', 0x7f, 0xb9, 0x16][..], &[b'v'; 3000]].concat();
        let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&block(&with(&[]))[..], &entry].concat());
        attacker.send(&first).await;
        let bomb = [&block(&with(&[]))[..], &[0xbe; 16_000]].concat();
        for number in 1..200 {
            if !attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &bomb)).await {
                return;
            }
        }
    };
    settings: Served, async |attacker| attacker.repeat(&frame(SETTINGS, 0, 0, b""), 100_000).await;
    settings_of_many_values: Served, async |attacker| {
        attacker.repeat(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff].repeat(1000)), 2000).await;
    };
    pings: Served, async |attacker| attacker.repeat(&frame(PING, 0, 0, b"12345678"), 100_000).await;
    priorities: Served, async |attacker| attacker.repeat(&frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), 100_000).await;
    frames_of_an_unknown_kind: Served, async |attacker| attacker.repeat(&frame(0xfa, 0, 0, b""), 100_000).await;
    // CVE-2019-9518.
    empty_data: Ended, async |attacker| {
        attacker.send(&post(1)).await;
        attacker.repeat(&frame(DATA, 0, 1, b""), 100_000).await;
    };
    // CVE-2019-9511: an answer by single bytes.
    a_window_that_grows_by_single_bytes: Served, async |attacker| {
        let path: &'static [u8] = &[b'/'; 126];
        attacker.send(&setting(4, 0)).await;
        for number in 0..100 {
            let ask = frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &block(&instead(":path", path)));
            attacker.send(&ask).await;
        }
        for _ in 0..126 {
            for number in 0..100 {
                attacker.send(&frame(WINDOW_UPDATE, 0, stream(number), &1_u32.to_be_bytes())).await;
            }
        }
    };
    // CVE-2019-9517: the answers wait for a window that never opens.
    answers_without_a_window: Served, async |attacker| {
        attacker.send(&setting(4, 0)).await;
        let streams: Vec<u8> = (0..1000).flat_map(|number| get(stream(number))).collect();
        attacker.send(&streams).await;
    };
}

/// CVE-2019-9512: what is not read is not answered for ever, and what waits to be is bounded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_whose_answers_nobody_reads() {
    let (_target, gateway) = fresh().await;
    let before = resident();
    let Client { mut write, read } = Client::connect(&gateway).await;
    let thousand = frame(PING, 0, 0, b"12345678").repeat(1000);
    let mut written = 0;
    // Until nothing of it moves for a while, however slow the machine is, or nobody is there any more.
    while matches!(timeout(STUCK, write.write_all(&thousand)).await, Ok(Ok(()))) {
        written += thousand.len();
        assert!(written < TAKEN, "{written} bytes of them are taken, and nobody reads the answers");
    }
    eprintln!("{} KiB of them were taken", written >> 10);
    let grown = resident().saturating_sub(before);
    assert!(grown < MEMORY, "{grown} bytes");
    drop(read);
}

/// A target that is asked and never answers; how often it was.
async fn silent() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let port = listener.local_addr().expect("it is bound").port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tasks.spawn(async move { while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {} });
        }
    });
    (port, asked)
}

/// CVE-2023-44487, slowly: each request has begun when it is reset, and has cost a target a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reset_when_they_have_begun_end_the_connection() {
    let (port, asked) = silent().await;
    let gateway = gateway::start(port).await;
    let Client { write, read } = Client::connect(&gateway).await;
    let mut attacker = Attacker(write);
    let heard = tokio::spawn(listen(read));
    for number in 0..1000 {
        attacker.send(&get(stream(number))).await;
        let before = Instant::now();
        while asked.load(Ordering::Relaxed) <= number as usize && before.elapsed() < SLOW && !heard.is_finished() {
            tokio::task::yield_now().await;
        }
        if !attacker.send(&reset(stream(number))).await || heard.is_finished() {
            break;
        }
    }
    let code = timeout(FLOOD, heard).await.expect("it comes to an end").expect("it reads");
    assert_eq!(code, Some(CALM));
    let asked = asked.load(Ordering::Relaxed);
    assert!((150..400).contains(&asked), "the target was asked {asked} times");
}

/// CVE-2023-44487: what is taken back in the breath that asks for it has cost no target anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_target_hears_of_requests_that_come_with_their_reset() {
    let (target, gateway) = fresh().await;
    let mut client = Client::connect(&gateway).await;
    let breath: Vec<u8> = (0..20).flat_map(|number| [get(stream(number)), reset(stream(number))].concat()).collect();
    client.send(&[breath, get(stream(20))].concat()).await;
    assert_eq!(client.became(stream(20)).await, super::frames::Became::Answered(200));
    assert_eq!(target.take().await.requests.len(), 1);
}

/// Who types into a search box gives up most of what it asks for, but not nearly all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_gives_up_some_requests_is_served() {
    let (_target, gateway) = fresh().await;
    let mut client = Client::connect(&gateway).await;
    for number in 0..500 {
        let (given_up, asked) = (stream(number * 2), stream(number * 2 + 1));
        client.send(&[get(given_up), get(asked)].concat()).await;
        tokio::task::yield_now().await;
        client.send(&reset(given_up)).await;
        assert_eq!(client.became(asked).await, super::frames::Became::Answered(200), "{number}");
    }
}

/// Short answers that wait hold as many bytes as they have, and no buffers: others are not shed for want of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_answers_without_a_window_take_nobody_elses_memory() {
    let target = Recorder::start().await;
    let gateway = gateway::start_with(target.address.port(), "limits: {buffered_bytes: 1MiB}").await;
    let mut attacker = Client::connect(&gateway).await;
    let streams: Vec<u8> = (0..100).flat_map(|number| get(stream(number))).collect();
    attacker.send(&[setting(4, 0), streams].concat()).await;
    for _ in 0..100 {
        while attacker.read.soon().await.expect("it is answered").kind != HEADERS {}
    }
    still_serves(&gateway, &target).await;
}
