//! The client behind trusted proxies.

use crate::protocol::{Known, RequestHead};
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};

/// Proxies in a row that are followed. Longer rows are nobody's, and each address costs a look at every trusted network.
const HOPS_MAX: usize = 16;

/// Who sent a request that came by a trusted proxy, as far as the proxies tell; `None`: they do not.
///
/// Each proxy puts whom it was asked by at the end of `X-Forwarded-For`. So it is read from its end, until somebody stands
/// there who is not trusted: that is the client, and what stands before it is its own word. Where there is no such field,
/// `X-Real-IP` counts.
pub fn client_behind_proxies(head: &RequestHead, trusts: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let lines: SmallVec<[&[u8]; 8]> = head.store.all_known(Known::XForwardedFor).collect();
    if lines.is_empty() {
        return address(head.known(Known::XRealIp)?);
    }
    let entries = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    let mut found = None;
    for entry in entries.take(HOPS_MAX) {
        let Some(client) = address(entry) else { break };
        found = Some(client);
        if !trusts(client) {
            break;
        }
    }
    found
}

/// An address, also with a port, as some proxies write it.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let parsed = text.parse().or_else(|_| with_port()).ok().or_else(bracketed)?;
    Some(IpAddr::to_canonical(&parsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::HeadLimits;
    use crate::protocol::h1::parse_request;

    fn client(lines: &str) -> Option<String> {
        let mut head = RequestHead::new();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let limits = HeadLimits { request_line: 8192, headers: 32768, count: 100 };
        parse_request(text.as_bytes(), &limits, &mut head).unwrap().unwrap();
        let trusts = |ip: IpAddr| ip.to_string().starts_with("10.");
        client_behind_proxies(&head, trusts).map(|ip| ip.to_string())
    }

    #[test]
    fn the_last_who_is_not_trusted_is_the_client() {
        let check = |lines: &str, expected: &str| assert_eq!(client(lines).unwrap_or_default(), expected, "{lines:?}");
        check("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9");
        check("X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n", "203.0.113.9");
        check("X-Forwarded-For: 6.6.6.6, 203.0.113.9,10.0.0.2 , 10.0.0.1\r\n", "203.0.113.9");
        check(
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.2\r\n",
            "203.0.113.9",
        );
        check("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3");
        check("X-Forwarded-For: 2001:db8::9\r\n", "2001:db8::9");
        check("X-Forwarded-For: [2001:db8::9]:1234, 10.0.0.1:80\r\n", "2001:db8::9");
        check("X-Forwarded-For: [2001:db8::9]\r\n", "2001:db8::9");
        check("X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9");
    }

    #[test]
    fn what_is_no_address_ends_the_row() {
        assert_eq!(client("X-Forwarded-For: 6.6.6.6, unknown\r\n"), None);
        assert_eq!(client("X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.1\r\n").as_deref(), Some("10.0.0.1"));
        assert_eq!(client("X-Forwarded-For:\r\n"), None);
        assert_eq!(client("X-Forwarded-For: _secret\r\nX-Real-IP: 6.6.6.6\r\n"), None);
        let endless = format!("X-Forwarded-For: 6.6.6.6{}\r\n", ", 10.0.0.1".repeat(100));
        assert_eq!(client(&endless).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn a_proxy_may_name_the_client_by_x_real_ip_alone() {
        assert_eq!(client("X-Real-IP: 203.0.113.9\r\n").as_deref(), Some("203.0.113.9"));
        assert_eq!(client("X-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n").as_deref(), Some("203.0.113.9"));
        assert_eq!(client(""), None);
    }
}
