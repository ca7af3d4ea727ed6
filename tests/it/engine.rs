//! A container engine that misbehaves, made up on a socket of its own: traffic does not feel it.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use parking_lot::Mutex;
use plimsoll_test_support::gateway::{Gateway, Start, document};
use plimsoll_test_support::load::Load;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// For a view to become true.
const LIMIT: Duration = Duration::from_secs(20);
/// 2026-11-26, in nanoseconds.
const BEGAN_NS: u64 = 1_795_650_000_000_000_000;

/// Containers that run, by id, with the port that each listens on; whoever else is asked for is gone.
struct Engine {
    running: Arc<Mutex<BTreeMap<String, u16>>>,
    /// Who follows the events.
    follower: Arc<Mutex<Option<mpsc::Sender<Bytes>>>>,
    /// Whether it takes calls and answers none.
    hangs: watch::Sender<bool>,
    folder: tempfile::TempDir,
}

impl Engine {
    fn start(running: impl IntoIterator<Item = (&'static str, u16)>) -> Self {
        let running: BTreeMap<String, u16> = running.into_iter().map(|(id, port)| (id.to_owned(), port)).collect();
        let running = Arc::new(Mutex::new(running));
        let follower = Arc::new(Mutex::new(None));
        let hangs = watch::Sender::new(false);
        let stalled = hangs.clone();
        let (listed, inspected, told) = (Arc::clone(&running), Arc::clone(&running), Arc::clone(&follower));
        let list = move || {
            let ids: Vec<Value> = listed.lock().keys().map(|id| item(id)).collect();
            async move { Json(ids) }
        };
        let inspect = move |Path(id): Path<String>| {
            let port = inspected.lock().get(&id).copied();
            async move {
                port.map_or_else(
                    || StatusCode::NOT_FOUND.into_response(),
                    |port| Json(container(&id, port)).into_response(),
                )
            }
        };
        let router = axum::Router::new()
            .route("/_ping", get(|| async { [("api-version", "1.45")] }))
            .route("/v1.45/containers/json", get(list))
            .route("/v1.45/networks", get(|| async { Json(json!([])) }))
            .route("/v1.45/events", get(move || async move { follow(&told) }))
            .route("/v1.45/containers/{id}/json", get(inspect))
            .layer(from_fn(move |request: Request, next: Next| {
                let mut hangs = stalled.subscribe();
                async move {
                    hangs.wait_for(|hangs| !hangs).await.ok();
                    next.run(request).await
                }
            }));
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        Self { running, follower, hangs, folder }
    }

    /// A gateway that follows it.
    async fn gateway(&self) -> Gateway {
        let socket = self.folder.path().join("docker.sock");
        let provider = format!("  providers: {{docker: {{endpoint: \"unix:{}\"}}}}\n", socket.display());
        let rest = "services:\n- name: web\n  host: pool\n  routes:\n  - {name: web, hosts: [web.test]}\nupstreams:\n- name: \
                    pool\n  discover: {docker: {project: p, service: web}}\n";
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_plimsoll"));
        Gateway::start(Start { binary, document: document(&provider, rest), namespace: None }).await
    }

    /// Answers nothing more, and ends the stream of events.
    fn hang(&self) {
        self.hangs.send_replace(true);
        self.follower.lock().take();
    }

    /// Tells events to whoever follows, as fast as they are taken; one that gave up is waited for until it is back.
    async fn tell(&self, events: Bytes) {
        loop {
            let follower = self.follower.lock().clone();
            match follower {
                Some(follower) if follower.send(events.clone()).await.is_ok() => return,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

fn follow(follower: &Mutex<Option<mpsc::Sender<Bytes>>>) -> Response {
    let (sender, events) = mpsc::channel(1);
    follower.lock().replace(sender);
    let events = futures_util::stream::unfold(events, async |mut events| {
        let some = events.recv().await?;
        Some((Ok::<_, std::io::Error>(some), events))
    });
    Body::from_stream(events).into_response()
}

fn labels() -> Value {
    json!({"com.docker.compose.project": "p", "com.docker.compose.service": "web"})
}

fn item(id: &str) -> Value {
    json!({"Id": id, "Names": [format!("/{id}")], "State": "running", "Labels": labels()})
}

fn container(id: &str, port: u16) -> Value {
    json!({
        "Id": id, "Name": format!("/{id}"), "Created": "2026-11-25T19:29:17.5Z",
        "State": {"Status": "running", "Running": true, "StartedAt": "2026-11-25T19:29:18Z"},
        "Config": {"Labels": labels(), "ExposedPorts": {format!("{port}/tcp"): {}}},
        "HostConfig": {"NetworkMode": "net"},
        "NetworkSettings": {"Networks": {"net": {"NetworkID": "n", "IPAddress": "127.0.0.1"}}, "Ports": {}},
    })
}

fn event(events: &mut String, number: u64, action: &str, id: &str) {
    let time_ns = BEGAN_NS + number;
    writeln!(
        events,
        "{{\"Type\":\"container\",\"Action\":\"{action}\",\"Actor\":{{\"ID\":\"{id}\",\"Attributes\":{{\"name\":\"{id}\"}}}},\
         \"time\":{},\"timeNano\":{time_ns}}}",
        time_ns / 1_000_000_000
    )
    .expect("a String takes it");
}

/// A hundred thousand, of which every third speaks of a replica and the others of five thousand containers that come and go.
/// How long they took.
async fn flood(engine: &Engine, chunk: u64, chunks: u64) -> Duration {
    let began = Instant::now();
    for at in 0..chunks {
        let mut events = String::new();
        for number in at * chunk..(at + 1) * chunk {
            let stranger = format!("stranger-{}", number % 5000);
            match number % 3 {
                0 => event(&mut events, number, "health_status: healthy", "one"),
                1 => event(&mut events, number, "start", &stranger),
                _ => event(&mut events, number, "die", &stranger),
            }
        }
        engine.tell(events.into()).await;
        // 50,000 a second at the most.
        tokio::time::sleep_until(began + Duration::from_micros(20 * chunk * (at + 1))).await;
    }
    began.elapsed()
}

async fn targets(gateway: &Gateway) -> Vec<(String, String)> {
    let health = gateway.admin_json("/upstreams/pool/health").await.unwrap_or_default();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let all = health["data"].as_array().into_iter().flatten().map(|one| (text(one, "replica"), text(one, "state")));
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_floods_its_stream_of_events_is_not_felt_and_its_last_word_is_heard() {
    let all =
        [Target::sample("web", "one").await, Target::sample("web", "two").await, Target::sample("web", "three").await];
    let port = |at: usize| all[at].address.port();
    let engine = Engine::start([("one", port(0)), ("two", port(1))]);
    let gateway = engine.gateway().await;
    gateway.healthy(LIMIT, "pool", 2).await;
    let load = Load { rate: 200, ..Load::new(gateway.http, "web.test", "web") }.start();
    load.go_on(Duration::from_millis(500)).await;
    let before = gateway.resident_bytes();
    let took = flood(&engine, 1000, 100).await;
    *engine.running.lock() = [("one", port(0)), ("three", port(2))].map(|(id, port)| (id.to_owned(), port)).into();
    let mut last = String::new();
    event(&mut last, 200_000, "die", "two");
    event(&mut last, 200_001, "start", "three");
    engine.tell(last.into()).await;
    let healthy = ["one", "three"].map(|name| (name.to_owned(), "healthy".to_owned()));
    until(LIMIT, "the last truth", async || {
        let mut known = targets(&gateway).await;
        known.retain(|(_, state)| state != "gone" && state != "unhealthy");
        known == healthy
    })
    .await;
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);
    assert_eq!(gateway.metric("plimsoll_provider_up", &[]).await, Some(1.0));
    let read = gateway.metric("plimsoll_provider_events_total", &[]).await.unwrap_or_default();
    eprintln!("{read} events were read, told within {took:?}, {} MiB more", grown >> 20);
    assert!(took < Duration::from_secs(10), "{took:?}: fewer than 10,000 a second were taken");
    // A session that ends in a flood leaves some unread, the more the busier the machine is, which its list makes up for.
    assert!(read >= 50_000.0, "{read} of 100,000 events were read");
    load.stop().await.assert_none_lost();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_whose_socket_hangs_is_told_of_and_traffic_goes_on_until_it_is_back() {
    let all = [Target::sample("web", "one").await, Target::sample("web", "two").await];
    let port = |at: usize| all[at].address.port();
    let engine = Engine::start([("one", port(0))]);
    let gateway = engine.gateway().await;
    gateway.healthy(LIMIT, "pool", 1).await;
    let load = Load { rate: 200, ..Load::new(gateway.http, "web.test", "web") }.start();
    load.go_on(Duration::from_millis(500)).await;
    assert_eq!(gateway.metric("plimsoll_provider_up", &[]).await, Some(1.0));
    engine.hang();
    let is_up = async |up: f64| gateway.metric("plimsoll_provider_up", &[]).await == Some(up);
    until(LIMIT, "it to be out of reach", async || is_up(0.0).await).await;
    let log = gateway.log();
    assert!(log.contains("the docker engine is out of reach") && log.contains("no answer within"), "{log}");
    // Somebody comes meanwhile, of whom nobody can tell.
    engine.running.lock().insert("two".to_owned(), port(1));
    load.go_on(Duration::from_secs(1)).await;
    assert_eq!(targets(&gateway).await, [("one".to_owned(), "healthy".to_owned())], "what was known stays");
    engine.hangs.send_replace(false);
    until(LIMIT, "it to be back", async || is_up(1.0).await).await;
    gateway.healthy(LIMIT, "pool", 2).await;
    load.stop().await.assert_none_lost();
}
