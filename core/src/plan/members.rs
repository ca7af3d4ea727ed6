//! From a replica, or a target of the document, to members of a pool.

use super::groups::{DEFAULT_WEIGHT, Known};
use super::input::address;
use super::own::Own;
use super::whole::Remarks;
use super::{Member, Names};
use crate::config::Target;
use crate::model::{Phase, Problem, Replica, RuntimeHealth, TargetId};
use std::net::SocketAddr;
use std::sync::Arc;

/// How a pool of the document wants its members to be reached.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) port: Option<u16>,
    pub(super) network: Option<&'a Arc<str>>,
}

/// The member that a replica is. `None`: it does not run, or cannot be reached, which is named.
pub(super) fn of_replica(
    known: &Known<'_>,
    wanted: Wanted<'_>,
    own: &Own<'_>,
    remarks: &mut Remarks,
) -> Option<Member> {
    let replica = known.replica;
    if matches!(replica.phase, Phase::Stopped | Phase::Gone) {
        return None;
    }
    let way = replica.by(wanted.network.map(AsRef::as_ref));
    let Some(ip) = way.address else {
        // One that is being stopped leaves its networks first on new engines: that is no mistake.
        if replica.phase == Phase::Running {
            remarks.problem(&replica.name, unreachable(replica, wanted));
        }
        return None;
    };
    let (port, reached) = match port_of(replica, wanted.port.or(known.port), remarks) {
        Ok(ports) => ports,
        Err(message) => {
            remarks.problem(&replica.name, message);
            return None;
        }
    };
    let address = SocketAddr::new(ip, reached);
    if own.is_ours(address) {
        remarks.problem(&replica.name, format!("{address} is the gateway's own: it is left out"));
        return None;
    }
    Some(Member {
        id: TargetId {
            provider: Arc::clone(&replica.group.provider),
            id: Arc::clone(&replica.id),
            incarnation: Arc::clone(&replica.incarnation),
            port,
        },
        address,
        name: address.to_string().into(),
        replica: replica.name.as_str().into(),
        network: wanted.network.cloned(),
        weight: known.weight,
        phase: way.phase,
        health: replica.health,
    })
}

/// Why there is no way to a replica, and the way out.
fn unreachable(replica: &Replica, wanted: Wanted<'_>) -> String {
    let Some(network) = wanted.network else {
        return "has no address that can be reached: it shares no network with the gateway, nor publishes a port"
            .to_owned();
    };
    let asked = format!("`discover` names the network `{}`", network.escape_debug());
    if replica.networks.contains_key(network) {
        return format!("{asked}, on which the gateway cannot reach it: put the gateway on it");
    }
    let own: Vec<&str> = replica.networks.keys().map(AsRef::as_ref).take(NETWORKS_SHOWN).collect();
    let own = if own.is_empty() { "no network".to_owned() } else { own.join(", ") };
    format!("{asked}, on which it is not; it is on {own}")
}

/// Networks that a message names.
const NETWORKS_SHOWN: usize = 8;

/// A replica's port, and the one at which it is reached.
fn port_of(replica: &Replica, wanted: Option<u16>, remarks: &mut Remarks) -> Result<(u16, u16), String> {
    let published = |port: u16| replica.published.iter().find(|(own, _)| *own == port).map(|(_, reached)| *reached);
    let reached = |port: u16| if replica.published.is_empty() { Some(port) } else { published(port) };
    if let Some(port) = wanted {
        let unpublished = || format!("its port {port} is not published, and only published ports can be reached");
        return reached(port).map(|reached| (port, reached)).ok_or_else(unpublished);
    }
    let open = replica.ports.iter().copied().chain(replica.published.iter().map(|(own, _)| *own));
    let mut open: Vec<(u16, u16)> = open.filter_map(|port| Some((port, reached(port)?))).collect();
    open.sort_unstable();
    open.dedup();
    match open.as_slice() {
        [] => Err("exposes no port: name it with the label target.port".to_owned()),
        [only] => Ok(*only),
        [lowest, ..] => {
            let all: Vec<String> = open.iter().map(|(port, _)| port.to_string()).collect();
            let message = format!(
                "exposes the ports {}: {} is taken; the label target.port names another",
                all.join(", "),
                lowest.0
            );
            remarks.note(&replica.name, message);
            Ok(*lowest)
        }
    }
}

/// Where members of one pool are collected that have no runtime.
pub(super) struct Written<'a, 'b> {
    /// The upstream's name, a part of its targets' identities: each upstream has its own verdicts on an address.
    pub(super) upstream: &'a str,
    pub(super) names: &'a Names,
    pub(super) own: &'a Own<'a>,
    pub(super) members: &'b mut Vec<Member>,
    pub(super) unresolved: &'b mut Vec<Problem>,
}

impl Written<'_, '_> {
    /// Adds a target of the document.
    pub(super) fn target(&mut self, target: &Target, remarks: &mut Remarks) {
        self.add(&target.host, target.port, &target.target, target.weight, remarks);
    }

    /// Adds the plain host of a service.
    pub(super) fn host(&mut self, host: &Arc<str>, port: u16, remarks: &mut Remarks) {
        let bare = host.contains(':') && !host.starts_with('[');
        let written: Arc<str> = if bare { format!("[{host}]:{port}") } else { format!("{host}:{port}") }.into();
        self.add(host, port, &written, DEFAULT_WEIGHT, remarks);
    }

    fn add(&mut self, host: &Arc<str>, port: u16, written: &Arc<str>, weight: u16, remarks: &mut Remarks) {
        if let Some(ip) = address(host) {
            self.push(format!("{}/{written}", self.upstream), SocketAddr::new(ip, port), written, weight, remarks);
            return;
        }
        let message = match self.names.resolved(host, port) {
            Some(Ok(addresses)) if !addresses.is_empty() => {
                for address in addresses {
                    let id = format!("{}/{written}/{}", self.upstream, address.ip());
                    self.push(id, *address, written, weight, remarks);
                }
                return;
            }
            Some(Ok(_)) => "the name has no address".to_owned(),
            Some(Err(error)) => error.to_owned(),
            None => "not resolved yet".to_owned(),
        };
        self.unresolved.push(Problem { subject: written.to_string(), message });
    }

    fn push(&mut self, id: String, address: SocketAddr, written: &Arc<str>, weight: u16, remarks: &mut Remarks) {
        if self.own.is_listener(address) {
            let message = format!("its target {written} is the gateway's own listener at {address}: it is left out");
            remarks.problem(self.upstream, message);
            return;
        }
        let id = TargetId { provider: "document".into(), id: id.into(), incarnation: "".into(), port: address.port() };
        if self.members.iter().any(|member| member.id == id) {
            return;
        }
        self.members.push(Member {
            id,
            address,
            name: Arc::clone(written),
            replica: Arc::clone(written),
            network: None,
            weight,
            phase: Phase::Running,
            health: RuntimeHealth::None,
        });
    }
}
