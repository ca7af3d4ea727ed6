//! Where clients connect: what the document says, or the default; and what is bound.

use super::error::ApplyError;
use super::limits;
use crate::handover::HandedListener;
use crate::server::{Listening, Server, SocketId, socket_id};
use crate::telemetry::clock;
use plimsoll_core::config::{Document, Listener, ListenerTls, TlsVersion, covers};
use plimsoll_core::plan::Plan;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Kong's `proxy_listen`.
const HTTP_PORT: u16 = 8000;
const HTTPS_PORT: u16 = 8443;

/// The document's listeners; else http on 8000, and https on 8443 as soon as there is a certificate.
pub(crate) fn wanted(plan: &Plan) -> Vec<Listener> {
    listeners(plan.gateway.listeners.as_deref(), !plan.certificates.is_empty())
}

/// As [`wanted`], of a document alone.
pub(crate) fn listeners_of(document: &Document) -> Vec<Listener> {
    let written = document.gateway.as_ref().and_then(|gateway| gateway.listeners.as_deref());
    listeners(written, !document.certificates.is_empty())
}

fn listeners(written: Option<&[Listener]>, has_certificates: bool) -> Vec<Listener> {
    if let Some(written) = written {
        return written.to_vec();
    }
    let any = if limits::has_ipv6() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let listener = |name: &str, port: u16, tls: Option<ListenerTls>| Listener {
        name: name.into(),
        address: SocketAddr::new(any, port),
        tls,
        http2: true,
        proxy_protocol: false,
    };
    let mut listeners = vec![listener("http", HTTP_PORT, None)];
    if has_certificates {
        let tls = ListenerTls { min_version: TlsVersion::default(), client_ca: None, default_certificate: None };
        listeners.push(listener("https", HTTPS_PORT, Some(tls)));
    }
    listeners
}

/// What is bound.
pub(super) struct Bound {
    server: Arc<Server>,
    places: Vec<Place>,
    /// Sockets that somebody else bound, by listener.
    given: BTreeMap<Arc<str>, Vec<TcpListener>>,
    /// Sockets that were closed, and when: they accept for a moment more, and must not be in the way of who comes back.
    closed: Vec<(Instant, Vec<SocketId>)>,
}

/// Longer than workers go on accepting at a socket that was closed.
const CLOSED_FOR: Duration = Duration::from_secs(3);

/// An address at which workers listen.
#[derive(Clone)]
pub(super) struct Place {
    /// The listener that it belongs to. `None`: none, it is closed when the next snapshot is out.
    name: Option<Arc<str>>,
    /// As the document says.
    written: SocketAddr,
    listening: Listening,
    /// Beside the listener's own place, which covers it.
    is_extra: bool,
}

impl Bound {
    /// With sockets that somebody else bound, and with what another process has bound.
    ///
    /// # Errors
    /// One of the latter cannot be used.
    pub(super) fn new(
        server: Arc<Server>,
        given: impl IntoIterator<Item = (Arc<str>, TcpListener)>,
        handed: Vec<HandedListener>,
    ) -> Result<Self, ApplyError> {
        let mut by_name: BTreeMap<Arc<str>, Vec<TcpListener>> = BTreeMap::new();
        for (name, socket) in given {
            by_name.entry(name).or_default().push(socket);
        }
        let mut bound = Self { server, places: Vec::new(), given: by_name, closed: Vec::new() };
        bound.take_over(handed)?;
        Ok(bound)
    }

    /// As if it had been bound for a document before the first one.
    fn take_over(&mut self, listeners: Vec<HandedListener>) -> Result<(), ApplyError> {
        for HandedListener { name, written, given, sockets } in listeners {
            let failed =
                |error| ApplyError::Listen { name: Arc::clone(&name), address: written, error: Arc::new(error) };
            let listening = self.server.adopt(&name, &sockets, 1).map_err(failed)?;
            self.places.push(Place { name: Some(Arc::clone(&name)), written, listening, is_extra: false });
            if given {
                self.given.insert(name, sockets);
            }
        }
        Ok(())
    }

    /// Every socket at which somebody may wait, doubled.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn hand_over(&self) -> io::Result<Vec<HandedListener>> {
        let named = self.places.iter().filter_map(|place| Some((place.name.as_ref()?, place)));
        let handed = named.map(|(name, place)| {
            let sockets = place.listening.sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
            let given = self.given.contains_key(name) && !place.is_extra;
            Ok(HandedListener { name: Arc::clone(name), written: place.written, given, sockets })
        });
        handed.collect()
    }

    /// Binds what is not bound yet, and gives what is bound to the listeners that want it in the snapshot of this
    /// generation; gives what was, for [`Self::back_to`]. What is no longer wanted stays until [`Self::close_unwanted`].
    ///
    /// A listener that moves to an address that covers its old one keeps the old socket too: closed, it would take with
    /// it what is in its queue, and nobody could connect to it any less.
    ///
    /// # Errors
    /// An address cannot be bound: then all is as it was.
    pub(super) fn bind(&mut self, wanted: &[Listener], generation: u64) -> Result<Vec<Place>, ApplyError> {
        let now = clock::now();
        self.closed.retain(|(at, _)| now.saturating_duration_since(*at) < CLOSED_FOR);
        let before = self.places.clone();
        let mut left = std::mem::take(&mut self.places);
        let given = &self.given;
        let stays = |place: &Place, listener: &Listener| {
            let is_there = place.written == listener.address || given.contains_key(&listener.name);
            place.name.as_ref() == Some(&listener.name) && is_there
        };
        let missing = take(&mut left, &mut self.places, wanted.iter().collect(), stays);
        // A new name, or another listener's old address.
        let is_there = |place: &Place, listener: &Listener| {
            let address = listener.address;
            address.port() != 0 && [place.written, place.listening.address].contains(&address)
        };
        let missing = take(&mut left, &mut self.places, missing, is_there);
        for listener in missing {
            let places = left.iter().map(|place| &place.listening.ids);
            let ours: Vec<SocketId> = places.chain(self.closed.iter().map(|(_, ids)| ids)).flatten().copied().collect();
            match self.bind_one(listener, &ours, generation) {
                Ok(listening) => self.places.push(Place::of(listener, listening)),
                Err(error) => {
                    self.places.append(&mut left);
                    self.back_to(before);
                    return Err(failed(listener, error));
                }
            }
        }
        for place in left {
            let at = place.listening.address;
            let covering =
                wanted.iter().find(|one| one.address.port() == at.port() && covers(one.address.ip(), at.ip()));
            let name = covering.map(|listener| Arc::clone(&listener.name));
            self.places.push(Place { name, is_extra: true, ..place });
        }
        self.rename(&before, generation);
        Ok(before)
    }

    fn bind_one(&self, listener: &Listener, ours: &[SocketId], since: u64) -> io::Result<Listening> {
        match self.given.get(&listener.name) {
            Some(sockets) => self.server.adopt(&listener.name, sockets, since),
            None => self.server.listen(&listener.name, listener.address, ours, since),
        }
    }

    /// Tells workers which sockets change hands.
    fn rename(&self, before: &[Place], generation: u64) {
        for place in &self.places {
            let key = place.listening.key;
            let was = before.iter().find(|before| before.listening.key == key).and_then(|before| before.name.as_ref());
            if let Some(name) = place.name.as_ref().filter(|name| was.is_some_and(|was| was != *name)) {
                self.server.rename(key, name, generation);
            }
        }
    }

    /// Closes and renames until all is as it was.
    pub(super) fn back_to(&mut self, before: Vec<Place>) {
        let now = std::mem::replace(&mut self.places, before);
        for place in &now {
            if !self.places.iter().any(|before| before.listening.key == place.listening.key) {
                self.server.close(place.listening.key, false);
                self.closed.push((clock::now(), place.listening.ids.clone()));
            }
        }
        // From the first snapshot on: the one that would have changed it does not come.
        self.rename(&now, 0);
    }

    /// Closes what no listener wants.
    pub(super) fn close_unwanted(&mut self) {
        let (server, given, closed) = (&self.server, &self.given, &mut self.closed);
        let is_given = |place: &Place| {
            let mut ids = given.values().flatten().filter_map(|socket| socket_id(socket).ok());
            ids.any(|id| place.listening.ids.contains(&id))
        };
        self.places.retain(|place| {
            if place.name.is_none() {
                // Whoever bound it may want it again.
                server.close(place.listening.key, !is_given(place));
                closed.push((clock::now(), place.listening.ids.clone()));
            }
            place.name.is_some()
        });
    }

    /// Addresses by name, as they were bound.
    pub(super) fn addresses(&self) -> BTreeMap<Arc<str>, SocketAddr> {
        let places = self.places.iter().filter(|place| !place.is_extra);
        places.filter_map(|place| Some((Arc::clone(place.name.as_ref()?), place.listening.address))).collect()
    }
}

impl Place {
    fn of(listener: &Listener, listening: Listening) -> Self {
        Self { name: Some(Arc::clone(&listener.name)), written: listener.address, listening, is_extra: false }
    }
}

/// Gives listeners the places that are theirs; what is left are those that got none.
fn take<'a>(
    left: &mut Vec<Place>,
    taken: &mut Vec<Place>,
    wanted: Vec<&'a Listener>,
    is_theirs: impl Fn(&Place, &Listener) -> bool,
) -> Vec<&'a Listener> {
    let mut missing = Vec::new();
    for listener in wanted {
        match left.iter().position(|place| is_theirs(place, listener)) {
            Some(at) => taken.push(Place::of(listener, left.swap_remove(at).listening)),
            None => missing.push(listener),
        }
    }
    missing
}

fn failed(listener: &Listener, error: io::Error) -> ApplyError {
    ApplyError::Listen { name: Arc::clone(&listener.name), address: listener.address, error: Arc::new(error) }
}
