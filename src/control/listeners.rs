//! Where clients connect: what the document says, or the default; and what is bound.

use super::error::ApplyError;
use super::limits;
use crate::server::Server;
use plimsoll_core::config::{Listener, ListenerTls, TlsVersion};
use plimsoll_core::plan::Plan;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// Kong's `proxy_listen`.
const HTTP_PORT: u16 = 8000;
const HTTPS_PORT: u16 = 8443;

/// The document's listeners; else http on 8000, and https on 8443 as soon as there is a certificate.
pub(crate) fn wanted(plan: &Plan) -> Vec<Listener> {
    if let Some(written) = &plan.gateway.listeners {
        return written.clone();
    }
    let any = if limits::has_ipv6() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let listener = |name: &str, port: u16, tls: Option<ListenerTls>| Listener {
        name: name.into(),
        address: SocketAddr::new(any, port),
        tls,
        http2: true,
    };
    let mut listeners = vec![listener("http", HTTP_PORT, None)];
    if !plan.certificates.is_empty() {
        let tls = ListenerTls { min_version: TlsVersion::default(), client_ca: None, default_certificate: None };
        listeners.push(listener("https", HTTPS_PORT, Some(tls)));
    }
    listeners
}

/// What is bound.
pub(super) struct Bound {
    server: Arc<Server>,
    by_name: Places,
    /// Sockets that somebody else bound, by listener.
    given: BTreeMap<Arc<str>, TcpListener>,
}

/// What is bound, by listener.
pub(super) type Places = BTreeMap<Arc<str>, Place>;

/// Where a listener is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// As the document says.
    written: SocketAddr,
    /// As the kernel says.
    bound: SocketAddr,
}

impl Bound {
    pub(super) fn new(server: Arc<Server>, given: impl IntoIterator<Item = (Arc<str>, TcpListener)>) -> Self {
        Self { server, by_name: BTreeMap::new(), given: given.into_iter().collect() }
    }

    /// Binds what is not bound yet; gives what was, for [`Self::back_to`]. What is no longer wanted stays until
    /// [`Self::close_all_but`].
    ///
    /// # Errors
    /// An address cannot be bound: then all is as it was.
    pub(super) fn bind(&mut self, wanted: &[Listener]) -> Result<Places, ApplyError> {
        let before = self.by_name.clone();
        for listener in wanted {
            if self.by_name.get(&listener.name).is_some_and(|place| place.written == listener.address) {
                continue;
            }
            match self.bind_one(listener) {
                Ok(bound) => {
                    let place = Place { written: listener.address, bound };
                    self.by_name.insert(Arc::clone(&listener.name), place);
                }
                Err(error) => {
                    self.back_to(before);
                    let (name, address) = (Arc::clone(&listener.name), listener.address);
                    return Err(ApplyError::Listen { name, address, error: Arc::new(error) });
                }
            }
        }
        Ok(before)
    }

    fn bind_one(&self, listener: &Listener) -> std::io::Result<SocketAddr> {
        match self.given.get(&listener.name) {
            Some(socket) => self.server.adopt(&listener.name, socket),
            None => self.server.listen(&listener.name, listener.address),
        }
    }

    /// Binds and closes until all is as it was.
    pub(super) fn back_to(&mut self, before: Places) {
        for (name, place) in &self.by_name {
            match before.get(name) {
                None => self.server.close(name),
                Some(old) if old.written != place.written => {
                    if let Err(error) = self.server.listen(name, old.bound) {
                        tracing::error!(listener = %name, address = %old.bound, %error, "cannot go back to an address");
                    }
                }
                Some(_) => {}
            }
        }
        self.by_name = before;
    }

    /// Closes what is no longer wanted.
    pub(super) fn close_all_but(&mut self, wanted: &[Listener]) {
        let server = &self.server;
        self.by_name.retain(|name, _| {
            let stays = wanted.iter().any(|listener| listener.name == *name);
            if !stays {
                server.close(name);
            }
            stays
        });
    }

    /// Addresses by name, as they were bound.
    pub(super) fn addresses(&self) -> BTreeMap<Arc<str>, SocketAddr> {
        self.by_name.iter().map(|(name, place)| (Arc::clone(name), place.bound)).collect()
    }
}
