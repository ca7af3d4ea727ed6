//! An engine, driven through its command line as a user drives it, and a test's corner of it.

use super::image::sample_image;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// 60 s: no single engine command takes so long.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// A container engine.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Its socket.
    pub socket: PathBuf,
}

/// The machine's engine, or `None` with one clear line where there is none. With `PLIMSOLL_REQUIRE_DOCKER=1` a missing
/// engine is a failure.
pub async fn available() -> Option<Engine> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let engine = Engine { socket: host.trim_start_matches("unix://").into() };
    let why = match engine.command(&["version", "--format", "{{.Server.Version}}"]).output().await {
        Ok(output) if output.status.success() => return Some(engine),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("docker: {error}"),
    };
    assert!(std::env::var("PLIMSOLL_REQUIRE_DOCKER").as_deref() != Ok("1"), "no container engine: {why}");
    eprintln!("skipped: no container engine ({why}); PLIMSOLL_REQUIRE_DOCKER=1 makes that a failure");
    None
}

impl Engine {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(arguments).env("DOCKER_HOST", self.host()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// For `DOCKER_HOST`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Runs `docker …` and gives what it prints. Panics where it fails.
    pub async fn docker(&self, arguments: &[&str]) -> String {
        let output = tokio::time::timeout(COMMAND_MAX, self.command(arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("docker {arguments:?} hangs")).expect("docker runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The same with arguments in one text, split at blanks.
    pub async fn run(&self, command: &str) -> String {
        self.docker(&command.split_whitespace().collect::<Vec<_>>()).await
    }
}

/// A test's corner of an engine: its label, its image, its containers and networks, removed on drop.
pub struct Lab {
    /// The engine.
    pub engine: Engine,
    /// The sample's image.
    pub image: String,
    /// Unique on this machine; part of every name, and the value of the label `test.run`.
    pub id: String,
}

/// A container of the sample.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its name, which is also what it calls itself in answers.
    pub name: String,
    /// The engine's id.
    pub id: String,
}

impl Lab {
    /// A corner of `engine`, with the sample's image in place.
    pub async fn new(engine: Engine) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = format!("plt{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let image = sample_image(&engine).await;
        Self { engine, image, id }
    }

    /// The provider for a document's `gateway` key: this lab's containers alone.
    #[must_use]
    pub fn provider(&self) -> String {
        self.provider_at(&self.engine.socket.display().to_string())
    }

    /// The same through another socket.
    #[must_use]
    pub fn provider_at(&self, socket: &str) -> String {
        let id = &self.id;
        format!("  providers: {{docker: {{endpoint: \"unix:{socket}\", constraints: {{test.run: {id}}}}}}}")
    }

    /// A name of this lab's own.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.id)
    }

    /// A replica of `service` that is routed by host `SERVICE.test`. Replicas of a service share Compose's labels, so that
    /// they form one upstream, shown as `SERVICE.LAB`. `more` are further arguments of `docker run`; there is
    /// a health check only where they say so.
    pub async fn replica(&self, service: &str, name: &str, more: &str) -> Replica {
        let (name, lab, image) = (self.name(name), &self.id, &self.image);
        let health = if more.contains("--health") { "" } else { "--no-healthcheck" };
        let command = format!(
            "run -d --name {name} -l test.run={lab} -l com.docker.compose.project={lab} \
             -l com.docker.compose.service={service} -l plimsoll.enable=true -l plimsoll.target.port=8000 \
             -l plimsoll.route.hosts={service}.test -e SERVICE={service} -e REPLICA={name} {health} {more} {image}"
        );
        let id = self.engine.run(&command).await;
        Replica { name, id }
    }

    /// The upstream that replicas of a service form.
    #[must_use]
    pub fn upstream(&self, service: &str) -> String {
        format!("{service}.{}", self.id)
    }

    /// A network of this lab's own.
    pub async fn network(&self, name: &str) -> String {
        let (name, lab) = (self.name(name), &self.id);
        self.engine.run(&format!("network create --label test.run={lab} {name}")).await;
        name
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let filter = format!("label=test.run={}", self.id);
        self.engine.remove_all(&["ps", "-aq", "--filter", &filter], &["rm", "-f", "-v"]);
        self.engine.remove_all(&["network", "ls", "-q", "--filter", &filter], &["network", "rm"]);
    }
}

impl Engine {
    /// Removes everything that a list command names. Used on drop, so it waits without a runtime and does not panic.
    fn remove_all(&self, list: &[&str], remove: &[&str]) {
        let docker = |arguments: &[&str]| {
            std::process::Command::new("docker").args(arguments).env("DOCKER_HOST", self.host()).output().ok()
        };
        let Some(output) = docker(list) else { return };
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<_> = names.split_whitespace().collect();
        if !names.is_empty() {
            docker(&[remove, &names].concat());
        }
    }
}
