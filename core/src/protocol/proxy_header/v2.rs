//! Version 2 (§2.2): sixteen bytes, then addresses and TLVs of the length that they state.

use super::{Announced, PROXY_HEADER_MAX, ProxyHeader, ProxyHeaderError, begins};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    if begins(bytes, SIGNATURE)?.is_none() {
        return Ok(None);
    }
    let local = match bytes.get(SIGNATURE.len()) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(other) if other >> 4 == 2 => {
            return Err(malformed("a PROXY header with another command than LOCAL and PROXY"));
        }
        Some(_) => return Err(malformed("a PROXY header of another version than 1 and 2")),
    };
    let Some(&[family, high, low]) = bytes.get(SIGNATURE.len() + 1..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    // Of LOCAL all but the length is "discarded, including the family".
    if !local && length < FIXED + addresses_length(family)? {
        return Err(malformed("a PROXY header that is shorter than its addresses"));
    }
    if length > PROXY_HEADER_MAX {
        return Err(malformed("a PROXY header of more than 4 KiB"));
    }
    let Some(addresses) = bytes.get(FIXED..length) else { return Ok(None) };
    let announced = if local { None } else { client(family, addresses) };
    Ok(Some(ProxyHeader { announced: announced.unwrap_or(Announced::Nobody), length }))
}

/// Bytes that the addresses of a family take; other values "must be rejected as invalid".
fn addresses_length(family: u8) -> Result<usize, ProxyHeaderError> {
    match (family >> 4, family & 0xf) {
        (0, 0..=2) => Ok(0),
        (1, 0..=2) => Ok(12),
        (2, 0..=2) => Ok(36),
        (3, 0..=2) => Ok(216),
        _ => Err(malformed("a PROXY header of a family or transport that there is not")),
    }
}

/// The client, where it came by TCP over IPv4 or IPv6.
fn client(family: u8, bytes: &[u8]) -> Option<Announced> {
    let (source, destination, ports) = match family {
        0x11 => {
            let (source, rest) = bytes.split_first_chunk::<4>()?;
            let (destination, ports) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), ports)
        }
        0x21 => {
            let (source, rest) = bytes.split_first_chunk::<16>()?;
            let (destination, ports) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), ports)
        }
        _ => return None,
    };
    let (&[a, b, c, d], _) = ports.split_first_chunk::<4>()?;
    Some(Announced::Client {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    })
}

fn malformed(why: &'static str) -> ProxyHeaderError {
    ProxyHeaderError::Malformed(why)
}
