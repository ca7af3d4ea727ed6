//! The gateway's own log where nobody reads it, where it cannot be written, and at the end.

use plimsoll_test_support::client::Client;
use plimsoll_test_support::gateway::{Gateway, document};
use plimsoll_test_support::load::Load;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::{eventually, until};
use plimsoll_test_support::wire::Wire;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_plimsoll");
const LIMIT: Duration = Duration::from_secs(30);
/// A local process that prints some 500 KB a second: it fills a pipe at once, and soon what the gateway keeps.
const CHATTY: &str = "while sleep 0.1; do head -c 51000 /dev/zero | tr \"\\0\" x | fold -w 3000; echo; done";

/// A service with a target, and a pool of a local process that runs this.
fn with_process(target: &Target, script: &str) -> String {
    let rest = format!(
        "services:\n- {{name: web, url: \"http://{}\", routes: [{{name: web, hosts: [web.test]}}]}}\nupstreams:\n- name: \
         chatty\n  discover: {{process: {{command: [sh, -c, '{script}']}}}}\n",
        target.address
    );
    document("  log: {queue: 64KiB}", &rest)
}

/// A gateway whose stderr is this file.
async fn start(stderr: &Path, document: &str) -> Gateway {
    let mut command = Command::new("sh");
    command.arg("-c").arg("exec \"$0\" \"$@\" 2>\"$ITS_STDERR\"").arg(BINARY).env("ITS_STDERR", stderr);
    command.stdin(Stdio::null());
    Gateway::start_by(command, document).await
}

/// A pipe with a name, which somebody has open and does not read.
fn pipe(folder: &TempDir) -> (std::path::PathBuf, File) {
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    let held = File::options().read(true).write(true).open(&path).expect("it is opened");
    (path, held)
}

async fn lines_are_dropped(gateway: &Gateway) {
    let dropped = async || gateway.metric("plimsoll_log_dropped_total", &[]).await.unwrap_or_default();
    until(LIMIT, "lines that are dropped", async || dropped().await > 0.0).await;
}

async fn serves(gateway: &Gateway) {
    assert_eq!(gateway.admin("GET", "/readyz", "").await.map(|answer| answer.status), Some(200));
    let answer = Client::http1(gateway.http).get("web.test", "/").await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
}

/// Processes that were started with this document.
fn run_with(document: &Path) -> Vec<Pid> {
    let folders = std::fs::read_dir("/proc").expect("Linux").flatten();
    let has = |path: &Path| {
        let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == document.as_os_str().as_encoded_bytes())
    };
    let pids = folders.filter(|entry| has(&entry.path()));
    pids.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Ends them when the test does, however it does.
struct Ended<'a>(&'a Path);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        for pid in run_with(self.0) {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

#[tokio::test]
async fn a_stderr_that_nobody_reads_costs_lines_and_keeps_nothing_from_going_on() {
    let target = Target::sample("web", "one").await;
    let folder = tempfile::tempdir().expect("a folder");
    let (path, held) = pipe(&folder);
    let text = with_process(&target, CHATTY);
    let mut gateway = start(&path, &text).await;
    let document = gateway.document_path();
    let _ended = Ended(&document);
    lines_are_dropped(&gateway).await;
    let load = Load { rate: 300, ..Load::new(gateway.http, "web.test", "web") }.start();
    gateway.rewrite(&text.replace("name: web, hosts", "name: new, hosts")).await;
    assert_eq!(gateway.admin("GET", "/routes/new", "").await.map(|answer| answer.status), Some(200));
    gateway.rewrite("nonsense").await;
    serves(&gateway).await;
    gateway.signal(Signal::USR2);
    assert!(gateway.ended(LIMIT).await.success(), "its place was taken");
    load.go_on(Duration::from_millis(300)).await;
    load.stop().await.assert_none_lost();
    serves(&gateway).await;
    lines_are_dropped(&gateway).await;
    let [new] = run_with(&document)[..] else { panic!("one process serves: {:?}", run_with(&document)) };
    kill_process(new, Signal::TERM).expect("it runs");
    until(LIMIT, "the end of the new process", async || run_with(&document).is_empty()).await;
    drop(held);
}

#[tokio::test]
async fn a_full_disk_costs_lines_of_the_log_and_nothing_else() {
    let target = Target::sample("web", "one").await;
    let mut gateway = start(Path::new("/dev/full"), &with_process(&target, CHATTY)).await;
    lines_are_dropped(&gateway).await;
    serves(&gateway).await;
    gateway.signal(Signal::TERM);
    assert!(gateway.ended(LIMIT).await.success());
}

#[tokio::test]
async fn what_was_dropped_is_told_when_somebody_reads_again() {
    let target = Target::sample("web", "one").await;
    let folder = tempfile::tempdir().expect("a folder");
    let (path, mut held) = pipe(&folder);
    let gateway = start(&path, &with_process(&target, CHATTY)).await;
    lines_are_dropped(&gateway).await;
    let told = tokio::task::spawn_blocking(move || {
        let (mut text, mut buffer) = (String::new(), [0; 64 << 10]);
        loop {
            let read = held.read(&mut buffer).expect("it is read");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            if let Some(line) = text.lines().find(|line| line.contains("were dropped") && line.contains("lines=")) {
                return line.to_owned();
            }
        }
    });
    let line = tokio::time::timeout(LIMIT, told).await.expect("in time").expect("it is found");
    let count: f64 = line
        .split_once("lines=")
        .and_then(|(_, count)| count.split_whitespace().next()?.parse().ok())
        .expect("a number");
    assert!(count >= 1.0, "{line}");
}

/// More than a pipe holds, and less than the gateway keeps.
const LINES: usize = 100;

#[tokio::test]
async fn stderr_has_every_line_when_the_process_has_ended() {
    let target = Target::sample("web", "one").await;
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "i=0; while [ $i -lt {LINES} ]; do i=$((i + 1)); echo line $i of $(head -c 1000 /dev/zero | tr \"\\0\" x); done; \
         exec sleep 1000"
    );
    let file = folder.path().join("plimsoll.yaml");
    std::fs::write(&file, with_process(&target, &script).replace("64KiB", "1MiB")).expect("a document");
    let (mut reads, writes) = std::io::pipe().expect("a pipe");
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--config").arg(&file).current_dir(folder.path()).kill_on_drop(true);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writes).spawn().expect("it starts");
    drop(command);
    let socket = folder.path().join("admin.sock");
    // All was printed when the process has become another one.
    let printed = async || {
        let mut wire = Wire::connect_unix(&socket).await.ok()?;
        wire.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
        (wire.answer(false).await.ok()?.status == 200 && sleeps(child.id()?)).then_some(())
    };
    eventually(LIMIT, "the local process", printed).await;
    kill_process(Pid::from_raw(child.id().expect("it runs").cast_signed()).expect("a pid"), Signal::TERM)
        .expect("it runs");
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        reads.read_to_string(&mut text).map(|_| text)
    });
    assert!(child.wait().await.expect("its end").success());
    let text = read.await.expect("it is read").expect("text");
    for number in 1..=LINES {
        assert!(text.contains(&format!("line {number} of ")), "line {number} is missing");
    }
    assert!(text.trim_end().ends_with("stopped"), "{:?}", text.lines().last());
}

/// Whether a descendant of this process runs `sleep`.
fn sleeps(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()).collect::<Vec<_>>()
    });
    let name = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    children.into_iter().any(|child| name(child).trim() == "sleep" || sleeps(child))
}
