//! A provider at work, and waiting for what it says.

use crate::lab::Lab;
use futures_util::StreamExt;
use plimsoll::providers::docker::{Docker, DockerOptions, Environment};
use plimsoll::providers::{Provider, ProviderStatus};
use plimsoll_core::config::DockerProvider;
use plimsoll_core::model::{Facts, Freshness, Phase, Replica};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The promise that is tested.
pub(crate) const A_SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Watching {
    facts: watch::Receiver<Option<Facts>>,
    pub(crate) status: Arc<ProviderStatus>,
    task: tokio::task::JoinHandle<()>,
}

impl Watching {
    /// Follows the engine at `endpoint`.
    pub(crate) fn endpoint(endpoint: &str) -> Self {
        Self::with(DockerProvider { endpoint: endpoint.into(), ..DockerProvider::default() }, Duration::from_secs(30))
    }

    pub(crate) fn with(provider: DockerProvider, list_every: Duration) -> Self {
        let environment = Environment::of_process();
        let options = DockerOptions { environment, list_every, ..DockerOptions::new(provider) };
        let docker = Box::new(Docker::new(options));
        let status = docker.status();
        let (sender, facts) = watch::channel(None);
        let task = tokio::spawn(async move {
            let mut all = docker.watch();
            while let Some(one) = all.next().await {
                sender.send_replace(Some(one));
            }
        });
        Self { facts, status, task }
    }

    /// Waits until the facts are as wanted; how long it took.
    pub(crate) async fn until(&mut self, what: &str, limit: Duration, test: impl Fn(&Facts) -> bool) -> Duration {
        let begin = now();
        let wanted = self.facts.wait_for(|facts| facts.as_ref().is_some_and(&test));
        let outcome = tokio::time::timeout(limit, wanted).await.map(|facts| facts.map(drop));
        assert!(matches!(outcome, Ok(Ok(()))), "not within {limit:?}: {what}; the facts are {:#?}", self.facts());
        let took = now() - begin;
        println!("{what}: {took:?}");
        took
    }

    pub(crate) async fn until_fresh(&mut self) {
        self.until("the first view", Duration::from_secs(10), |facts| facts.freshness == Freshness::Fresh).await;
    }

    /// Waits until a container is in a phase, for a second at the most.
    pub(crate) async fn until_phase(&mut self, lab: &Lab, short: &str, phase: Phase) -> Duration {
        let name = lab.full(short);
        let is = |facts: &Facts| find(facts, &name).is_some_and(|replica| replica.phase == phase);
        self.until(&format!("{short} is {phase:?}"), A_SECOND, is).await
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts.borrow().clone().expect("facts have come")
    }

    pub(crate) fn replica(&self, lab: &Lab, short: &str) -> Replica {
        let name = lab.full(short);
        find(&self.facts(), &name).cloned().unwrap_or_else(|| panic!("{name} is in the facts"))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn find<'a>(facts: &'a Facts, name: &str) -> Option<&'a Replica> {
    facts.replicas.iter().find(|replica| replica.name == name)
}

/// Runs `docker` beside the test, so that facts are seen while it works.
pub(crate) fn beside(arguments: &[&str]) -> tokio::task::JoinHandle<String> {
    let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let all: Vec<&str> = arguments.iter().map(String::as_str).collect();
        crate::lab::docker(&all)
    })
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
