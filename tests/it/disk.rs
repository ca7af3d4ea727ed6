//! Where the access log is written to is full, or nobody reads it.

use plimsoll_test_support::gateway::{Gateway, Start, document};
use plimsoll_test_support::load::Load;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::until;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A gateway whose access log goes to `log`, before one target.
async fn start(target: &Target, log: &str) -> Gateway {
    let rest = format!(
        "services:\n- {{name: web, url: \"http://{}\", routes: [{{name: web, hosts: [web.test]}}]}}\n",
        target.address
    );
    let document = document("", &rest).replace("access_log: false", &format!("access_log: {{path: {log:?}}}"));
    Gateway::start(Start { binary: Path::new(env!("CARGO_BIN_EXE_plimsoll")), document, namespace: None }).await
}

async fn dropped(gateway: &Gateway) -> f64 {
    gateway.metric("plimsoll_access_log_dropped_total", &[]).await.unwrap_or_default()
}

#[tokio::test]
async fn a_full_disk_costs_lines_of_the_access_log_and_no_request() {
    let target = Target::sample("web", "one").await;
    let gateway = start(&target, "/dev/full").await;
    let load = Load { rate: 300, ..Load::new(gateway.http, "web.test", "web") }.start();
    until(LIMIT, "lines that are dropped", async || dropped(&gateway).await > 300.0).await;
    load.stop().await.assert_none_lost();
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_costs_lines_of_the_access_log_and_no_request() {
    let target = Target::sample("web", "one").await;
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    // Somebody has it open, and never reads.
    let held = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("it is opened");
    let mut gateway = start(&target, &pipe.display().to_string()).await;
    // Lines of some 8 KiB fill what the pipe and the worker's blocks take.
    let path = format!("/{}", "a".repeat(7000));
    let client = plimsoll_test_support::client::Client::http1(gateway.http);
    until(LIMIT, "lines that are dropped", async || {
        for _ in 0..50 {
            let answer = client.get("web.test", &path).await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 200);
        }
        dropped(&gateway).await > 0.0
    })
    .await;
    let load = Load { rate: 300, ..Load::new(gateway.http, "web.test", "web") }.start();
    load.go_on(Duration::from_millis(500)).await;
    load.stop().await.assert_none_lost();
    gateway.signal(rustix::process::Signal::TERM);
    assert!(gateway.ended(LIMIT).await.success(), "a stuck pipe keeps nobody from ending");
    drop(held);
}
