//! Containers of one test: told apart by a label of its own, and removed with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// One test's containers, images and networks.
pub(crate) struct Lab {
    /// The value of the label `plimsoll-test` of all that is in it; also the prefix of every name.
    pub(crate) name: String,
    /// Another engine than the default one: what comes after `docker -H`.
    host: Option<String>,
}

impl Lab {
    /// `None`, with a line that says so, where there is no engine.
    pub(crate) fn open() -> Option<Self> {
        let engine = Command::new("docker").args(["version", "--format", "{{.Server.APIVersion}}"]).output();
        if !engine.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("PLIMSOLL_REQUIRE_DOCKER").is_none(), "a Docker engine is required");
            println!("skipped: there is no Docker engine");
            return None;
        }
        Some(Self::on(None))
    }

    /// On the engine at `host`.
    pub(crate) fn on(host: Option<String>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let lab = Self { name: format!("plimsoll-e-{}-{count}", std::process::id()), host };
        lab.import("plain", &[]);
        lab
    }

    /// `docker` for this lab's engine.
    fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        if let Some(host) = &self.host {
            docker.args(["-H", host]);
        }
        docker
    }

    /// Makes the image `kind` of the sample server, with more of Dockerfile's instructions.
    pub(crate) fn import(&self, kind: &str, changes: &[&str]) {
        let sample = sample();
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(sample.parent().unwrap()).args(["-c", "sample"]).stdout(Stdio::piped());
        let mut tar = tar.spawn().expect("tar");
        let mut import = self.docker();
        let label = format!("LABEL plimsoll-test={}", self.name);
        let all = ["ENTRYPOINT [\"/sample\"]", "CMD [\"serve\"]", "EXPOSE 8080", &label];
        import.arg("import");
        for change in all.iter().chain(changes) {
            import.args(["-c", change]);
        }
        import.args(["-", &self.image(kind)]).stdin(tar.stdout.take().unwrap());
        run(&mut import);
        tar.wait().expect("tar");
    }

    pub(crate) fn image(&self, kind: &str) -> String {
        format!("{}:{kind}", self.name)
    }

    /// The full name of the container or network `short`.
    pub(crate) fn full(&self, short: &str) -> String {
        format!("{}-{short}", self.name)
    }

    /// `docker run -d` of `short` from the image `kind`; `more` are options.
    pub(crate) fn run(&self, short: &str, kind: &str, more: &[&str], command: &[&str]) {
        let (name, label, image) = (self.full(short), format!("plimsoll-test={}", self.name), self.image(kind));
        let mut all = vec!["run", "-d", "--name", &name, "--label", &label];
        all.extend(more);
        all.push(&image);
        all.extend(command);
        run(self.docker().args(all));
    }

    pub(crate) fn network(&self, short: &str) -> String {
        let name = self.full(short);
        run(self.docker().args(["network", "create", "--label", &format!("plimsoll-test={}", self.name), &name]));
        name
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let label = format!("label=plimsoll-test={}", self.name);
        let list = |what: &[&str]| {
            let output = self.docker().args(what).args(["--filter", &label]).output().expect("docker");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let remove = |what: &[&str], ids: Vec<String>| {
            if !ids.is_empty() {
                self.docker().args(what).args(ids).output().ok();
            }
        };
        remove(&["rm", "-f", "-v"], list(&["ps", "-a", "-q"]));
        remove(&["network", "rm"], list(&["network", "ls", "-q"]));
        remove(&["rmi", "-f"], list(&["images", "-q"]));
    }
}

/// Runs `docker` to its end; what it printed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    run(Command::new("docker").args(arguments))
}

fn run(command: &mut Command) -> String {
    let output = command.stderr(Stdio::piped()).output().expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The sample server as a static binary, built once by the compiler alone.
fn sample() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker_provider/sample.rs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docker_provider");
    let binary = folder.join("sample");
    let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if time(&binary) > time(&source) {
        return binary;
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    // Tests run side by side: each builds its own and renames it.
    let own = folder.join(format!("sample-{}", std::process::id()));
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-C", "opt-level=s", "-C", "strip=symbols", "-C", "target-feature=+crt-static"]);
    rustc.args(["--target", "x86_64-unknown-linux-gnu", "-o"]).arg(&own).arg(&source);
    run(&mut rustc);
    std::fs::rename(&own, &binary).expect("it is renamed");
    binary
}
