//! Hosts and their ports.

use crate::protocol::search::find;
use crate::protocol::syntax;
use wide::u8x16;

/// Splits `name[:port]`; of an IPv6 literal the name keeps its brackets. What is no port is taken for none.
#[must_use]
pub fn split_host(host: &[u8]) -> (&[u8], Option<u16>) {
    let after = if host.first() == Some(&b'[') { memchr::memchr(b']', host).unwrap_or(0) } else { 0 };
    let colon = find(host, after, |chunk| chunk.simd_eq(u8x16::splat(b':')).to_bitmask());
    let Some((name, [_, port @ ..])) = host.split_at_checked(colon) else { return (host, None) };
    let port = syntax::decimal(port).and_then(|port| u16::try_from(port).ok());
    (name, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_split_from_their_ports() {
        let check =
            |host: &str, name: &str, port| assert_eq!(split_host(host.as_bytes()), (name.as_bytes(), port), "{host}");
        check("", "", None);
        check("a", "a", None);
        check("a:80", "a", Some(80));
        check("a:", "a", None);
        check("a:x", "a", None);
        check("a:65536", "a", None);
        check("[::1]", "[::1]", None);
        check("[::1]:443", "[::1]", Some(443));
    }
}
