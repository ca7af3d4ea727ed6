//! Trailers between HTTP/1's lines and HTTP/2's map.

use http::{HeaderMap, HeaderName, HeaderValue};
use plimsoll_core::protocol::h1::may_be_trailer;

/// Lines (`name: value\r\n`) as a map. What is no field is left out.
#[must_use]
pub(crate) fn to_map(lines: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

/// A map as lines. Left out is what may not come after a body: there it would speak with the gateway's voice.
#[must_use]
pub(crate) fn from_map(map: Option<&HeaderMap>) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in map.into_iter().flatten().filter(|(name, _)| may_be_trailer(name.as_str().as_bytes())) {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_survive_the_way_there_and_back() {
        let lines = b"grpc-status: 0\r\ngrpc-message: fine\r\n";
        let map = to_map(lines);
        assert_eq!(map.len(), 2);
        assert_eq!(from_map(Some(&map)), lines);
    }

    #[test]
    fn what_the_gateway_says_itself_cannot_come_as_a_trailer() {
        let map = to_map(b"x-forwarded-for: 1\r\nauthorization: a\r\ncontent-length: 9\r\nx-real-ip: 1\r\nfine: 1\r\n");
        assert_eq!(map.len(), 5);
        assert_eq!(from_map(Some(&map)), b"fine: 1\r\n");
    }
}
