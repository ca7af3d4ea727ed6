//! Which addresses cannot be listened on side by side.

use std::net::{IpAddr, SocketAddr};

/// Whether a connection could reach both.
#[must_use]
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

/// Whether all that reaches `part` would reach `whole`. `[::]` takes IPv4 along.
#[must_use]
pub fn covers(whole: IpAddr, part: IpAddr) -> bool {
    let (whole, part) = (whole.to_canonical(), part.to_canonical());
    whole == part || (whole.is_unspecified() && (whole.is_ipv6() || part.is_ipv4()))
}

/// Whether both cannot be bound. Port 0 is a free one each time.
pub(super) fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0 && overlap(one, other)
}

/// What is said where they clash: `other` is already there.
pub(super) fn clash_message(other: &str, at: SocketAddr, address: SocketAddr) -> String {
    if at == address {
        return format!("{other} has this address already");
    }
    format!("{other} on {at} would share its connections")
}

#[cfg(test)]
mod tests {
    use super::*;

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
