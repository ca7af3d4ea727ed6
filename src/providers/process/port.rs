//! A free port for a replica.
//!
//! Not the kernel's choice (bind to 0 and close): that comes out of the range for outgoing connections, where another
//! program's connect may take it before the replica has bound it, and where a connect of ours to a replica that is not
//! there can meet itself (source and destination alike: the handshake succeeds). So: a port below that range, tried by
//! binding it. Between closing it and the replica's bind someone may take it all the same; the replica then ends and is
//! started again, with another port.

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Arc;

/// The lowest port that is tried: well above the known services.
const LOWEST: u16 = 20_000;
/// Where the kernel's range for outgoing connections begins by default.
const OUTGOING_FROM: u16 = 32_768;
/// Random tries before the kernel is asked after all.
const TRIES: usize = 200;

/// The ports that our replicas hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    taken: Arc<Mutex<FxHashSet<u16>>>,
}

/// One port, ours until this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) port: u16,
    taken: Arc<Mutex<FxHashSet<u16>>>,
}

impl Ports {
    /// A port that nobody listens on, and that none of our other replicas was given.
    ///
    /// # Errors
    /// When not even the kernel has one.
    pub(super) fn lease(&self) -> std::io::Result<Lease> {
        let outgoing_from = outgoing_from();
        let end = if outgoing_from > LOWEST + 1_000 { outgoing_from } else { OUTGOING_FROM };
        let mut taken = self.taken.lock();
        for _ in 0..TRIES {
            let port = fastrand::u16(LOWEST..end);
            if !taken.contains(&port) && is_free(port) {
                taken.insert(port);
                return Ok(Lease { port, taken: Arc::clone(&self.taken) });
            }
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        taken.insert(port);
        Ok(Lease { port, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.taken.lock().remove(&self.port);
    }
}

/// On every address, since nobody knows which one the command will bind.
fn is_free(port: u16) -> bool {
    if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err() {
        return false;
    }
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrInUse,
    }
}

fn outgoing_from() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(OUTGOING_FROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_differ_and_are_free() {
        let ports = Ports::default();
        let leases: Vec<_> = (0..50).map(|_| ports.lease().unwrap()).collect();
        let distinct: FxHashSet<u16> = leases.iter().map(|lease| lease.port).collect();
        assert_eq!(distinct.len(), 50);
        assert!(leases.iter().all(|lease| TcpListener::bind((Ipv4Addr::LOCALHOST, lease.port)).is_ok()));
        drop(leases);
        assert!(ports.taken.lock().is_empty());
    }

    #[test]
    fn a_port_that_someone_listens_on_is_not_free() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let other = TcpListener::bind(address).unwrap();
            assert!(!is_free(other.local_addr().unwrap().port()), "{address}");
        }
    }
}
