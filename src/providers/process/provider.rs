//! The provider: what is wanted comes in, replicas are started and stopped, facts go out.

use super::facts::{Status, facts};
use super::guard::{GUARD_COMMAND, OWN_BINARY};
use super::port::Ports;
use super::reconcile::{Copy, reconcile};
use super::replica::{Plan, Seen, What};
use crate::providers::Provider;
use crate::telemetry::clock;
use futures_util::stream::{self, BoxStream, StreamExt};
use plimsoll_core::config::{Discover, Document, ProcessSource};
use plimsoll_core::model::{Facts, TargetId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The replicas of one upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSpec {
    /// The upstream's name in the document.
    pub upstream: Arc<str>,
    /// What to start, and how many of it.
    pub source: ProcessSource,
    /// Where commands run: the document's folder, or the source's own.
    pub folder: PathBuf,
}

impl ProcessSpec {
    /// Whether a replica of `other` may go on as one of these: all but the number of copies is alike.
    fn is_same_command(&self, other: &Self) -> bool {
        let (a, b) = (&self.source, &other.source);
        self.folder == other.folder && a.command == b.command && a.env == b.env
    }
}

/// The local processes that a document asks for. `folder` is the document's. Of two sources of one upstream, the first.
#[must_use]
pub fn specs_of(document: &Document, folder: &Path) -> Vec<ProcessSpec> {
    let spec = |upstream: &plimsoll_core::config::Upstream| {
        upstream.discover.iter().find_map(|source| match source {
            Discover::Process(source) => Some(ProcessSpec {
                upstream: Arc::clone(&upstream.name),
                source: source.clone(),
                folder: folder.join(source.working_directory.as_deref().unwrap_or(".")),
            }),
            Discover::Docker { .. } => None,
        })
    };
    document.upstreams.iter().filter_map(spec).collect()
}

/// Whether a target that goes has no request in flight any more.
pub type Drained = Arc<dyn Fn(&TargetId) -> bool + Send + Sync>;

/// How processes are watched over and stopped.
#[derive(Clone)]
pub struct ProcessOptions {
    /// Program and first arguments of the guard: this binary, with its hidden subcommand.
    pub guard: Vec<String>,
    /// Asked while a replica drains; `None`: it is given half a second.
    pub drained: Option<Drained>,
    /// How long a replica may drain before it is sent TERM.
    pub drain_timeout: Duration,
    /// From TERM to KILL.
    pub stop_grace: Duration,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            guard: vec![OWN_BINARY.to_owned(), GUARD_COMMAND.to_owned()],
            drained: None,
            drain_timeout: Duration::from_secs(8),
            stop_grace: Duration::from_secs(10),
        }
    }
}

/// The provider of local processes.
///
/// It follows `wanted`. When the sender is dropped, or the stream of facts is, every replica is sent TERM (and KILL after
/// the grace) and the stream ends. When the process ends before that, the guards kill what is left.
pub struct ProcessProvider {
    wanted: watch::Receiver<Vec<ProcessSpec>>,
    options: ProcessOptions,
}

impl ProcessProvider {
    /// A provider that starts nothing before [`Provider::watch`].
    #[must_use]
    pub const fn new(wanted: watch::Receiver<Vec<ProcessSpec>>, options: ProcessOptions) -> Self {
        Self { wanted, options }
    }
}

impl Provider for ProcessProvider {
    fn watch(self: Box<Self>) -> BoxStream<'static, Facts> {
        let (send, receive) = watch::channel(None);
        tokio::spawn(Supervisor::new(self.options).run(self.wanted, send));
        stream::unfold(receive, |mut receive| async move {
            receive.changed().await.ok()?;
            let facts: Option<Facts> = receive.borrow_and_update().clone();
            Some((facts?, receive))
        })
        .boxed()
    }
}

struct Supervisor {
    options: ProcessOptions,
    ports: Ports,
    /// By id: `web.1`.
    slots: BTreeMap<Arc<str>, Slot>,
    seen: mpsc::UnboundedSender<Seen>,
    hear: mpsc::UnboundedReceiver<Seen>,
    closing: CancellationToken,
}

struct Slot {
    number: u32,
    spec: Arc<ProcessSpec>,
    stop: CancellationToken,
    status: Status,
}

impl Supervisor {
    fn new(options: ProcessOptions) -> Self {
        let (seen, hear) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        Self { options, ports: Ports::default(), slots: BTreeMap::new(), seen, hear, closing }
    }

    async fn run(mut self, mut wanted: watch::Receiver<Vec<ProcessSpec>>, send: watch::Sender<Option<Facts>>) {
        let mut specs: Vec<Arc<ProcessSpec>> = wanted.borrow_and_update().iter().cloned().map(Arc::new).collect();
        let mut complete = false;
        loop {
            self.reconcile(&specs);
            // The first view is a whole one: every replica was at least tried.
            complete = complete || self.slots.values().all(|slot| slot.status.is_known());
            if complete {
                let now = facts(self.slots.iter().map(|(id, slot)| (id, &slot.status)));
                send.send_if_modified(|last| {
                    let changed = last.as_ref() != Some(&now);
                    *last = Some(now);
                    changed
                });
            }
            if self.closing.is_cancelled() && self.slots.is_empty() {
                return;
            }
            tokio::select! {
                seen = self.hear.recv() => self.note(seen),
                changed = wanted.changed(), if !self.closing.is_cancelled() => match changed {
                    Ok(()) => specs = wanted.borrow_and_update().iter().cloned().map(Arc::new).collect(),
                    Err(_) => { self.closing.cancel(); specs.clear(); }
                },
                () = send.closed(), if !self.closing.is_cancelled() => { self.closing.cancel(); specs.clear(); }
            }
        }
    }

    fn note(&mut self, seen: Option<Seen>) {
        // `seen` is ours too, so that the channel never closes.
        let Some(Seen { id, what }) = seen else { return };
        if what == What::Gone {
            self.slots.remove(&id);
        } else if let Some(slot) = self.slots.get_mut(&id) {
            slot.status.note(what, clock::now_ms());
        }
    }

    /// Starts and stops what is due, for every upstream that is wanted or still has replicas.
    fn reconcile(&mut self, specs: &[Arc<ProcessSpec>]) {
        let mut upstreams: Vec<Arc<str>> = self.slots.values().map(|slot| Arc::clone(&slot.spec.upstream)).collect();
        upstreams.extend(specs.iter().map(|spec| Arc::clone(&spec.upstream)));
        upstreams.sort_unstable();
        upstreams.dedup();
        for upstream in upstreams {
            let spec = specs.iter().find(|spec| spec.upstream == upstream);
            let copies: Vec<Copy> = self
                .slots
                .values()
                .filter(|slot| slot.spec.upstream == upstream)
                .map(|slot| Copy {
                    number: slot.number,
                    current: spec.is_some_and(|spec| spec.is_same_command(&slot.spec)),
                    ready: slot.status.ready,
                    stopping: slot.stop.is_cancelled(),
                })
                .collect();
            let actions = reconcile(&copies, spec.map_or(0, |spec| usize::from(spec.source.replicas)));
            for number in actions.stop {
                if let Some(slot) = self.slots.get(&*id_of(&upstream, number)) {
                    slot.stop.cancel();
                }
            }
            if let Some(spec) = spec {
                actions.start.into_iter().for_each(|number| self.start(number, spec));
            }
        }
    }

    fn start(&mut self, number: u32, spec: &Arc<ProcessSpec>) {
        let id = id_of(&spec.upstream, number);
        let stop = CancellationToken::new();
        let plan = Plan {
            id: Arc::clone(&id),
            spec: Arc::clone(spec),
            options: self.options.clone(),
            ports: self.ports.clone(),
            seen: self.seen.clone(),
            stop: stop.clone(),
            closing: self.closing.clone(),
        };
        tokio::spawn(plan.live());
        let status = Status::new(Arc::clone(&spec.upstream));
        self.slots.insert(id, Slot { number, spec: Arc::clone(spec), stop, status });
    }
}

fn id_of(upstream: &str, number: u32) -> Arc<str> {
    format!("{upstream}.{number}").into()
}
