//! The memory limit of the gateway's own container.

use crate::adapter::{FOLLOWS, lab};
use crate::image::{image, published};
use plimsoll_test_support::docker::{Lab, build_static};
use plimsoll_test_support::metrics;
use plimsoll_test_support::wait::{eventually, until};
use plimsoll_test_support::wire::{Answer, Wire};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const MIB: u64 = 1 << 20;
/// Large enough that a tenth of it is more than what comes within a second here.
const LIMIT: u64 = 256 * MIB;

/// For a container to be filled by many clients.
const LONG: Duration = Duration::from_secs(60);
/// Between two MiB: some tens of them a second could fill what is left before it is looked at.
const STEP: Duration = Duration::from_millis(100);

/// A gateway in a container with a memory limit.
struct Limited {
    lab: Lab,
    name: String,
    http: SocketAddr,
    status: SocketAddr,
}

impl Limited {
    async fn start(lab: Lab, limit: u64) -> Self {
        let replica = lab.replica("web", "one", "").await;
        let inspected = format!("inspect -f {{{{.NetworkSettings.IPAddress}}}} {}", replica.name);
        let target = lab.engine.run(&inspected).await;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("ours");
        let document = format!(
            "_format_version: \"3.0\"\ngateway:\n  listeners: [{{name: http, address: \"0.0.0.0:8000\"}}]\n  \
             status: {{address: \"0.0.0.0:8100\"}}\n  providers: {{docker: false}}\n  \
             access_log: false\nservices:\n- {{name: web, url: \"http://{target}:8000\", routes: [{{name: web, paths: [/]}}]}}\n"
        );
        std::fs::write(folder.path().join("plimsoll.yaml"), document).expect("ours");
        let holder = tokio::task::spawn_blocking(|| build_static("plimsoll-sample")).await.expect("the build ran");
        let (image, name, id) = (image(&lab).await, lab.name("gateway"), &lab.id);
        lab.engine
            .run(&format!(
                "run -d --name {name} -l test.run={id} --memory {limit} --memory-swap {limit} --no-healthcheck \
                 -p 127.0.0.1::8000 -p 127.0.0.1::8100 -v {}:/etc/plimsoll:ro -v {}:/sample:ro {image}",
                folder.path().display(),
                holder.display()
            ))
            .await;
        let (http, status) = (published(&lab, &name, 8000).await, published(&lab, &name, 8100).await);
        let limited = Self { lab, name, http, status };
        until(FOLLOWS, "the gateway", async || limited.get().await.is_some_and(|answer| answer.status == 200)).await;
        limited
    }

    async fn get(&self) -> Option<Answer> {
        ask(self.http, "/").await
    }

    async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        metrics::value(&ask(self.status, "/metrics").await?.text(), name, labels)
    }

    /// Waits until it does, and sees that it said so and never died.
    async fn serves_again(&self) {
        until(FOLLOWS, "requests to be served again", async || {
            self.get().await.is_some_and(|answer| answer.status == 200)
        })
        .await;
        assert_eq!(self.told("memory is nearly used up").await, 1);
        assert_eq!(self.told("there is memory again").await, 1);
        let died = format!("inspect -f {{{{.State.OOMKilled}}}},{{{{.State.Running}}}} {}", self.name);
        assert_eq!(self.lab.engine.run(&died).await, "false,true");
    }

    /// How many lines of its log have these words.
    async fn told(&self, words: &str) -> usize {
        let output =
            Command::new("docker").args(["logs", &self.name]).env("DOCKER_HOST", self.lab.engine.host()).output();
        let output = output.await.expect("docker runs");
        String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains(words)).count()
    }
}

async fn ask(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut wire = Wire::connect(address).await.ok()?;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n")).await.ok()?;
    wire.answer(false).await.ok()
}

/// A process beside the gateway, in its container.
struct Holder {
    child: Child,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    async fn start(limited: &Limited) -> Self {
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &limited.name, "/sample", "hold"]).env("DOCKER_HOST", limited.lab.engine.host());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("docker runs");
        let stdin = child.stdin.take().expect("it is piped");
        let said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut holder = Self { child, stdin, said };
        // What starting it took of the container's memory is free again once it answers.
        holder.hold(0).await;
        holder
    }

    async fn hold(&mut self, mib: u64) {
        self.stdin.write_all(format!("{mib}\n").as_bytes()).await.expect("it runs");
        let said = tokio::time::timeout(FOLLOWS, self.said.next_line()).await.expect("in time");
        assert_eq!(said.expect("it runs"), Some(mib.to_string()), "it was killed");
    }

    async fn end(mut self) {
        drop(self.stdin);
        let ended = tokio::time::timeout(FOLLOWS, self.child.wait()).await.expect("in time").expect("it ran");
        assert!(ended.success(), "{ended}");
    }
}

#[tokio::test]
async fn near_the_containers_memory_limit_new_requests_are_shed_until_there_is_room_again() {
    let Some(lab) = lab().await else { return };
    let limited = Limited::start(lab, LIMIT).await;
    let limit =
        eventually(FOLLOWS, "the limit", async || limited.metric("plimsoll_memory_limit_bytes", &[]).await).await;
    #[expect(clippy::cast_precision_loss, reason = "a round number")]
    let expected = LIMIT as f64;
    assert!((limit - expected).abs() < 1.0, "{limit}");
    // Under way, and known to be: a byte has come back.
    let mut tunnel = Wire::connect(limited.http).await.expect("a connection");
    tunnel
        .send("GET /echo HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await
        .expect("open");
    assert_eq!(tunnel.head().await.expect("an answer").status, 101);
    tunnel.send("a").await.expect("open");
    assert_eq!(tunnel.read_exact(1).await.expect("its echo"), b"a");

    let mut holder = Holder::start(&limited).await;
    let used = limited.metric("plimsoll_memory_used_bytes", &[]).await.expect("there is a limit");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of a container")]
    let used = used as u64;
    assert!((MIB..LIMIT / 2).contains(&used), "{used} bytes are used by a gateway with nothing to do");
    // Most of it at once, the rest in steps that are small beside what a look a second could miss: what was read may hold
    // what starting a process takes.
    let mut mib = (LIMIT / 5 * 4 - used) / MIB;
    let shed = eventually(FOLLOWS, "a request that is shed", async || {
        holder.hold(mib).await;
        mib += 1;
        tokio::time::sleep(STEP).await;
        limited.get().await.filter(|answer| answer.status != 200)
    })
    .await;
    assert_eq!((shed.status, shed.field("retry-after")), (503, Some("1")), "{}", shed.text());
    assert!(shed.text().contains("The gateway is overloaded"), "{}", shed.text());
    assert!(limited.metric("plimsoll_requests_shed_total", &[("reason", "memory")]).await >= Some(1.0));
    tunnel.send("b").await.expect("it is open still");
    assert_eq!(tunnel.read_exact(1).await.expect("its echo"), b"b");

    holder.end().await;
    limited.serves_again().await;
}

#[tokio::test]
async fn what_the_gateway_itself_took_is_given_back_and_it_serves_again() {
    let Some(lab) = lab().await else { return };
    let limited = Limited::start(lab, 96 * MIB).await;
    let mut clients = Vec::new();
    eventually(LONG, "a request that is shed", async || {
        // Who asks for much and does not read has a buffer filled.
        let mut client = Wire::connect(limited.http).await.expect("a connection");
        client.send("GET /bytes?n=8000000&seed=1 HTTP/1.1\r\nHost: web.test\r\n\r\n").await.expect("open");
        clients.push(client);
        tokio::time::sleep(STEP / 4).await;
        if clients.len() % 16 > 0 {
            return None;
        }
        limited.get().await.filter(|answer| answer.status == 503)
    })
    .await;
    assert!(limited.metric("plimsoll_requests_shed_total", &[("reason", "memory")]).await >= Some(1.0));
    drop(clients);
    limited.serves_again().await;
}
