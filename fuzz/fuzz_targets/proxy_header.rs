//! Headers of the PROXY protocol: whatever comes, a verdict stays, however it is cut; what is accepted is what the `ppp` crate
//! reads, and it takes nothing more but what is known to be too lenient.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::protocol::{Announced, PROXY_HEADER_MAX, ProxyHeader, parse_proxy_header};
use ppp::{HeaderResult, PartialResult, v1, v2};

/// What the other reader makes of it; `None`: nothing yet, or nothing at all.
fn other(bytes: &[u8]) -> Option<ProxyHeader> {
    let client = |source, destination| Announced::Client { source, destination };
    let result = HeaderResult::parse(bytes);
    if result.is_incomplete() {
        return None;
    }
    match result {
        HeaderResult::V1(header) => {
            let header = header.ok()?;
            let announced = match header.addresses {
                v1::Addresses::Unknown => Announced::Nobody,
                v1::Addresses::Tcp4(a) => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
                v1::Addresses::Tcp6(a) => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
            };
            Some(ProxyHeader { announced, length: header.header.len() })
        }
        HeaderResult::V2(header) => {
            let header = header.ok()?;
            let told = header.command == v2::Command::Proxy && header.protocol == v2::Protocol::Stream;
            let announced = match header.addresses {
                v2::Addresses::IPv4(a) if told => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
                v2::Addresses::IPv6(a) if told => {
                    client((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into())
                }
                _ => Announced::Nobody,
            };
            Some(ProxyHeader { announced, length: header.as_bytes().len() })
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let whole = parse_proxy_header(bytes);
    // Byte by byte: nothing until the verdict, and then always the same.
    let verdict = (0..=bytes.len()).map(|end| parse_proxy_header(&bytes[..end])).find(|read| *read != Ok(None));
    assert_eq!(verdict.unwrap_or(Ok(None)), whole);
    let line = bytes.starts_with(b"PROXY ");
    // It wants words of the line that is to be ignored, and UTF-8.
    let ignored = bytes.starts_with(b"PROXY UNKNOWN");
    match whole {
        Ok(Some(header)) => {
            assert!(header.length <= bytes.len() && header.length <= PROXY_HEADER_MAX);
            assert!(!line || header.length <= 107);
            // It looks at the family of LOCAL, which is to be discarded.
            let local = !line && bytes[12] == 0x20;
            let other = other(bytes);
            assert!(other == Some(header) || ((ignored || local) && other.is_none()), "{header:?}, {other:?}");
        }
        Ok(None) | Err(_) => {
            if let Some(header) = other(bytes) {
                let taken = &bytes[..header.length];
                // It takes `+1` for a port, and a space for the CR.
                let lenient = line && (taken.contains(&b'+') || !taken.ends_with(b"\r\n"));
                assert!(lenient || ignored || header.length > PROXY_HEADER_MAX, "only the other one: {header:?}");
            }
        }
    }
});
