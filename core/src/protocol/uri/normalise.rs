//! Paths for matching, and escaped for sending.

use crate::protocol::search::{between, find, letters};
use wide::u8x16;

/// Normalises a path: percent-encoded bytes are decoded unless they are reserved (those get upper-case digits), `.` and
/// `..` are resolved, neighbouring slashes merged. The result is for matching; [`super::join_path`] makes it fit to be sent.
/// `out` is cleared first. Whether [`is_plain`] holds for the result.
pub fn normalise_path(path: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    if is_simple(path) {
        out.extend_from_slice(path);
        return true;
    }
    let (mut seen, mut pairs, mut before) = (0, 0, 0);
    for &byte in path {
        let class = CLASS[usize::from(byte)];
        seen |= class;
        pairs |= (before >> 1) & class;
        before = class;
    }
    // Nothing to decode, resolve or merge: no `%`, `//` or `/.`.
    if seen & PERCENT == 0 && pairs & AFTER_SLASH == 0 {
        out.extend_from_slice(path);
        return seen & ODD == 0;
    }
    decode(path, out);
    let length = resolve_dots(out);
    out.truncate(length);
    is_plain(out)
}

/// Whether it is but letters, digits and `-._/`, and nothing of it is to be resolved or merged: so are most paths.
#[inline]
fn is_simple(path: &[u8]) -> bool {
    // Whether the chunk before ended with a slash. The last chunk begins with bytes that were looked at: what this says of
    // the first one of those is not asked.
    let mut after_slash = 0;
    let end = find(path, 0, |chunk| {
        let slashes = chunk.simd_eq(u8x16::splat(b'/')).to_bitmask();
        let dots = chunk.simd_eq(u8x16::splat(b'.')).to_bitmask();
        let known = letters(chunk) | between(chunk, b'-', b'9') | chunk.simd_eq(u8x16::splat(b'_'));
        let pairs = (slashes << 1 | after_slash) & (slashes | dots);
        after_slash = slashes >> 15;
        !known.to_bitmask() | pairs
    });
    end == path.len()
}

fn decode(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let (b'%', Some(&[high, low])) = (*first, tail.first_chunk()) else {
            out.push(*first);
            continue;
        };
        let (Some(h), Some(l)) = (hex(high), hex(low)) else {
            out.push(b'%');
            continue;
        };
        rest = &tail[2..];
        match h << 4 | l {
            byte if RESERVED.contains(&byte) => {
                out.extend_from_slice(&[b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
            }
            byte => out.push(byte),
        }
    }
}

/// RFC 3986 §2.2, and `%` itself.
const RESERVED: &[u8] = b"!*'();:@&=+$,/?%#[]";

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Resolves `/./` and `/../` and merges slashes in place; returns the new length.
fn resolve_dots(path: &mut [u8]) -> usize {
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        match &path[read..] {
            [b'/', b'/', ..] | [b'/', b'.', b'/', ..] => read += if path[read + 1] == b'/' { 1 } else { 2 },
            [b'/', b'.', b'.'] | [b'/', b'.', b'.', b'/', ..] => {
                write = path[..write].iter().rposition(|&b| b == b'/').unwrap_or(0);
                read += 3;
                if read == path.len() {
                    path[write] = b'/';
                    write += 1;
                }
            }
            [b'/', b'.'] => {
                path[write] = b'/';
                write += 1;
                read += 2;
            }
            _ => {
                let length = path[read + 1..].iter().position(|&b| b == b'/').map_or(path.len() - read, |at| at + 1);
                path.copy_within(read..read + length, write);
                read += length;
                write += length;
            }
        }
    }
    write
}

/// Whether [`escape`] would leave this as it is.
#[must_use]
pub fn is_plain(path: &[u8]) -> bool {
    path.iter().all(|&b| CLASS[usize::from(b)] & ODD == 0)
}

/// Appends `path`, with every byte percent-encoded that may not stand in a path as it is. Kong leaves reserved
/// characters and existing `%` alone.
pub fn escape(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|&b| CLASS[usize::from(b)] & ODD != 0) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Not left alone by Kong's escape.
const ODD: u8 = 1;
const PERCENT: u8 = 2;
/// Says something after a slash: `/` and `.`. A slash has the bit above it, too.
const AFTER_SLASH: u8 = 4;
const SLASH: u8 = AFTER_SLASH << 1;

const CLASS: [u8; 256] = {
    // What Kong's escape leaves alone. Spaces, controls, quotes, brackets of other kinds and high bytes are not in it.
    let plain = b"!#$&'()*+,/:;=?@[]-_.~%0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut table = [ODD; 256];
    let mut at = 0;
    while at < plain.len() {
        table[plain[at] as usize] = 0;
        at += 1;
    }
    table[b'%' as usize] = PERCENT;
    table[b'.' as usize] = AFTER_SLASH;
    table[b'/' as usize] = AFTER_SLASH | SLASH;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_kong_does() {
        let check = |path: &str, expected: &str| {
            let mut out = b"before".to_vec();
            normalise_path(path.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{path}");
            assert_eq!(normalise_path(path.as_bytes(), &mut out), is_plain(&out), "{path}");
            let once = out.clone();
            normalise_path(&once, &mut out);
            assert_eq!(out, once, "{path} is normal once it is normalised");
        };
        check("/", "/");
        check("/a/b", "/a/b");
        check("/a/b/", "/a/b/");
        check("//", "/");
        check("//a///b", "/a/b");
        check("/.", "/");
        check("/..", "/");
        check("/./a", "/a");
        check("/a/.", "/a/");
        check("/a/..", "/");
        check("/a/b/..", "/a/");
        check("/a/./b", "/a/b");
        check("/a/../b", "/b");
        check("/a//../b", "/b");
        check("/../../a", "/a");
        check("/a/b/../../../c", "/c");
        check("/...", "/...");
        check("/.a/..b/c.", "/.a/..b/c.");
        check("/.well-known/x", "/.well-known/x");
        check("/%61%62", "/ab");
        check("/%2e%2E/a", "/a");
        check("/a%2fb%3f%23%25", "/a%2Fb%3F%23%25");
        check("/a%20b%7B%c3%a9", "/a b{é");
        check("/%zz%4", "/%zz%4");
        check("/a/%2e", "/a/");
        check("*", "*");
        check("", "");
    }

    #[test]
    fn what_is_to_be_resolved_or_escaped_is_found_at_every_place_of_every_length() {
        let mut out = Vec::new();
        for length in 1..50 {
            for place in 0..length {
                for odd in ["//", "/.", "/./", "/../", "/..", "%2e", "%", "é", "\u{1}", " ", "\\", "~", "{"] {
                    let path = format!("/{}{odd}{}", "a".repeat(place), "b".repeat(length - place));
                    let plain = normalise_path(path.as_bytes(), &mut out);
                    assert_eq!(out, slow(path.as_bytes()), "{path}");
                    assert_eq!(plain, is_plain(&out), "{path}");
                }
            }
        }
    }

    /// Kong's loop, word for word.
    fn slow(path: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        decode(path, &mut decoded);
        let (mut rest, mut segments) = (&decoded[..], Vec::<&[u8]>::new());
        while !rest.is_empty() {
            match rest {
                b"/." => rest = b"/",
                b"/.." => {
                    rest = b"/";
                    segments.pop();
                }
                b"." | b".." => rest = b"",
                [b'.', b'.', b'/', tail @ ..] | [b'.', b'/', tail @ ..] => rest = tail,
                [b'/', b'.', b'/', ..] => rest = &rest[2..],
                [b'/', b'.', b'.', b'/', ..] => {
                    rest = &rest[3..];
                    segments.pop();
                }
                [b'/', b'/', ..] => rest = &rest[1..],
                _ => {
                    let end = rest[1..].iter().position(|&b| b == b'/').map_or(rest.len(), |at| at + 1);
                    segments.push(&rest[..end]);
                    rest = &rest[end..];
                }
            }
        }
        segments.concat()
    }

    proptest::proptest! {
        #[test]
        fn every_path_is_normalised_as_by_kongs_loop(path in "/([a./%]|%2[eEfF]|%6[0-9]|é){0,24}") {
            let mut out = Vec::new();
            normalise_path(path.as_bytes(), &mut out);
            proptest::prop_assert_eq!(out, slow(path.as_bytes()));
        }
    }
}
