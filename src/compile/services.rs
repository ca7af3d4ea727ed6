//! Services: the Host that is sent, and how targets are connected to.

use super::{Compiler, Input, mistake};
use crate::snapshot::{ConnectProfile, HostRule, Service};
use crate::tls::TargetProfile;
use plimsoll_core::config::{self, DocumentProblem, Protocol};
use plimsoll_core::plan::PlannedUpstream;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The services, in the plan's order.
pub(super) fn compile(
    compiler: &Compiler,
    input: &Input<'_>,
    problems: &mut Vec<DocumentProblem>,
    warnings: &mut Vec<String>,
) -> Vec<Arc<Service>> {
    let plan = input.plan;
    let mut unverified = Vec::new();
    let mut services = Vec::with_capacity(plan.services.len());
    for planned in &plan.services {
        let service = &planned.service;
        let (Some(upstream), Some(identity)) =
            (plan.upstreams.get(planned.upstream), input.upstreams.get(planned.upstream))
        else {
            let message = "its upstream is not in the plan".to_owned();
            problems.push(mistake(service.place, format!("services[{}]", service.name), message));
            continue;
        };
        let verify = service.tls_verify.unwrap_or(plan.gateway_written);
        if service.protocol.is_tls() && service.tls_verify.is_none() && !verify {
            unverified.push(&*service.name);
        }
        let connect = match connect_profile(compiler, service.protocol, verify) {
            Ok(connect) => connect,
            Err(message) => {
                problems.push(mistake(service.place, format!("services[{}]", service.name), message));
                continue;
            }
        };
        services.push(Arc::new(Service {
            name: Arc::clone(&service.name),
            series: compiler.telemetry.service(&service.name),
            protocol: service.protocol,
            path: service.path.clone(),
            retries: service.retries,
            connect_timeout: service.connect_timeout,
            write_timeout: service.write_timeout,
            read_timeout: service.read_timeout,
            upstream: Arc::clone(identity),
            upstream_series: compiler.telemetry.upstream(&upstream.name),
            host: host_rule(service, upstream),
            connect,
            unresolved: is_unresolved(upstream),
        }));
    }
    if !unverified.is_empty() {
        warnings.push(format!(
            "certificates of targets are not verified, as in Kong, for the services {}: write `tls_verify: true`, or a \
             `gateway:` key, with which they are",
            unverified.join(", ")
        ));
    }
    services
}

/// Whether an upstream is a plain host whose name does not resolve.
pub(crate) fn is_unresolved(upstream: &PlannedUpstream) -> bool {
    upstream.host.is_some() && upstream.members.is_empty() && !upstream.unresolved.is_empty()
}

/// Everything that shapes the handshake, apart from the name asked for, which is the Host of the attempt.
fn connect_profile(compiler: &Compiler, protocol: Protocol, verify: bool) -> Result<ConnectProfile, String> {
    let http2 = protocol.is_grpc();
    let profile = TargetProfile { verify, http2 };
    let tls = if protocol.is_tls() {
        Some(compiler.targets.config(profile).map_err(|error| format!("TLS towards targets: {error}"))?)
    } else {
        None
    };
    let mut hasher = FxHasher::default();
    (tls.is_some(), tls.is_some() && verify, http2).hash(&mut hasher);
    Ok(ConnectProfile { hash: hasher.finish(), tls, http2 })
}

/// What is sent as Host (Kong 3.10 `kong/runloop/balancer/init.lua`, `set_host_header`): of a plain host its name, with the
/// port unless it is the scheme's; of an upstream `host_header` as written, else each target's own.
fn host_rule(service: &config::Service, upstream: &PlannedUpstream) -> HostRule {
    if let Some(host) = &upstream.host {
        let usual = if service.protocol.is_tls() { 443 } else { 80 };
        let bare_ipv6 = host.contains(':') && !host.starts_with('[');
        let name = if bare_ipv6 { format!("[{host}]") } else { host.to_string() };
        let name = if service.port == usual { name } else { format!("{name}:{}", service.port) };
        return HostRule::Written(name.into());
    }
    upstream.settings.host_header.as_ref().map_or(HostRule::Target, |host| HostRule::Written(Arc::clone(host)))
}
