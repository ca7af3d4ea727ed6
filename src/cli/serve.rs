//! The gateway as commands start it: the library's, with the providers that its document asks for.

use super::Failure;
use super::source::{folder_of, load, read_text};
use crate::admin::{Doors, OpenError, Served};
use crate::control::{Gateway, Handle, Running, StartError};
use crate::providers::docker::{Docker, DockerOptions};
use crate::providers::process::{ProcessOptions, ProcessProvider, ProcessSpec, specs_of};
use crate::telemetry::log::LogHandle;
use plimsoll_core::config::{self, Document};
use plimsoll_core::model::TargetId;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Beyond what a replica is given between TERM and KILL.
const PROCESSES_END: Duration = Duration::from_secs(2);

/// Where the document is.
pub(super) enum Origin {
    /// In a file, which is followed.
    File(PathBuf),
    /// Here.
    Text(Arc<str>),
}

impl Origin {
    fn folder(&self) -> PathBuf {
        match self {
            Self::File(path) => folder_of(path),
            Self::Text(_) => PathBuf::from("."),
        }
    }

    fn document(&self) -> Result<Document, Failure> {
        let read = match self {
            Self::File(path) => load(path)?.read,
            Self::Text(text) => read_text("document", text, &self.folder(), config::Source::File),
        };
        read.map(|read| read.document).map_err(|problems| Failure::Input(problems.to_string()))
    }
}

/// A gateway that serves.
pub(super) struct Serving {
    running: Running,
    processes: Arc<watch::Sender<Vec<ProcessSpec>>>,
    process_grace: Duration,
    follow: JoinHandle<()>,
    /// The admin API, which answers to the end.
    admin: Served,
}

/// Starts it; returns when the document is served.
pub(super) async fn start(origin: Origin, log: Option<LogHandle>) -> Result<Serving, Failure> {
    let folder = origin.folder();
    let document = origin.document()?;
    // Before anything is started: an address that is taken is said at once.
    let gateway = document.gateway.clone().unwrap_or_default();
    let doors = Doors::open(&gateway, &folder).await.map_err(open_failure)?;
    let mut builder = Gateway::builder();
    if let Some(log) = log {
        builder = builder.log(log);
    }
    if let Some(docker) = docker_options(&document) {
        builder = builder.provider("docker", Box::new(Docker::new(docker)));
    }
    let served: Arc<OnceLock<Handle>> = Arc::default();
    let options = process_options(&served);
    let process_grace = options.stop_grace;
    let (processes, wanted) = watch::channel(specs_of(&document, &folder));
    builder = builder.provider("process", Box::new(ProcessProvider::new(wanted, options)));
    builder = match origin {
        Origin::File(path) => builder.document_file(path),
        Origin::Text(text) => builder.document_text(text),
    };
    let running = builder.start().await.map_err(start_failure)?;
    let handle = running.handle();
    served.set(handle.clone()).ok();
    let processes = Arc::new(processes);
    let admin = doors.serve(&handle);
    let follow = tokio::spawn(follow(handle, Arc::clone(&processes), folder));
    Ok(Serving { running, processes, process_grace, follow, admin })
}

impl Serving {
    /// To ask it, and to tell it.
    pub(super) fn handle(&self) -> Handle {
        self.running.handle()
    }

    /// Drains, as the document says, and stops every process that was started for it.
    pub(super) async fn stop(self) {
        let shutdown = self.handle().plan().gateway.shutdown.clone();
        self.running.drain_and_stop(shutdown.delay, shutdown.drain_timeout).await;
        self.follow.abort();
        self.processes.send_replace(Vec::new());
        // The provider holds its end until the last process has ended; the guards see to what does not end.
        timeout(self.process_grace + PROCESSES_END, self.processes.closed()).await.ok();
        drop(self.admin);
    }
}

fn open_failure(error: OpenError) -> Failure {
    if error.is_input() { Failure::Input(error.to_string()) } else { Failure::Environment(error.into()) }
}

fn start_failure(error: StartError) -> Failure {
    if error.is_input() { Failure::Input(error.to_string()) } else { Failure::Environment(error.into()) }
}

/// Docker is followed where the document says so; and where it says nothing of providers, if there is an engine.
fn docker_options(document: &Document) -> Option<DockerOptions> {
    let providers = document.gateway.as_ref().map(|gateway| &gateway.providers);
    match providers {
        Some(providers) if providers.written => providers.docker.clone().map(DockerOptions::new),
        _ => Some(DockerOptions::new(config::DockerProvider::default())).filter(DockerOptions::finds_engine),
    }
}

/// A replica that is to go is drained when none of its targets has a request in flight.
fn process_options(served: &Arc<OnceLock<Handle>>) -> ProcessOptions {
    let served = Arc::clone(served);
    let drained = move |target: &TargetId| {
        let Some(handle) = served.get() else { return true };
        let view = handle.view();
        let busy = view.upstreams.iter().any(|upstream| {
            let pool = upstream.pool();
            pool.targets().iter().any(|member| member.target.id == *target && member.target.inflight() > 0)
        });
        !busy
    };
    ProcessOptions { drained: Some(Arc::new(drained)), ..ProcessOptions::default() }
}

/// Tells the process provider what each new document asks for.
async fn follow(handle: Handle, processes: Arc<watch::Sender<Vec<ProcessSpec>>>, folder: PathBuf) {
    let mut changes = handle.changes();
    let mut known = Arc::clone(&handle.view().parsed);
    while changes.changed().await.is_ok() {
        let view = handle.view();
        if Arc::ptr_eq(&known, &view.parsed) {
            continue;
        }
        known = Arc::clone(&view.parsed);
        let specs = specs_of(&known, &folder);
        processes.send_if_modified(|now| {
            let changed = *now != specs;
            *now = specs;
            changed
        });
    }
}
