//! Whose a listening socket is. `SO_REUSEPORT` asks only whether both sides are the same user's; that every socket is this
//! process's own is told by the kernel's list of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// What the kernel calls a socket, as long as it is open.
pub(crate) type SocketId = u64;

/// The kernel's lists of this network's TCP sockets.
const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// `TCP_LISTEN`, as the lists write it.
const LISTEN: &str = "0A";

/// What the kernel calls this socket.
pub(super) fn id(socket: &TcpListener) -> io::Result<SocketId> {
    Ok(rustix::fs::fstat(socket)?.st_ino)
}

/// That everybody who listens where `address` would is one of `ours`.
///
/// # Errors
/// Somebody else does, or that cannot be told.
pub(super) fn all_ours(address: SocketAddr, ours: &[SocketId]) -> io::Result<()> {
    let mut read = 0;
    for list in LISTS {
        // Where IPv6 is off there is no list of it.
        let Ok(text) = std::fs::read_to_string(list) else { continue };
        read += 1;
        let taken = listening(&text).find(|(other, id)| overlap(*other, address) && !ours.contains(id));
        if let Some((other, _)) = taken {
            return Err(in_use(format!("another process listens on {other}")));
        }
    }
    if read == 0 {
        let text = "it overlaps an address of ours, and without /proc nobody can tell whether the rest of it is free: restart \
                    the gateway to move there";
        return Err(in_use(text.to_owned()));
    }
    Ok(())
}

fn in_use(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, text)
}

/// Sockets that listen, with their addresses.
fn listening(list: &str) -> impl Iterator<Item = (SocketAddr, SocketId)> {
    list.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (ip, port) = fields.nth(1)?.split_once(':')?;
        // Past the peer; then queues, timer, retransmits, user, timeout.
        let state = fields.nth(1)?;
        let id = fields.nth(5)?.parse().ok()?;
        let address = SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?);
        (state == LISTEN).then_some((address, id))
    })
}

/// The lists write words of 32 bits as numbers of this machine.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let words = hex.as_bytes().chunks(8).map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    match <[u8; 4]>::try_from(&*bytes) {
        Ok(four) => Some(Ipv4Addr::from(four).into()),
        Err(_) => <[u8; 16]>::try_from(&*bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).into()),
    }
}

/// Whether a connection could reach both.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

/// Whether all that reaches `part` would reach `whole`. `[::]` takes IPv4 along.
pub(crate) fn covers(whole: IpAddr, part: IpAddr) -> bool {
    let (whole, part) = (whole.to_canonical(), part.to_canonical());
    whole == part || (whole.is_unspecified() && (whole.is_ipv6() || part.is_ipv4()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_are_read_from_the_kernels_list() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let text = std::fs::read_to_string(LISTS[0]).unwrap();
        let found: Vec<_> = listening(&text).filter(|(other, _)| *other == address).collect();
        assert_eq!(found, [(address, id(&socket).unwrap())]);
    }

    #[test]
    fn addresses_overlap_where_a_connection_could_reach_both() {
        let check = |one: &str, other: &str, expected: bool| {
            assert_eq!(overlap(one.parse().unwrap(), other.parse().unwrap()), expected, "{one} {other}");
            assert_eq!(overlap(other.parse().unwrap(), one.parse().unwrap()), expected, "{other} {one}");
        };
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "127.0.0.1:81", false);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("127.0.0.1:80", "[::]:80", true);
        check("0.0.0.0:80", "[::]:80", true);
        check("[::1]:80", "[::]:80", true);
        check("[::1]:80", "0.0.0.0:80", false);
    }
}
