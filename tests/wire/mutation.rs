//! Seeded changes of the cases' bytes. Nobody knows what they should be answered, but some things hold for every bytes:
//! what reaches the target is a beginning of what the strict reader finds in them, and every answer is one.

use crate::client::{Client, Pace};
use crate::gateway;
use crate::recorder::Recorder;
use crate::requests;
use crate::strict::{self, Message, Read};
use std::time::Duration;
use tokio::time::Instant;

/// Cases that are longer teach nothing more when they are changed.
const LENGTH_MAX: usize = 2000;
/// What is put in: what means something somewhere in HTTP/1.
const PIECES: [&[u8]; 26] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\x80",
    b":",
    b";",
    b",",
    b"0",
    b"5",
    b"a",
    b"+",
    b"-",
    b"\"",
    b"0\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.0",
    b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"Expect: 100-continue\r\n",
];

/// `PLIMSOLL_WIRE_SECONDS`: for so long (3 s); `PLIMSOLL_SEED`: what a failed run printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_bytes_reach_the_target_as_the_strict_reader_reads_them() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number("PLIMSOLL_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = number("PLIMSOLL_WIRE_SECONDS").unwrap_or(3);
    let mut random = fastrand::Rng::with_seed(seed);
    let cases: Vec<_> = requests::all()
        .into_iter()
        // A body without an end is not seen in an answer to HEAD.
        .filter(|case| case.send.len() <= LENGTH_MAX && !case.send.starts_with(b"HEAD"))
        .map(|case| case.send)
        .collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut count = 0_u64;
    while Instant::now() < end {
        let bytes = change(&cases, &mut random);
        if bytes.starts_with(b"PRI ") {
            // The beginning of HTTP/2, whose answers are no subject here.
            continue;
        }
        // Their own, since a request of a client that has gone may reach the target late.
        let target = Recorder::start().await;
        let gateway = gateway::start(target.address.port()).await;
        let mut client = Client::connect(gateway.address).await;
        let talked = client.talk(&bytes, Pace::Whole, true, &[]).await;
        let came = client.rest().await;
        let record = target.take().await;
        let judged = talked.and(came).and_then(|came| {
            record.faults.first().map_or(Ok(()), |fault| Err(fault.clone()))?;
            judge(&bytes, &record.requests)?;
            judge_answers(&came)
        });
        if let Err(problem) = judged {
            panic!("PLIMSOLL_SEED={seed}, change {count}: {problem}\n  sent: {}", bytes.escape_ascii());
        }
        count += 1;
    }
    eprintln!("{count} changes, PLIMSOLL_SEED={seed}");
}

fn change(cases: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = cases[random.usize(..cases.len())].clone();
    if random.u8(..4) == 0 {
        bytes.extend_from_slice(&cases[random.usize(..cases.len())]);
    }
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(1..4)).min(bytes.len());
        match random.u8(..4) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece = PIECES[random.usize(..PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            2 => {
                let piece = PIECES[random.usize(..PIECES.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

/// What reached the target is what the strict reader finds, in that order; the gateway may stop earlier.
fn judge(sent: &[u8], reached: &[Message]) -> Result<(), String> {
    let mut rest = sent;
    for got in reached {
        // No route leads on from it: the gateway answers it itself.
        while let Read::Whole(request) = strict::request(rest)
            && request.target == "*"
        {
            rest = &rest[request.length..];
        }
        match strict::request(rest) {
            Read::Whole(request) if request.method == got.method && request.body == got.body => {
                rest = &rest[request.length..];
            }
            other => return Err(format!("the strict reader finds {other:?}\n  the target got {got:?}")),
        }
    }
    Ok(())
}

/// Whole answers, and after them nothing.
fn judge_answers(came: &[u8]) -> Result<(), String> {
    let mut rest = came;
    while !rest.is_empty() {
        match strict::response(rest, false, true) {
            Read::Whole(answer) if !(400..500).contains(&answer.status) || !answer.body.is_empty() => {
                rest = &rest[answer.length..];
            }
            other => return Err(format!("{other:?} in {}", came.escape_ascii())),
        }
    }
    Ok(())
}
