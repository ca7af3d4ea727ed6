//! USR2: a new process takes the place of the old one under traffic, or does not and changes nothing.

use plimsoll_test_support::deployed::Deployed;
use plimsoll_test_support::gateway::{Gateway, Start, document};
use plimsoll_test_support::load::{Load, Mix};
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::Wire;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_plimsoll");
/// A start, and a drain that waits for idle clients.
const LIMIT: Duration = Duration::from_secs(30);

fn web(targets: &[&Target], more: &str) -> String {
    let targets: Vec<String> =
        targets.iter().map(|target| format!("  - {{target: \"{}\"}}\n", target.address)).collect();
    format!(
        "services:\n- name: web\n  host: pool\n  routes:\n  - {{name: web, hosts: [web.test]}}\n{more}upstreams:\n- name: \
         pool\n  targets:\n{}",
        targets.concat()
    )
}

fn with_workers(workers: u16, rest: &str) -> String {
    document("", rest).replace("workers: 2", &format!("workers: {workers}"))
}

async fn start(binary: &Path, document: String) -> Gateway {
    Gateway::start(Start { binary, document, namespace: None }).await
}

async fn status(gateway: &Gateway, host: &str) -> u16 {
    let mut wire = Wire::connect(gateway.http).await.expect("a connection");
    wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await.expect("it is sent");
    wire.answer(false).await.expect("an answer").status
}

async fn logged(gateway: &Gateway, words: &str) {
    until(LIMIT, words, async || gateway.log().contains(words)).await;
}

#[tokio::test]
async fn one_process_after_another_takes_over_and_nothing_is_lost() {
    let (one, two) = (Target::sample("web", "one").await, Target::sample("web", "two").await);
    let rest = web(&[&one, &two], "");
    let mut gateway = start(Path::new(BINARY), with_workers(2, &rest)).await;
    let address = gateway.http;
    let mix = Mix { get: 4, post: 2, slow: 1, fresh: 6 };
    let load = Load { rate: 300, mix, ..Load::new(address, "web.test", "web") }.start();
    for workers in [4, 1, 3] {
        gateway.rewrite(&with_workers(workers, &rest)).await;
        gateway.replace(LIMIT).await;
        assert_eq!(gateway.listener("http").await, Some(address), "the address stays");
        load.go_on(Duration::from_millis(500)).await;
    }
    load.stop().await.assert_none_lost();
}

#[tokio::test]
async fn what_nobody_could_pick_before_keeps_no_new_process_from_serving() {
    let (on, off) = (Target::answering("on").await, Target::answering("off").await);
    let unpickable = format!("- {{name: unpickable, targets: [{{target: \"{}\", weight: 0}}]}}\n", off.address);
    let mut gateway = start(Path::new(BINARY), document("", &(web(&[&on], "") + &unpickable))).await;
    gateway.replace(LIMIT).await;
    assert_eq!(status(&gateway, "web.test").await, 200);
}

#[tokio::test]
async fn what_was_posted_and_set_by_hand_is_taken_over() {
    let (one, two) = (Target::sample("web", "one").await, Target::sample("web", "two").await);
    let mut gateway = start(Path::new(BINARY), document("", &web(&[&one], ""))).await;
    let posted = format!("_format_version: \"3.0\"\n{}", web(&[&one, &two], "  - {name: more, hosts: [more.test]}\n"));
    assert_eq!(gateway.admin("POST", "/config", &posted).await.expect("an answer").status, 201);
    let by_hand = format!("/upstreams/pool/targets/{}/unhealthy", two.address);
    assert_eq!(gateway.admin("PUT", &by_hand, "").await.expect("an answer").status, 204);
    for _ in 0..2 {
        gateway.replace(LIMIT).await;
        assert_eq!(status(&gateway, "more.test").await, 200, "not rolled back to the file");
        let health = gateway.admin_json("/upstreams/pool/health").await.expect("an answer");
        let causes: Vec<_> = health["data"].as_array().expect("targets").iter().map(|one| &one["causes"]).collect();
        assert_eq!(causes, [&serde_json::json!([]), &serde_json::json!(["set by hand"])]);
    }
    // The file is followed on.
    gateway.rewrite(&document("", &web(&[&one], "  - {name: file, hosts: [file.test]}\n"))).await;
    assert_eq!((status(&gateway, "more.test").await, status(&gateway, "file.test").await), (404, 200));
}

#[tokio::test]
async fn a_document_that_is_broken_on_disk_does_not_keep_a_new_process_from_serving_the_running_one() {
    let one = Target::sample("web", "one").await;
    let mut gateway = start(Path::new(BINARY), document("", &web(&[&one], ""))).await;
    gateway.rewrite("services: [{hots: pool}]").await;
    gateway.replace(LIMIT).await;
    assert_eq!(status(&gateway, "web.test").await, 200);
    until(LIMIT, "the mistake to be told again", async || {
        gateway.metric("plimsoll_config_last_reload_successful", &[]).await == Some(0.0)
    })
    .await;
    assert_eq!(status(&gateway, "web.test").await, 200);
}

#[tokio::test]
async fn a_new_process_that_fails_leaves_the_old_one_serving() {
    let one = Target::sample("web", "one").await;
    let deployed = Deployed::new(Path::new(BINARY));
    let mut gateway = start(&deployed.path(), document("", &web(&[&one], ""))).await;
    let pid = gateway.pid();
    let load = Load::new(gateway.http, "web.test", "web").start();
    deployed.replace("exit 7");
    gateway.signal(Signal::USR2);
    logged(&gateway, "exit status: 7").await;
    deployed.replace("exec sleep 1000");
    gateway.signal(Signal::USR2);
    logged(&gateway, "a new process is started").await;
    until(LIMIT, "a second attempt", async || gateway.log().matches("a new process is started").count() == 2).await;
    gateway.signal(Signal::USR2);
    logged(&gateway, "this USR2 starts no other").await;
    logged(&gateway, "did not say `hello`").await;
    deployed.remove();
    gateway.signal(Signal::USR2);
    logged(&gateway, "cannot start").await;
    assert_eq!(gateway.metric("plimsoll_handover_failures_total", &[]).await, Some(3.0));
    assert_eq!(gateway.pid(), pid);
    let posted = format!("_format_version: \"3.0\"\n{}", web(&[&one], "  - {name: more, hosts: [more.test]}\n"));
    assert_eq!(
        gateway.admin("POST", "/config", &posted).await.expect("an answer").status,
        201,
        "documents are taken in"
    );
    deployed.restore();
    gateway.replace(LIMIT).await;
    assert_eq!(status(&gateway, "more.test").await, 200);
    load.stop().await.assert_none_lost();
}

#[tokio::test]
async fn told_to_stop_while_a_new_process_starts_both_stop() {
    let deployed = Deployed::new(Path::new(BINARY));
    let mut gateway = start(&deployed.path(), document("", "")).await;
    let mark = deployed.beside("pid");
    deployed.replace(&format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 1000", mark.display()));
    gateway.signal(Signal::USR2);
    until(LIMIT, "the new process", async || mark.exists()).await;
    let new = std::fs::read_to_string(&mark).expect("its pid");
    gateway.signal(Signal::TERM);
    assert!(gateway.ended(LIMIT).await.success());
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", new.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z"), "it is gone: {stat}");
    deployed.restore();
}

/// A pool of one local process, which does not start any more once `flag` is there.
fn local(flag: &Path) -> String {
    let script = format!(
        "if [ -e '{}' ]; then exec sleep 60; fi; exec '{BINARY}' __sample --address 127.0.0.1 --port $PORT",
        flag.display()
    );
    format!(
        "services:\n- name: web\n  host: pool\n  routes:\n  - {{name: web, hosts: [web.test]}}\nupstreams:\n- name: pool\n  \
         discover: {{process: {{command: [sh, -c, \"{script}\"]}}}}\n"
    )
}

#[tokio::test]
async fn the_new_process_waits_for_local_processes_of_its_own_and_else_takes_nothing_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let flag = folder.path().join("flag");
    let mut gateway = start(Path::new(BINARY), document("", &local(&flag))).await;
    until(LIMIT, "the local process serves", async || status(&gateway, "web.test").await == 200).await;
    gateway.replace(LIMIT).await;
    assert_eq!(status(&gateway, "web.test").await, 200);
    std::fs::write(&flag, "").expect("it is written");
    let pid = gateway.pid();
    gateway.signal(Signal::USR2);
    logged(&gateway, "has no target that can be picked yet").await;
    assert_eq!((gateway.pid(), status(&gateway, "web.test").await), (pid, 200), "the old process serves on");
}

#[tokio::test]
async fn the_first_term_after_a_hand_over_lets_the_old_process_finish() {
    let one = Target::sample("web", "one").await;
    let mut gateway = start(Path::new(BINARY), document("", &web(&[&one], ""))).await;
    let mut wire = Wire::connect(gateway.http).await.expect("a connection");
    wire.send("GET /?ms=2000 HTTP/1.1\r\nHost: web.test\r\n\r\n").await.expect("it is sent");
    let under_way = [("upstream", "pool")];
    until(LIMIT, "the request is under way", async || {
        gateway.metric("plimsoll_upstream_inflight_requests", &under_way).await == Some(1.0)
    })
    .await;
    let (pid, log) = (gateway.pid(), gateway.document_path().with_file_name("log"));
    let told = async {
        let serves = async || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("the new process serves"));
        until(LIMIT, "the new process serves", serves).await;
        kill_process(Pid::from_raw(pid.cast_signed()).expect("a process"), Signal::TERM).expect("it drains");
    };
    let (answer, (), ()) = tokio::join!(wire.answer(false), gateway.replace(LIMIT), told);
    assert_eq!(answer.expect("an answer").status, 200);
}

/// A provider that is never heard of keeps a new process from being ready for three seconds.
fn slow_to_be_ready(rest: &str) -> String {
    document("  providers: {docker: {endpoint: \"unix:/nowhere\"}, sync_timeout: 3s}\n", rest)
}

/// What was posted, over what the file says: only HUP goes back to the file.
async fn post_one_more(gateway: &Gateway, one: &Target) {
    let posted = format!("_format_version: \"3.0\"\n{}", web(&[one], "  - {name: more, hosts: [more.test]}\n"));
    assert_eq!(gateway.admin("POST", "/config", &posted).await.expect("an answer").status, 201);
}

/// Up to where nothing is taken in any more.
async fn until_frozen(gateway: &Gateway) {
    until(LIMIT, "documents to be refused", async || {
        gateway.admin("POST", "/config", "_format_version: \"3.0\"\nroutes: 1\n").await.is_some_and(|a| a.status == 503)
    })
    .await;
}

#[tokio::test]
async fn a_hup_during_the_hand_over_is_heard_by_who_takes_over() {
    let one = Target::sample("web", "one").await;
    let mut gateway = start(Path::new(BINARY), slow_to_be_ready(&web(&[&one], ""))).await;
    post_one_more(&gateway, &one).await;
    gateway.signal(Signal::USR2);
    until_frozen(&gateway).await;
    gateway.signal(Signal::HUP);
    logged(&gateway, "a document was not taken in").await;
    assert_eq!(status(&gateway, "more.test").await, 200);
    gateway.replaced(0, LIMIT).await;
    until(LIMIT, "the file's document", async || status(&gateway, "more.test").await == 404).await;
}

#[tokio::test]
async fn a_hup_to_the_old_process_while_it_drains_is_passed_on() {
    let one = Target::sample("web", "one").await;
    let mut gateway = start(Path::new(BINARY), document("", &web(&[&one], ""))).await;
    post_one_more(&gateway, &one).await;
    let mut slow = Wire::connect(gateway.http).await.expect("a connection");
    slow.send("GET /?ms=3000 HTTP/1.1\r\nHost: web.test\r\n\r\n").await.expect("it is sent");
    gateway.signal(Signal::USR2);
    gateway.next_told("the new process serves", 0, LIMIT).await;
    assert_eq!(status(&gateway, "more.test").await, 200);
    // The first process still, which drains.
    gateway.signal(Signal::HUP);
    until(LIMIT, "the file's document", async || status(&gateway, "more.test").await == 404).await;
    gateway.replaced(0, LIMIT).await;
    assert_eq!(slow.answer(false).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_file_that_changes_during_the_hand_over_is_read_by_who_takes_over() {
    let one = Target::sample("web", "one").await;
    let mut gateway = start(Path::new(BINARY), slow_to_be_ready(&web(&[&one], ""))).await;
    gateway.signal(Signal::USR2);
    until_frozen(&gateway).await;
    let changed = slow_to_be_ready(&web(&[&one], "  - {name: more, hosts: [more.test]}\n"));
    std::fs::write(gateway.document_path(), changed).expect("it is written");
    logged(&gateway, "a document was not taken in").await;
    gateway.replaced(0, LIMIT).await;
    until(LIMIT, "the changed document", async || status(&gateway, "more.test").await == 200).await;
}

#[tokio::test]
async fn a_hup_during_a_hand_over_that_fails_is_heard_by_who_serves_on() {
    let one = Target::sample("web", "one").await;
    let gateway = start(Path::new(BINARY), slow_to_be_ready(&web(&[&one], ""))).await;
    post_one_more(&gateway, &one).await;
    gateway.signal(Signal::USR2);
    until_frozen(&gateway).await;
    gateway.signal(Signal::HUP);
    logged(&gateway, "a document was not taken in").await;
    kill(gateway.told("the new process runs")[0]);
    logged(&gateway, "handing over failed").await;
    until(LIMIT, "the file's document", async || status(&gateway, "more.test").await == 404).await;
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a process"), Signal::KILL).expect("it runs");
}

#[tokio::test]
async fn where_the_new_process_dies_the_old_one_serves_on() {
    let one = Target::sample("web", "one").await;
    let mut gateway = start(Path::new(BINARY), with_workers(2, &web(&[&one], ""))).await;
    let pid = gateway.pid();
    // A long answer is finished by who began it, whatever becomes of the other.
    let mut wire = Wire::connect(gateway.http).await.expect("a connection");
    wire.send("GET /?ms=4000 HTTP/1.1\r\nHost: web.test\r\n\r\n").await.expect("it is sent");
    for round in 0..2 {
        gateway.signal(Signal::USR2);
        let new = gateway.next_told("the new process serves", round, LIMIT).await;
        kill(new);
        until(LIMIT, "the old one to serve on", async || gateway.log().matches("serves on").count() > round).await;
        assert_eq!(status(&gateway, "web.test").await, 200);
        assert_eq!(gateway.metric("plimsoll_handover_failures_total", &[]).await, Some((round + 1) as f64));
        post_one_more(&gateway, &one).await;
        assert_eq!(status(&gateway, "more.test").await, 200, "documents are taken in");
        let load = Load::new(gateway.http, "web.test", "web").start();
        load.go_on(Duration::from_millis(500)).await;
        load.stop().await.assert_none_lost();
    }
    assert_eq!((gateway.pid(), wire.answer(false).await.expect("an answer").status), (pid, 200));
    gateway.replace(LIMIT).await;
    assert_eq!(status(&gateway, "more.test").await, 200);
}

#[tokio::test]
async fn connections_of_the_admin_api_end_when_another_process_answers() {
    let one = Target::sample("web", "one").await;
    let mut gateway = start(Path::new(BINARY), document("", &web(&[&one], ""))).await;
    let mut slow = Wire::connect(gateway.http).await.expect("a connection");
    slow.send("GET /?ms=3000 HTTP/1.1\r\nHost: web.test\r\n\r\n").await.expect("it is sent");
    let socket = gateway.document_path().with_file_name("admin.sock");
    let mut admin = Wire::connect_unix(&socket).await.expect("a connection");
    for _ in 0..2 {
        admin.send("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is sent");
        assert_eq!(admin.answer(false).await.expect("an answer").status, 200);
    }
    let old = gateway.pid();
    gateway.signal(Signal::USR2);
    assert_eq!(admin.read_to_end().await.expect("an end in good order"), b"");
    assert!(Path::new(&format!("/proc/{old}/cwd")).exists(), "the old process still drains");
    gateway.replaced(0, LIMIT).await;
    assert_eq!(slow.answer(false).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn the_file_of_a_socket_that_nobody_took_over_is_removed() {
    let mut gateway = start(Path::new(BINARY), document("", "")).await;
    let at = |name: &str| gateway.document_path().with_file_name(name);
    let (before, after) = (at("admin.sock"), at("moved.sock"));
    gateway.rewrite(&document("", "").replace("admin.sock", "moved.sock")).await;
    gateway.replace(LIMIT).await;
    assert_eq!((before.exists(), after.exists()), (false, true));
}

#[tokio::test]
async fn a_listener_that_leaves_the_document_while_the_old_process_drains_refuses_connections() {
    let one = Target::sample("web", "one").await;
    let rest = web(&[&one], "");
    let less = document("", &rest);
    let extra = "  listeners:\n  - {name: extra, address: \"127.0.0.1:0\"}\n";
    let mut gateway = start(Path::new(BINARY), less.replace("  listeners:\n", extra)).await;
    let address = gateway.listener("extra").await.expect("it is bound");
    let mut slow = Wire::connect(gateway.http).await.expect("a connection");
    slow.send("GET /?ms=6000 HTTP/1.1\r\nHost: web.test\r\n\r\n").await.expect("it is sent");
    let old = gateway.pid();
    gateway.signal(Signal::USR2);
    logged(&gateway, "took over").await;
    Wire::connect(address).await.expect("the new process listens");
    gateway.rewrite(&less).await;
    // Where the old process still listens, they wait in its queue for nobody.
    until(Duration::from_secs(4), "refusals", async || Wire::connect(address).await.is_err()).await;
    assert!(Path::new(&format!("/proc/{old}/cwd")).exists(), "the old process still drains");
    assert_eq!(slow.answer(false).await.expect("an answer").status, 200);
    gateway.replaced(0, LIMIT).await;
}
