//! A target that closes idle connections just as the next request comes: the classic 502 of a proxy.

use crate::gateway::embedded;
use plimsoll_test_support::wire::Wire;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Clients that ask at the same moments.
const CLIENTS: u32 = 100;

/// Rounds of requests, each as long after the last one as the target bears idle connections. By hand for hours.
fn rounds() -> u32 {
    std::env::var("PLIMSOLL_IDLE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// A target that closes a connection which has been idle for `limit`, as Node and gunicorn do; and how many it has had.
async fn impatient(limit: Duration) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let accepted = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(stream, limit));
        }
    });
    (address, accepted)
}

fn before(target: SocketAddr) -> String {
    format!(
        "services:\n- {{name: web, host: web.up, retries: 0, routes: [{{name: all, paths: [/]}}]}}\n\
         upstreams:\n- {{name: web.up, targets: [{{target: \"{target}\"}}]}}"
    )
}

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

async fn answer(mut stream: TcpStream, limit: Duration) {
    let mut seen = Vec::new();
    while let Ok(Ok(1..)) = timeout(limit, stream.read_buf(&mut seen)).await {
        if seen.ends_with(b"\r\n\r\nx") {
            seen.clear();
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                return;
            }
        }
    }
}

/// POSTs from many clients, each about as long after its last one as targets bear: the answers that were not 200.
async fn posts_at_the_worst_moments(limit: Duration, rounds: u32) -> Vec<String> {
    let (target, _) = impatient(limit).await;
    let gateway = embedded(&before(target), None).await;
    let http = gateway.http;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            let mut wire = Wire::connect(http).await.expect("it listens");
            let mut wrong = Vec::new();
            for round in 0..rounds {
                wire.send(POST).await.expect("it reads");
                let answer = wire.answer(false).await.expect("an answer");
                if answer.status != 200 {
                    wrong.push(format!("client {client}, round {round}: {}", answer.status));
                }
                // From 40 ms before to 40 ms after, each client at another point of it in each round.
                let offset = u64::from((client * 37 + round * 11) % 80);
                sleep(limit + Duration::from_millis(offset) - Duration::from_millis(40)).await;
            }
            wrong
        });
    }
    clients.join_all().await.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_never_meets_the_end_of_a_connection_that_was_idle() {
    let second = Duration::from_secs(1);
    let none: [String; 0] = [];
    let rounds = rounds();
    let (one, two, five) = tokio::join!(
        posts_at_the_worst_moments(second, rounds),
        posts_at_the_worst_moments(2 * second, rounds.div_ceil(2)),
        posts_at_the_worst_moments(5 * second, rounds.div_ceil(4)),
    );
    assert_eq!([one, two, five].concat(), none);
}

#[tokio::test]
async fn a_post_takes_an_idle_connection_well_before_its_target_closes_it() {
    let limit = Duration::from_secs(2);
    let (target, accepted) = impatient(limit).await;
    let gateway = embedded(&before(target), None).await;
    let mut wire = Wire::connect(gateway.http).await.expect("it listens");
    // The first one to be closed teaches the limit.
    for idle in [limit + limit / 4, limit / 10, limit / 10, limit / 10, limit / 10, limit / 10] {
        wire.send(POST).await.expect("it reads");
        assert_eq!(wire.answer(false).await.expect("an answer").status, 200);
        sleep(idle).await;
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 2, "one before it was learnt, one for all that came after");
}
