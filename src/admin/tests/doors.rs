//! Where the admin API listens, and whom it lets in.

use super::{ADMIN, Bench, Doors, document, open, send};
use http::Method;
use plimsoll_core::config::{Admin, AdminAddress, Gateway};
use plimsoll_test_support::wire::Wire;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_gets_nothing() {
    let bench = Bench::new(ADMIN, "").await;
    for fields in [
        &[("host", "evil.example")][..],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let answer = bench.ask(method, "/config", fields, "").await;
            assert_eq!(answer.status().as_u16(), 403, "{fields:?}");
            assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
        }
    }
    let form = bench.ask(Method::POST, "/config", &[("content-type", "text/plain")], "_format_version: \"3.0\"").await;
    assert_eq!(form.status().as_u16(), 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_door_shows_three_paths_under_any_name() {
    let bench = Bench::new("admin: false, status: {address: \"127.0.0.1:0\"}", "").await;
    let address = bench.status.unwrap();
    let get = async |path: &str| {
        let answer = send(address, Method::GET, path, &[("host", "gateway.shop")], "").await;
        answer.status().as_u16()
    };
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(path).await, 200, "{path}");
    }
    for path in ["/", "/config", "/status", "/providers", "/snapshot", "/explain", "/services"] {
        assert_eq!(get(path).await, 404, "{path}");
    }
    assert_eq!(send(address, Method::POST, "/metrics", &[], "").await.status().as_u16(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_can_reach_wants_a_token() {
    // A document that says so is refused already; an embedding program may ask for it yet.
    let admin = Admin { address: AdminAddress::Tcp("0.0.0.0:0".parse().unwrap()), ..Admin::default() };
    let gateway = Gateway { admin: Some(admin), ..Gateway::default() };
    let error = Doors::open(&gateway, Path::new(".")).await.err().unwrap();
    assert!(error.is_input() && error.to_string().contains("token_file"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "short").unwrap();
    let text = document("admin: {address: \"0.0.0.0:0\", token_file: token}", "");
    let error = open(&text, folder.path()).await.err().unwrap();
    assert!(error.to_string().contains("shorter than 16"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named_with_its_key() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = document(&format!("admin: {{address: \"{}\"}}", taken.local_addr().unwrap()), "");
    let error = open(&text, Path::new(".")).await.err().unwrap();
    assert!(!error.is_input() && error.to_string().contains("gateway.admin.address"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_its_owners_alone_and_ends_with_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    // What a process that was killed left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let gateway = format!("admin: {{address: \"unix:{}\"}}", path.display());
    let bench = Bench::new(&gateway, "").await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut wire = Wire::connect_unix(&path).await.unwrap();
    wire.send("GET /readyz HTTP/1.1\r\nHost: anything\r\n\r\n").await.unwrap();
    assert_eq!(wire.answer(false).await.unwrap().status, 200);
    // One that answers is not taken over, nor is a file of another kind.
    let error = open(&document(&gateway, ""), Path::new(".")).await.err().unwrap();
    assert!(error.to_string().contains("another process answers there"), "{error}");
    drop(bench);
    assert!(!path.exists());
    std::fs::write(&path, "mine").unwrap();
    let error = open(&document(&gateway, ""), Path::new(".")).await.err().unwrap();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_limit_each_whether_they_say_how_long_they_are_or_not() {
    let bench = Bench::new(ADMIN, "").await;
    let address = bench.admin.unwrap();
    let put = "PUT /upstreams/a/targets/b/healthy";
    for (line, framing, expected) in [
        ("POST /config", "Content-Length: 67108865\r\n\r\n".to_owned(), "larger than 65536 KiB"),
        (put, "Content-Length: 65537\r\n\r\n".to_owned(), "larger than 64 KiB"),
        (put, format!("Transfer-Encoding: chunked\r\n\r\n10001\r\n{}\r\n", "x".repeat(65537)), "larger than 64 KiB"),
    ] {
        let mut wire = Wire::connect(address).await.unwrap();
        let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/yaml\r\n");
        wire.send(format!("{head}{framing}")).await.unwrap();
        let answer = wire.answer(false).await.unwrap();
        assert_eq!(answer.status, 413, "{line} {}", answer.text());
        assert!(answer.text().contains(expected) && answer.text().starts_with('{'), "{}", answer.text());
    }
}

/// More than a door has places for.
const CROWD: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_keep_nobody_out() {
    let bench = Bench::new(ADMIN, "").await;
    let mut silent = Vec::new();
    for number in 0..CROWD {
        let mut wire = Wire::connect(bench.admin.unwrap()).await.unwrap();
        // Some begin to say something, some have been answered.
        match number % 3 {
            0 => wire.send("GET /readyz HTTP/1.1\r\nHo").await.unwrap(),
            1 => wire.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap(),
            _ => {}
        }
        silent.push(wire);
    }
    for path in ["/readyz", "/status"] {
        let answer = tokio::time::timeout(Duration::from_secs(5), bench.get(path)).await;
        assert_eq!(answer.map(|(status, _)| status), Ok(200), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_end_keep_no_probe_out() {
    let bench = Bench::new(ADMIN, "").await;
    let mut slow = Vec::new();
    for number in 0..CROWD {
        let mut wire = Wire::connect(bench.admin.unwrap()).await.unwrap();
        let path = ["/config", "/upstreams/a/targets/b/unhealthy", "/readyz"][number % 3];
        let head = "HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999";
        wire.send(format!("POST {path} {head}\r\n\r\n{{")).await.unwrap();
        slow.push(wire);
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), bench.get("/readyz")).await;
    assert_eq!(answer.map(|(status, _)| status), Ok(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_keeps_no_reading_request_waiting() {
    let bench = Bench::new("admin: false, status: {address: \"127.0.0.1:0\"}", "").await;
    let address = bench.status.unwrap();
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut wire = Wire::connect(address).await.unwrap();
        wire.send("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await.unwrap();
        assert_eq!(wire.answer(false).await.unwrap().status, 200);
        slow.push(wire);
    }
    assert_eq!(send(address, Method::GET, "/metrics", &[], "").await.status().as_u16(), 200);
}
