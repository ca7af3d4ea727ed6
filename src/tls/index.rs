//! Which certificate a name is served with.

use rustc_hash::FxHashMap;

/// Longest name of DNS, as text.
const NAME_MAX: usize = 253;

/// Names to certificates, in Kong's order (Kong 3.10 `kong/runloop/certificate.lua`): the name itself, the name with its
/// first label as `*`, the name with its last label as `*`, and `*` alone.
#[derive(Debug, Default)]
pub struct CertIndex {
    by_name: FxHashMap<Box<[u8]>, usize>,
}

impl CertIndex {
    /// Adds a name; gives the certificate that has it already.
    pub(super) fn insert(&mut self, sni: &str, certificate: usize) -> Option<usize> {
        let name = sni.trim_end_matches('.').to_ascii_lowercase().into_bytes().into_boxed_slice();
        match self.by_name.entry(name) {
            std::collections::hash_map::Entry::Occupied(there) => Some(*there.get()),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(certificate);
                None
            }
        }
    }

    /// The certificate that a host is served with, as its place in the document. `None`: the listener's default one.
    ///
    /// Takes a host without port, in any case. A request over HTTP/2 for a host whose answer differs from that of the
    /// connection's SNI is misdirected (RFC 9110 §15.5.20): 421. Does not allocate.
    #[must_use]
    pub fn certificate_for(&self, host: &str) -> Option<usize> {
        let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
        let mut buffer = [0; NAME_MAX];
        let name = buffer.get_mut(..host.len())?;
        name.copy_from_slice(host);
        name.make_ascii_lowercase();
        let find = |name: &[u8]| self.by_name.get(name).copied();
        if let Some(exact) = find(name) {
            return Some(exact);
        }
        // The star takes the place of the byte beside the dot, so that the wildcard is a slice of the name.
        if let Some(star) = memchr::memchr(b'.', name).and_then(|dot| dot.checked_sub(1)) {
            let kept = std::mem::replace(&mut name[star], b'*');
            let prefix = find(&name[star..]);
            name[star] = kept;
            if prefix.is_some() {
                return prefix;
            }
        }
        if let Some(star) = memchr::memrchr(b'.', name).map(|dot| dot + 1).filter(|star| *star < name.len()) {
            name[star] = b'*';
            if let Some(suffix) = find(&name[..=star]) {
                return Some(suffix);
            }
        }
        find(b"*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_itself_before_wildcards_and_a_wildcard_stands_for_one_label() {
        let mut index = CertIndex::default();
        for (place, sni) in
            ["Shop.Example", "*.shop.example", "shop.*", "a.b.example", "*.b.example"].iter().enumerate()
        {
            assert_eq!(index.insert(sni, place), None);
        }
        assert_eq!(index.insert("shop.example.", 9), Some(0));
        let check = |index: &CertIndex, host: &str, expected: Option<usize>| {
            assert_eq!(index.certificate_for(host), expected, "{host}");
        };
        check(&index, "shop.example", Some(0));
        check(&index, "SHOP.example.", Some(0));
        check(&index, "www.shop.example", Some(1));
        check(&index, "a.www.shop.example", None);
        check(&index, "shop.test", Some(2));
        check(&index, "a.b.example", Some(3));
        check(&index, "c.b.example", Some(4));
        check(&index, "b.example", None);
        check(&index, "", None);
        check(&index, ".", None);
        check(&index, ".shop.example", None);
        check(&index, "shop.", None);
        check(&index, &"a".repeat(300), None);
        index.insert("*", 7);
        check(&index, "other.test", Some(7));
        check(&index, "localhost", Some(7));
    }
}
