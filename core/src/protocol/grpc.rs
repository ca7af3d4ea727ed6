//! gRPC over HTTP/2, as far as a gateway has to speak it that answers in a target's place.
//!
//! Sources: gRPC's `PROTOCOL-HTTP2.md` and `http-grpc-status-mapping.md`.

/// The `Content-Type` of an answer to a call.
pub const CONTENT_TYPE: &str = "application/grpc";

/// Whether a request with this `Content-Type` is a call: `application/grpc` by itself, or with the messages' format
/// (`+proto`) or parameters after it. gRPC-Web begins the same way; its clients take answers of another shape.
#[must_use]
pub fn is_call(content_type: &[u8]) -> bool {
    let Some((begin, rest)) = content_type.split_at_checked(CONTENT_TYPE.len()) else { return false };
    begin.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes())
        && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

/// The `grpc-status` that says to a client of gRPC what an HTTP status of the gateway's own says to others.
///
/// It is the one that gRPC's libraries make of that HTTP status themselves, so that what a client does upon it (retry on
/// UNAVAILABLE, for one) does not depend on who answers. But where the client has asked for too much, or with too much at
/// once, it is `RESOURCE_EXHAUSTED`, as Kong has it for 429: to try again at once would make it worse.
#[must_use]
pub const fn status(http: u16) -> u16 {
    match http {
        // INTERNAL
        400 | 431 => 13,
        // UNAUTHENTICATED
        401 => 16,
        // PERMISSION_DENIED
        403 => 7,
        // UNIMPLEMENTED
        404 => 12,
        // RESOURCE_EXHAUSTED
        413 | 429 => 8,
        // UNAVAILABLE
        502..=504 => 14,
        // UNKNOWN
        _ => 2,
    }
}

/// Appends text as `grpc-message` has it: what is not printable ASCII, and `%`, by its bytes.
pub fn push_message(text: &[u8], out: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    for &byte in text {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_content_type() {
        let check =
            |content_type: &str, expected| assert_eq!(is_call(content_type.as_bytes()), expected, "{content_type}");
        check("application/grpc", true);
        check("application/grpc+proto", true);
        check("Application/gRPC+json", true);
        check("application/grpc; charset=x", true);
        check("application/grpc;charset=x", true);
        check("application/grpc-web", false);
        check("application/grpc-web+proto", false);
        check("application/grpcx", false);
        check("application/json", false);
        check("application/gr", false);
        check("", false);
    }

    #[test]
    fn clients_of_grpc_are_told_what_their_libraries_make_of_the_status() {
        let rows = [(400, 13), (401, 16), (403, 7), (404, 12), (431, 13), (502, 14), (503, 14), (504, 14)];
        for (http, expected) in rows {
            assert_eq!(status(http), expected, "{http}");
        }
        for http in [301, 405, 408, 421, 426, 500, 501, 508] {
            assert_eq!(status(http), 2, "{http}");
        }
        assert_eq!((status(413), status(429)), (8, 8), "nobody should try those again at once");
    }

    #[test]
    fn a_message_is_printable_whatever_is_in_it() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            push_message(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check("no Route matched with those values", "no Route matched with those values");
        check("100 %\r\n", "100 %25%0D%0A");
        check("für ~", "f%C3%BCr ~");
        check("", "");
    }
}
