//! The provider before an engine that a test makes up.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use http::StatusCode;
use jiff::Timestamp;
use parking_lot::Mutex;
use plimsoll_core::model::Freshness;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::net::UnixListener;
use tokio::time::Instant;

/// An engine with two containers on one network, `OWN` and `web`; `web` is on another network too. What it answers when
/// it is asked for `OWN`, a test sets.
struct Engine {
    own: Arc<Mutex<StatusCode>>,
    /// Ends the streams of events.
    cut: watch::Sender<()>,
    /// Whether it takes calls and answers none.
    hangs: watch::Sender<bool>,
    clock: Arc<EngineClock>,
    folder: tempfile::TempDir,
}

/// What an engine tells by its own clock, and how often it was asked.
#[derive(Default)]
struct EngineClock {
    /// Seconds that it is ahead of ours.
    ahead_s: AtomicI64,
    /// Seconds that containers have been up.
    up_s: AtomicI64,
    /// Lists that were asked for.
    lists: AtomicUsize,
    /// Inspects of `web`.
    inspects: AtomicUsize,
}

impl EngineClock {
    fn now(&self) -> Timestamp {
        let ours_s = i64::try_from(crate::telemetry::clock::now_ms() / 1000).unwrap();
        Timestamp::from_second(ours_s + self.ahead_s.load(Ordering::SeqCst)).unwrap()
    }

    fn listed(&self, id: &str) -> Value {
        let status = format!("Up {} seconds", self.up_s.load(Ordering::SeqCst));
        json!({
            "Id": id, "Names": [format!("/{id}")], "State": "running", "Status": status,
            "Labels": {"plimsoll.enable": "true"}, "NetworkSettings": {"Networks": networks(id)},
        })
    }

    fn container(&self, id: &str) -> Value {
        let started = self.now() - jiff::SignedDuration::from_secs(self.up_s.load(Ordering::SeqCst));
        json!({
            "Id": id, "Name": format!("/{id}"), "Created": "2026-11-25T19:29:17.5Z",
            "State": {"Status": "running", "Running": true, "StartedAt": started.to_string()},
            "Config": {"Labels": {"plimsoll.enable": "true"}, "ExposedPorts": {"8080/tcp": {}}},
            "HostConfig": {"NetworkMode": "b"}, "NetworkSettings": {"Networks": networks(id), "Ports": {}},
        })
    }

    fn date(&self) -> http::HeaderValue {
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&self.now()).unwrap().parse().unwrap()
    }
}

const OWN: &str = "0123456789ab0123456789ab0123456789ab0123456789ab0123456789abcdef";

impl Engine {
    fn start(own: StatusCode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (own, cut, hangs) = (Arc::new(Mutex::new(own)), watch::Sender::new(()), watch::Sender::new(false));
        let clock = Arc::new(EngineClock::default());
        let (inspected, ends, stalled) = (Arc::clone(&own), cut.clone(), hangs.clone());
        let (lists, inspects, dates) = (Arc::clone(&clock), Arc::clone(&clock), Arc::clone(&clock));
        let list = move || {
            lists.lists.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Json(json!([lists.listed(OWN), lists.listed("web")])))
        };
        let inspect = move |Path(id): Path<String>| {
            inspects.inspects.fetch_add(usize::from(id == "web"), Ordering::SeqCst);
            let status = if id == OWN { *inspected.lock() } else { StatusCode::OK };
            let found = status == StatusCode::OK;
            let answer = if found { Json(inspects.container(&id)).into_response() } else { status.into_response() };
            std::future::ready(answer)
        };
        let answers = move |request: Request, next: Next| {
            let (mut hangs, clock) = (stalled.subscribe(), Arc::clone(&dates));
            async move {
                hangs.wait_for(|hangs| !hangs).await.ok();
                let mut response = next.run(request).await;
                response.headers_mut().insert("date", clock.date());
                response
            }
        };
        let router = Router::new()
            .route("/_ping", get(|| async { [("api-version", "1.45")] }))
            .route("/v1.45/containers/json", get(list))
            .route("/v1.45/networks", get(|| async { Json(json!([])) }))
            .route("/v1.45/events", get(move || events(ends.subscribe())))
            .route("/v1.45/containers/{id}/json", get(inspect))
            .layer(from_fn(answers));
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        Self { own, cut, hangs, clock, folder }
    }

    fn options(&self) -> DockerOptions {
        let endpoint = format!("unix:{}", self.folder.path().join("s").display());
        let provider = DockerProvider { endpoint: endpoint.into(), ..DockerProvider::default() };
        let environment = Environment { own_ids: vec![OWN.to_owned()], ..Environment::default() };
        DockerOptions { environment, ..DockerOptions::new(provider) }
    }
}

/// A stream without events.
async fn events(mut cut: watch::Receiver<()>) -> Response {
    let none = stream::once(async move {
        cut.changed().await.ok();
        Ok::<_, std::io::Error>(bytes::Bytes::new())
    });
    Body::from_stream(none).into_response()
}

fn networks(id: &str) -> Value {
    let at = |network: &str, address: &str| json!({"NetworkID": network, "IPAddress": address});
    match id {
        "web" => json!({"a": at("a", "10.1.0.2"), "b": at("b", "10.2.0.2")}),
        _ => json!({"b": at("b", "10.2.0.9")}),
    }
}

async fn until(views: &mut BoxStream<'static, Facts>, is_it: impl Fn(&Facts) -> bool) -> Facts {
    within(Duration::from_secs(10), views, is_it).await
}

async fn within(limit: Duration, views: &mut BoxStream<'static, Facts>, is_it: impl Fn(&Facts) -> bool) -> Facts {
    let found = async { views.by_ref().filter(|facts| std::future::ready(is_it(facts))).next().await };
    tokio::time::timeout(limit, found).await.expect("it is told").expect("it goes on")
}

fn address(facts: &Facts, name: &str) -> Option<String> {
    let replica = facts.replicas.iter().find(|replica| *replica.name == *name)?;
    replica.address.map(|address| address.to_string())
}

#[tokio::test]
async fn an_engine_that_does_not_say_whether_we_are_in_a_container_is_asked_again() {
    let engine = Engine::start(StatusCode::INTERNAL_SERVER_ERROR);
    let mut views = Box::new(Docker::new(engine.options())).watch();
    let named = until(&mut views, |facts| !facts.problems.is_empty()).await;
    assert_eq!(named.freshness, Freshness::Waiting);
    assert!(named.problems[0].message.starts_with("whether the gateway runs in a container: "), "{named:?}");
    *engine.own.lock() = StatusCode::OK;
    let facts = until(&mut views, |facts| facts.freshness == Freshness::Fresh).await;
    assert_eq!(address(&facts, "web").as_deref(), Some("10.2.0.2"), "on the network that both are on");
}

#[tokio::test]
async fn where_we_are_is_found_out_again_with_each_stream() {
    let engine = Engine::start(StatusCode::NOT_FOUND);
    let mut views = Box::new(Docker::new(engine.options())).watch();
    let facts = until(&mut views, |facts| facts.freshness == Freshness::Fresh).await;
    assert_eq!(address(&facts, "web").as_deref(), Some("10.1.0.2"), "from the host, the first");
    *engine.own.lock() = StatusCode::OK;
    engine.cut.send_replace(());
    until(&mut views, |facts| address(facts, "web").as_deref() == Some("10.2.0.2")).await;
}

#[tokio::test]
async fn an_engine_that_hangs_for_longer_than_a_call_may_take_is_out_of_reach_until_it_answers() {
    let engine = Engine::start(StatusCode::OK);
    let docker = Docker::new(engine.options());
    let status = docker.status();
    let mut views = Box::new(docker).watch();
    until(&mut views, |facts| facts.freshness == Freshness::Fresh).await;
    assert!(status.up());
    engine.hangs.send_replace(true);
    // Nothing is to be heard of it from here on, so that time may pass as fast as it likes.
    tokio::time::pause();
    let began = Instant::now();
    let is_stale = |facts: &Facts| matches!(facts.freshness, Freshness::Stale { .. });
    let facts = within(Duration::from_secs(120), &mut views, is_stale).await;
    let took = began.elapsed();
    // The list that is due after 30 s, the 10 s that it may take, and the 3 s of the first call of a new session.
    assert!((Duration::from_secs(40)..Duration::from_secs(46)).contains(&took), "{took:?}");
    let Freshness::Stale { cause, .. } = &facts.freshness else { panic!("{facts:?}") };
    assert!(cause.contains("no answer within 3 s"), "{cause}");
    assert_eq!(address(&facts, "web").as_deref(), Some("10.2.0.2"), "what was known stays");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!status.up() && status.failures_total() >= 3, "it is asked again, in vain");
    tokio::time::resume();
    engine.hangs.send_replace(false);
    let facts = until(&mut views, |facts| facts.freshness == Freshness::Fresh).await;
    assert!(status.up());
    assert_eq!(address(&facts, "web").as_deref(), Some("10.2.0.2"));
}

#[tokio::test]
async fn where_the_engines_clock_is_an_hour_off_lists_find_restarts_and_nothing_else() {
    for ahead_s in [-3600, 3600] {
        let engine = Engine::start(StatusCode::OK);
        engine.clock.ahead_s.store(ahead_s, Ordering::SeqCst);
        engine.clock.up_s.store(50, Ordering::SeqCst);
        let options = DockerOptions { list_every: Duration::from_millis(20), ..engine.options() };
        let mut views = Box::new(Docker::new(options)).watch();
        let facts = until(&mut views, |facts| facts.freshness == Freshness::Fresh).await;
        let incarnation = |facts: &Facts| {
            let web = facts.replicas.iter().find(|replica| *replica.name == *"web").expect("it runs");
            web.incarnation.to_string()
        };
        let (first, lists) = (incarnation(&facts), engine.clock.lists.load(Ordering::SeqCst));
        let inspects = engine.clock.inspects.load(Ordering::SeqCst);
        let began = Instant::now();
        while engine.clock.lists.load(Ordering::SeqCst) < lists + 20 {
            assert!(began.elapsed() < Duration::from_secs(10), "it lists");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(engine.clock.inspects.load(Ordering::SeqCst), inspects, "nothing has changed, {ahead_s}");
        engine.clock.up_s.store(2, Ordering::SeqCst);
        until(&mut views, |facts| incarnation(facts) != first).await;
    }
}
