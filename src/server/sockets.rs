//! Binding a listening address once a worker.

use super::owners::{self, SocketId};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// Connections that the kernel keeps for us before they are accepted (it cuts this at `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Sockets of one address, one a worker.
pub(super) struct Group {
    /// As the kernel says: with the port that it chose where 0 was asked for.
    pub(super) address: SocketAddr,
    pub(super) sockets: Vec<TcpListener>,
}

/// Binds `address` `count` times.
///
/// The first socket is bound without `SO_REUSEPORT` and gets it afterwards: else a second process of the same user could
/// bind the same address unnoticed and take half of the traffic. Where that fails over addresses that overlap, and all who
/// listen there are `ours`, it is bound with it, beside them.
///
/// # Errors
/// What the kernel says of the first bind that fails; that the address is somebody else's.
pub(super) fn bind(address: SocketAddr, count: usize, ours: &[SocketId]) -> io::Result<Group> {
    let first = match bind_first(address, ours) {
        Err(error) if is_without_ipv6(address, &error) => {
            bind_first(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()), ours)?
        }
        first => first?,
    };
    first.set_reuse_port(true)?;
    first.listen(BACKLOG)?;
    let first: TcpListener = first.into();
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < count.max(1) {
        let socket = bind_one(bound, true)?;
        socket.listen(BACKLOG)?;
        sockets.push(socket.into());
    }
    Ok(Group { address: bound, sockets })
}

/// Sockets that somebody else bound, and where their address is shared as many more as are missing. Those do not listen
/// yet: what came to their queues would be lost if nobody ever accepted there.
///
/// # Errors
/// They cannot be used.
pub(super) fn adopt(given: &[TcpListener], count: usize) -> io::Result<Group> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "no socket was given");
    let address = given.first().ok_or_else(none)?.local_addr()?;
    let mut sockets = Vec::new();
    let mut shared = true;
    for socket in given {
        socket.set_nonblocking(true)?;
        let socket = socket.try_clone()?;
        shared &= SockRef::from(&socket).reuse_port()?;
        // Whoever bound it may not have.
        SockRef::from(&socket).set_tcp_nodelay(true)?;
        sockets.push(socket);
    }
    while shared && sockets.len() < count {
        match bind_one(address, true) {
            Ok(socket) => sockets.push(socket.into()),
            Err(error) => {
                // Another user's, or another network namespace's.
                tracing::info!(%address, %error, "workers share the sockets that were given");
                break;
            }
        }
    }
    Ok(Group { address, sockets })
}

/// Which worker accepts from which socket, by number: every socket has a worker, and every worker a socket.
pub(super) fn shares(sockets: usize, workers: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = if sockets == 0 || workers == 0 { 0 } else { sockets.max(workers) };
    (0..count).map(move |at| (at % sockets, at % workers))
}

/// Begins to listen, or goes on.
pub(super) fn listen(socket: &TcpListener) -> io::Result<()> {
    SockRef::from(socket).listen(BACKLOG)
}

fn bind_first(address: SocketAddr, ours: &[SocketId]) -> io::Result<Socket> {
    match bind_one(address, false) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && !ours.is_empty() => {
            owners::all_ours(address, ours)?;
            bind_one(address, true)
        }
        bound => bound,
    }
}

/// Whether `[::]` failed because this machine has no IPv6.
fn is_without_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    address.is_ipv6()
        && address.ip().is_unspecified()
        && matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn bind_one(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // One socket for both families; IPv4 clients come as ::ffff:a.b.c.d.
        socket.set_only_v6(false)?;
    }
    // Connections of a predecessor that linger in TIME_WAIT must not keep us out.
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    // Accepted connections inherit it, so that none needs a call of its own.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_bound_once_a_worker_and_taken_for_everyone_else() {
        let Group { address, sockets } = bind("127.0.0.1:0".parse().unwrap(), 3, &[]).unwrap();
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
        let error = bind(address, 3, &[]).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_address_over_others_is_bound_beside_ours_and_beside_nobody_elses() {
        let ours = bind("127.0.0.1:0".parse().unwrap(), 2, &[]).unwrap();
        let ids: Vec<SocketId> = ours.sockets.iter().map(|socket| owners::id(socket).unwrap()).collect();
        let all = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), ours.address.port());
        let in_use = |ours: &[SocketId]| bind(all, 2, ours).err().map(|error| error.kind());
        assert_eq!(in_use(&[]), Some(io::ErrorKind::AddrInUse));
        assert_eq!(
            in_use(&ids[..1]),
            Some(io::ErrorKind::AddrInUse),
            "one of the two is as if it were somebody else's"
        );
        let beside = bind(all, 2, &ids).unwrap();
        assert_eq!((beside.address, beside.sockets.len()), (all, 2));
    }

    #[test]
    fn adopted_sockets_are_all_kept_and_those_that_are_added_do_not_listen_yet() {
        let first = bind("127.0.0.1:0".parse().unwrap(), 2, &[]).unwrap();
        let ids = |group: &Group| group.sockets.iter().map(|one| owners::id(one).unwrap()).collect::<Vec<_>>();
        let fewer = adopt(&first.sockets, 1).unwrap();
        assert_eq!(ids(&fewer), ids(&first));
        let more = adopt(&first.sockets, 4).unwrap();
        assert_eq!((more.address, more.sockets.len(), &ids(&more)[..2]), (first.address, 4, &ids(&first)[..]));
        let accepting =
            more.sockets.iter().map(|one| rustix::net::sockopt::socket_acceptconn(one).unwrap()).collect::<Vec<_>>();
        assert_eq!(accepting, [true, true, false, false]);
        listen(&more.sockets[3]).unwrap();
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(adopt(&[alone], 4).unwrap().sockets.len(), 1, "an address that is not shared is not widened");
    }

    #[test]
    fn every_socket_has_a_worker_and_every_worker_a_socket() {
        let check = |sockets, workers, expected: &[(usize, usize)]| {
            assert_eq!(shares(sockets, workers).collect::<Vec<_>>(), expected, "{sockets} sockets, {workers} workers");
        };
        check(2, 2, &[(0, 0), (1, 1)]);
        check(3, 2, &[(0, 0), (1, 1), (2, 0)]);
        check(1, 3, &[(0, 0), (0, 1), (0, 2)]);
        check(0, 3, &[]);
    }

    #[test]
    fn both_families_reach_one_socket() {
        let Ok(group) = bind("[::]:0".parse().unwrap(), 1, &[]) else { return };
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, group.address.port())).is_ok());
    }
}
