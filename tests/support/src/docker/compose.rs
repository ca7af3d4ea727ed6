//! A Compose project of a lab.

use super::Lab;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// 120 s: as long as the slowest of its commands may take.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// A project in a folder of its own, taken down on drop.
pub struct Compose<'a> {
    lab: &'a Lab,
    folder: TempDir,
}

impl<'a> Compose<'a> {
    /// A project with this file. Nothing is started yet.
    #[must_use]
    pub fn new(lab: &'a Lab, file: &str) -> Self {
        let compose = Self { lab, folder: tempfile::tempdir().expect("a folder") };
        compose.rewrite(file);
        compose
    }

    /// The service `web`, labelled like [`Lab::replica`], with an environment of its own.
    #[must_use]
    pub fn web(lab: &Lab, environment: &[(&str, &str)]) -> String {
        let (image, id) = (&lab.image, &lab.id);
        let more: String = environment.iter().map(|(name, value)| format!("      {name}: \"{value}\"\n")).collect();
        format!(
            "services:\n  web:\n    image: {image}\n    environment:\n      SERVICE: web\n{more}    healthcheck: {{disable: true}}\n    labels:\n      \
             test.run: {id}\n      plimsoll.enable: \"true\"\n      plimsoll.route.hosts: web.test\n\
             networks:\n  default:\n    labels:\n      test.run: {id}\n"
        )
    }

    /// [`Compose::web`] of this project's lab.
    #[must_use]
    pub fn web_again(&self, environment: &[(&str, &str)]) -> String {
        Self::web(self.lab, environment)
    }

    /// Replaces the file.
    pub fn rewrite(&self, file: &str) {
        std::fs::write(self.file(), file).expect("the folder is there");
    }

    /// Runs `docker-compose …`, split at blanks, and gives what it prints. Panics where it fails.
    pub async fn run(&self, arguments: &str) -> String {
        let mut command = Command::new("docker-compose");
        command.args(["-p", &self.lab.id, "-f"]).arg(self.file()).args(arguments.split_whitespace());
        command.env("DOCKER_HOST", self.lab.engine.host()).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND_MAX, command.output()).await;
        let output =
            output.unwrap_or_else(|_| panic!("docker-compose {arguments} hangs")).expect("docker-compose runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker-compose {arguments}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("docker-compose.yml")
    }
}

impl Drop for Compose<'_> {
    fn drop(&mut self) {
        let down = std::process::Command::new("docker-compose")
            .args(["-p", &self.lab.id, "-f"])
            .arg(self.file())
            .args(["down", "-v", "--remove-orphans", "-t", "0"])
            .env("DOCKER_HOST", self.lab.engine.host())
            .output();
        if let Err(error) = down {
            eprintln!("docker-compose down: {error}");
        }
    }
}
