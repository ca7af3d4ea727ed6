//! Which of a container's addresses is the one that we reach it by. Deterministic: the same networks give the same
//! answer, and where there is none, the reason names both sides' networks. Traefik's walk over a Go map made errors that
//! came and went with each rebuild (traefik #5040, #1156).

use super::container::{Container, Life, Published};
use super::wire::{Attachment, Network};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// From where the gateway looks at the engine's containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// From the engine's host, or from a container in the host's network.
    Host,
    /// From a container of the same engine, with this id.
    Container(Arc<str>),
    /// From elsewhere: only published ports are reachable, at this address (`None`: its name does not resolve).
    Remote(Option<IpAddr>),
}

/// From where it looks, and what it sees of the engine's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Where the gateway is.
    pub vantage: Vantage,
    /// The engine's host as the gateway's container sees it (`host.docker.internal`), where that resolves.
    pub host_address: Option<IpAddr>,
}

/// All that the choice looks at.
pub(super) struct View<'a> {
    pub(super) outlook: &'a Outlook,
    /// The document's preferred network.
    pub(super) preferred: Option<&'a str>,
    /// The label that names a container's network.
    pub(super) network_label: &'a str,
    /// By id.
    pub(super) networks: &'a BTreeMap<String, Network>,
    pub(super) containers: &'a BTreeMap<Arc<str>, Container>,
}

/// How a container is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) address: Option<IpAddr>,
    /// The network of `address`.
    pub(super) network: Option<String>,
    /// Ports in place of the container's.
    pub(super) published: Vec<(u16, u16)>,
    /// Why there is no address, with the way out.
    pub(super) trouble: Option<String>,
}

impl Reach {
    fn at(address: Option<IpAddr>) -> Self {
        Self { address, ..Self::default() }
    }

    fn trouble(message: impl Into<String>) -> Self {
        Self { trouble: Some(message.into()), ..Self::default() }
    }
}

impl View<'_> {
    /// How `container` is reached, now.
    pub(super) fn reach(&self, container: &Container) -> Reach {
        let Some(owner) = self.network_owner(container) else {
            return Reach::trouble("it uses the network of a container that is not there");
        };
        match (owner.network_mode.as_str(), &self.outlook.vantage) {
            ("none", _) => Reach::trouble("its network mode is `none`: it cannot be reached"),
            (_, Vantage::Remote(None)) => Reach::trouble("the engine's host name does not resolve"),
            ("host", Vantage::Remote(host)) => Reach::at(*host),
            ("host", Vantage::Host) => Reach::at(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            ("host", Vantage::Container(own)) => self.host_from_inside(own),
            (_, Vantage::Remote(Some(host))) => published(&owner.published, *host),
            (_, Vantage::Host) => self.seen_from_host(owner, container),
            (_, Vantage::Container(own)) => self.seen_from_inside(owner, container, own),
        }
    }

    /// The container whose network `container` uses: itself, or the one that `container:ID` leads to.
    pub(super) fn network_owner<'c>(&'c self, container: &'c Container) -> Option<&'c Container> {
        let mut owner = container;
        for _ in 0..CONTAINER_MODE_DEPTH {
            let Some(of) = owner.network_mode.strip_prefix("container:") else { return Some(owner) };
            let by_name = || self.containers.values().find(|other| other.name == of && !other.is_gone());
            owner = self.containers.get(of).or_else(by_name)?;
        }
        None
    }

    fn host_from_inside(&self, own: &str) -> Reach {
        let gateways = self.containers.get(own).into_iter().flat_map(|own| own.attachments.values());
        let address = self.outlook.host_address.or_else(|| gateways.filter_map(|at| at.gateway.parse().ok()).next());
        match address {
            Some(_) => Reach::at(address),
            None => Reach::trouble("its network mode is `host`, and the gateway's container knows no way to the host"),
        }
    }

    /// The networks of `container`, and where it is reached on each; `None`: not from here.
    pub(super) fn networks_of(&self, container: &Container) -> Vec<(Arc<str>, Option<IpAddr>)> {
        let Some(owner) = self.network_owner(container) else { return Vec::new() };
        let address = |at: &Attachment| if self.is_reachable(at) { address_of(at) } else { None };
        owner.attachments.iter().map(|(name, at)| (name.as_str().into(), address(at))).collect()
    }

    /// Whether neighbours on a network can be reached.
    fn is_reachable(&self, at: &Attachment) -> bool {
        match &self.outlook.vantage {
            // On a network of these kinds, from within it alone.
            Vantage::Host => {
                let driver = self.networks.get(&at.network_id).map_or("bridge", |network| network.driver.as_str());
                !["overlay", "macvlan", "ipvlan"].contains(&driver)
            }
            Vantage::Container(own) => {
                let gateway = self.containers.get(own).and_then(|gateway| self.network_owner(gateway));
                let shared =
                    |gateway: &Container| gateway.attachments.values().any(|own| own.network_id == at.network_id);
                gateway.is_some_and(shared)
            }
            Vantage::Remote(_) => false,
        }
    }

    fn seen_from_host(&self, owner: &Container, container: &Container) -> Reach {
        let why = || {
            format!(
                "from the engine's host none of its networks ({}) can be reached: run the gateway in a container on one",
                names(owner.attachments.keys())
            )
        };
        self.choose(owner, container, why)
    }

    fn seen_from_inside(&self, owner: &Container, container: &Container, own: &str) -> Reach {
        let Some(gateway) = self.containers.get(own) else {
            return Reach::trouble("the gateway's own container is not known yet");
        };
        if container.network_mode == format!("container:{own}") {
            return Reach::at(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        let gateway = self.network_owner(gateway).unwrap_or(gateway);
        let why = || {
            format!(
                "it shares no network with the gateway: it is on {}, the gateway on {}; put both on one",
                names(owner.attachments.keys()),
                names(gateway.attachments.keys())
            )
        };
        self.choose(owner, container, why)
    }

    /// The network that is asked for, else the first by name that can be reached; one with a way out before an internal.
    fn choose(&self, owner: &Container, container: &Container, why: impl Fn() -> String) -> Reach {
        let label = container.labels.get(self.network_label).map(|name| (name.as_str(), self.network_label));
        let asked = label.or_else(|| self.preferred.map(|name| (name, "providers.docker.network")));
        if let Some((name, by)) = asked {
            let Some(at) = owner.attachments.get(name) else {
                return Reach::trouble(format!(
                    "`{by}` names the network `{}`, on which it is not; it is on {}",
                    name.escape_debug(),
                    names(owner.attachments.keys())
                ));
            };
            return if self.is_reachable(at) { reach_by(name, at) } else { Reach::trouble(why()) };
        }
        let internal = |at: &Attachment| self.networks.get(&at.network_id).is_some_and(|network| network.internal);
        let candidates = owner.attachments.iter().filter(|(_, at)| self.is_reachable(at));
        let best = candidates.min_by_key(|(name, at)| (address_of(at).is_none(), internal(at), name.as_str()));
        match best {
            Some((name, at)) => reach_by(name, at),
            // A container that does not run has left its networks; that is no mistake of its owner's.
            None if owner.life == Life::Stopped => Reach::default(),
            None => Reach::trouble(why()),
        }
    }
}

fn reach_by(name: &str, at: &Attachment) -> Reach {
    Reach { address: address_of(at), network: Some(name.to_owned()), ..Reach::default() }
}

fn address_of(at: &Attachment) -> Option<IpAddr> {
    at.ip_address.parse().or_else(|_| at.ipv6_address.parse()).ok()
}

/// A port published on the engine's loopback is reachable only if that is also ours.
fn published(all: &[Published], host: IpAddr) -> Reach {
    let usable = |port: &&Published| port.address.is_none_or(|at| at == host || !at.is_loopback());
    let mut published: Vec<(u16, u16)> = all.iter().filter(usable).map(|port| (port.private, port.public)).collect();
    published.dedup_by_key(|(private, _)| *private);
    if published.is_empty() {
        return Reach::trouble("the engine is remote, and it publishes no port that can be reached: publish one");
    }
    Reach { address: Some(host), published, ..Reach::default() }
}

fn names<'a>(all: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = all.map(String::as_str).take(NAMES_SHOWN).collect();
    if names.is_empty() { "no network".to_owned() } else { names.join(", ") }
}

/// `container:` leads to one that may say `container:` again; in circles too.
const CONTAINER_MODE_DEPTH: usize = 4;
/// Networks that a message names.
const NAMES_SHOWN: usize = 8;
