//! Secrets of a document: wherever it goes, nothing that the gateway says has them.

use plimsoll_test_support::metrics;
use plimsoll_test_support::target::Target;
use plimsoll_test_support::tls::Authority;
use plimsoll_test_support::wait::{eventually, until};
use plimsoll_test_support::wire::Wire;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_plimsoll");
const LIMIT: Duration = Duration::from_secs(30);
/// In an active check's header, in a process's environment, in a file.
const WORDS: [&str; 3] = ["s3cret-of-a-header", "s3cret-of-a-process", "s3cret-of-a-file"];

/// Documents with secrets, and the folder that they and the gateway's output are in.
struct Bench {
    folder: TempDir,
    /// Of the certificate.
    key: String,
    /// All of it as JSON in one line, which is YAML too: what is shown of a line may be shown of a secret.
    good: String,
    http: SocketAddr,
    admin: SocketAddr,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port")
}

impl Bench {
    fn new(target: &Target) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secret"), WORDS[2]).expect("a file");
        let identity = Authority::new().identity(&["web.test"]);
        let (http, admin) = (free(), free());
        let command = format!("exec '{BINARY}' __sample --address 127.0.0.1 --port $PORT");
        let good = serde_json::json!({
            "_format_version": "3.0",
            "gateway": {
                "listeners": [{"name": "http", "address": http.to_string()}],
                "admin": {"address": admin.to_string(), "allow": ["process", "discover"], "references": true},
                "access_log": {"path": "access.log"}, "log": {"level": "trace"}, "providers": {"docker": false},
            },
            "certificates": [{"cert": identity.certificate, "key": identity.key, "snis": [{"name": "web.test"}]}],
            "services": [{"name": "web", "host": "pool", "routes": [{"name": "web", "hosts": ["web.test"]}]}],
            "upstreams": [{
                "name": "pool",
                "targets": [{"target": target.address.to_string()}],
                "healthchecks": {"active": {
                    "headers": {"x-key": [WORDS[0]], "x-file": ["${file:secret}"]}, "healthy": {"interval": 0.1},
                }},
                "discover": {"process": {"env": {"A": WORDS[1], "B": "${file:secret}"}, "command": ["sh", "-c", command]}},
            }],
        });
        let key = identity.key.lines().nth(1).expect("a line of base64").to_owned();
        Self { folder, key, good: good.to_string(), http, admin }
    }

    /// Documents with mistakes beside secrets, all in the first line.
    fn bad(&self) -> Vec<String> {
        let changed = |what: &str, by: &str| {
            assert!(self.good.contains(what), "{what}: {}", self.good);
            self.good.replacen(what, by, 1)
        };
        let mut bare: serde_json::Value = serde_json::from_str(&self.good).expect("JSON");
        bare["certificates"][0]["key"] = self.key.as_str().into();
        vec![
            changed("\"x-key\":[", "\"x key\":["),
            changed("\"headers\":{", "\"headers\":[],\"headres\":{"),
            changed("\"headers\":{\"x-key\":[", "\"headers\":{\"x-key: s3cret-of-a-header\":[],\"x-key\":[1,"),
            changed("\"env\":{", "\"replicas\":\"two\",\"env\":{"),
            changed("\"env\":{", "\"environment\":{"),
            changed("\"A\":\"s3cret-of-a-process\"", "\"A=s3cret-of-a-process\":1"),
            changed("s3cret-of-a-process", "s3cret-of-a-process${s3cret-of-a-process}"),
            changed("\"key\":", "\"snis\":[1],\"key\":"),
            changed("\"key\":", "\"passphrase\":\"s3cret-of-a-header\",\"key\":"),
            changed("-----BEGIN PRIVATE KEY-----\\n", ""),
            changed("-----BEGIN PRIVATE KEY-----\\n", "-----BEGIN PRIVATE KEY-----\\nMIIE"),
            bare.to_string(),
            self.good.replace("{\"x-key\":", "{\"x-key\""),
            format!("{}]", self.good),
            self.good.replace("\"env\":{\"A\":", "\"env\":{\"A\":["),
        ]
    }

    fn write(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("plimsoll.yaml");
        std::fs::write(&path, text).expect("a document");
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(words).args(["--config", "plimsoll.yaml"]).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn start(&self) -> Serving<'_> {
        self.write(&self.good);
        let log = File::create(self.folder.path().join("log")).expect("a log");
        let child = self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        Serving { bench: self, child, heir: None }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut wire = Wire::connect(self.admin).await.ok()?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let kind = format!("Content-Type: application/yaml\r\nContent-Length: {}\r\n\r\n", body.len());
        wire.send(head + &kind + body).await.ok()?;
        let answer = wire.answer(false).await.ok()?;
        Some((answer.status, answer.text()))
    }

    #[track_caller]
    fn is_clean(&self, what: &str, text: &str) {
        for secret in WORDS.into_iter().chain([self.key.as_str(), "-----BEGIN PRIVATE"]) {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{what} has {secret}: {line:?}");
        }
    }
}

/// A gateway that runs, and who took its place.
struct Serving<'a> {
    bench: &'a Bench,
    child: Child,
    heir: Option<Pid>,
}

impl Serving<'_> {
    fn signal(&self, signal: Signal) {
        let own = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        kill_process(self.heir.unwrap_or(own), signal).expect("it runs");
    }

    async fn is_replaced(&mut self) {
        let pid = async || {
            let log = self.bench.log();
            let line = log.lines().find(|line| line.contains("the new process serves"))?;
            Pid::from_raw(line.split_once("pid=")?.1.split_whitespace().next()?.parse().ok()?)
        };
        self.heir = Some(eventually(LIMIT, "a new process", pid).await);
        // Until then it may be the one that is asked, and ends.
        let ended = async || self.child.try_wait().expect("its state can be read").is_some();
        until(LIMIT, "the end of the old process", ended).await;
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(heir) = self.heir {
            kill_process(heir, Signal::KILL).ok();
        }
    }
}

#[tokio::test]
async fn mistakes_beside_secrets_are_told_with_their_place_and_without_the_secrets() {
    let target = Target::sample("web", "one").await;
    let bench = Bench::new(&target);
    for bad in bench.bad() {
        bench.write(&bad);
        for words in [&["run"][..], &["check"], &["check", "--output", "json"], &["explain", "GET", "/"]] {
            let output = bench.command(words).output().expect("it runs");
            let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "{words:?}: {told}");
            bench.is_clean(&format!("{words:?}"), &told);
            assert!(told.contains("plimsoll.yaml:1:") || words.contains(&"json"), "{words:?}: {told}");
        }
    }
}

#[tokio::test]
async fn no_secret_of_a_document_leaves_the_gateway_whatever_becomes_of_it() {
    let target = Target::sample("web", "one").await;
    let bench = Bench::new(&target);
    let mut serving = bench.start();
    let healthy = async || {
        let metrics = bench.ask("GET", "/metrics", "").await.map(|(_, text)| text).unwrap_or_default();
        let labels = [("upstream", "pool"), ("state", "healthy")];
        metrics::value(&metrics, "plimsoll_upstream_targets", &labels) == Some(2.0)
    };
    until(LIMIT, "two healthy targets", &healthy).await;
    for (number, bad) in bench.bad().into_iter().enumerate() {
        bench.write(&bad);
        serving.signal(Signal::HUP);
        let refusals = async || bench.log().matches("the document was not applied").count() > number;
        until(LIMIT, "it is refused", refusals).await;
    }
    let (status, told) = bench
        .ask("POST", "/config", &bench.good.replacen("\"gateway\":", "\"_comment\":1,\"x\":", 1))
        .await
        .expect("an answer");
    assert_eq!(status, 400, "{told}");
    bench.is_clean("POST /config", &told);
    bench.write(&bench.good);
    serving.signal(Signal::USR2);
    serving.is_replaced().await;
    until(LIMIT, "two healthy targets of the new process", &healthy).await;
    let mut wire = Wire::connect(bench.http).await.expect("a connection");
    wire.send("GET /a HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n").await.expect("it is sent");
    assert_eq!(wire.answer(false).await.expect("an answer").status, 200);
    for path in [
        "/",
        "/config",
        "/snapshot",
        "/status",
        "/metrics",
        "/services",
        "/routes",
        "/upstreams",
        "/upstreams/pool",
        "/upstreams/pool/health",
        "/upstreams/pool/targets",
        "/certificates",
        "/explain?url=http://web.test/",
        "/readyz",
    ] {
        let (status, text) = bench.ask("GET", path, "").await.expect("an answer");
        assert!(status < 500, "{path}: {status} {text}");
        bench.is_clean(path, &text);
    }
    serving.signal(Signal::TERM);
    until(LIMIT, "the end", async || bench.log().matches("stopped").count() > 1).await;
    let access = || std::fs::read_to_string(bench.folder.path().join("access.log")).unwrap_or_default();
    // The last lines are written as it ends, after its last word.
    until(LIMIT, "the line of the request", async || access().contains("/a")).await;
    bench.is_clean("the access log", &access());
    bench.is_clean("stderr", &bench.log());
}
