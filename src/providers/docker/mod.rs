//! The Docker provider: containers of one engine, over its API, on a Unix socket or TCP, with or without TLS.
//!
//! What events and lists mean is `plimsoll_core::discovery::docker`'s; this folder only moves bytes: it finds the engine,
//! subscribes, lists, inspects what the model asks for, and begins again when the stream ends, for whatever reason.
//! Reading is all that it does: it works behind a proxy that lets `GET /_ping /events /containers /networks` through.
//!
//! - One task does nothing but read events into a bounded queue: a reader that stalls loses events in silence, and slows
//!   every call of the engine by 100 ms (moby #36928). A full queue is a gap like any other.
//! - The end of the stream is normal (proxies cut it every ten minutes), and changes nothing of what is believed: the
//!   stream is opened again, from the last event on, and everything that runs is looked at again.
//! - Nobody can tell a quiet stream from a stalled one. So a list comes every 30 s; one that finds a change that no event
//!   told makes a new stream.
//!
//! `bollard`, the client that others use, was tried and left out: its types are generated with closed enums, over which a
//! whole answer of Podman's fails (`Health.Status: ""`, a number for a signal). The few fields that are read here are
//! lenient structs over hyper.

mod client;
mod endpoint;
mod follow;
mod own;
mod reader;
mod session;
mod transport;

pub use endpoint::{Endpoint, Environment};

use super::{Provider, ProviderStatus};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use plimsoll_core::config::DockerProvider;
use plimsoll_core::model::Facts;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How an engine is followed.
#[derive(Clone, Debug)]
pub struct DockerOptions {
    /// What the document says.
    pub provider: DockerProvider,
    /// How long requests are held for a replica: a HEALTHCHECK that first runs later is a problem.
    pub hold: Duration,
    /// Where an `auto` endpoint is looked for.
    pub environment: Environment,
    /// Between two lists.
    pub list_every: Duration,
}

impl DockerOptions {
    /// As the document says, in this process's environment.
    #[must_use]
    pub fn new(provider: DockerProvider) -> Self {
        Self {
            provider,
            hold: Duration::from_secs(60),
            environment: Environment::of_process(),
            list_every: Duration::from_secs(30),
        }
    }

    /// Whether there is an engine to follow, as far as can be told without asking it: without a document, that is what
    /// switches the provider on.
    #[must_use]
    pub fn finds_engine(&self) -> bool {
        self.endpoint().is_ok_and(|endpoint| endpoint.is_there())
    }

    fn endpoint(&self) -> Result<Endpoint, String> {
        Endpoint::find(&self.provider.endpoint, self.provider.cert_path.as_deref(), &self.environment)
    }
}

/// Follows one engine.
#[derive(Debug)]
pub struct Docker {
    options: DockerOptions,
    status: Arc<ProviderStatus>,
}

impl Docker {
    /// Nothing happens before it is watched.
    #[must_use]
    pub fn new(options: DockerOptions) -> Self {
        Self { options, status: Arc::default() }
    }

    /// Its counts, for metrics.
    #[must_use]
    pub fn status(&self) -> Arc<ProviderStatus> {
        Arc::clone(&self.status)
    }
}

impl Provider for Docker {
    /// Spawns a task on the current runtime, which ends with the stream. A consumer that is slow sees the newest view
    /// only.
    fn watch(self: Box<Self>) -> BoxStream<'static, Facts> {
        let (sender, receiver) = watch::channel(None);
        let task = AbortOnDrop(tokio::spawn(follow::run(self.options, self.status, sender)));
        let next = |(mut receiver, task): (watch::Receiver<Option<Facts>>, AbortOnDrop)| async move {
            receiver.changed().await.ok()?;
            let facts = receiver.borrow_and_update().clone()?;
            Some((facts, (receiver, task)))
        };
        stream::unfold((receiver, task), next).boxed()
    }
}

/// Ends a task with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
