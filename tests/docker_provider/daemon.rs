//! A private engine that is restarted under a provider.

use crate::lab::Lab;
use crate::watching::{A_SECOND, Watching, find};
use plimsoll_core::model::{Facts, Freshness, Phase, RuntimeHealth};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A second engine in a network of its own, so that it shares nothing with the machine's: two in one network spoil each
/// other's rules.
struct Daemon {
    folder: tempfile::TempDir,
    netns: String,
    process: Option<Child>,
}

impl Daemon {
    /// `None`, with a line that says so, where it cannot be.
    fn start() -> Option<Self> {
        let netns = format!("plimsoll-e-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &netns]).output();
        let there = Command::new("dockerd").arg("--version").output().is_ok_and(|output| output.status.success());
        if !there || !made.is_ok_and(|output| output.status.success()) {
            let wants = "no second engine can be started here (it wants root, ip and dockerd: .ci/run setup)";
            assert!(std::env::var_os("PLIMSOLL_REQUIRE_DOCKER").is_none(), "{wants}");
            println!("skipped: {wants}");
            return None;
        }
        let mut daemon = Self { folder: tempfile::tempdir().expect("a folder"), netns, process: None };
        std::fs::write(daemon.path("daemon.json"), "{}").expect("a file");
        run(&["ip", "-n", &daemon.netns, "link", "set", "lo", "up"]);
        daemon.launch();
        Some(daemon)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    /// Starts the process and waits until it answers.
    fn launch(&mut self) {
        let option = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.netns)).args(["dockerd", "-H", &self.host(), "--live-restore"]);
        command.args([option("config-file", "daemon.json"), option("data-root", "data"), option("exec-root", "exec")]);
        command.args([option("pidfile", "dockerd.pid"), "--storage-driver=overlay2".to_owned()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        self.process = Some(process);
        let answers = || Command::new("docker").args(["-H", &self.host(), "version"]).output().expect("docker");
        for _ in 0..200 {
            if answers().status.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the second engine does not answer");
    }

    /// Ends the process; its containers live on.
    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            Command::new("kill").arg(process.id().to_string()).output().expect("kill");
            process.wait().expect("it ends");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        for mount in ["data", "exec"] {
            Command::new("umount").arg("-l").arg(self.path(mount)).output().ok();
        }
        Command::new("ip").args(["netns", "del", &self.netns]).output().ok();
    }
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_restarted_under_live_containers_changes_nothing() {
    if Lab::open().is_none() {
        return;
    }
    let Some(mut daemon) = Daemon::start() else { return };
    let lab = Lab::on(Some(daemon.host()));
    lab.import("checked", &["HEALTHCHECK --interval=1s --timeout=5s CMD [\"/sample\",\"health\"]"]);
    lab.run("a", "checked", &[], &[]);
    let mut seen = Watching::endpoint(&format!("unix:{}", daemon.path("docker.sock").display()));
    seen.until_fresh().await;
    let name = lab.full("a");
    let well = |facts: &Facts| {
        find(facts, &name).is_some_and(|one| one.phase == Phase::Running && one.health == RuntimeHealth::Healthy)
    };
    seen.until("healthy", Duration::from_secs(10), well).await;
    let before = seen.replica(&lab, "a");

    daemon.stop();
    seen.until("stale", A_SECOND, |facts| matches!(facts.freshness, Freshness::Stale { .. })).await;
    assert_eq!(seen.replica(&lab, "a"), before, "what was known stays");
    daemon.launch();
    seen.until("fresh", A_SECOND, |facts| facts.freshness == Freshness::Fresh).await;
    assert_eq!(seen.replica(&lab, "a"), before, "it lived through it, and its health is what it was");
    lab.run("b", "plain", &[], &[]);
    seen.until_phase(&lab, "b", Phase::Running).await;
}
