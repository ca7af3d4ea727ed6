//! The gateway's own addresses: a target among them would send requests round in circles, or show the admin API to the
//! world.

use crate::config::{AdminAddress, Gateway};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where the gateway itself is reached.
#[derive(Debug)]
pub(super) struct Own<'a> {
    listeners: Vec<SocketAddr>,
    /// Of the admin API and the status page.
    internal: Vec<SocketAddr>,
    ips: &'a [IpAddr],
}

/// Kong's `proxy_listen`, plain and TLS.
const DEFAULT_PORTS: [u16; 2] = [8000, 8443];

impl<'a> Own<'a> {
    pub(super) fn of(gateway: &Gateway, certificates: bool, ips: &'a [IpAddr], doors: Option<&[SocketAddr]>) -> Self {
        let defaults = DEFAULT_PORTS.into_iter().take(if certificates { 2 } else { 1 });
        let listeners = match &gateway.listeners {
            Some(listeners) => listeners.iter().map(|listener| listener.address).collect(),
            None => defaults.map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).collect(),
        };
        let admin = gateway.admin.as_ref().and_then(|admin| match &admin.address {
            AdminAddress::Tcp(address) => Some(*address),
            AdminAddress::Unix(_) => None,
        });
        // A reload that names others moves none of them.
        let internal = doors.map_or_else(|| admin.into_iter().chain(gateway.status).collect(), <[SocketAddr]>::to_vec);
        Self { listeners, internal, ips }
    }

    /// Whether a target at `address` is one of our listeners.
    pub(super) fn is_listener(&self, address: SocketAddr) -> bool {
        self.listeners.iter().any(|own| self.reaches(*own, address))
    }

    /// Whether it is anything of ours. A document may lead to the admin API, as is usual with Kong; nobody else may.
    pub(super) fn is_ours(&self, address: SocketAddr) -> bool {
        self.is_listener(address) || self.internal.iter().any(|own| self.reaches(*own, address))
    }

    fn reaches(&self, own: SocketAddr, address: SocketAddr) -> bool {
        let (listens, asked) = (own.ip().to_canonical(), address.ip().to_canonical());
        // Connecting to the unspecified address reaches this machine.
        let here = asked.is_loopback() || asked.is_unspecified();
        own.port() == address.port()
            && (listens == asked
                || (listens.is_unspecified() && (here || self.ips.contains(&asked)))
                || (listens.is_loopback() && asked.is_unspecified()))
    }
}
