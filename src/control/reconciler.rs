//! The reconciler: one task that takes in what is said (documents, facts, names, causes) and makes what is served follow.
//!
//! What a provider says of a target's life is marked on the target at once. Everything else is coalesced for a few
//! milliseconds and built anew, one build at a time, on the compile thread. While one runs, more is taken in.

use super::build::{Ask, Built, Known, Said, Workshop, build};
use super::handle::{Applied, Common, Say};
use super::handover;
use super::listeners::Bound;
use super::names::Resolved;
use super::retired::Retired;
use super::settings::Settings;
use super::sources::Sources;
use super::{ApplyError, Source, show};
use crate::probe::Prober;
use crate::server::Server;
use crate::telemetry::{clock, metric};
use plimsoll_core::config::DockerHealth;
use plimsoll_core::model::{Facts, Freshness, UpstreamId};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Changes of facts and names within this time make one build.
const COALESCE: Duration = Duration::from_millis(5);
/// Changes of causes within this time make one pool.
const COALESCE_CAUSES: Duration = Duration::from_millis(2);
/// How long the first snapshot waits for providers' first views: clients wait in the listen queue meanwhile.
const FIRST_FACTS: Duration = Duration::from_secs(1);
/// How often what has gone is looked over.
const SWEEP: Duration = Duration::from_secs(1);

/// What comes in.
pub(super) struct Inputs {
    pub(super) say: mpsc::Receiver<Say>,
    /// Who is about to hand over.
    pub(super) handover: mpsc::Receiver<handover::Ask>,
    /// Who asks whether this runs.
    pub(super) ping: mpsc::Receiver<oneshot::Sender<()>>,
    pub(super) facts: mpsc::Receiver<Facts>,
    pub(super) causes: mpsc::UnboundedReceiver<UpstreamId>,
    pub(super) names: Resolved,
    pub(super) stop: CancellationToken,
}

type Reply = Option<oneshot::Sender<Result<Applied, ApplyError>>>;

/// The state of it.
pub(super) struct Reconciler {
    pub(super) workshop: Arc<Workshop>,
    pub(super) server: Arc<Server>,
    pub(super) common: Arc<Common>,
    pub(super) bound: Bound,
    pub(super) settings: Settings,
    pub(super) prober: Prober,
    pub(super) sources: Sources,
    pub(super) retired: Retired,
    pub(super) built: Option<Arc<Built>>,
    /// Of the last snapshot that was asked for.
    pub(super) generation: u64,
    /// One view a provider; the running build may hold it.
    pub(super) facts: Arc<Vec<Facts>>,
    pub(super) names: Resolved,
    /// Who waits for what is to be handed over.
    pub(super) handover: Option<handover::Ask>,
    /// Before a first document: the one whose `gateway` it has, where it has none.
    before: Option<Known>,
    documents: VecDeque<(Said, Reply)>,
    build: Option<(JoinHandle<Result<Built, ApplyError>>, Reply)>,
    build_at: Option<Instant>,
    pools: FxHashSet<UpstreamId>,
    pools_at: Option<Instant>,
}

/// What a reconciler is made of.
pub(super) struct Parts {
    pub(super) workshop: Arc<Workshop>,
    pub(super) server: Arc<Server>,
    pub(super) common: Arc<Common>,
    pub(super) bound: Bound,
    pub(super) settings: Settings,
    pub(super) prober: Prober,
    pub(super) sources: Sources,
    pub(super) names: Resolved,
    pub(super) before: Option<Known>,
}

impl Reconciler {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { workshop, server, common, bound, settings, prober, sources, names, before } = parts;
        let facts = sources.names().map(nothing_yet).collect();
        Self {
            workshop,
            server,
            common,
            bound,
            settings,
            prober,
            sources,
            retired: Retired::default(),
            built: None,
            generation: 0,
            facts: Arc::new(facts),
            names,
            handover: None,
            before,
            documents: VecDeque::new(),
            build: None,
            build_at: None,
            pools: FxHashSet::default(),
            pools_at: None,
        }
    }

    /// Runs until it is stopped.
    pub(super) async fn run(mut self, inputs: Inputs) {
        let Inputs { mut say, mut handover, mut ping, mut facts, mut causes, mut names, stop } = inputs;
        let first_by = clock::now() + FIRST_FACTS;
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.begin_build(first_by);
            self.answer_handover();
            let pools_at = self.pools_at;
            let build_at = self.build_at.filter(|_| self.build.is_none());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(fresh) = facts.recv() => self.take_facts(fresh),
                Some(id) = causes.recv() => self.causes_changed(id),
                () = sleep_until(pools_at), if pools_at.is_some() => self.rebuild_pools(),
                done = built(&mut self.build), if self.build.is_some() => self.finish_build(done),
                Some(document) = say.recv() => self.take_document(document),
                Some(asked) = ping.recv() => drop(asked.send(())),
                Some(ask) = handover.recv() => self.handover = Some(ask),
                () = names.changed() => self.build_soon(),
                () = sleep_until(build_at), if build_at.is_some() => {}
                _ = sweep.tick() => self.sweep(),
            }
        }
        drop(facts);
        self.sources.end().await;
    }

    /// How HEALTHCHECK is taken, as the running document says.
    pub(super) fn health(&self) -> DockerHealth {
        let docker = self.built.as_ref().and_then(|built| built.gateway().providers.docker.as_ref());
        docker.map(|docker| docker.health).unwrap_or_default()
    }

    /// A provider runs no longer, since no document asks for it: nothing that it said is true.
    pub(super) fn forget_provider(&mut self, name: Arc<str>) {
        let nothing = Facts { freshness: Freshness::Fresh, ..nothing_yet(&name) };
        self.take_facts(nothing);
        Arc::make_mut(&mut self.facts).retain(|facts| facts.provider != name);
        self.show_providers();
    }

    fn take_facts(&mut self, facts: Facts) {
        let is_known = |known: &Facts| known.provider == facts.provider && known.freshness != Freshness::Waiting;
        // One that begins anew, with other settings, knows nothing yet: what was known holds until it does.
        if facts.freshness == Freshness::Waiting && self.facts.iter().any(is_known) {
            return;
        }
        let marked = self.workshop.registry.lock().mark(&facts, self.health());
        if marked.cut_off {
            self.server.targets_cut_off();
        }
        let known = self.facts.iter().position(|known| known.provider == facts.provider);
        let before = known.and_then(|place| self.facts.get(place));
        if before == Some(&facts) {
            return;
        }
        let kind = |facts: &Facts| std::mem::discriminant(&facts.freshness);
        if before.map(kind) != Some(kind(&facts)) {
            tell_freshness(&facts);
        }
        let all = Arc::make_mut(&mut self.facts);
        match known.and_then(|place| all.get_mut(place)) {
            Some(known) => *known = facts,
            None => all.push(facts),
        }
        self.show_providers();
        self.build_soon();
    }

    fn take_document(&mut self, document: Say) {
        let Say { text, rules, read, reply } = document;
        if self.common.handing.frozen.load(std::sync::atomic::Ordering::Acquire) {
            tracing::info!("a new process is about to take over: a document was not taken in");
            if let Some(reply) = reply {
                drop(reply.send(Err(ApplyError::HandingOver)));
            }
            return;
        }
        match text {
            Err(error) => self.refuse(error, reply),
            Ok((source, text)) => {
                let file = match source {
                    Source::File => self.common.origin.name(),
                    Source::Post => "POST /config".into(),
                };
                self.documents.push_back((Said { source, file, text, rules, read }, reply));
                self.build_at = Some(clock::now());
            }
        }
    }

    fn causes_changed(&mut self, id: UpstreamId) {
        self.pools.insert(id);
        self.pools_at.get_or_insert_with(|| clock::now() + COALESCE_CAUSES);
    }

    /// Something changed that a plan depends on.
    pub(super) fn build_soon(&mut self) {
        self.build_at.get_or_insert_with(|| clock::now() + COALESCE);
    }

    /// Begins a build, if one is due and none runs.
    fn begin_build(&mut self, first_by: Instant) {
        let now = clock::now();
        if self.build.is_some() || self.build_at.is_none_or(|at| at > now) {
            return;
        }
        // Nothing is served yet: better late than without what providers know.
        if self.built.is_none() && !self.is_synchronised() && now < first_by {
            self.build_at = Some(first_by.min(now + COALESCE));
            return;
        }
        let (said, reply) = self.documents.pop_front().map_or((None, None), |(said, reply)| (Some(said), reply));
        // Facts before the first document wait for it.
        if said.is_none() && self.built.is_none() {
            self.build_at = None;
            return;
        }
        self.build_at = if self.documents.is_empty() { None } else { Some(now) };
        let ask = Ask {
            said,
            running: self.built.as_ref().map(|built| &built.known).or(self.before.as_ref()).cloned(),
            previous: self.built.clone(),
            facts: Arc::clone(&self.facts),
            names: self.names.clone(),
            generation: self.generation + 1,
        };
        self.build = Some((tokio::spawn(build(Arc::clone(&self.workshop), ask)), reply));
    }

    fn finish_build(&mut self, done: Result<Built, ApplyError>) {
        let reply = self.build.take().and_then(|(_, reply)| reply);
        match done.and_then(|built| self.publish(built)) {
            Err(error) => self.refuse(error, reply),
            Ok(applied) => {
                if let Some(reply) = reply {
                    drop(reply.send(Ok(applied)));
                }
            }
        }
    }

    /// Whether something that was said is not applied yet.
    pub(super) fn is_busy(&self) -> bool {
        self.build.is_some() || !self.documents.is_empty()
    }

    /// Upstreams that are due for a new pool.
    pub(super) fn take_due_pools(&mut self) -> FxHashSet<UpstreamId> {
        self.pools_at = None;
        std::mem::take(&mut self.pools)
    }

    /// Whether every provider has had its first view.
    pub(super) fn is_synchronised(&self) -> bool {
        self.facts.iter().all(|facts| facts.freshness != Freshness::Waiting)
    }

    fn sweep(&mut self) {
        self.sources.count(&self.common.shared.telemetry);
        let now = clock::moment();
        let mut registry = self.workshop.registry.lock();
        registry.judge_all(now);
        registry.forget(now);
        let outgrown = registry.outgrown(now);
        drop(registry);
        outgrown.into_iter().for_each(|id| self.causes_changed(id));
        self.retired.sweep(&self.workshop.thread);
        self.common.shared.telemetry.set(&metric::CONFIG_RETIRED, &[], show::count(self.retired.len()));
    }

    /// A document was not applied: everything stays, and says so.
    fn refuse(&mut self, error: ApplyError, reply: Reply) {
        tracing::error!("the document was not applied: {}", error.brief());
        self.note_refused(&error);
        if let Some(reply) = reply {
            drop(reply.send(Err(error)));
        }
    }
}

async fn built(build: &mut Option<(JoinHandle<Result<Built, ApplyError>>, Reply)>) -> Result<Built, ApplyError> {
    match build {
        Some((handle, _)) => handle.await.unwrap_or(Err(ApplyError::Internal)),
        None => std::future::pending().await,
    }
}

fn nothing_yet(name: &Arc<str>) -> Facts {
    let (replicas, problems) = (Vec::new(), Vec::new());
    Facts { provider: Arc::clone(name), replicas, problems, freshness: Freshness::Waiting }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}

fn tell_freshness(facts: &Facts) {
    let provider = &*facts.provider;
    match &facts.freshness {
        Freshness::Waiting => {}
        Freshness::Fresh => tracing::info!(provider, replicas = facts.replicas.len(), "provider is up to date"),
        Freshness::Stale { cause, .. } => {
            tracing::warn!(provider, %cause, "provider is out of reach: what it last knew is served on");
        }
    }
}
