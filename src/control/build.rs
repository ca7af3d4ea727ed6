//! From a document, facts and names to a plan, and, where its shape changed, a snapshot. Nothing that is served changes here.

use super::compile_thread::CompileThread;
use super::error::ApplyError;
use super::names::Resolved;
use super::registry::Registry;
use super::source::{Source, Surroundings};
use super::{limits, listeners};
use crate::compile::{Compiled, Compiler, Input, is_unresolved};
use crate::telemetry::clock;
use parking_lot::Mutex;
use plimsoll_core::config::{self, Document, Gateway, Listener, ReadOptions, read};
use plimsoll_core::model::Facts;
use plimsoll_core::plan::{self, Names, Plan, names_wanted};
use plimsoll_core::upstream::Upstream;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What every build needs, for the process's life.
pub(super) struct Workshop {
    pub(super) thread: CompileThread,
    pub(super) compiler: Compiler,
    pub(super) registry: Mutex<Registry>,
    /// What paths in documents are relative to.
    pub(super) folder: PathBuf,
    /// Where the admin API and the status page are bound; `None`: where the document says.
    pub(super) doors: Option<Vec<SocketAddr>>,
}

/// A document as text.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) source: Source,
    /// What messages call it.
    pub(super) file: Arc<str>,
    pub(super) text: Arc<str>,
    /// What one from the network may say. `None`: what the running document allows.
    pub(super) rules: Option<Rules>,
    /// The document, where it has been read already: a large one takes its time.
    pub(super) read: Option<Arc<config::Read>>,
}

/// What a document from the network may say.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) allow: Vec<Arc<str>>,
    pub(super) references: bool,
}

/// A document that was read.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) said: Said,
    /// Where the document has no `gateway` of its own: the one before it whose it has.
    pub(super) before: Option<Said>,
    pub(super) document: Arc<Document>,
    /// What works in it, but hardly as meant.
    pub(super) warnings: Arc<[String]>,
}

/// What a build starts from.
pub(super) struct Ask {
    /// A new document; `None`: the running one.
    pub(super) said: Option<Said>,
    /// The running one.
    pub(super) running: Option<Known>,
    /// The running plan and what it was compiled to.
    pub(super) previous: Option<Arc<Built>>,
    pub(super) facts: Arc<Vec<Facts>>,
    pub(super) names: Resolved,
    /// Of the next snapshot.
    pub(super) generation: u64,
}

/// What came out.
pub(super) struct Built {
    pub(super) known: Known,
    pub(super) plan: Arc<Plan>,
    /// Identities of the plan's upstreams, in its order.
    pub(super) upstreams: Vec<Arc<Upstream>>,
    pub(super) listeners: Vec<Listener>,
    pub(super) compiled: Compiled,
    /// Whether the snapshot is a new one.
    pub(super) is_new: bool,
    /// Whether a document was said, rather than facts or names.
    pub(super) is_said: bool,
}

/// Reads (if there is a new document), resolves, plans and compiles.
pub(super) async fn build(workshop: Arc<Workshop>, ask: Ask) -> Result<Built, ApplyError> {
    let Ask { said, running, previous, facts, mut names, generation } = ask;
    // What is said again may say something new: a certificate's file has changed.
    let is_said = said.is_some();
    let known = match said {
        None => running.ok_or(ApplyError::Internal)?,
        Some(said) => {
            let folder = workshop.folder.clone();
            let job = move || read_document(said, running.as_ref(), folder);
            workshop.thread.run(job).await.ok_or(ApplyError::Internal)??
        }
    };
    let resolved = names.also(&names_wanted(&known.document)).await;
    let inner = Arc::clone(&workshop);
    let job = move || make(&inner, known, (previous.as_deref(), is_said), &facts, &resolved, generation);
    workshop.thread.run(job).await.ok_or(ApplyError::Internal)?
}

/// Reads a document, which may be an addition to the running one.
pub(super) fn read_document(mut said: Said, running: Option<&Known>, folder: PathBuf) -> Result<Known, ApplyError> {
    let gateway = running.and_then(|known| known.document.gateway.clone());
    if said.source == Source::Post && said.rules.is_none() {
        let admin = gateway.as_ref().and_then(|gateway| gateway.admin.clone()).unwrap_or_default();
        said.rules = Some(Rules { allow: admin.allow, references: admin.references });
    }
    let source = match &said.rules {
        Some(rules) => config::Source::Post { allow: &rules.allow, references: rules.references },
        None => config::Source::File,
    };
    let options = ReadOptions { file: &said.file, references: &Surroundings { folder }, source };
    let config::Read { mut document, warnings } = match said.read.take() {
        Some(read) => Arc::unwrap_or_clone(read),
        None => read(&said.text, &options).map_err(ApplyError::Document)?,
    };
    // A document from the network that says nothing of the gateway changes nothing of it.
    let mut before = None;
    if said.source == Source::Post && document.gateway.is_none() {
        document.gateway = gateway;
        let written = running.iter().flat_map(|known| &known.document.written);
        document.written.extend(written.filter(|written| written.pointer.starts_with("/gateway")).cloned());
        before = running.map(|known| known.before.clone().unwrap_or_else(|| known.said.clone()));
    }
    // In the log, and in answers to whoever asks.
    let warnings = warnings.iter().map(|warning| warning.brief(&said.file)).collect();
    Ok(Known { document: Arc::new(document), said, before, warnings })
}

fn make(
    workshop: &Workshop,
    known: Known,
    (previous, is_said): (Option<&Built>, bool),
    facts: &[Facts],
    names: &Names,
    generation: u64,
) -> Result<Built, ApplyError> {
    let own_ips = limits::own_ips();
    let doors = workshop.doors.as_deref();
    let plan = plan::plan(plan::Input { document: &known.document, facts, names, own_ips: &own_ips, doors });
    let plan = Arc::new(plan);
    let upstreams = workshop.registry.lock().upstreams_of(&plan);
    if let Some(previous) = previous.filter(|previous| !is_said && same_snapshot(&previous.plan, &plan)) {
        let (listeners, compiled) = (previous.listeners.clone(), previous.compiled.clone());
        return Ok(Built { known, plan, upstreams, listeners, compiled, is_new: false, is_said });
    }
    let listeners = listeners::wanted(&plan);
    let compiled = workshop.compiler.compile(&Input {
        plan: &plan,
        generation,
        upstreams: &upstreams,
        listeners: &listeners,
        previous: previous.map(|previous| &previous.compiled),
        folder: &workshop.folder,
        kept: previous.filter(|_| !is_said).map(|previous| &previous.compiled.snapshot.listeners),
        now_ms: clock::now_ms(),
    });
    let compiled = compiled.map_err(|problems| {
        let text = config::without_secrets(&known.said.text).into();
        ApplyError::Compile { file: Arc::clone(&known.said.file), text, problems }
    })?;
    Ok(Built { known, plan, upstreams, listeners, compiled, is_new: true, is_said })
}

/// Whether both plans come to the same snapshot: they differ in members of pools alone.
fn same_snapshot(one: &Plan, other: &Plan) -> bool {
    one.same_shape(other)
        && one.upstreams.iter().zip(&other.upstreams).all(|(a, b)| is_unresolved(a) == is_unresolved(b))
}

impl Built {
    /// Settings of the gateway.
    pub(super) fn gateway(&self) -> &Gateway {
        &self.plan.gateway
    }
}
