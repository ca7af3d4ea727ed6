//! Binding a listening address once a worker.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// Connections that the kernel keeps for us before they are accepted (it cuts this at `net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Binds `address` `count` times. Gives the address, with the port that the kernel chose where it is 0.
///
/// The first socket is bound without `SO_REUSEPORT` and gets it afterwards: else a second process of the same user could
/// bind the same address unnoticed and take half of the traffic.
///
/// # Errors
/// What the kernel says of the first bind that fails.
pub(super) fn bind(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = match bind_one(address, false) {
        Err(error) if is_without_ipv6(address, &error) => {
            bind_one(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()), false)?
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
    Ok((bound, sockets))
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
        let (address, sockets) = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
        let error = bind(address, 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn both_families_reach_one_socket() {
        let Ok((address, _sockets)) = bind("[::]:0".parse().unwrap(), 1) else { return };
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).is_ok());
    }
}
