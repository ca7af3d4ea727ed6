//! The gateway's document at a moment of the run.

use crate::named::{NAME, NAMED};
use crate::traffic::HOST;
use crate::{noise, replica};
use plimsoll_sample::{COUNT, ECHO};
use plimsoll_test_support::tls::Identity;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Where replicas come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The gateway starts them; they keep their record in this folder.
    Processes(PathBuf),
    /// An engine's containers: `gateway.providers`, and what they are found by.
    Containers { provider: String, found_by: String },
}

/// All that may change.
#[derive(Clone)]
pub(crate) struct Document {
    pub(crate) source: Source,
    pub(crate) replicas: u8,
    /// Replicas of another release replace those of the last.
    pub(crate) release: u32,
    /// And what is written besides.
    pub(crate) algorithm: u8,
    pub(crate) timeout_s: u8,
    /// Whether there is one more listener.
    pub(crate) listener: bool,
    /// How many more routes there are.
    pub(crate) routes: u8,
    pub(crate) identity: Identity,
    /// Of the plain listener and of the one with TLS. 0: the system chooses.
    pub(crate) ports: [u16; 2],
    /// The target of clients that misbehave.
    pub(crate) noise: u16,
    /// From the next process on.
    pub(crate) workers: u8,
    /// The target that is found by its name.
    pub(crate) named: String,
    pub(crate) access_log: PathBuf,
}

const ALGORITHMS: [&str; 3] = ["round-robin", "least-connections", "power-of-two"];
/// What an operator may write besides, and nobody may lose a request for.
const GUARDS: [&str; 6] = [
    "",
    "  slow_start: 3s\n",
    "  max_concurrency: 64\n  queue: {timeout: 15s}\n",
    "  retry_budget: {ratio: 1, min_per_second: 1000}\n",
    "  hedging: {after: 100ms, max_ratio: 0.5}\n",
    "  outlier: {consecutive_errors: 3, ejection: 1s, max_ejected: 0.5}\n",
];

impl Document {
    /// As the file has it.
    pub(crate) fn file(&self) -> String {
        let more = if self.listener { "  - {name: more, address: \"127.0.0.1:0\"}\n" } else { "" };
        let providers = match &self.source {
            Source::Processes(_) => "  providers: {docker: false}",
            Source::Containers { provider, .. } => provider,
        };
        let [http, https] = self.ports;
        format!(
            "_format_version: \"3.0\"\ngateway:\n  workers: {workers}\n  listeners:\n  - {{name: http, address: \"127.0.0.1:{http}\"}}\n  \
             - {{name: https, address: \"127.0.0.1:{https}\", tls: true}}\n{more}  \
             admin: {{address: \"unix:admin.sock\", allow: [process, discover]}}\n  access_log: {{path: {log:?}}}\n  \
             timeouts: {{upstream_idle: 2s}}\n{providers}\n{entities}",
            workers = self.workers,
            log = self.access_log.display().to_string(),
            entities = self.entities(),
        )
    }

    /// As it is said to the admin API: without what is the operator's alone.
    pub(crate) fn posted(&self) -> String {
        format!("_format_version: \"3.0\"\n{}", self.entities())
    }

    /// With a mistake.
    pub(crate) fn broken(&self, kind: u8) -> String {
        let file = self.file();
        match kind % 4 {
            0 => file.replace("services:", "servcies:"),
            1 => file.replace("host: web", "host: [web]"),
            2 => file + "\n  - : {",
            _ => file.replace("algorithm:", "algorithm: best #"),
        }
    }

    fn entities(&self) -> String {
        let mut routes = format!("  - {{name: web, hosts: [{HOST}]}}\n");
        for number in 0..self.routes {
            writeln!(routes, "  - {{name: more-{number}, hosts: [\"more-{number}.test\"], paths: [/{number}]}}")
                .expect("a String takes it");
        }
        let (certificate, key) = (indented(&self.identity.certificate), indented(&self.identity.key));
        let discover = match &self.source {
            Source::Processes(record) => format!(
                "process: {{command: {}, replicas: {}, env: {{{}: {:?}, RELEASE: \"{}\", LD_PRELOAD: \"\"}}}}",
                replica::command(),
                self.replicas,
                replica::RECORD,
                record.display().to_string(),
                self.release,
            ),
            Source::Containers { found_by, .. } => format!("docker: {{{found_by}}}"),
        };
        let timeout_ms = u32::from(self.timeout_s) * 1000;
        let algorithm = usize::from(self.algorithm);
        let (algorithm, guards) = (algorithm % ALGORITHMS.len(), algorithm / ALGORITHMS.len());
        let (algorithm, guards) = (ALGORITHMS[algorithm], GUARDS[guards % GUARDS.len()]);
        format!(
            "services:\n- name: web\n  host: web\n  read_timeout: {timeout_ms}\n  write_timeout: {timeout_ms}\n  routes:\n{routes}\
             - name: calls\n  host: web\n  protocol: grpc\n  read_timeout: {timeout_ms}\n  write_timeout: {timeout_ms}\n  \
             routes:\n  - {{name: calls, hosts: [{HOST}], paths: [{ECHO}, {COUNT}], protocols: [grpc, grpcs]}}\n\
             - name: noise\n  url: \"http://127.0.0.1:{noise}\"\n  routes:\n  - {{name: noise, hosts: [{noisy}]}}\n\
             - name: {NAMED}\n  host: {NAMED}\n  routes:\n  - {{name: {NAMED}, hosts: [{NAME}]}}\n\
             upstreams:\n- name: web\n  algorithm: {algorithm}\n  discover: {{{discover}}}\n{guards}\
             - {{name: {NAMED}, targets: [{{target: \"{named}\"}}]}}\n\
             certificates:\n- cert: |\n{certificate}  key: |\n{key}  snis: [{{name: {HOST}}}, {{name: {noisy}}}]\n",
            noise = self.noise,
            noisy = noise::HOST,
            named = self.named,
        )
    }
}

fn indented(pem: &str) -> String {
    pem.lines().map(|line| format!("    {line}\n")).collect()
}
