//! Small grammar of RFC 9110 §5 and RFC 3986 that several files need: tokens, values, lists, numbers, hosts.

use super::search::{between, find, letters};
use std::net::Ipv6Addr;

/// A token (RFC 9110 §5.6.2): what methods and field names are made of.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_byte(b))
}

/// A byte that tokens may have.
#[inline]
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    CLASS[usize::from(byte)] & TOKEN != 0
}

/// A field value: no control character but TAB (RFC 9110 §5.5). High bytes are let through, as they came.
#[must_use]
pub fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| CLASS[usize::from(b)] & VALUE != 0)
}

/// The members of a comma-separated list, without space around them and without empty ones (RFC 9110 §5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty())
}

/// Without spaces and TABs at both ends.
#[must_use]
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A number of 1 to 18 decimal digits and nothing else: no sign, no space, no list.
#[must_use]
pub fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 18 {
        return None;
    }
    bytes.iter().try_fold(0_u64, |n, &b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// `uri-host [ ":" port ]` with a host that is not empty (RFC 3986 §3.2.2, RFC 9110 §7.2): no user, no path.
#[must_use]
pub fn is_host(bytes: &[u8]) -> bool {
    if bytes.first() == Some(&b'[') {
        let Some(end) = memchr::memchr(b']', bytes) else { return false };
        let address = std::str::from_utf8(&bytes[1..end]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        return address.is_some() && is_port_suffix(&bytes[end + 1..]);
    }
    // Of most hosts every byte is a letter, a digit, a hyphen or a dot.
    let mut name = find(bytes, 0, |chunk| {
        !(letters(chunk) | between(chunk, b'-', b'.') | between(chunk, b'0', b'9')).to_bitmask()
    });
    while bytes.get(name).is_some_and(|&b| CLASS[usize::from(b)] & HOST != 0) {
        name += 1;
    }
    name > 0 && is_port_suffix(&bytes[name..])
}

/// Nothing, `:`, or `:` and a port.
fn is_port_suffix(bytes: &[u8]) -> bool {
    match bytes {
        [] | [b':'] => true,
        [b':', digits @ ..] => decimal(digits).is_some_and(|port| port <= u64::from(u16::MAX)),
        _ => false,
    }
}

const TOKEN: u8 = 1;
const VALUE: u8 = 2;
/// A registered name: unreserved and sub-delims of RFC 3986 without the comma, at which lists are cut, and without
/// percent encoding, which resolvers and routers would each read their own way.
const HOST: u8 = 4;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0_u8;
    loop {
        let i = b as usize;
        if b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'*' | b'+')
        {
            table[i] |= TOKEN | HOST;
        }
        if matches!(b, b'#' | b'%' | b'^' | b'`' | b'|') {
            table[i] |= TOKEN;
        }
        if matches!(b, b'(' | b')' | b';' | b'=') {
            table[i] |= HOST;
        }
        if b == b'\t' || (b >= b' ' && b != 0x7f) {
            table[i] |= VALUE;
        }
        if b == u8::MAX {
            break table;
        }
        b += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_a_name_or_an_address_and_maybe_a_port() {
        for good in
            ["a", "a.b:80", "a_b.c", "1.2.3.4:8000", "[::1]", "[2001:db8::1]:443", "a:", "xn--bcher-kva.example."]
        {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a,b",
            "u@a",
            "a/b",
            "a:80:80",
            "a:x",
            "a:70000",
            "[::1",
            "[x]",
            "[::1]x",
            "a%41",
            "a\"",
            "é",
            "[::1%25eth0]",
            "a?b",
            "a#b",
            "a\\b",
            "<a>",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_byte_that_no_host_has_is_found_at_every_place_of_every_length() {
        for length in 1..50 {
            assert!(is_host(&vec![b'a'; length]));
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut host = vec![b'a'; length];
                    host[place] = byte;
                    let name = CLASS[usize::from(byte)] & HOST != 0;
                    // A port of letters is none, and none at the end is one.
                    let colon = byte == b':' && place > 0 && place + 1 == length;
                    assert_eq!(is_host(&host), name || colon, "{byte:#x} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_digits_alone() {
        let check = |text: &str, number| assert_eq!(decimal(text.as_bytes()), number, "{text}");
        check("0", Some(0));
        check("007", Some(7));
        check("999999999999999999", Some(999_999_999_999_999_999));
        for bad in ["", "+1", "-1", " 1", "1 ", "1,1", "0x1", "1.0", "1000000000000000000"] {
            check(bad, None);
        }
    }

    #[test]
    fn lists_skip_space_and_empty_members() {
        let members: Vec<_> = list(b" a,, b\t , c d ,").collect();
        assert_eq!(members, [b"a" as &[u8], b"b", b"c d"]);
    }

    #[test]
    fn tokens_have_no_separators_and_values_no_controls() {
        assert!(is_token(b"X-Real_IP.~!#$%&'*+^`|9") && is_value(b"a\tb \xff"));
        for bad in [b"" as &[u8], b"a b", b"a:", b"(", b"\x7f", b"\xe4", b"a\0"] {
            assert!(!is_token(bad), "{bad:?}");
        }
        for bad in [b"\0" as &[u8], b"a\rb", b"a\nb", b"\x7f", b"\x0b"] {
            assert!(!is_value(bad), "{bad:?}");
        }
    }
}
