//! Documents: applied whole, or not at all.

use super::fixture::{LIMIT, body, document, get, start, web, with_gateway};
use crate::control::{Gateway, Source};
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_served_as_soon_as_the_gateway_has_started() {
    let target = Target::answering("one").await;
    let running = start(&document(&web(&[target.address]))).await;
    assert_eq!(body(&running, "web.test").await, "200 one");
    assert_eq!(get(running.address("http").unwrap(), "other.test").await.status, 404);
    assert!(running.handle().ready());
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_applied_replaces_the_one_before_as_a_whole() {
    let (one, two) = (Target::answering("one").await, Target::answering("two").await);
    let running = start(&document(&web(&[one.address]))).await;
    let handle = running.handle();
    let address = running.address("http");
    let before = handle.snapshot().generation;
    let next = document(&web(&[two.address])).replace("web.test", "next.test");
    let applied = handle.apply(&next, Source::File).await.unwrap();
    assert_eq!(applied.generation, before + 1);
    assert_eq!(body(&running, "next.test").await, "200 two");
    assert_eq!(get(address.unwrap(), "web.test").await.status, 404);
    assert_eq!(running.address("http"), address, "the listener stays where it is");
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_with_a_mistake_changes_nothing_and_says_so() {
    let target = Target::answering("one").await;
    let good = document(&web(&[target.address]));
    let running = start(&good).await;
    let handle = running.handle();
    let generation = handle.snapshot().generation;
    let check = async |text: &str, expected: &str| {
        let error = handle.apply(text, Source::File).await.unwrap_err();
        assert!(error.is_input(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(handle.snapshot().generation, generation);
        assert_eq!(handle.view().last_error.as_deref(), Some(&*error.brief()));
        let metrics = handle.telemetry().render(crate::telemetry::clock::moment());
        assert!(metrics.contains("plimsoll_config_last_reload_successful 0"), "{metrics}");
        assert_eq!(body(&running, "web.test").await, "200 one");
    };
    check(&good.replace("host: pool", "hots: pool"), "unknown field").await;
    check(&good.replace("hosts: [web.test]", "paths: [\"~/(?=x)\"]"), "").await;
    handle.apply(&good, Source::File).await.unwrap();
    assert_eq!(handle.view().last_error, None);
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_no_mistake_of_the_document_and_changes_nothing() {
    let target = Target::answering("one").await;
    let good = document(&web(&[target.address]));
    let running = start(&good).await;
    let taken = format!("listeners: [{{name: http, address: \"{}\"}}", target.address);
    let bad = good.replace("listeners: [{name: http, address: \"127.0.0.1:0\"}", &taken);
    let error = running.handle().apply(&bad, Source::File).await.unwrap_err();
    assert!(!error.is_input(), "{error}");
    assert_eq!(body(&running, "web.test").await, "200 one");
    assert!(Gateway::builder().document_text(bad).start().await.is_err_and(|error| !error.is_input()));
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_come_and_go_with_the_document() {
    let target = Target::answering("one").await;
    let good = document(&web(&[target.address]));
    let running = start(&good).await;
    let more = good.replace("\"127.0.0.1:0\"}]", "\"127.0.0.1:0\"}, {name: other, address: \"127.0.0.1:0\"}]");
    running.handle().apply(&more, Source::File).await.unwrap();
    let other = running.address("other").unwrap();
    assert_eq!(get(other, "web.test").await.status, 200);
    running.handle().apply(&good, Source::File).await.unwrap();
    assert_eq!(running.address("other"), None);
    until(LIMIT, "the listener is closed", async || tokio::net::TcpStream::connect(other).await.is_err()).await;
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_are_given_are_used_instead_of_the_address() {
    let target = Target::answering("one").await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let builder = Gateway::builder().document_text(document(&web(&[target.address])));
    let running = builder.listener_sockets([("http".to_owned(), socket)]).start().await.unwrap();
    assert_eq!(running.address("http"), Some(address));
    assert_eq!(body(&running, "web.test").await, "200 one");
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_resets_nothing_that_it_did_not_change() {
    let (one, two) = (Target::answering("one").await, Target::answering("two").await);
    let good = document(&web(&[one.address, two.address]));
    let running = start(&good).await;
    let handle = running.handle();
    let targets = || handle.view().upstream("pool").unwrap().pool().targets().to_vec();
    let before = targets();
    let first = body(&running, "web.test").await;
    assert!(handle.set_health("pool", &two.address.to_string(), None, false).unwrap());
    let router = handle.snapshot().router.clone();
    // Another timeout: the same rules, the same targets.
    let next = good.replace("host: pool,", "host: pool, read_timeout: 1000,");
    handle.apply(&next, Source::File).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&router, &handle.snapshot().router), "the router is shared");
    let after = targets();
    assert!(before.iter().zip(&after).all(|(a, b)| std::sync::Arc::ptr_eq(&a.target, &b.target)));
    for _ in 0..4 {
        assert_eq!(body(&running, "web.test").await, "200 one", "set unhealthy by hand before the reload");
    }
    assert!(handle.set_health("pool", &two.address.to_string(), None, true).unwrap());
    until(LIMIT, "both are picked", async || body(&running, "web.test").await != first).await;
    // The cursor goes on: over a reload, too, the two take turns.
    for _ in 0..10 {
        let turn = body(&running, "web.test").await;
        handle.apply(&next, Source::File).await.unwrap();
        assert_ne!(body(&running, "web.test").await, turn);
    }
    let metrics = handle.telemetry().render(crate::telemetry::clock::moment());
    assert!(metrics.contains("plimsoll_config_generation 12"), "{metrics}");
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_followed_however_it_is_replaced() {
    let (one, two) = (Target::answering("one").await, Target::answering("two").await);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (first, second) = (document(&web(&[one.address])), document(&web(&[two.address])));
    std::fs::create_dir(path("..1")).unwrap();
    std::fs::create_dir(path("..2")).unwrap();
    std::fs::write(path("..1/plimsoll.yaml"), &first).unwrap();
    std::fs::write(path("..2/plimsoll.yaml"), &second).unwrap();
    std::os::unix::fs::symlink("..1", path("..data")).unwrap();
    std::os::unix::fs::symlink("..data/plimsoll.yaml", path("plimsoll.yaml")).unwrap();
    let running = Gateway::builder().document_file(path("plimsoll.yaml")).start().await.unwrap();
    let becomes = async |expected: &str| {
        until(LIMIT, expected, async || body(&running, "web.test").await == expected).await;
    };
    becomes("200 one").await;
    // As a ConfigMap is changed.
    std::os::unix::fs::symlink("..2", path("..next")).unwrap();
    std::fs::rename(path("..next"), path("..data")).unwrap();
    becomes("200 two").await;
    // As editors do.
    std::fs::write(path("new"), &first).unwrap();
    std::fs::rename(path("new"), path("plimsoll.yaml")).unwrap();
    becomes("200 one").await;
    std::fs::write(path("plimsoll.yaml"), &second).unwrap();
    becomes("200 two").await;
    // The last one said wins, until the file is said again.
    running
        .handle()
        .apply(&web(&[one.address]).replace("services:", "_format_version: \"3.0\"\nservices:"), Source::Post)
        .await
        .unwrap();
    assert_eq!(body(&running, "web.test").await, "200 one");
    running.handle().reload().await.unwrap();
    assert_eq!(body(&running, "web.test").await, "200 two");
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_resolved_before_they_are_served() {
    let target = Target::answering("one").await;
    let rest = format!(
        "services:\n- {{name: web, host: localhost, port: {}, routes: [{{name: web, hosts: [web.test]}}]}}\n",
        target.address.port()
    );
    let running = start(&with_gateway("", &rest)).await;
    assert_eq!(body(&running, "web.test").await, "200 one");
    running.drain_and_stop(Duration::ZERO, SOON).await;
}
