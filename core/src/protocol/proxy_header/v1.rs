//! Version 1 (§2.1): a line of text.

use super::{Announced, ProxyHeader, ProxyHeaderError, begins};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest line there is, with its CRLF: `PROXY UNKNOWN` with two full addresses of IPv6 and two ports.
const LINE_MAX: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    if begins(bytes, b"PROXY ")?.is_none() {
        return Ok(None);
    }
    let seen = bytes.get(..LINE_MAX).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', seen) else {
        let too_long = seen.len() == LINE_MAX;
        return if too_long { Err(malformed("a PROXY line of more than 107 bytes")) } else { Ok(None) };
    };
    let line = seen.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.ok_or_else(|| malformed("a PROXY line that ends in LF without CR"))?;
    let announced = announced(line.get("PROXY ".len()..).unwrap_or_default())?;
    Ok(Some(ProxyHeader { announced, length: end + 1 }))
}

/// What stands after `PROXY `.
fn announced(text: &[u8]) -> Result<Announced, ProxyHeaderError> {
    // "The receiver must ignore anything presented before the CRLF is found."
    if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        return Ok(Announced::Nobody);
    }
    let mut fields = text.split(|&byte| byte == b' ');
    match fields.next() {
        Some(b"TCP4") => addresses::<Ipv4Addr>(fields),
        Some(b"TCP6") => addresses::<Ipv6Addr>(fields),
        _ => Err(malformed("a PROXY line of another protocol than TCP4, TCP6 and UNKNOWN")),
    }
}

/// Source, destination, source's port, destination's port: one space before each.
fn addresses<'a, T: FromStr + Into<IpAddr>>(
    mut fields: impl Iterator<Item = &'a [u8]>,
) -> Result<Announced, ProxyHeaderError> {
    let mut address = || {
        let text = std::str::from_utf8(fields.next()?).ok()?;
        Some(text.parse::<T>().ok()?.into())
    };
    let (source, destination) = (address(), address());
    let (source_port, destination_port) = (fields.next().and_then(port), fields.next().and_then(port));
    match (source, destination, source_port, destination_port, fields.next()) {
        (Some(source), Some(destination), Some(source_port), Some(destination_port), None) => Ok(Announced::Client {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        }),
        _ => Err(malformed("a PROXY line with other than two addresses and two ports")),
    }
}

/// Decimal, without sign and without zeros before it.
fn port(text: &[u8]) -> Option<u16> {
    let plain = text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || text.first() != Some(&b'0'));
    if plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

fn malformed(why: &'static str) -> ProxyHeaderError {
    ProxyHeaderError::Malformed(why)
}
