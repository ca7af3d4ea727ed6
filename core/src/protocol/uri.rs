//! Paths as Kong sees them, and hosts.
//!
//! A request's path is normalised before it is matched, and escaped again when it is sent on. Kong's rules are kept to
//! the byte (`kong/tools/uri.lua`, `kong/router/utils.lua` of Kong 3.10), because routes that were written for it rely
//! on them.

use crate::protocol::syntax;

/// Normalises a path: percent-encoded bytes are decoded unless they are reserved (those get upper-case digits), `.` and
/// `..` are resolved, neighbouring slashes merged. The result is for matching; [`join_path`] makes it fit to be sent.
/// `out` is cleared first.
pub fn normalise_path(path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    if is_normal(path) {
        out.extend_from_slice(path);
        return;
    }
    decode(path, out);
    let length = resolve_dots(out);
    out.truncate(length);
}

/// Whether there is nothing to decode, resolve or merge: no `%`, `//` or `/.`.
fn is_normal(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|&b| {
        let normal = b != b'%' && !(before == b'/' && matches!(b, b'/' | b'.'));
        before = b;
        normal
    })
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
    path.iter().all(|&b| PLAIN[usize::from(b)])
}

/// Appends `path`, with every byte percent-encoded that may not stand in a path as it is. Kong leaves reserved
/// characters and existing `%` alone.
pub fn escape(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|&b| !PLAIN[usize::from(b)]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// What Kong's escape leaves alone. Spaces, controls, quotes, brackets of other kinds and high bytes are not in it.
const PLAIN: [bool; 256] = {
    let plain = b"!#$&'()*+,/:;=?@[]-_.~%0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut table = [false; 256];
    let mut at = 0;
    while at < plain.len() {
        table[plain[at] as usize] = true;
        at += 1;
    }
    table
};

/// The path towards the target: the service's path joined with what is left of the request's, escaped.
///
/// `path` is normalised, `stripped` the bytes of it that the route's path matched (0: none), `strip` the route's
/// `strip_path`, `v1` its `path_handling`. `out` is cleared first.
pub fn join_path(v1: bool, service_path: Option<&[u8]>, path: &[u8], stripped: usize, strip: bool, out: &mut Vec<u8>) {
    out.clear();
    let base = service_path.filter(|base| !base.is_empty()).unwrap_or(b"/");
    let rest = if strip && stripped > 0 { path.get(stripped..) } else { path.get(1..) };
    let rest = without_leading_dots(rest.unwrap_or_default());
    let (base, slash, rest) = match v1 {
        true => join_v1(base, path, rest, strip),
        false => join_v0(base, path, rest, strip),
    };
    escape(base, out);
    if slash {
        out.push(b'/');
    }
    escape(rest, out);
}

/// Kong's `get_upstream_uri_v0`: exactly one slash between the two.
fn join_v0<'a>(base: &'a [u8], path: &'a [u8], rest: &'a [u8], strip: bool) -> (&'a [u8], bool, &'a [u8]) {
    let trimmed = base.strip_suffix(b"/");
    if !strip {
        return match trimmed {
            Some(_) => (base, false, path.get(1..).unwrap_or_default()),
            None if path == b"/" => (base, false, b""),
            None => (base, false, path),
        };
    }
    if rest.is_empty() {
        let slash = path.len() > 1 && path.ends_with(b"/");
        return match trimmed {
            Some(b"") => (base, false, b""),
            // A path of "/" alone ends with a slash, too; only for a base without one it does not count.
            Some(trimmed) => (trimmed, path.ends_with(b"/"), b""),
            None => (base, slash, b""),
        };
    }
    (trimmed.unwrap_or(base), true, rest.strip_prefix(b"/").unwrap_or(rest))
}

/// Kong's `path_handling: v1`: put together as they are, but for a doubled slash.
fn join_v1<'a>(base: &'a [u8], path: &'a [u8], rest: &'a [u8], strip: bool) -> (&'a [u8], bool, &'a [u8]) {
    match (strip, rest) {
        (false, _) => (base, false, path.get(1..).unwrap_or_default()),
        (true, [b'/', tail @ ..]) if base.ends_with(b"/") => (base, false, tail),
        (true, _) => (base, false, rest),
    }
}

/// Kong's `sanitize_uri_postfix`: what strips to `..` must not climb out of the service's path.
fn without_leading_dots(rest: &[u8]) -> &[u8] {
    match rest {
        b"." | b".." => b"",
        [b'.', b'/', tail @ ..] | [b'.', b'.', b'/', tail @ ..] => tail,
        _ => rest,
    }
}

/// Splits `name[:port]`; of an IPv6 literal the name keeps its brackets. What is no port is taken for none.
#[must_use]
pub fn split_host(host: &[u8]) -> (&[u8], Option<u16>) {
    let after = if host.first() == Some(&b'[') { memchr::memchr(b']', host).unwrap_or(0) } else { 0 };
    let Some(colon) = host[after..].iter().position(|&b| b == b':').map(|at| at + after) else { return (host, None) };
    let port = syntax::decimal(&host[colon + 1..]).and_then(|port| u16::try_from(port).ok());
    (&host[..colon], port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_kong_does() {
        let check = |path: &str, expected: &str| {
            let mut out = b"before".to_vec();
            normalise_path(path.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{path}");
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

    /// Kong's own examples (`spec/01-unit/08-router_spec.lua`), then corners of its source.
    #[test]
    fn paths_are_joined_as_kong_does() {
        let check = |base: &str, path: &str, matched: &str, strip: bool, expected: &str| {
            let mut out = b"before".to_vec();
            join_path(false, Some(base.as_bytes()), path.as_bytes(), matched.len(), strip, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{base} + {path} - {matched}, {strip}");
        };
        for (base, path, expected) in [
            ("/", "/", "/"),
            ("/", "/foo/bar", "/foo/bar"),
            ("/foo", "/", "/foo"),
            ("/foo", "/foobar", "/foo/foobar"),
            ("/foo", "/foo/bar/", "/foo/foo/bar/"),
            ("/foo/", "/", "/foo/"),
            ("/foo/", "/hello/world", "/foo/hello/world"),
        ] {
            check(base, path, "/", false, expected);
        }
        for (base, path, matched, expected) in [
            ("/", "/", "/", "/"),
            ("/", "/fee", "/fee", "/"),
            ("/", "/fee/", "/fee", "/"),
            ("/", "/fee/", "/fee/", "/"),
            ("/", "/feefi", "/fee", "/fi"),
            ("/foo", "/", "/", "/foo"),
            ("/foo", "/fee", "/fee", "/foo"),
            ("/foo", "/fee/", "/fee/", "/foo/"),
            ("/foo", "/fee/bar", "/fee/", "/foo/bar"),
            ("/foo", "/feebar", "/fee", "/foo/bar"),
            ("/foo/", "/", "/", "/foo/"),
            ("/foo/", "/fee", "/fee", "/foo"),
            ("/foo/", "/fee/", "/fee/", "/foo/"),
            ("/foo/", "/fee/bar", "/fee", "/foo/bar"),
            ("/foo/", "/feebar", "/fee", "/foo/bar"),
            ("/foo", "/fee..", "/fee", "/foo"),
            ("/foo", "/fee../bar", "/fee", "/foo/bar"),
            ("/foo", "/fee./bar", "/fee", "/foo/bar"),
        ] {
            check(base, path, matched, true, expected);
        }
        check("/foo", "/bar", "", true, "/foo/bar");
        check("/foo", "/", "", true, "/foo");
        check("/a b", "/c é\r\n%2F", "", false, "/a%20b/c%20%C3%A9%0D%0A%2F");
    }

    #[test]
    fn v1_puts_paths_together_as_they_are() {
        let check = |base: Option<&str>, path: &str, matched: &str, strip: bool, expected: &str| {
            let mut out = Vec::new();
            join_path(true, base.map(str::as_bytes), path.as_bytes(), matched.len(), strip, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{base:?} + {path} - {matched}, {strip}");
        };
        check(None, "/a", "/", false, "/a");
        check(Some("/foo"), "/bar", "/", false, "/foobar");
        check(Some("/foo/"), "/bar", "/", false, "/foo/bar");
        check(Some("/foo"), "/fee/bar", "/fee", true, "/foo/bar");
        check(Some("/foo/"), "/fee/bar", "/fee", true, "/foo/bar");
        check(Some("/foo"), "/feebar", "/fee", true, "/foobar");
        check(Some("/foo"), "/fee", "/fee", true, "/foo");
    }

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
