//! Long bodies both ways, through buffers and through pipes.

use crate::clients::all_to;
use crate::gateway::{Embedded, embedded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const LENGTH: usize = 3_000_000;
/// More than two workers have pipes together.
const CLIENTS: u8 = 48;

/// Bytes that are nowhere the same as `length` earlier, for any length of a buffer.
fn body(seed: u8) -> Vec<u8> {
    let step = |at: usize| (at.wrapping_mul(0x9E37_79B9) >> 13).to_le_bytes()[0];
    (0..LENGTH).map(|at| step(at).wrapping_add(seed)).collect()
}

/// The length of the body that a head tells of, once the head is there; and what was read beyond it.
async fn read_head(stream: &mut TcpStream) -> Option<(usize, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            return Some((length.parse().expect("a number"), read.split_off(end + 4)));
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

async fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (length, mut read) = read_head(stream).await?;
    while read.len() < length {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    Some(read)
}

/// Gives each body back, in one message a request. Its port, and a count of its connections.
async fn echo() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                while let Some(body) = read_message(&mut stream).await {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    if stream.write_all(&[head.as_bytes(), &body].concat()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (port, opened)
}

async fn gateway() -> Embedded {
    embedded(&all_to("http", echo().await.0), None).await
}

async fn post(stream: &mut TcpStream, body: &[u8]) {
    let head = format!("POST / HTTP/1.1\r\nHost: any\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.expect("it is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_bodies_come_through_as_they_were_whoever_else_sends_some() {
    let gateway = gateway().await;
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        let address = gateway.http;
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it accepts");
            for round in 0..3_u8 {
                let sent = body(seed.wrapping_add(round));
                post(&mut stream, &sent).await;
                if seed % 3 == 0 {
                    // What waits for a slow reader waits in the gateway.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                let answer = read_message(&mut stream).await.expect("an answer");
                assert!(answer == sent, "client {seed}, round {round}: other bytes");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("every client is content");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_left_behind_in_the_middle_of_a_body_reaches_nobody_else() {
    let gateway = gateway().await;
    for seed in 0..64 {
        let mut leaves = TcpStream::connect(gateway.http).await.expect("it accepts");
        let sent = body(seed);
        if seed % 2 == 0 {
            // In the middle of its own body.
            let half = &sent[..LENGTH / 2];
            let head = format!("POST / HTTP/1.1\r\nHost: any\r\nContent-Length: {LENGTH}\r\n\r\n");
            leaves.write_all(&[head.as_bytes(), half].concat()).await.expect("it is taken");
        } else {
            // In the middle of the answer.
            post(&mut leaves, &sent).await;
            read_head(&mut leaves).await.expect("an answer begins");
        }
        drop(leaves);
        if seed % 8 == 0 {
            let mut stays = TcpStream::connect(gateway.http).await.expect("it accepts");
            let sent = body(seed.wrapping_add(100));
            post(&mut stays, &sent).await;
            assert!(read_message(&mut stays).await.expect("an answer") == sent, "after {seed}: other bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_target_carries_one_long_body_after_another() {
    let (port, opened) = echo().await;
    let gateway = embedded(&all_to("http", port), None).await;
    let mut stream = TcpStream::connect(gateway.http).await.expect("it accepts");
    for seed in 0..20 {
        let sent = body(seed);
        post(&mut stream, &sent).await;
        assert!(read_message(&mut stream).await.expect("an answer") == sent, "other bytes");
    }
    assert_eq!(opened.load(Ordering::Relaxed), 1, "a connection for each would begin slowly each time");
}
