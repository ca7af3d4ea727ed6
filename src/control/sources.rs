//! The providers that run: those that an embedding program gave, and those that the document asks for.

use super::build::Workshop;
use crate::providers::docker::{Docker, DockerOptions};
use crate::providers::process::{Drained, ProcessOptions, ProcessProvider, ProcessSpec, specs_of};
use crate::providers::{Provider, ProviderStatus};
use crate::telemetry::{Telemetry, metric};
use futures_util::StreamExt;
use plimsoll_core::config::{DockerProvider, Document};
use plimsoll_core::model::Facts;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Names under which the document's providers give facts.
const DOCKER: &str = "docker";
const PROCESS: &str = "process";
/// How long the end waits for processes beyond what they are given between TERM and KILL. What is left then, their guards
/// kill.
const STOPPED: Duration = Duration::from_secs(2);

/// A provider that runs.
struct Source {
    name: Arc<str>,
    task: JoinHandle<()>,
}

/// Every provider.
pub(super) struct Sources {
    running: Vec<Source>,
    to: mpsc::Sender<Facts>,
    folder: PathBuf,
    /// Providers that were given; those of the same name in the document are not started.
    given: Vec<Arc<str>>,
    docker: Option<DockerSource>,
    /// What processes are wanted, where some are or were.
    processes: Option<watch::Sender<Vec<ProcessSpec>>>,
    workshop: Weak<Workshop>,
}

struct DockerSource {
    settings: DockerProvider,
    status: Arc<ProviderStatus>,
    /// What metrics were told already.
    told: (u64, u64),
}

impl Sources {
    /// The given providers, which start at once, on the current runtime. Views go to `to`.
    pub(super) fn start(
        given: Vec<(Arc<str>, Box<dyn Provider>)>,
        workshop: &Arc<Workshop>,
        to: mpsc::Sender<Facts>,
    ) -> Self {
        let names = given.iter().map(|(name, _)| Arc::clone(name)).collect();
        let mut sources = Self {
            running: Vec::new(),
            to,
            folder: workshop.folder.clone(),
            given: names,
            docker: None,
            processes: None,
            workshop: Arc::downgrade(workshop),
        };
        for (name, provider) in given {
            sources.run(name, provider);
        }
        sources
    }

    /// Names of those that run.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.running.iter().map(|source| &source.name)
    }

    /// Starts, changes and stops what a document that was said asks for. The name of one that runs no longer.
    pub(super) fn follow(&mut self, document: &Document) -> Option<Arc<str>> {
        self.follow_processes(document);
        self.follow_docker(document)
    }

    fn follow_docker(&mut self, document: &Document) -> Option<Arc<str>> {
        if self.is_given(DOCKER) {
            return None;
        }
        let known = self.docker.as_ref().map(|docker| &docker.settings);
        let wanted = docker_of(document, known);
        if known == wanted.as_ref() {
            return None;
        }
        let ran = known.is_some();
        self.stop(DOCKER);
        self.docker = None;
        if let Some(settings) = wanted {
            let provider = Docker::new(DockerOptions::new(settings.clone()));
            self.docker = Some(DockerSource { settings, status: provider.status(), told: (0, 0) });
            self.run(DOCKER.into(), Box::new(provider));
            return None;
        }
        ran.then(|| DOCKER.into())
    }

    fn follow_processes(&mut self, document: &Document) {
        if self.is_given(PROCESS) {
            return;
        }
        let wanted = specs_of(document, &self.folder);
        match &self.processes {
            Some(processes) => {
                processes.send_if_modified(|known| {
                    let differs = *known != wanted;
                    *known = wanted;
                    differs
                });
            }
            None if wanted.is_empty() => {}
            None => {
                let (processes, follow) = watch::channel(wanted);
                self.processes = Some(processes);
                let options = ProcessOptions { drained: Some(self.drained()), ..ProcessOptions::default() };
                self.run(PROCESS.into(), Box::new(ProcessProvider::new(follow, options)));
            }
        }
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|given| **given == *name)
    }

    /// Whether no request is in flight on a target that is to be stopped.
    fn drained(&self) -> Drained {
        let workshop = Weak::clone(&self.workshop);
        Arc::new(move |id| workshop.upgrade().is_none_or(|workshop| workshop.registry.lock().is_idle(id)))
    }

    fn run(&mut self, name: Arc<str>, provider: Box<dyn Provider>) {
        let task = tokio::spawn(forward(provider, self.to.clone()));
        self.running.push(Source { name, task });
    }

    fn stop(&mut self, name: &str) {
        self.running.retain(|source| {
            let stays = *source.name != *name;
            if !stays {
                source.task.abort();
            }
            stays
        });
    }

    /// Tells metrics what the providers have counted.
    pub(super) fn count(&mut self, telemetry: &Telemetry) {
        let Some(docker) = &mut self.docker else { return };
        let now = (docker.status.events_total(), docker.status.corrections_total());
        telemetry.add(&metric::PROVIDER_EVENTS, &[DOCKER], float(now.0.saturating_sub(docker.told.0)));
        telemetry.add(&metric::PROVIDER_CORRECTIONS, &[DOCKER], float(now.1.saturating_sub(docker.told.1)));
        docker.told = now;
    }

    /// Ends all of them; processes are told to stop, and waited for a little.
    pub(super) async fn end(mut self) {
        drop(self.processes.take());
        for source in self.running.drain(..) {
            if *source.name == *PROCESS && !self.given.contains(&source.name) {
                let abort = source.task.abort_handle();
                if tokio::time::timeout(ProcessOptions::default().stop_grace + STOPPED, source.task).await.is_err() {
                    abort.abort();
                }
            } else {
                source.task.abort();
            }
        }
    }
}

/// Gives every view on, until the provider ends.
async fn forward(provider: Box<dyn Provider>, to: mpsc::Sender<Facts>) {
    let mut views = provider.watch();
    while let Some(facts) = views.next().await {
        // Where nobody listens any more, the provider is followed to its end all the same: it stops what it started.
        drop(to.send(facts).await);
    }
}

/// The Docker provider that a document asks for: one that it writes; else, where it has no `providers`, the default one if
/// there is an engine. Once it runs it stays, though the engine's socket be gone for a while.
fn docker_of(document: &Document, known: Option<&DockerProvider>) -> Option<DockerProvider> {
    let providers = document.gateway.as_ref().map(|gateway| &gateway.providers);
    if providers.is_some_and(|providers| providers.written) {
        return providers.and_then(|providers| providers.docker.clone());
    }
    let settings = DockerProvider::default();
    (known == Some(&settings) || DockerOptions::new(settings.clone()).finds_engine()).then_some(settings)
}

#[expect(clippy::cast_precision_loss, reason = "events are far below 2^52")]
const fn float(value: u64) -> f64 {
    value as f64
}
