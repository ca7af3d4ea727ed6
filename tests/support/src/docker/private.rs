//! An engine of a test's own, in a network namespace of its own, which the test may stop and kill. Beside the machine's
//! engine in one namespace it would rewrite that one's bridges and firewall rules.

use super::Engine;
use crate::wait::until;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// 30 s: a start on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);

/// The engine; ended, with everything it left mounted, on drop.
pub struct PrivateEngine {
    /// How to reach it while it runs.
    pub engine: Engine,
    /// The name of its network namespace.
    pub namespace: String,
    folder: TempDir,
    daemon: Option<Child>,
}

impl PrivateEngine {
    /// Makes the namespace and starts the engine. Its containers outlive it (live-restore).
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("plt").tempdir().expect("a folder");
        let namespace = format!("plt{}", std::process::id());
        let engine = Engine { socket: folder.path().join("docker.sock") };
        std::fs::write(folder.path().join("daemon.json"), "{}").unwrap();
        run(&["ip", "netns", "add", &namespace]);
        run(&["ip", "-n", &namespace, "link", "set", "lo", "up"]);
        let mut private = Self { engine, namespace, folder, daemon: None };
        private.start_again().await;
        private
    }

    /// Starts the engine after [`PrivateEngine::stop`] or [`PrivateEngine::kill`] and waits until it answers.
    pub async fn start_again(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        // It is left behind by KILL, and a new engine takes it for a running one's.
        drop(std::fs::remove_file(path("dockerd.pid")));
        let log = std::fs::File::options().create(true).append(true).open(path("log")).unwrap();
        let daemon = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .args(["dockerd", "--live-restore", "--storage-driver", "overlay2", "-H", &self.engine.host()])
            .args(["--config-file", &path("daemon.json"), "--data-root", &path("data")])
            .args(["--exec-root", &path("exec"), "--pidfile", &path("dockerd.pid")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.daemon = Some(daemon.expect("dockerd runs"));
        let socket = self.engine.socket.clone();
        until(START_MAX, "the private engine", async || {
            let Ok(mut wire) = crate::wire::Wire::connect_unix(&socket).await else { return false };
            let asked = wire.send("GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n").await;
            asked.is_ok() && wire.answer(false).await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }

    /// Ends the engine as a service manager does, and waits for its end.
    pub async fn stop(&mut self) {
        self.end("-TERM").await;
    }

    /// Kills the engine.
    pub async fn kill(&mut self) {
        self.end("-KILL").await;
    }

    async fn end(&mut self, signal: &str) {
        let mut daemon = self.daemon.take().expect("it runs");
        run(&["kill", signal, &daemon.id().expect("it runs").to_string()]);
        daemon.wait().await.expect("it is our child");
    }

    /// What the engine has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the private engine's log\n{}---", self.log());
        }
        // Containers are gone by now (the lab is dropped first). What is left: the daemon, its mounts, the namespace.
        if let Some(id) = self.daemon.as_ref().and_then(Child::id) {
            quietly(&["kill", "-TERM", &id.to_string()]);
            let gone = PathBuf::from(format!("/proc/{id}"));
            // `kill_on_drop` reaps it; up to 5 s for an orderly end, in which it also ends its containerd.
            for _ in 0..50 {
                let state = std::fs::read_to_string(gone.join("stat")).unwrap_or_default();
                if state.is_empty() || state.contains(") Z ") {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        quietly(&["umount", &self.folder.path().join("data").display().to_string()]);
        quietly(&["ip", "netns", "del", &self.namespace]);
    }
}

fn run(command: &[&str]) {
    let output = std::process::Command::new(command[0]).args(&command[1..]).output().expect("the program is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn quietly(command: &[&str]) {
    drop(std::process::Command::new(command[0]).args(&command[1..]).output());
}
