//! Connections in numbers, and handshakes that never come to an end: who is there already is served, operators are answered,
//! and what was taken is free again.

use crate::clients::all_to;
use crate::gateway::{embedded, free_address, operators_are_answered, process};
use futures_util::future::join_all;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::tls::{self, Authority};
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::Wire;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";

/// The status of an answer; `None` where there is none.
async fn status(wire: &mut Wire) -> Option<u16> {
    wire.send(REQUEST).await.ok()?;
    Some(wire.answer(false).await.ok()?.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_limit_of_connections_others_are_closed_and_counted_and_who_is_there_is_served() {
    let (target, at) = (Target::sample("web", "one").await, free_address());
    let lines =
        format!("  providers: {{docker: false}}\n  limits: {{connections: 50}}\n  status: {{address: \"{at}\"}}");
    let gateway = process(&lines, &all_to("http", target.address.port())).await;
    let mut served = Vec::new();
    for number in 0..50 {
        let mut wire = Wire::connect(gateway.http).await.expect("a connection");
        assert_eq!(status(&mut wire).await, Some(200), "connection {number}");
        served.push(wire);
    }
    for _ in 0..3 {
        let flood = join_all((0..50).map(|_| async {
            let mut wire = Wire::connect(gateway.http).await.expect("the kernel takes it");
            status(&mut wire).await
        }));
        let (others, all) = tokio::join!(flood, join_all(served.iter_mut().map(status)));
        assert_eq!(others, [None; 50]);
        assert_eq!(all, [Some(200); 50]);
        operators_are_answered(&gateway, at).await;
    }
    let full = [("listener", "http"), ("reason", "full")];
    assert_eq!(gateway.metric("plimsoll_client_connections_refused_total", &full).await, Some(150.0));
    // Who leaves makes room.
    drop(served);
    until(LIMIT, "a free place", async || {
        let mut wire = Wire::connect(gateway.http).await.expect("the kernel takes it");
        status(&mut wire).await == Some(200)
    })
    .await;
}

/// The begin of a `ClientHello`: 512 bytes are announced, and a few come.
const HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";

/// Begins a handshake with the first bytes of a `ClientHello`, and goes on with another `more` times, 50 ms apart, or until it is
/// ended. How long it lasted.
async fn hanging(mut stream: TcpStream, more: usize) -> Duration {
    let began = Instant::now();
    stream.write_all(HELLO).await.expect("it is open");
    let mut ended = Box::pin(async move {
        let (mut read, mut write) = stream.into_split();
        let drip = async {
            for _ in 0..more {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if write.write_all(b"x").await.is_err() {
                    return;
                }
            }
        };
        // It may be reset, as what it sent was not all read.
        let mut nothing = tokio::io::sink();
        let (_ended, ()) = tokio::join!(tokio::io::copy(&mut read, &mut nothing), drip);
    });
    tokio::time::timeout(2 * LIMIT, &mut ended).await.expect("it is ended");
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_finish_are_ended_and_their_places_are_free_again() {
    let target = Target::sample("web", "one").await;
    let authority = Authority::new();
    let lines = "  limits: {connections: 4}\n  timeouts: {tls_handshake: 2s}\n";
    let rest = format!("{lines}{}", all_to("http", target.address.port()));
    let gateway = embedded(&rest, Some(&authority.identity(&["web.test"]))).await;
    let handle = gateway.handle();
    for more in [0, 200] {
        let mut streams = Vec::new();
        for _ in 0..4 {
            streams.push(TcpStream::connect(gateway.https()).await.expect("a connection"));
        }
        until(LIMIT, "all places to be taken", async || handle.connections() == 4).await;
        let refused = tls::connect(gateway.https(), "web.test", authority.client(&[])).await;
        assert!(refused.is_err(), "all places are taken");
        // Bytes that drip do not prolong it.
        for lasted in join_all(streams.into_iter().map(|stream| hanging(stream, more))).await {
            assert!(lasted < Duration::from_secs(6), "{lasted:?}");
        }
        until(LIMIT, "their places to be free", async || handle.connections() == 0).await;
        let stream = tls::connect(gateway.https(), "web.test", authority.client(&[])).await.expect("a handshake");
        assert_eq!(status(&mut Wire::over(stream)).await, Some(200));
        until(LIMIT, "that place to be free", async || handle.connections() == 0).await;
    }
}
