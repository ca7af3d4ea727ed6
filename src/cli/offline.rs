//! A document compiled as the gateway does, without serving it.

use super::Failure;
use super::source::{folder_of, load};
use crate::compile::{Compiled, Compiler, Input};
use crate::control::default_listeners;
use crate::snapshot::explain::{Explanation, Question, explain as explain_by};
use crate::telemetry::{Telemetry, TelemetryOptions, clock};
use crate::tls::{TargetTls, Trust};
use plimsoll_core::config::{Document, DocumentProblem};
use plimsoll_core::model::UpstreamId;
use plimsoll_core::plan::{self, Names, Plan, plan};
use plimsoll_core::upstream::{Signal, Upstream};
use std::path::Path;
use std::sync::Arc;

/// Explains a request by a document alone: nothing is known of targets that a runtime would name, nor of anyone's health.
pub(super) fn explain(config: &Path, question: &Question) -> Result<Explanation, Failure> {
    let loaded = load(config)?;
    let read = loaded.read.as_ref().map_err(|problems| Failure::Input(problems.to_string()))?;
    let compiled = compile(&read.document, &folder_of(config)).map_err(|problems| {
        let shown = loaded.shown();
        let rendered = problems.iter().map(|problem| problem.render(&loaded.file, &shown, false));
        Failure::Input(rendered.collect::<Vec<_>>().join("\n"))
    })?;
    Ok(explain_by(&compiled.snapshot, question))
}

/// Compiles a document, without facts and without resolving names.
///
/// # Errors
/// Every mistake that reading it could not find: a certificate that cannot be loaded, for instance.
pub(super) fn compile(document: &Document, folder: &Path) -> Result<Compiled, Vec<DocumentProblem>> {
    let plan = Arc::new(of(document));
    let upstreams: Vec<Arc<Upstream>> = plan
        .upstreams
        .iter()
        .map(|planned| Upstream::new(planned.id.clone(), Arc::clone(&planned.name), Arc::new(Nobody)))
        .collect();
    let targets = Arc::new(TargetTls::new(Trust::System));
    Compiler::new(Telemetry::new(TelemetryOptions::default()), targets).compile(&Input {
        plan: &plan,
        generation: 1,
        upstreams: &upstreams,
        listeners: &default_listeners(&plan),
        previous: None,
        folder,
        kept: None,
        now_ms: clock::now_ms(),
    })
}

fn of(document: &Document) -> Plan {
    plan(plan::Input { document, facts: &[], names: &Names::default(), own_ips: &[], doors: None })
}

/// No pool is ever published here.
struct Nobody;

impl Signal for Nobody {
    fn upstream_changed(&self, _: &UpstreamId) {}
}
