//! The path towards the target.

use super::escape;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
