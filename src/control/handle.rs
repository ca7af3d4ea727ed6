//! What others ask of a running gateway: the admin API, signals, an embedding program.

use super::build::Rules;
use super::handover::Ask;
use super::source::Origin;
use super::view::{ProviderView, UpstreamView, View};
use super::{ApplyError, Source};
use crate::proxy::worker::Shared;
use crate::snapshot::Snapshot;
use crate::telemetry::{Telemetry, clock};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use plimsoll_core::config::{Document, Read};
use plimsoll_core::model::Freshness;
use plimsoll_core::plan::Plan;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// A document as text, and who says it; or why there is none.
pub(super) struct Say {
    pub(super) text: Result<(Source, Arc<str>), ApplyError>,
    /// By which rules one from the network is read; `None`: by the running document's.
    pub(super) rules: Option<Rules>,
    /// The document, where it has been read already.
    pub(super) read: Option<Arc<Read>>,
    pub(super) reply: Option<oneshot::Sender<Result<Applied, ApplyError>>>,
}

/// What a document that was applied came to.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The snapshot that is served now.
    pub generation: u64,
    /// The document, read.
    pub document: Arc<Document>,
    /// What works in the document, but hardly as meant.
    pub warnings: Vec<String>,
}

/// What the control plane and its handles share.
pub(super) struct Common {
    pub(super) shared: Arc<Shared>,
    pub(super) view: ArcSwap<View>,
    pub(super) say: mpsc::Sender<Say>,
    pub(super) origin: Origin,
    /// Who is about to hand over.
    pub(super) ask: mpsc::Sender<Ask>,
    /// Who asks whether the control plane lives.
    pub(super) ping: mpsc::Sender<oneshot::Sender<()>>,
    pub(super) handing: Handing,
    /// The text of the document's file that was last read.
    pub(super) seen: Mutex<Option<Arc<str>>>,
    /// Counts changes of the view.
    pub(super) changes: watch::Sender<u64>,
    /// When `ready` no longer waits for providers' first views.
    pub(super) patience_ends: Instant,
    /// It is about to end: not ready any more.
    pub(super) leaving: AtomicBool,
}

/// What is held back while another process is about to take over.
#[derive(Default)]
pub(super) struct Handing {
    /// What was handed over holds: no document is taken in.
    pub(super) frozen: AtomicBool,
    /// What is known of targets was told: nothing is set by hand.
    pub(super) told: Mutex<bool>,
    /// The document was to be read again, and was not taken in.
    pub(super) missed: Notify,
}

/// A handle on a running gateway. Cheap to clone; of no effect once the gateway has stopped.
#[derive(Clone)]
pub struct Handle {
    pub(super) common: Arc<Common>,
}

impl Handle {
    /// Reads the document again, and applies it even if it did not change: files that it names may have.
    ///
    /// # Errors
    /// Why it was not applied. What was served is served on.
    pub async fn reload(&self) -> Result<Applied, ApplyError> {
        let origin = self.common.origin.clone();
        let text = tokio::task::spawn_blocking(move || origin.text()).await.map_err(|_| ApplyError::Internal)?;
        let applied = self.say(text.map(|text| (Source::File, text))).await;
        if matches!(applied, Err(ApplyError::HandingOver)) {
            self.miss_a_reload();
        }
        applied
    }

    /// Applies a document, whole or not at all.
    ///
    /// # Errors
    /// Why it was not applied. What was served is served on.
    pub async fn apply(&self, text: &str, source: Source) -> Result<Applied, ApplyError> {
        self.say(Ok((source, text.into()))).await
    }

    pub(super) async fn say(&self, text: Result<(Source, Arc<str>), ApplyError>) -> Result<Applied, ApplyError> {
        self.say_read(text, None).await
    }

    /// As [`Self::say`], with the document where it has been read already.
    pub(super) async fn say_read(
        &self,
        text: Result<(Source, Arc<str>), ApplyError>,
        read: Option<Arc<Read>>,
    ) -> Result<Applied, ApplyError> {
        let (reply, answer) = oneshot::channel();
        let say = Say { text, rules: None, read, reply: Some(reply) };
        self.common.say.send(say).await.map_err(|_| ApplyError::Stopped)?;
        answer.await.map_err(|_| ApplyError::Stopped)?
    }

    /// What requests read at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.common.shared.snapshot()
    }

    /// The gateway at this moment.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.common.view.load_full()
    }

    /// What is served, with the members of this moment.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.common.view.load().plan)
    }

    /// Upstreams with their targets and why those may not be picked, now.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamView> {
        self.common.view.load().upstreams()
    }

    /// What each provider sees, and what it could not make sense of.
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderView> {
        self.common.view.load().providers.clone()
    }

    /// Where a listener was bound.
    #[must_use]
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.common.view.load().listeners.get(listener).copied()
    }

    /// Counts up with every change of what [`Self::view`] shows.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.common.changes.subscribe()
    }

    /// Sets targets healthy or unhealthy by hand: those of the upstream that have this `host:port`, address, id or replica's
    /// name; and this address, where one is given. `false`: there is none.
    ///
    /// # Errors
    /// Another process is about to take over, and would not know of it.
    pub fn set_health(
        &self,
        upstream: &str,
        target: &str,
        address: Option<&str>,
        healthy: bool,
    ) -> Result<bool, ApplyError> {
        let told = self.common.handing.told.lock();
        if *told {
            return Err(ApplyError::HandingOver);
        }
        let view = self.common.view.load();
        let Some(upstream) = view.upstream(upstream) else { return Ok(false) };
        let (mut found, mut changed) = (false, false);
        for member in upstream.pool().targets() {
            let one = &member.target;
            let is_at = |text: &str| one.address.to_string() == text;
            let is_it = *one.name == *target || *one.replica == *target || one.id.to_string() == target;
            if (!is_it && !is_at(target)) || address.is_some_and(|address| !is_at(address)) {
                continue;
            }
            found = true;
            changed |= if healthy { one.set_healthy() } else { one.set_unhealthy() };
        }
        if changed {
            upstream.changed();
        }
        Ok(found)
    }

    /// Whether it serves, and knows what there is to serve: every provider's first view is in, or `sync_timeout` has
    /// passed; and it is not about to end.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.not_ready().is_none()
    }

    /// Why it is not [`Self::ready`].
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        let view = self.common.view.load();
        if self.common.leaving.load(Ordering::Relaxed) || self.draining() {
            return Some("it is about to end".to_owned());
        }
        if view.generation == 0 {
            return Some("no document is served yet".to_owned());
        }
        if view.synchronised || clock::now() >= self.common.patience_ends {
            return None;
        }
        let waiting = view.providers.iter().filter(|provider| provider.freshness == Freshness::Waiting);
        let names: Vec<&str> = waiting.map(|provider| &*provider.name).collect();
        Some(format!("waiting for the first view of {}", names.join(", ")))
    }

    /// Whether the control plane takes things in: returns when it does, `false` if it has ended.
    pub async fn is_alive(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.common.ping.send(reply).await.is_ok() && answer.await.is_ok()
    }

    /// Whether the gateway drains.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.common.shared.is_draining()
    }

    /// Client connections, over all workers.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.common.shared.connections.load(Ordering::Relaxed)
    }

    /// Counters, and the access log.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.common.shared.telemetry
    }
}
