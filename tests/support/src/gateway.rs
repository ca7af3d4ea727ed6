//! The gateway as a child process, reached as a user reaches it: by its listeners, its admin API on a Unix socket, its
//! signals and its log.

use crate::metrics;
use crate::wait::{eventually, until};
use crate::wire::{Answer, Wire};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// 20 s: a start waits for its providers' first facts.
const START_MAX: Duration = Duration::from_secs(20);

/// How the gateway is started.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The binary.
    pub binary: &'a Path,
    /// The document, as YAML. [`Start::document`] makes one around the parts that matter.
    pub document: String,
    /// A network namespace to run in.
    pub namespace: Option<String>,
}

/// A gateway that runs until it is dropped.
pub struct Gateway {
    /// What started it, and starts it again.
    command: Command,
    child: Child,
    /// Processes that took its place, one after another.
    heirs: Vec<u32>,
    folder: TempDir,
    /// Its plain listener.
    pub http: SocketAddr,
}

/// The head of a document: listeners on port 0 of loopback, the admin API on a Unix socket in the document's folder, no
/// access log. `gateway` is more of the `gateway` key, indented by two.
#[must_use]
pub fn document(gateway: &str, rest: &str) -> String {
    format!(
        "_format_version: \"3.0\"\ngateway:\n  workers: 2\n  listeners:\n  - {{name: http, address: \"127.0.0.1:0\"}}\n  \
         admin: {{address: \"unix:admin.sock\"}}\n  access_log: false\n{gateway}\n{rest}\n"
    )
}

impl Gateway {
    /// Starts one and waits until it is ready. Panics with its log where it does not get so far.
    pub async fn start(start: Start<'_>) -> Self {
        let mut command = match &start.namespace {
            None => Command::new(start.binary),
            Some(name) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{name}")).arg(start.binary);
                command
            }
        };
        command.stdin(Stdio::null());
        Self::start_by(command, &start.document).await
    }

    /// As [`Gateway::start`], by a command that ends in running the binary with the arguments that are added to it.
    pub async fn start_by(mut command: Command, document: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plimsoll.yaml");
        std::fs::write(&file, document).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.arg("run").arg("--config").arg(&file).current_dir(folder.path());
        command.stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let child = command.spawn().expect("the gateway starts");
        let http = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self { command, child, heirs: Vec::new(), folder, http };
        gateway.http = gateway.ready().await;
        gateway
    }

    /// Waits until it is ready, and tells the address of its plain listener.
    async fn ready(&mut self) -> SocketAddr {
        eventually(START_MAX, "the gateway to be ready", async || {
            let ended = self.child.try_wait().expect("its state can be read");
            assert!(ended.is_none(), "the gateway ended ({ended:?}):\n{}", self.log());
            let ready = self.admin("GET", "/readyz", "").await.is_some_and(|answer| answer.status == 200);
            if ready { self.listener("http").await } else { None }
        })
        .await
    }

    /// Kills it, and waits until it is dead. Who took another's place was to be adopted.
    pub async fn kill(&mut self, limit: Duration) {
        self.signal(Signal::KILL);
        let status = self.ended(limit).await;
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{}", self.log());
    }

    /// Starts it again when it has ended, as who supervises it does, with this document, and waits until it is ready. Its log goes
    /// on. Others know its plain listener by its address, which the document was to name.
    pub async fn start_again(&mut self, document: &str) {
        std::fs::write(self.document_path(), document).unwrap();
        self.heirs.clear();
        self.child = self.command.spawn().expect("the gateway starts");
        let http = self.ready().await;
        assert_eq!(http, self.http, "it listens elsewhere");
    }

    /// The bound address of a listener by name.
    pub async fn listener(&self, name: &str) -> Option<SocketAddr> {
        let status = self.admin_json("/status").await?;
        let listener = status.get("listeners")?.as_array()?.iter().find(|listener| listener["name"] == name)?;
        listener["address"].as_str()?.parse().ok()
    }

    /// One request to the admin API; `None` where it does not answer.
    pub async fn admin(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let mut wire = Wire::connect_unix(&self.folder.path().join("admin.sock")).await.ok()?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/yaml\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        wire.send(head + body).await.ok()?;
        wire.answer(false).await.ok()
    }

    /// A GET of the admin API, as JSON.
    pub async fn admin_json(&self, path: &str) -> Option<Value> {
        serde_json::from_slice(&self.admin("GET", path, "").await?.body).ok()
    }

    /// One value of its metrics, summed over the series that have these labels.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        metrics::value(&self.admin("GET", "/metrics", "").await?.text(), name, labels)
    }

    /// Waits until exactly `count` targets of an upstream may be picked.
    pub async fn healthy(&self, limit: Duration, upstream: &str, count: u32) {
        let labels = [("upstream", upstream), ("state", "healthy")];
        until(limit, &format!("{count} healthy targets of {upstream}"), async || {
            self.metric("plimsoll_upstream_targets", &labels).await.unwrap_or(0.0) == f64::from(count)
        })
        .await;
    }

    /// Replaces the document, by rename as editors do, and waits until it is read: served, or refused where it is broken.
    pub async fn rewrite(&self, document: &str) {
        let stamp = "plimsoll_config_last_reload_timestamp_seconds";
        let before = self.reloads().await;
        let new = self.folder.path().join("plimsoll.yaml.new");
        std::fs::write(&new, document).unwrap();
        std::fs::rename(new, self.document_path()).unwrap();
        until(Duration::from_secs(10), stamp, async || self.reloads().await != before).await;
    }

    /// What changes with every reload, good or bad.
    async fn reloads(&self) -> Option<(u64, u64, u64)> {
        let text = self.admin("GET", "/metrics", "").await?.text();
        let bits = |name| metrics::value(&text, name, &[]).unwrap_or_default().to_bits();
        Some((
            bits("plimsoll_config_generation"),
            bits("plimsoll_config_last_reload_successful"),
            bits("plimsoll_config_last_reload_timestamp_seconds"),
        ))
    }

    /// Where its document lies.
    #[must_use]
    pub fn document_path(&self) -> PathBuf {
        self.folder.path().join("plimsoll.yaml")
    }

    /// What it has written to stderr.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Bytes of memory that it holds now.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.pid())).expect("it runs");
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap();
        pages * u64::try_from(rustix::param::page_size()).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), signal).expect("it runs");
    }

    /// Has whoever takes its place become a child of this process when its own parent has ended, so that [`Gateway::ended`] can
    /// tell how that one ended, too.
    pub fn adopt_heirs() {
        set_child_subreaper(Some(getpid())).expect("Linux");
    }

    /// Waits for its end; where another process took its place, for that one's, which was to be adopted.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        if let Some(heir) = self.heirs.last() {
            let pid = Pid::from_raw(heir.cast_signed());
            let gone = async || waitpid(pid, WaitOptions::NOHANG).expect("it was adopted");
            let (_, status) = eventually(limit, "the end of who took over", gone).await;
            return ExitStatus::from_raw(status.as_raw());
        }
        self.first_ended(limit).await
    }

    async fn first_ended(&mut self, limit: Duration) -> ExitStatus {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("still running after {limit:?}:\n{}", self.log())).unwrap()
    }

    /// The process id of the one that serves.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.heirs.last().copied().unwrap_or_else(|| self.child.id().expect("it runs"))
    }

    /// Has a new process take over (USR2), and waits for the end of the old one.
    pub async fn replace(&mut self, limit: Duration) {
        let served = self.told("the new process serves").len();
        self.signal(Signal::USR2);
        self.replaced(served, limit).await;
    }

    /// Waits until a new process has taken over, after so many others, and for the end of the old one.
    pub async fn replaced(&mut self, others: usize, limit: Duration) {
        let old = self.pid();
        let new = self.next_told("the new process serves", others, limit).await;
        assert_ne!(new, old, "{}", self.log());
        self.heirs.push(new);
        if self.heirs.len() == 1 {
            let ended = self.first_ended(limit).await;
            assert!(ended.success(), "{ended:?}:\n{}", self.log());
        } else {
            until(limit, "the end of the old process", async || !runs(old)).await;
            // How it ended is told to who has adopted it alone.
            if let Ok(Some((_, status))) = waitpid(Pid::from_raw(old.cast_signed()), WaitOptions::NOHANG) {
                assert_eq!(status.as_raw(), 0, "{}", self.log());
            }
        }
    }

    /// The process that its log says this of, after so many others.
    pub async fn next_told(&self, words: &str, others: usize, limit: Duration) -> u32 {
        eventually(limit, words, async || self.told(words).get(others).copied()).await
    }

    /// Processes that its log says this of.
    #[must_use]
    pub fn told(&self, words: &str) -> Vec<u32> {
        let log = self.log();
        let pids = log.lines().filter(|line| line.contains(words)).filter_map(|line| {
            let (_, after) = line.split_once("pid=")?;
            after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        });
        pids.collect()
    }
}

/// Whether a process runs: one that ended and that nobody has asked for does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for pid in self.heirs.iter().filter(|pid| runs(**pid)) {
            // It may end at this very moment.
            kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).ok();
        }
        if std::thread::panicking() {
            eprintln!("--- the gateway's log\n{}---", self.log());
        }
    }
}
