//! Replicas as a provider tells of them.

use super::fixture::{LIMIT, Teller, body, causes, docker, document, until_causes};
use crate::control::{Gateway, Running};
use bytes::Bytes;
use http_body_util::Full;
use plimsoll_core::model::{Cause, Causes, Phase, RuntimeHealth};
use plimsoll_test_support::target::{Behaviour, Target};
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::Wire;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

const SOON: Duration = Duration::from_secs(5);

async fn started(teller: &mut Teller, provider: Box<dyn crate::providers::Provider>) -> Running {
    teller.tell();
    let builder = Gateway::builder().document_text(document("")).provider("docker", provider);
    builder.start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_labels_say_is_served_once_a_replica_can_be_connected_to() {
    let target = Target::answering("one").await;
    let (mut teller, provider) = docker();
    teller.add("one", target.address);
    let running = started(&mut teller, provider).await;
    // Held until the replica was connected to: no request is lost to its start.
    assert_eq!(body(&running, "web.test").await, "200 one");
    assert!(running.handle().ready());
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life_and_health_of_a_replica_are_marked_on_its_target() {
    let (one, two) = (Target::answering("one").await, Target::answering("two").await);
    let (mut teller, provider) = docker();
    teller.add("one", one.address).add("two", two.address);
    let running = started(&mut teller, provider).await;
    let handle = running.handle();
    until_causes(&handle, "one", Causes::NONE).await;
    until_causes(&handle, "two", Causes::NONE).await;
    let phases = [
        (Phase::Stopping, Cause::Draining),
        (Phase::Paused, Cause::Paused),
        (Phase::Disconnected, Cause::Disconnected),
    ];
    for (phase, cause) in phases {
        teller.change("one", |replica| replica.phase = phase).tell();
        until_causes(&handle, "one", Causes::NONE.with(cause)).await;
        for _ in 0..3 {
            assert_eq!(body(&running, "web.test").await, "200 two", "{phase:?}");
        }
        teller.change("one", |replica| replica.phase = Phase::Running).tell();
        until_causes(&handle, "one", Causes::NONE).await;
    }
    teller.change("one", |replica| replica.health = RuntimeHealth::Unhealthy).tell();
    until_causes(&handle, "one", Causes::NONE.with(Cause::Runtime)).await;
    teller.change("one", |replica| replica.health = RuntimeHealth::Healthy).tell();
    until_causes(&handle, "one", Causes::NONE).await;
    teller.remove("one").tell();
    until(LIMIT, "one has gone", async || causes(&handle, "one").is_none()).await;
    assert_eq!(body(&running, "web.test").await, "200 two");
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthcheck_decides_when_a_replica_begins_to_serve() {
    let (one, two) = (Target::answering("one").await, Target::answering("two").await);
    let (mut teller, provider) = docker();
    teller.add("one", one.address).add("two", two.address);
    teller.change("two", |replica| replica.health = RuntimeHealth::Starting);
    let running = started(&mut teller, provider).await;
    let handle = running.handle();
    until_causes(&handle, "one", Causes::NONE).await;
    assert_eq!(causes(&handle, "two"), Some(Causes::NONE.with(Cause::Starting)), "although it can be connected to");
    teller.change("two", |replica| replica.health = RuntimeHealth::Healthy).tell();
    until_causes(&handle, "two", Causes::NONE).await;
    until(LIMIT, "two is picked", async || body(&running, "web.test").await == "200 two").await;
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_refuses_is_out_until_it_can_be_connected_to() {
    let address = Target::nowhere().await;
    let (mut teller, provider) = docker();
    teller.add("one", address);
    let running = started(&mut teller, provider).await;
    let handle = running.handle();
    until_causes(&handle, "one", Causes::NONE.with(Cause::Starting)).await;
    let asked = tokio::spawn(async move { (body(&running, "web.test").await, running) });
    // The request is held while it starts.
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup")
                    .await,
            );
            // The probe connects and goes.
            tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
        }
    });
    let (answer, running) = asked.await.unwrap();
    assert_eq!(answer, "200 up");
    serving.abort();
    drop(serving.await);
    drop(body(&running, "other.test").await);
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_on_a_replica_that_was_cut_off_are_given_up_at_once() {
    let (silent, two) = (Target::misbehaving(Behaviour::Never).await, Target::answering("two").await);
    let (mut teller, provider) = docker();
    teller.add("one", silent.address);
    let running = started(&mut teller, provider).await;
    let handle = running.handle();
    until_causes(&handle, "one", Causes::NONE).await;
    let mut wire = Wire::connect(running.address("http").unwrap()).await.unwrap();
    wire.send("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").await.unwrap();
    until(LIMIT, "the request is in flight", async || {
        handle.upstreams().iter().flat_map(|upstream| &upstream.targets).any(|target| target.inflight > 0)
    })
    .await;
    teller.add("two", two.address).change("one", |replica| replica.phase = Phase::Paused).tell();
    let answer = wire.answer_within(Duration::from_secs(2), false).await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, "two".to_owned()));
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

/// A target that says when a POST has arrived, and answers it when it is let go.
pub(super) async fn holding_posts() -> (Target, mpsc::Receiver<()>, Arc<Semaphore>) {
    let (arrived, arrives) = mpsc::channel(1);
    let go = Arc::new(Semaphore::new(0));
    let let_go = Arc::clone(&go);
    let target = Target::http1(move |request| {
        let (arrived, go) = (arrived.clone(), Arc::clone(&let_go));
        async move {
            if request.method() == http::Method::POST {
                arrived.send(()).await.unwrap();
                go.acquire().await.unwrap().forget();
            }
            http::Response::new(Full::new(Bytes::from_static(b"one")))
        }
    });
    (target.await, arrives, go)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_a_replica_may_have_is_not_done_again_when_it_is_cut_off() {
    let (one, mut arrives, _go) = holding_posts().await;
    let two = Target::answering("two").await;
    let (mut teller, provider) = docker();
    teller.add("one", one.address);
    let running = started(&mut teller, provider).await;
    until_causes(&running.handle(), "one", Causes::NONE).await;
    let mut wire = Wire::connect(running.address("http").unwrap()).await.unwrap();
    // A connection that has answered puts off acknowledging what comes next: the application has it before that is known.
    wire.send("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").await.unwrap();
    assert_eq!(wire.answer_within(SOON, false).await.unwrap().text(), "one");
    wire.send("POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    arrives.recv().await.unwrap();
    teller.add("two", two.address).change("one", |replica| replica.phase = Phase::Disconnected).tell();
    assert_eq!(wire.answer_within(SOON, false).await.unwrap().status, 502);
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_replica_whose_address_another_one_has_by_now_cuts_nothing_until_that_one_ends() {
    type Follows = fn(&mut Teller, SocketAddr);
    let again: Follows = |teller, _| {
        teller.change("one", |replica| replica.incarnation = "2".into());
    };
    let another: Follows = |teller, address| {
        teller.remove("one").add("next", address);
    };
    for follows in [again, another] {
        let (one, mut arrives, go) = holding_posts().await;
        let two = Target::answering("two").await;
        let (mut teller, provider) = docker();
        teller.add("one", one.address).add("two", two.address);
        teller.change("two", |replica| replica.phase = Phase::Stopped);
        let running = started(&mut teller, provider).await;
        let handle = running.handle();
        until_causes(&handle, "one", Causes::NONE).await;
        let known = || handle.view().upstream("web.shop").and_then(|web| web.pool().targets().first().cloned());
        let before = known().unwrap().target;
        let mut wires = Vec::new();
        for _ in 0..2 {
            let mut wire = Wire::connect(running.address("http").unwrap()).await.unwrap();
            wire.send("POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
            arrives.recv().await.unwrap();
            wires.push(wire);
        }
        follows(&mut teller, one.address);
        teller.tell();
        until(LIMIT, "it was told", async || before.causes() == Causes::NONE.with(Cause::Draining)).await;
        go.add_permits(1);
        let first = async |wires: &mut [Wire]| match wires {
            [one, other] => tokio::select! {
                answer = one.answer_within(SOON, false) => (0, answer),
                answer = other.answer_within(SOON, false) => (1, answer),
            },
            _ => unreachable!("there are two"),
        };
        let (index, answer) = first(&mut wires).await;
        assert_eq!(answer.unwrap().status, 200);
        teller.remove("one").remove("next").change("two", |replica| replica.phase = Phase::Running).tell();
        assert_eq!(wires.swap_remove(1 - index).answer_within(SOON, false).await.unwrap().status, 502);
        drop(wires);
        until(LIMIT, "nothing is in flight", async || before.inflight() == 0).await;
        running.drain_and_stop(Duration::ZERO, SOON).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_paused_replica_has_and_nobody_can_repeat_is_waited_for() {
    let (one, mut arrives, go) = holding_posts().await;
    let two = Target::answering("two").await;
    let (mut teller, provider) = docker();
    teller.add("one", one.address);
    let running = started(&mut teller, provider).await;
    let handle = running.handle();
    until_causes(&handle, "one", Causes::NONE).await;
    for end in [Phase::Running, Phase::Gone] {
        let mut wire = Wire::connect(running.address("http").unwrap()).await.unwrap();
        wire.send("POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        arrives.recv().await.unwrap();
        teller.add("two", two.address).change("one", |replica| replica.phase = Phase::Paused).tell();
        until_causes(&handle, "one", Causes::NONE.with(Cause::Paused)).await;
        assert_eq!(body(&running, "web.test").await, "200 two", "it gets nothing new");
        assert!(wire.answer_within(Duration::from_millis(300), false).await.is_err(), "still waited for");
        teller.change("one", |replica| replica.phase = end).tell();
        if end == Phase::Running {
            go.add_permits(1);
            until_causes(&handle, "one", Causes::NONE).await;
            teller.remove("two").tell();
            until(LIMIT, "two has gone", async || causes(&handle, "two").is_none()).await;
        }
        let status = if end == Phase::Running { 200 } else { 502 };
        assert_eq!(wire.answer_within(SOON, false).await.unwrap().status, status);
    }
    running.drain_and_stop(Duration::ZERO, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_flaps_finds_itself() {
    let target = Target::answering("one").await;
    let (mut teller, provider) = docker();
    teller.add("one", target.address);
    let running = started(&mut teller, provider).await;
    let handle = running.handle();
    until_causes(&handle, "one", Causes::NONE).await;
    let known = || handle.view().upstream("web.shop").and_then(|web| web.pool().targets().first().cloned());
    let before = known().unwrap();
    // Gone from the engine, but its service's route stays for the grace.
    teller.change("one", |replica| replica.phase = Phase::Gone).tell();
    until(LIMIT, "it has gone", async || known().is_none()).await;
    assert!(before.target.causes().has(Cause::Gone), "{:?}", before.target);
    teller.change("one", |replica| replica.phase = Phase::Running).tell();
    until_causes(&handle, "one", Causes::NONE).await;
    assert!(Arc::ptr_eq(&before.target, &known().unwrap().target));
    running.drain_and_stop(Duration::ZERO, SOON).await;
}
