//! What "auto" means on this machine.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::{IpAddr, Ipv6Addr, UdpSocket};

/// Client connections at the most, where none is written.
const CONNECTIONS_MAX: u32 = 20_000;
/// File descriptors for everything but clients: workers, listeners, the log, providers, idle connections to some targets.
const RESERVED: u64 = 256;

/// The CPUs that this process may use: its affinity mask and its cgroup's quota.
pub(super) fn workers() -> u16 {
    std::thread::available_parallelism().ok().and_then(|count| u16::try_from(count.get()).ok()).unwrap_or(1)
}

/// Raises the soft limit of file descriptors to the hard one, as far as the process may.
pub(super) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::debug!(%error, "the limit of file descriptors stays as it is");
    }
}

/// How many client connections the limit of file descriptors leaves, 20,000 at the most; and how many they may be together
/// with those to targets: a client that waits for its answer takes two descriptors, an idle one takes one.
pub(super) fn connections() -> (u32, u32) {
    connections_within(getrlimit(Resource::Nofile).current)
}

fn connections_within(files: Option<u64>) -> (u32, u32) {
    let left = files.map_or(u64::MAX, |files| files.saturating_sub(RESERVED.min(files / 4)));
    let left = u32::try_from(left).unwrap_or(u32::MAX).max(2);
    (left.min(CONNECTIONS_MAX), left)
}

/// Whether sockets of IPv6 can be bound.
pub(super) fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// This machine's addresses by which it reaches others, so that a target that is one of our listeners is recognised.
pub(super) fn own_ips() -> Vec<IpAddr> {
    // Connecting a datagram socket sends nothing: the kernel looks up the route, and with it the source address.
    let by_route = |bind: &str, towards: &str| {
        let socket = UdpSocket::bind(bind).ok()?;
        socket.connect(towards).ok()?;
        Some(socket.local_addr().ok()?.ip().to_canonical())
    };
    let found = [by_route("0.0.0.0:0", "192.0.2.1:9"), by_route("[::]:0", "[2001:db8::1]:9")];
    found.into_iter().flatten().filter(|ip| !ip.is_unspecified()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_the_limit_of_descriptors() {
        let check = |files: Option<u64>, expected| assert_eq!(connections_within(files), expected, "{files:?}");
        check(None, (20_000, u32::MAX));
        check(Some(1_048_576), (20_000, 1_048_320));
        check(Some(20_000), (19_744, 19_744));
        check(Some(1024), (768, 768));
        check(Some(256), (192, 192));
        check(Some(0), (2, 2));
    }
}
