//! Who counts as one client.

use std::net::IpAddr;

/// An address of IPv4, or a /64 of IPv6: who has one address of a /64 has all of it (RFC 6177), and would be as many clients
/// as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(u64);

impl ClientKey {
    /// As a number, like no other client's.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl From<IpAddr> for ClientKey {
    fn from(address: IpAddr) -> Self {
        /// No client's /64 begins like this: `ff00::/8` is multicast.
        const IPV4: u64 = 0xffff << 48;
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IPV4 | u64::from(u32::from(address)),
            IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
        })
    }
}
