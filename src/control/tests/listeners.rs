//! Listeners that move, under connections that come all the while: none is refused, reset or left without its answer.

use super::fixture::{LIMIT, document, get, start, web};
use crate::control::{Running, Source};
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(5);

/// Clients that come again and again, each on a connection of its own.
struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Clients {
    fn of(addresses: &[SocketAddr]) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let client = |address: SocketAddr| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(get(address, "web.test").await.status, 200, "at {address}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let tasks = addresses.iter().flat_map(|address| [*address; 4]).map(client).collect();
        Self { stop, answered, tasks }
    }

    /// Until so many more are through: what was closed lingers, and what is wrong shows.
    async fn go_on(&self) {
        let enough = self.answered.load(Ordering::Relaxed) + 400;
        until(LIMIT, "more answers", async || {
            self.answered.load(Ordering::Relaxed) >= enough || self.tasks.iter().any(|task| task.is_finished())
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("every connection is answered");
        }
    }
}

async fn apply(running: &Running, listeners: &str, rest: &str) {
    if let Err(error) = running.handle().apply(&with(listeners, rest), Source::File).await {
        panic!("{listeners}: {error}");
    }
}

fn with(listeners: &str, rest: &str) -> String {
    document(rest).replace("[{name: http, address: \"127.0.0.1:0\"}]", &format!("[{listeners}]"))
}

fn at(name: &str, ip: &str, port: u16) -> String {
    format!("{{name: {name}, address: \"{ip}:{port}\"}}")
}

/// What the kernel calls those that listen at exactly this address of IPv4.
fn sockets(address: SocketAddr) -> BTreeSet<String> {
    let IpAddr::V4(ip) = address.ip() else { return BTreeSet::new() };
    let at = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port());
    let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    lines.filter(|fields| fields[1] == at && fields[3] == "0A").map(|fields| fields[9].to_owned()).collect()
}

async fn is_closed(address: SocketAddr) {
    until(LIMIT, "nobody listens there", async || TcpStream::connect(address).await.is_err()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_moves_to_an_address_over_its_old_one_and_back_without_a_loss() {
    let target = Target::answering("one").await;
    let rest = web(&[target.address]);
    let running = start(&document(&rest)).await;
    let own = running.address("http").unwrap();
    let other = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), own.port());
    let before = sockets(own);
    assert_eq!(before.len(), 2, "one a worker");
    let clients = Clients::of(&[own]);
    for all in ["0.0.0.0", "[::]"] {
        apply(&running, &at("http", all, own.port()), &rest).await;
        assert_eq!(get(other, "web.test").await.status, 200, "{all}");
        assert_eq!(running.address("http").map(|address| address.port()), Some(own.port()));
        clients.go_on().await;
        apply(&running, &at("http", "127.0.0.1", own.port()), &rest).await;
        is_closed(other).await;
        clients.go_on().await;
    }
    // By way of one wildcard to the other, and under another name.
    apply(&running, &at("http", "[::]", own.port()), &rest).await;
    apply(&running, &at("web", "0.0.0.0", own.port()), &rest).await;
    clients.go_on().await;
    assert_eq!(running.address("http"), None);
    apply(&running, &at("web", "127.0.0.1", own.port()), &rest).await;
    is_closed(other).await;
    assert_eq!(sockets(own), before, "the same all the while: a socket that is closed resets what it has in its queue");
    clients.end().await;
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_swap_and_change_their_names_without_a_loss() {
    let target = Target::answering("one").await;
    let rest = web(&[target.address]);
    let two = "{name: a, address: \"127.0.0.1:0\"}, {name: b, address: \"127.0.0.1:0\"}";
    let running = start(&with(two, &rest)).await;
    let (first, second) = (running.address("a").unwrap(), running.address("b").unwrap());
    let clients = Clients::of(&[first, second]);
    for (one, other) in [("b", "a"), ("a", "b"), ("c", "a"), ("d", "c")] {
        let [one, other] = [(one, first), (other, second)].map(|(name, address)| at(name, "127.0.0.1", address.port()));
        apply(&running, &format!("{one}, {other}"), &rest).await;
        clients.go_on().await;
    }
    assert_eq!((running.address("d"), running.address("c")), (Some(first), Some(second)));
    clients.end().await;
    let metrics = running.handle().telemetry().render(crate::telemetry::clock::moment());
    for name in ["a", "b", "c", "d"] {
        assert!(
            metrics.contains(&format!("plimsoll_client_connections_total{{listener=\"{name}\"}}")),
            "{name}: {metrics}"
        );
    }
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_listens_on_is_not_shared_and_nothing_changes() {
    let target = Target::answering("one").await;
    let rest = web(&[target.address]);
    let running = start(&document(&rest)).await;
    let own = running.address("http").unwrap();
    // Somebody of the same user who would share.
    let theirs = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    theirs.set_reuse_port(true).unwrap();
    theirs.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)), own.port()).into()).unwrap();
    theirs.listen(1).unwrap();
    let refused = running.handle().apply(&with(&at("http", "0.0.0.0", own.port()), &rest), Source::File).await;
    let error = refused.unwrap_err();
    assert!(!error.is_input() && error.to_string().contains("another process listens on 127.0.0.3"), "{error}");
    assert_eq!((get(own, "web.test").await.status, running.address("http")), (200, Some(own)));
    drop(theirs);
    apply(&running, &at("http", "0.0.0.0", own.port()), &rest).await;
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_reload_serves_nobody_at_the_address_that_it_named() {
    let target = Target::answering("one").await;
    let rest = web(&[target.address]);
    let running = start(&document(&rest)).await;
    let own = running.address("http").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
    let knocking = {
        let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
        tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::Relaxed) {
                let Ok(mut stream) = std::net::TcpStream::connect(free) else { continue };
                let _sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n");
                let mut all = Vec::new();
                let _read = stream.read_to_end(&mut all);
                answers.fetch_add(u32::from(all.starts_with(b"HTTP/1.1")), Ordering::Relaxed);
            }
        })
    };
    for _ in 0..5 {
        let moved = at("http", "127.0.0.1", free.port());
        let other = at("other", "127.0.0.1", taken.local_addr().unwrap().port());
        let refused = running.handle().apply(&with(&format!("{moved}, {other}"), &rest), Source::File).await;
        assert!(refused.is_err(), "its second address is taken");
        assert_eq!(get(own, "web.test").await.status, 200);
    }
    is_closed(free).await;
    stop.store(true, Ordering::Relaxed);
    knocking.await.unwrap();
    assert_eq!(answers.load(Ordering::Relaxed), 0, "nobody is served by a document that was refused");
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_moves_away_and_back_at_once() {
    let target = Target::answering("one").await;
    let rest = web(&[target.address]);
    let running = start(&document(&rest)).await;
    let own = running.address("http").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for port in [free.port(), own.port(), free.port(), own.port()] {
        apply(&running, &at("http", "127.0.0.1", port), &rest).await;
        assert_eq!(get(SocketAddr::new(own.ip(), port), "web.test").await.status, 200);
    }
    running.drain_and_stop(Duration::ZERO, SOON).await;
}
