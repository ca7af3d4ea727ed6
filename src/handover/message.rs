//! What is handed over, and the messages that carry it.

use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// Of what is said here. Fields may be added to a format; one that changes what a field means is another format.
pub(super) const FORMAT: u32 = 1;

/// All that a gateway hands over before the other one serves.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Where clients connect.
    pub(crate) listeners: Vec<HandedListener>,
    /// Where the admin API and the status endpoints are asked.
    pub(crate) doors: Vec<HandedDoor>,
    /// The running document, last; before it those whose `gateway` holds, where it has none.
    pub(crate) documents: Vec<HandedDocument>,
    /// The document's file, where the old process found one by itself.
    pub(crate) file: Option<PathBuf>,
    /// The text of the file that was last read, where it is not what runs.
    pub(crate) seen: Option<Arc<str>>,
}

/// A listener's sockets.
#[derive(Debug)]
pub(crate) struct HandedListener {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its address as the document says, which may have port 0.
    pub(crate) written: SocketAddr,
    /// Whether somebody else bound it, and the document's address is not asked.
    pub(crate) given: bool,
    /// One or more, each with its own queue of connections.
    pub(crate) sockets: Vec<TcpListener>,
}

/// A socket of the admin API or the status endpoints.
#[derive(Debug)]
pub(crate) struct HandedDoor {
    /// As the document says: `127.0.0.1:8001`, `unix:/run/admin.sock`.
    pub(crate) address: String,
    /// Whether somebody else bound it, and removes its file.
    pub(crate) given: bool,
    /// The socket.
    pub(crate) socket: OwnedFd,
}

/// A document, and by which rules it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HandedDocument {
    /// By `POST /config`, and not from the file.
    pub(crate) posted: bool,
    /// As it was said.
    pub(crate) text: String,
    /// `gateway.admin.allow`, as it was when this was posted.
    pub(crate) allow: Vec<String>,
    /// `gateway.admin.references`, as it was when this was posted.
    pub(crate) references: bool,
}

/// What is known of a target, beyond what documents and runtimes say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HandedTarget {
    /// Its upstream: `document/upstream/pool`.
    pub(crate) upstream: String,
    /// Its identity, as shown.
    pub(crate) id: String,
    /// Where it is reached.
    pub(crate) address: String,
    /// Who found it unhealthy: `active`, `passive`, `operator`.
    pub(crate) unhealthy: Option<String>,
    /// Whether it was found ready.
    pub(crate) ready: bool,
    /// Whether it refused a connection.
    pub(crate) refused: bool,
    /// Whether requests could go to it. Processes that do not say so yet leave it to the rest.
    pub(crate) pickable: Option<bool>,
}

/// [`Handed`] without the sockets, which come after it in the same order.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Offer {
    pub(super) format: u32,
    pub(super) listeners: Vec<ListenerOffer>,
    pub(super) doors: Vec<DoorOffer>,
    pub(super) documents: Vec<HandedDocument>,
    pub(super) file: Option<PathBuf>,
    pub(super) seen: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ListenerOffer {
    name: String,
    address: String,
    given: bool,
    sockets: usize,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct DoorOffer {
    address: String,
    given: bool,
}

/// What the new process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum FromNew {
    Hello {
        #[serde(default)]
        version: String,
    },
    Ready,
    Failed {
        #[serde(default)]
        reason: String,
    },
    Serving,
    /// Another process has taken over from it: who served before need not stand in for it.
    Left,
    #[serde(other)]
    Unknown,
}

/// What the old process says after its offer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum FromOld {
    Take {
        #[serde(default)]
        targets: Vec<HandedTarget>,
    },
    Yours,
    #[serde(other)]
    Unknown,
}

impl Offer {
    pub(super) fn of(handed: &Handed) -> Self {
        let listeners = handed.listeners.iter().map(|listener| ListenerOffer {
            name: listener.name.to_string(),
            address: listener.written.to_string(),
            given: listener.given,
            sockets: listener.sockets.len(),
        });
        Self {
            format: FORMAT,
            listeners: listeners.collect(),
            doors: handed
                .doors
                .iter()
                .map(|door| DoorOffer { address: door.address.clone(), given: door.given })
                .collect(),
            documents: handed.documents.clone(),
            file: handed.file.clone(),
            seen: handed.seen.as_deref().map(str::to_owned),
        }
    }

    /// How many sockets come after it.
    pub(super) fn sockets(&self) -> usize {
        self.listeners.iter().map(|listener| listener.sockets).sum::<usize>() + self.doors.len()
    }

    /// With its sockets. What cannot be understood is left out: the document says what is needed.
    pub(super) fn with(self, sockets: Vec<OwnedFd>) -> Handed {
        let mut sockets = sockets.into_iter();
        let mut listeners = Vec::new();
        for offer in self.listeners {
            let own: Vec<TcpListener> = sockets.by_ref().take(offer.sockets).map(TcpListener::from).collect();
            match offer.address.parse() {
                Ok(written) => {
                    let name = offer.name.into();
                    listeners.push(HandedListener { name, written, given: offer.given, sockets: own });
                }
                Err(_) => tracing::warn!(listener = offer.name, address = offer.address, "handed over at no address"),
            }
        }
        let doors = self.doors.into_iter().zip(sockets);
        Handed {
            listeners,
            doors: doors
                .map(|(offer, socket)| HandedDoor { address: offer.address, given: offer.given, socket })
                .collect(),
            documents: self.documents,
            file: self.file,
            seen: self.seen.map(Into::into),
        }
    }
}

impl Handed {
    /// Every socket, in the order of the offer.
    pub(super) fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        let listeners = self.listeners.iter().flat_map(|listener| &listener.sockets).map(AsFd::as_fd);
        listeners.chain(self.doors.iter().map(|door| door.socket.as_fd())).collect()
    }

    /// The socket for a door at this address, if there is one.
    pub(crate) fn take_door(&mut self, address: &str) -> Option<HandedDoor> {
        let at = self.doors.iter().position(|door| door.address == address)?;
        Some(self.doors.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_of_another_version_is_read_as_far_as_it_goes() {
        let text = r#"{"format": 1, "later": {"a": [1]}, "listeners": [
            {"name": "http", "address": "127.0.0.1:0", "sockets": 1, "later": true},
            {"name": "odd", "address": "unix:/a", "sockets": 1}], "documents": [{"text": "x", "later": 1}]}"#;
        let offer: Offer = serde_json::from_str(text).unwrap();
        assert_eq!((offer.format, offer.sockets()), (FORMAT, 2));
        let sockets = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = sockets[0].local_addr().unwrap();
        let handed = offer.with(sockets.into_iter().map(OwnedFd::from).collect());
        let [listener] = &handed.listeners[..] else { panic!("one that is understood: {:?}", handed.listeners) };
        assert_eq!((&*listener.name, listener.sockets[0].local_addr().unwrap()), ("http", address));
        assert_eq!(handed.documents, [HandedDocument { text: "x".into(), ..HandedDocument::default() }]);
        let said: FromNew = serde_json::from_str(r#"{"say": "something later"}"#).unwrap();
        assert!(matches!(said, FromNew::Unknown));
        let said: FromOld = serde_json::from_str(r#"{"say": "take"}"#).unwrap();
        assert!(matches!(said, FromOld::Take { targets } if targets.is_empty()));
    }
}
