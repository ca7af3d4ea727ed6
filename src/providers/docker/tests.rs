//! The provider before an engine that a test makes up.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use http::StatusCode;
use parking_lot::Mutex;
use plimsoll_core::model::Freshness;
use serde_json::{Value, json};
use tokio::net::UnixListener;

/// An engine with two containers on one network, `OWN` and `web`; `web` is on another network too. What it answers when
/// it is asked for `OWN`, a test sets.
struct Engine {
    own: Arc<Mutex<StatusCode>>,
    /// Ends the streams of events.
    cut: watch::Sender<()>,
    folder: tempfile::TempDir,
}

const OWN: &str = "0123456789ab0123456789ab0123456789ab0123456789ab0123456789abcdef";

impl Engine {
    fn start(own: StatusCode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (own, cut) = (Arc::new(Mutex::new(own)), watch::Sender::new(()));
        let inspected = Arc::clone(&own);
        let ends = cut.clone();
        let router = Router::new()
            .route("/_ping", get(|| async { [("api-version", "1.45")] }))
            .route("/v1.45/containers/json", get(|| async { Json(json!([listed(OWN), listed("web")])) }))
            .route("/v1.45/networks", get(|| async { Json(json!([])) }))
            .route("/v1.45/events", get(move || events(ends.subscribe())))
            .route(
                "/v1.45/containers/{id}/json",
                get(move |Path(id): Path<String>| {
                    let status = if id == OWN { *inspected.lock() } else { StatusCode::OK };
                    async move {
                        if status == StatusCode::OK {
                            Json(container(&id)).into_response()
                        } else {
                            status.into_response()
                        }
                    }
                }),
            );
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        Self { own, cut, folder }
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

fn listed(id: &str) -> Value {
    json!({"Id": id, "Names": [format!("/{id}")], "State": "running", "Labels": {"plimsoll.enable": "true"}})
}

fn container(id: &str) -> Value {
    let at = |network: &str, address: &str| json!({"NetworkID": network, "IPAddress": address});
    let networks = match id {
        "web" => json!({"a": at("a", "10.1.0.2"), "b": at("b", "10.2.0.2")}),
        _ => json!({"b": at("b", "10.2.0.9")}),
    };
    json!({
        "Id": id, "Name": format!("/{id}"), "Created": "2026-11-25T19:29:17.5Z",
        "State": {"Status": "running", "Running": true, "StartedAt": "2026-11-25T19:29:18Z"},
        "Config": {"Labels": {"plimsoll.enable": "true"}, "ExposedPorts": {"8080/tcp": {}}},
        "HostConfig": {"NetworkMode": "b"}, "NetworkSettings": {"Networks": networks, "Ports": {}},
    })
}

async fn until(views: &mut BoxStream<'static, Facts>, is_it: impl Fn(&Facts) -> bool) -> Facts {
    let found = async { views.by_ref().filter(|facts| std::future::ready(is_it(facts))).next().await };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("it is told").expect("it goes on")
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
