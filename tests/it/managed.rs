//! Under a service manager: what it is told, the sockets that it gives, process 1; and a start after the worst of ends.

use plimsoll_test_support::gateway::{Gateway, document};
use plimsoll_test_support::target::Target;
use plimsoll_test_support::wait::{eventually, until};
use plimsoll_test_support::wire::Wire;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::sync::mpsc;

const BINARY: &str = env!("CARGO_BIN_EXE_plimsoll");
const LIMIT: Duration = Duration::from_secs(30);

async fn status(address: SocketAddr, host: &str) -> Option<u16> {
    let mut wire = Wire::connect(address).await.ok()?;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await.ok()?;
    Some(wire.answer(false).await.ok()?.status)
}

/// What a service manager hears. It reads all the time, as one does: ten datagrams fill a socket, and then nobody is heard.
struct Manager {
    heard: mpsc::UnboundedReceiver<String>,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        let (hears, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let message = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
                if hears.send(message).is_err() {
                    return;
                }
            }
        });
        Self { heard, folder }
    }

    /// The next message with this line; those before it are passed over.
    async fn hears(&mut self, line: &str) -> String {
        self.hears_all(&[line]).await
    }

    /// Messages with each of these lines, in any order; the last of them.
    async fn hears_all(&mut self, lines: &[&str]) -> String {
        let mut missing = lines.to_vec();
        let hearing = async {
            loop {
                let message = self.heard.recv().await.expect("somebody listens");
                missing.retain(|line| !message.lines().any(|one| one == *line));
                if missing.is_empty() {
                    return message;
                }
            }
        };
        tokio::time::timeout(LIMIT, hearing).await.unwrap_or_else(|_| panic!("waited in vain for {lines:?}"))
    }
}

#[tokio::test]
async fn the_service_manager_is_told_of_start_reload_hand_over_and_end() {
    let mut manager = Manager::new();
    let mut command = Command::new(BINARY);
    command.env("NOTIFY_SOCKET", manager.folder.path().join("notify")).env("WATCHDOG_USEC", "200000");
    command.stdin(Stdio::null());
    let mut gateway = Gateway::start_by(command, &document("", "")).await;
    // A container engine of this machine may add routes.
    let ready = manager.hears("READY=1").await;
    assert!(ready.contains("STATUS=serving "), "{ready}");
    manager.hears("WATCHDOG=1").await;
    gateway.signal(Signal::HUP);
    let reloading = manager.hears("RELOADING=1").await;
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    manager.hears("READY=1").await;
    gateway.replace(LIMIT).await;
    // The new process is announced once it has lived for a while.
    manager.hears_all(&[&format!("MAINPID={}", gateway.pid()), "READY=1"]).await;
    manager.hears("WATCHDOG=1").await;
    gateway.signal(Signal::TERM);
    manager.hears("STOPPING=1").await;
}

/// Sockets as descriptors 3 and 4, with these names.
fn activated(first: TcpListener, second: TcpListener, names: &str) -> Command {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 4<&1 </dev/null >/dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"";
    command.arg("-c").arg(script).arg(BINARY).env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", names);
    command.stdin(Stdio::from(OwnedFd::from(first))).stdout(Stdio::from(OwnedFd::from(second)));
    command
}

#[tokio::test]
async fn sockets_of_the_service_manager_are_listened_on_and_handed_over() {
    let [first, second] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").expect("a socket"));
    let (by_name, by_address) = (first.local_addr().expect("its address"), second.local_addr().expect("its address"));
    let more = format!(
        "  listeners:\n  - {{name: web, address: \"0.0.0.0:1\"}}\n  - {{name: other, address: \"{by_address}\"}}"
    );
    let text = document("", "").replace("  listeners:\n  - {name: http, address: \"127.0.0.1:0\"}", &more);
    let mut command = activated(first, second, "web:plimsoll.socket");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plimsoll.yaml");
    std::fs::write(&file, &text).expect("a document");
    let log = std::fs::File::create(folder.path().join("log")).expect("a log");
    command.arg("run").arg("--config").arg(&file).current_dir(folder.path()).stderr(log).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    for address in [by_name, by_address] {
        // It waits in the queue until it is accepted.
        assert_eq!(status(address, "a.test").await, Some(404), "{address}");
    }
    let text = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let pid = Pid::from_raw(child.id().expect("it runs").cast_signed()).expect("a pid");
    kill_process(pid, Signal::USR2).expect("it runs");
    until(LIMIT, "a new process", async || text().contains("the new process serves")).await;
    assert!(child.wait().await.expect("its end").success(), "{}", text());
    for address in [by_name, by_address] {
        assert_eq!(status(address, "a.test").await, Some(404), "{address}");
    }
    let log = text();
    let (_, after) = log.split_once("the new process serves").expect("it does");
    let new: i32 =
        after.split_once("pid=").and_then(|(_, pid)| pid.split_whitespace().next()?.parse().ok()).expect("a pid");
    kill_process(Pid::from_raw(new).expect("a pid"), Signal::KILL).expect("it runs");
}

#[tokio::test]
async fn a_socket_that_fits_nothing_is_an_error_in_words() {
    let [first, second] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").expect("a socket"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("plimsoll.yaml"), document("", "")).expect("a document");
    let mut command = activated(first, second, "http:odd");
    command.arg("run").current_dir(folder.path()).stderr(Stdio::piped());
    let ended = command.spawn().expect("it starts").wait_with_output().await.expect("its end");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("nothing wants the socket `odd`") && said.contains("FileDescriptorName="), "{said}");
}

#[tokio::test]
async fn process_1_of_a_container_says_that_it_cannot_be_replaced_and_serves_on() {
    let may = Command::new("unshare").args(["--pid", "--fork", "true"]).stderr(Stdio::null()).status().await;
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no PID namespace can be made here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", BINARY]).stdin(Stdio::null());
    let gateway = Gateway::start_by(command, &document("", "")).await;
    let children = format!("/proc/{0}/task/{0}/children", gateway.pid());
    let children = std::fs::read_to_string(children).expect("it has one");
    let first = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    kill_process(first.expect("a pid"), Signal::USR2).expect("it runs");
    until(LIMIT, "the reason", async || gateway.log().contains("it is process 1 of its container")).await;
    assert_eq!(gateway.admin("GET", "/readyz", "").await.map(|answer| answer.status), Some(200));
}

/// How long after its start a gateway may serve a thousand routes here, where it is compiled for tests and the machine is
/// shared; alone it takes a tenth of that.
const SERVES_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_gateway_that_was_killed_serves_a_thousand_routes_again_soon_after_its_start() {
    let target = Target::sample("web", "one").await;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let mut rest = format!("upstreams:\n- name: pool\n  targets: [{{target: \"{}\"}}]\nservices:\n", target.address);
    for number in 0..1000 {
        write!(rest, "- name: s{number}\n  host: pool\n  routes: [{{name: r{number}, hosts: [h{number}.test]}}]\n")
            .expect("text");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = document("", &rest).replace("127.0.0.1:0", &free.to_string());
    std::fs::write(folder.path().join("plimsoll.yaml"), text).expect("a document");
    let start = || {
        let mut command = Command::new(BINARY);
        command.arg("run").current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true).spawn().expect("it starts")
    };
    let serves = async |began: Instant| {
        eventually(LIMIT, "an answer", async || status(free, "h999.test").await.filter(|status| *status == 200)).await;
        began.elapsed()
    };
    let mut best = Duration::MAX;
    for _ in 0..4 {
        #[expect(clippy::disallowed_methods, reason = "a process is timed")]
        let began = Instant::now();
        let mut child = start();
        best = best.min(serves(began).await);
        child.kill().await.expect("it runs");
    }
    eprintln!("a thousand routes are served {best:?} after a start");
    assert!(best < SERVES_WITHIN, "{best:?}");
}
