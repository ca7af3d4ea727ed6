//! (previous snapshot, plan, upstreams) → snapshot, or problems.
//!
//! What depends only on the document is computed here, once, so that requests do not: compiled rules, the Host and the
//! connect profile of each service, TLS of each listener, handles of series. A router whose rules did not change is
//! shared with the snapshot before, since it is by far the dearest part.
//!
//! A mistake in the document fails the whole; one in what labels say costs that route alone, and is named. Not here: pools
//! (they hang on the upstreams) and binding addresses.

mod listeners;
mod routes;
mod services;
mod settings;

pub(crate) use services::is_unresolved;

use crate::snapshot::{self, Snapshot};
use crate::telemetry::Telemetry;
use crate::tls::{TargetTls, TicketKeys};
use plimsoll_core::config::{DocumentProblem, Listener};
use plimsoll_core::model::Problem;
use plimsoll_core::plan::Plan;
use plimsoll_core::upstream::Upstream;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::Arc;

/// What is compiled.
pub struct Input<'a> {
    /// What is to be served.
    pub plan: &'a Arc<Plan>,
    /// The number of the snapshot.
    pub generation: u64,
    /// The identities of the plan's upstreams, in its order.
    pub upstreams: &'a [Arc<Upstream>],
    /// Where clients connect: the document's listeners, or the default ones.
    pub listeners: &'a [Listener],
    /// What the one before came to.
    pub previous: Option<&'a Compiled>,
    /// What paths are relative to.
    pub folder: &'a Path,
    /// Listeners that were compiled of the same document, to be used again: their certificates' files may be in the middle
    /// of a change that nobody has said yet.
    pub kept: Option<&'a FxHashMap<Arc<str>, Arc<snapshot::Listener>>>,
    /// Milliseconds since the Unix epoch, for certificates that have run out.
    pub now_ms: u64,
}

/// A snapshot, and what is to be said about it.
#[derive(Clone)]
pub struct Compiled {
    /// What requests read.
    pub snapshot: Arc<Snapshot>,
    /// Labelled routes that were left out, and why.
    pub left_out: Vec<Problem>,
    /// What works, but hardly as meant.
    pub warnings: Vec<String>,
}

/// Compiles, and keeps what outlives snapshots: ticket keys of listeners, TLS sessions with targets.
pub struct Compiler {
    telemetry: Arc<Telemetry>,
    tickets: TicketKeys,
    targets: Arc<TargetTls>,
}

impl Compiler {
    /// A compiler whose snapshots count under this telemetry. `targets`: how targets are trusted.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>, targets: Arc<TargetTls>) -> Self {
        Self { telemetry, tickets: TicketKeys::default(), targets }
    }

    /// Makes a snapshot.
    ///
    /// # Errors
    /// Every mistake of the document that reading it could not find.
    pub fn compile(&self, input: &Input<'_>) -> Result<Compiled, Vec<DocumentProblem>> {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let services = services::compile(self, input, &mut problems, &mut warnings);
        let listeners = match input.kept {
            Some(kept) => kept.clone(),
            None => listeners::compile(self, input, &mut problems, &mut warnings),
        };
        let rules = routes::router(input, &mut problems);
        let (Some((router, left_out)), true) = (rules, problems.is_empty()) else {
            problems.sort_by(|one, other| (one.place, &one.message).cmp(&(other.place, &other.message)));
            return Err(problems);
        };
        let routes = routes::compile(&self.telemetry, input.plan, &services);
        let services = services.into_iter().map(|service| (Arc::clone(&service.name), service)).collect();
        let snapshot = Snapshot {
            generation: input.generation,
            router,
            routes,
            services,
            settings: Arc::new(settings::compile(&input.plan.gateway)),
            listeners,
            plan: Arc::clone(input.plan),
        };
        Ok(Compiled { snapshot: Arc::new(snapshot), left_out, warnings })
    }
}

/// A mistake at a place that is known, of something that has a name.
fn mistake(place: plimsoll_core::config::Place, path: String, message: String) -> DocumentProblem {
    DocumentProblem { place, length: 1, path, message, help: None }
}
