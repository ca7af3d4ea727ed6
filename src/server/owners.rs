//! Whose a listening socket is. `SO_REUSEPORT` asks only whether both sides are the same user's; that every socket is this
//! process's own is told by the kernel's list of them.

use plimsoll_core::config::overlap;
use procfs::ProcError;
use procfs::net::{TcpNetEntry, TcpState};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// What the kernel calls a socket, as long as it is open.
pub(crate) type SocketId = u64;

/// What the kernel calls this socket.
pub(crate) fn id(socket: &TcpListener) -> io::Result<SocketId> {
    Ok(rustix::fs::fstat(socket)?.st_ino)
}

/// That everybody who listens where `address` would is one of `ours`.
///
/// # Errors
/// Somebody else does, or that cannot be told.
pub(super) fn all_ours(address: SocketAddr, ours: &[SocketId]) -> io::Result<()> {
    let mut lists = Vec::new();
    for list in [procfs::net::tcp(), procfs::net::tcp6()] {
        match list {
            Ok(list) => lists.push(list),
            // Where IPv6 is off there is no list of it.
            Err(ProcError::NotFound(_)) => {}
            Err(error) => {
                return Err(in_use(format!(
                    "it overlaps an address of ours, and who else listens there is not known: {error}"
                )));
            }
        }
    }
    if lists.is_empty() {
        let text = "it overlaps an address of ours, and without /proc nobody can tell whether the rest of it is free: restart \
                    the gateway to move there";
        return Err(in_use(text.to_owned()));
    }
    let taken = listening(lists).find(|(other, id)| overlap(*other, address) && !ours.contains(id));
    taken.map_or(Ok(()), |(other, _)| Err(in_use(format!("another process listens on {other}"))))
}

fn in_use(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, text)
}

/// Sockets that listen, with their addresses.
fn listening(lists: Vec<Vec<TcpNetEntry>>) -> impl Iterator<Item = (SocketAddr, SocketId)> {
    let listens = |entry: &TcpNetEntry| entry.state == TcpState::Listen;
    lists.into_iter().flatten().filter(listens).map(|entry| (entry.local_address, entry.inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_are_read_from_the_kernels_list() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let found: Vec<_> =
            listening(vec![procfs::net::tcp().unwrap()]).filter(|(other, _)| *other == address).collect();
        assert_eq!(found, [(address, id(&socket).unwrap())]);
    }
}
