//! The gateway as a library.

use super::build::{Known, Said, Workshop};
use super::compile_thread::CompileThread;
use super::handle::{Common, Handing, Handle};
use super::handover::Inherited;
use super::listeners::Bound;
use super::names::Resolved;
use super::reconciler::{Inputs, Parts, Reconciler};
use super::registry::Registry;
use super::settings::Settings;
use super::source::{Origin, Source, Surroundings};
use super::sources::Sources;
use super::view::View;
use super::{ApplyError, StartError, limits, memory, show, watch};
use crate::compile::{Compiler, Input};
use crate::dns::{Resolve, SystemResolver};
use crate::handover::{Handed, HandedListener};
use crate::probe::Prober;
use crate::providers::Provider;
use crate::proxy::worker::Shared;
use crate::server::{Drain, Server, ServerOptions};
use crate::telemetry::log::LogHandle;
use crate::telemetry::{SERVER, Telemetry, TelemetryOptions, clock};
use crate::tls::{TargetTls, Trust};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use plimsoll_core::config::{self, Document, Gateway as Settled, Read, ReadOptions, read};
use plimsoll_core::model::UpstreamId;
use plimsoll_core::plan::{Names, Plan, plan};
use plimsoll_core::upstream::Signal;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Documents that wait to be applied; who says more waits.
const DOCUMENTS: usize = 16;
/// Views of providers that wait: each is whole, so a provider that is faster than this waits.
const VIEWS: usize = 64;
/// How long the end waits for the access log's reader.
const LOG_WRITTEN: Duration = Duration::from_secs(1);

/// The whole gateway: [`Gateway::builder`].
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// A gateway that is yet to be started.
    pub fn builder() -> Builder {
        Builder {
            origin: Origin::Text("_format_version: \"3.0\"\n".into()),
            providers: Vec::new(),
            sockets: Vec::new(),
            resolver: None,
            read: None,
            doors: None,
            log: None,
            handed: None,
        }
    }
}

/// What a gateway is started with.
#[must_use = "nothing runs before start"]
pub struct Builder {
    origin: Origin,
    read: Option<(Arc<str>, Arc<Read>)>,
    providers: Vec<(Arc<str>, Box<dyn Provider>)>,
    sockets: Vec<(Arc<str>, TcpListener)>,
    resolver: Option<Arc<dyn Resolve>>,
    doors: Option<Vec<SocketAddr>>,
    log: Option<LogHandle>,
    handed: Option<Handed>,
}

impl Builder {
    /// Serves the document in this file, and follows its changes. Paths in it are relative to its folder.
    pub fn document_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.origin = Origin::File(path.into());
        self
    }

    /// Serves this document. Paths in it are relative to the working directory.
    pub fn document_text(mut self, text: impl Into<Arc<str>>) -> Self {
        self.origin = Origin::Text(text.into());
        self
    }

    /// The document was read already, from this text: reading 1,000 routes takes a fifth of a start.
    pub(crate) fn already_read(mut self, text: Arc<str>, read: Arc<Read>) -> Self {
        self.read = Some((text, read));
        self
    }

    /// Adds a source of truth about replicas, under the name that its facts have.
    pub fn provider(mut self, name: &str, provider: Box<dyn Provider>) -> Self {
        self.providers.push((name.into(), provider));
        self
    }

    /// Sockets that are bound already (and listen), by listener: the document's address of such a listener is not bound.
    pub fn listener_sockets(mut self, sockets: impl IntoIterator<Item = (String, TcpListener)>) -> Self {
        self.sockets.extend(sockets.into_iter().map(|(name, socket)| (name.into(), socket)));
        self
    }

    /// Resolves names by this, instead of the system's way.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Where the admin API and the status page are bound, whatever documents say: labels lead nobody there.
    pub fn doors(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.doors = Some(addresses.into_iter().collect());
        self
    }

    /// The process's log, whose level then follows the document.
    pub fn log(mut self, log: LogHandle) -> Self {
        self.log = Some(log);
        self
    }

    /// Goes on where another process is about to stop: with its sockets, and its document in the place of the file's. Nothing
    /// is accepted before [`Handle::accept`].
    pub(crate) fn handed(mut self, handed: Handed) -> Self {
        self.handed = Some(handed);
        self
    }

    /// Starts it, on the current tokio runtime (a multi-thread one), and returns when the document is served.
    ///
    /// The limit of open files of the process is raised as far as it may be.
    ///
    /// # Errors
    /// The document cannot be applied: it has mistakes, or an address cannot be bound; or threads cannot be started.
    pub async fn start(self) -> Result<Running, StartError> {
        limits::raise_file_limit();
        let First { text, read, before, said, seen, listeners } = First::of(&self.origin, self.read, self.handed)?;
        let settled = read.document.gateway.clone().unwrap_or_default();
        let threads = |error: io::Error| StartError::Threads(Arc::new(error));
        let telemetry = telemetry(&settled, self.log.as_ref());
        let (signal, causes) = signal();
        let target_tls = Arc::new(TargetTls::new(Trust::System));
        let workshop = Arc::new(Workshop {
            thread: CompileThread::start().map_err(threads)?,
            compiler: Compiler::new(Arc::clone(&telemetry), Arc::clone(&target_tls)),
            registry: Mutex::new(Registry::new(signal, Arc::clone(&telemetry))),
            folder: self.origin.folder(),
            doors: self.doors,
        });
        let shared = Arc::new(first_shared(&workshop, &telemetry)?);
        shared.waiting.store(said.is_some(), Ordering::Release);
        let workers = settled.workers.unwrap_or_else(limits::workers);
        let options = ServerOptions { workers, cpu_affinity: settled.cpu_affinity, seed: fastrand::u64(..) };
        let server = Arc::new(Server::start(options, Arc::clone(&shared)).map_err(threads)?);
        let (say, documents) = mpsc::channel(DOCUMENTS);
        let ((ask, handover), (ping, pinged)) = (mpsc::channel(1), mpsc::channel(1));
        let common = Arc::new(Common {
            view: ArcSwap::from_pointee(first_view(&shared, &text)),
            shared,
            say,
            origin: self.origin.clone(),
            ask,
            ping,
            handing: Handing::default(),
            seen: Mutex::new(Some(Arc::clone(&seen))),
            changes: channel::Sender::new(0),
            patience_ends: clock::now() + settled.providers.sync_timeout,
            leaving: AtomicBool::new(false),
        });
        show::register_collector(&common);
        let names = Resolved::start(self.resolver.unwrap_or_else(|| Arc::new(SystemResolver::new())));
        let (facts, fresh) = mpsc::channel(VIEWS);
        let stop = CancellationToken::new();
        let mut sources = Sources::start(self.providers, &workshop, facts);
        sources.follow(&read.document);
        let parts = Parts {
            workshop,
            server: Arc::clone(&server),
            common: Arc::clone(&common),
            bound: Bound::new(Arc::clone(&server), self.sockets, listeners)?,
            settings: Settings::new(settled, self.log),
            prober: Prober::new(tokio::runtime::Handle::current(), target_tls),
            sources,
            names: names.clone(),
            before,
        };
        let inputs = Inputs { say: documents, handover, ping: pinged, facts: fresh, causes, names, stop: stop.clone() };
        let reconciler = tokio::spawn(Reconciler::new(parts).run(inputs));
        let mut running =
            Running { handle: Handle { common }, server, stopped: stop, reconciler, watching: Vec::new() };
        let applied = match said {
            None => running.handle.say_read(Ok((Source::File, text)), Some(read)).await.map(drop),
            Some(said) => running.handle.say_handed(said).await,
        };
        if let Err(error) = applied {
            running.stop().await;
            return Err(error.into());
        }
        running.watch(self.origin, seen);
        Ok(running)
    }
}

/// A gateway that serves. It goes on when this is dropped; only [`Running::drain_and_stop`] ends it in good order.
pub struct Running {
    handle: Handle,
    server: Arc<Server>,
    stopped: CancellationToken,
    reconciler: JoinHandle<()>,
    /// What is looked at of which nobody tells.
    watching: Vec<JoinHandle<()>>,
}

impl Running {
    /// Where a listener was bound.
    #[must_use]
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.handle.address(listener)
    }

    /// A handle, which may be given away.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends it: for `delay` it is not ready but serves, so that a balancer in front of it can go; then it drains, for
    /// `timeout` at the most.
    pub async fn drain_and_stop(self, delay: Duration, timeout: Duration) {
        self.leave();
        tokio::time::sleep(delay).await;
        self.server.drain(timeout).await;
        self.end().await;
    }

    /// Ends what is left where the workers have drained; the access log is written to its end.
    pub(crate) async fn end(mut self) {
        self.stop().await;
        let telemetry = Arc::clone(self.handle.telemetry());
        let closed = tokio::task::spawn_blocking(move || telemetry.close_access_log(LOG_WRITTEN)).await;
        if !closed.unwrap_or(false) {
            tracing::warn!("not every line of the access log could be written");
        }
    }

    /// Another process accepts already: this one does no more, and drains. Where what comes back is dropped, the drain goes
    /// on, and [`Self::take_back`] may end it.
    pub(crate) async fn give_way(&self, how: Drain) {
        self.server.release();
        self.leave();
        self.server.drain_and_stay(how).await;
    }

    /// That process is gone: all is as before [`Self::give_way`]. `false`: it is too late for that.
    pub(crate) fn take_back(&self) -> bool {
        self.handle.common.leaving.store(false, Ordering::Relaxed);
        self.handle.common.changes.send_modify(|count| *count += 1);
        self.server.resume()
    }

    /// From now on what the document's file says is followed, and memory is watched.
    fn watch(&mut self, origin: Origin, seen: Arc<str>) {
        if let Origin::File(path) = origin {
            self.watching.push(tokio::spawn(watch::follow(path.into(), Some(seen), self.handle.clone())));
        }
        let memory = memory::watch(Arc::clone(&self.server), Arc::clone(self.handle.telemetry()));
        self.watching.push(tokio::spawn(memory));
    }

    fn leave(&self) {
        self.handle.common.leaving.store(true, Ordering::Relaxed);
        self.handle.common.changes.send_modify(|count| *count += 1);
    }

    async fn stop(&mut self) {
        self.server.drain(Duration::ZERO).await;
        self.stopped.cancel();
        self.watching.drain(..).for_each(|task| task.abort());
        if (&mut self.reconciler).await.is_err() {
            tracing::error!("the control plane ended by a panic");
        }
    }
}

/// What a gateway begins with.
struct First {
    text: Arc<str>,
    read: Arc<Read>,
    /// The document whose `gateway` it has, where it has none.
    before: Option<Known>,
    /// The document, where it was handed over.
    said: Option<Said>,
    /// What the document's file last said.
    seen: Arc<str>,
    listeners: Vec<HandedListener>,
}

impl First {
    fn of(origin: &Origin, read: Option<(Arc<str>, Arc<Read>)>, handed: Option<Handed>) -> Result<Self, ApplyError> {
        let Some(handed) = handed else {
            let (text, read) = match read {
                Some(read) => read,
                None => first_look(origin)?,
            };
            let (seen, listeners) = (Arc::clone(&text), Vec::new());
            return Ok(Self { text, read, before: None, said: None, seen, listeners });
        };
        let Inherited { before, running } = Inherited::read(&handed.documents, &origin.name(), &origin.folder())?;
        let text = Arc::clone(&running.said.text);
        let read = Arc::new(Read { document: Document::clone(&running.document), warnings: Vec::new() });
        let seen = handed.seen.unwrap_or_else(|| Arc::clone(&text));
        Ok(Self { text, read, before, said: Some(running.said), seen, listeners: handed.listeners })
    }
}

/// What decides how threads and series are made, before anything runs.
fn first_look(origin: &Origin) -> Result<(Arc<str>, Arc<Read>), ApplyError> {
    let text = origin.text()?;
    let references = Surroundings { folder: origin.folder() };
    let options = ReadOptions { file: &origin.name(), references: &references, source: config::Source::File };
    let read = read(&text, &options).map_err(ApplyError::Document)?;
    Ok((text, Arc::new(read)))
}

fn telemetry(settled: &Settled, log: Option<&LogHandle>) -> Arc<Telemetry> {
    let telemetry = Telemetry::new(TelemetryOptions {
        buckets: settled.metrics.buckets.clone(),
        per_route: settled.metrics.per_route,
        per_target: settled.metrics.per_target,
    });
    if let Some(log) = log.cloned() {
        telemetry.register_collector(Box::new(move |out| log.collect(out)));
    }
    telemetry
}

/// What workers share before there is a document: a snapshot without listeners.
fn first_shared(workshop: &Workshop, telemetry: &Arc<Telemetry>) -> Result<Shared, StartError> {
    let (document, names) = (Document::default(), Names::default());
    let plan = Arc::new(plan(plimsoll_core::plan::Input {
        document: &document,
        facts: &[],
        names: &names,
        own_ips: &[],
        doors: None,
    }));
    let empty = workshop.compiler.compile(&Input {
        plan: &plan,
        generation: 0,
        upstreams: &[],
        listeners: &[],
        previous: None,
        folder: &workshop.folder,
        kept: None,
        now_ms: clock::now_ms(),
    });
    let snapshot = empty.map_err(|_| ApplyError::Internal)?.snapshot;
    let via = format!("{SERVER}-{:08x}", fastrand::u32(..));
    Ok(Shared::new(snapshot, Arc::clone(telemetry), via.into()))
}

fn first_view(shared: &Shared, text: &Arc<str>) -> View {
    let plan: Arc<Plan> = Arc::clone(&shared.snapshot().plan);
    View {
        generation: 0,
        plan,
        upstreams: Vec::new(),
        document: Arc::clone(text),
        parsed: Arc::default(),
        source: Source::File,
        warnings: Vec::new(),
        applied_ms: 0,
        last_error: None,
        listeners: std::collections::BTreeMap::new(),
        providers: Vec::new(),
        problems: Vec::new(),
        synchronised: false,
    }
}

/// Carries upstreams' signals to the reconciler: sending never blocks, and each upstream signals once until it is heard.
struct Causes(mpsc::UnboundedSender<UpstreamId>);

impl Signal for Causes {
    fn upstream_changed(&self, id: &UpstreamId) {
        // Nobody listens while the gateway ends.
        drop(self.0.send(id.clone()));
    }
}

fn signal() -> (Arc<dyn Signal>, mpsc::UnboundedReceiver<UpstreamId>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Causes(sender)), receiver)
}
