//! A process that may open few files.

use crate::gateway::{free_address, operators_are_answered};
use plimsoll_test_support::gateway::{Gateway, Start, document};
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::Wire;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// Of these a quarter is kept for everything but connections, so that 300 are left.
const FILES: usize = 400;

async fn answer_all(mut stream: TcpStream, after: Duration) {
    let mut seen = Vec::new();
    while stream.read_buf(&mut seen).await.is_ok_and(|count| count > 0) {
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            tokio::time::sleep(after).await;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

/// A target that takes this long for each answer.
async fn target(after: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(tokio::spawn(answer_all(stream, after)));
        }
    }));
    address
}

/// A gateway that may open [`FILES`] files, before a target that takes this long.
async fn gateway(after: Duration, status: SocketAddr) -> Gateway {
    let target = target(after).await;
    let rest = format!("services:\n- {{name: a, url: \"http://{target}\", retries: 0, routes: [{{paths: [/]}}]}}");
    started(&rest, status).await
}

async fn started(rest: &str, status: SocketAddr) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("plimsoll");
    let binary = env!("CARGO_BIN_EXE_plimsoll");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -n {FILES}\nexec '{binary}' \"$@\"\n")).expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a script to run");
    let document = document(&format!("  providers: {{docker: false}}\n  status: {{address: \"{status}\"}}"), rest);
    Gateway::start(Start { binary: &script, document, namespace: None }).await
}

/// The status of an answer on each connection that was asked at once with the others.
async fn ask(clients: &mut [Wire]) -> Vec<u16> {
    for client in &mut *clients {
        client.send(REQUEST).await.expect("an open connection");
    }
    let mut statuses = Vec::new();
    for client in clients {
        statuses.push(client.answer(false).await.expect("an answer").status);
    }
    statuses
}

#[tokio::test]
async fn an_idle_client_takes_one_descriptor_and_who_comes_when_none_is_left_is_turned_away() {
    let status = free_address();
    let gateway = gateway(Duration::ZERO, status).await;
    let mut clients = Vec::new();
    for number in 0..280 {
        let mut client = Wire::connect(gateway.http).await.expect("a connection");
        client.send(REQUEST).await.expect("an open connection");
        let answer = client.answer(false).await;
        assert_eq!(answer.expect("an answer").status, 200, "client {number}");
        clients.push(client);
    }
    let mut turned_away = 0;
    for _ in 0..40 {
        let mut client = Wire::connect(gateway.http).await.expect("the kernel takes it");
        let _sent = client.send(REQUEST).await;
        match client.answer(false).await {
            Ok(_) => clients.push(client),
            Err(_) => turned_away += 1,
        }
    }
    assert!(turned_away >= 20, "{turned_away} of 40 were turned away");
    operators_are_answered(&gateway, status).await;
    let full = [("listener", "http"), ("reason", "full")];
    let refused = gateway.metric("plimsoll_client_connections_refused_total", &full).await;
    assert_eq!(refused, Some(f64::from(turned_away)));
    assert_eq!(ask(clients.get_mut(..1).expect("the first client")).await, [200], "who was there is served");
}

#[tokio::test]
async fn when_descriptors_run_out_for_connections_to_targets_the_request_is_shed_and_no_target_blamed() {
    let gateway = gateway(Duration::from_millis(300), free_address()).await;
    let mut clients = Vec::new();
    for _ in 0..250 {
        clients.push(Wire::connect(gateway.http).await.expect("a connection"));
    }
    let open = [("listener", "http")];
    until(Duration::from_secs(10), "all to be accepted while none is busy", async || {
        gateway.metric("plimsoll_client_connections", &open).await == Some(250.0)
    })
    .await;
    let statuses = ask(&mut clients).await;
    let count = |status: u16| statuses.iter().filter(|&&have| have == status).count();
    assert_eq!(count(200) + count(503), 250, "{statuses:?}");
    assert!(count(200) > 50 && count(503) > 50, "{statuses:?}");
    // One worker may have none of the connections, and gets what the other's idle ones hold at its next tick.
    until(Duration::from_secs(10), "all to be well again", async || {
        ask(clients.get_mut(..20).expect("some of them")).await == [200; 20]
    })
    .await;
}

#[tokio::test]
async fn idle_connections_to_targets_make_room_for_clients() {
    let mut services = String::new();
    for number in 0..10 {
        let target = target(Duration::from_millis(50)).await;
        services
            .push_str(&format!("- {{name: s{number}, url: \"http://{target}\", routes: [{{paths: [/{number}]}}]}}\n"));
    }
    let gateway = started(&format!("services:\n{services}"), free_address()).await;
    let mut clients = Vec::new();
    for _ in 0..28 {
        clients.push(Wire::connect(gateway.http).await.expect("a connection"));
    }
    for number in 0..10 {
        for client in &mut clients {
            client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).await.expect("an open connection");
        }
        for client in &mut clients {
            assert_eq!(client.answer(false).await.expect("an answer").status, 200);
        }
    }
    // Workers say at their ticks what is idle.
    drop(clients);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut later = Vec::new();
    for number in 0..100 {
        let mut client = Wire::connect(gateway.http).await.expect("a connection");
        client.send("GET /0 HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("an open connection");
        let answer = client.answer(false).await;
        assert_eq!(answer.unwrap_or_else(|broken| panic!("client {number}: {broken:?}")).status, 200);
        later.push(client);
    }
}
