//! Listeners and their certificates.

use super::{Compiler, Input, mistake};
use crate::snapshot::{Listener, ListenerTls};
use crate::tls::{Certificates, TlsProblem, server_config};
use plimsoll_core::config::DocumentProblem;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The listeners, by name.
pub(super) fn compile(
    compiler: &Compiler,
    input: &Input<'_>,
    problems: &mut Vec<DocumentProblem>,
    warnings: &mut Vec<String>,
) -> FxHashMap<Arc<str>, Arc<Listener>> {
    let certificates = match Certificates::load(&input.plan.certificates, input.folder, input.now_ms) {
        Ok(certificates) => Arc::new(certificates),
        Err(faults) => {
            problems.extend(faults.into_iter().map(fault));
            return FxHashMap::default();
        }
    };
    warnings.extend(certificates.warnings().iter().map(ToString::to_string));
    let mut listeners = FxHashMap::default();
    for listener in input.listeners {
        let tls = match server_config(listener, &certificates, &compiler.tickets, input.folder) {
            Ok(config) => config.map(|config| ListenerTls { config, certificates: Arc::clone(&certificates) }),
            Err(problem) => {
                problems.push(fault(problem));
                continue;
            }
        };
        let compiled = Listener {
            name: Arc::clone(&listener.name),
            series: compiler.telemetry.listener(&listener.name),
            address: listener.address,
            tls,
            http2: listener.http2,
            proxy_protocol: listener.proxy_protocol,
        };
        listeners.insert(Arc::clone(&listener.name), Arc::new(compiled));
    }
    listeners
}

fn fault(problem: TlsProblem) -> DocumentProblem {
    let message = problem.to_string();
    mistake(problem.place, problem.subject, message)
}
