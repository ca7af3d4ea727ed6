//! Who owns a host.
//!
//! Two patterns collide when some host matches both: a route that overlapped with another owner's could take requests from
//! it, since the router ranks by more than hosts. Ports make no difference: a name is one party's, on all of them. Each claim
//! is entered under every name that could collide with it, so that a question costs a few lookups however many claims there
//! are.

use rustc_hash::FxHashMap;

/// Numbers an owner; smaller owners claim first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub(super) u32);

/// Claimed hosts.
#[derive(Debug, Default)]
pub(super) struct Claims {
    exact: Table,
    suffixes: Table,
    prefixes: Table,
    /// Dot suffixes and dot prefixes of everything claimed.
    ends: Table,
    starts: Table,
    any_suffix: Option<Owners>,
    any_prefix: Option<Owners>,
}

type Table = FxHashMap<Box<[u8]>, Owners>;

/// Enough of a set of owners to say whether it holds another one than oneself.
#[derive(Clone, Copy, Debug)]
struct Owners {
    first: Owner,
    second: Option<Owner>,
}

/// A host rule in lower case, without its port.
enum Claim {
    Exact(Vec<u8>),
    /// With its leading dot.
    Suffix(Vec<u8>),
    /// With its trailing dot.
    Prefix(Vec<u8>),
}

impl Claim {
    fn of(host: &str) -> Self {
        let ported = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let name = ported.map_or(host, |(name, _)| name).to_ascii_lowercase().into_bytes();
        match name.as_slice() {
            [b'*', suffix @ ..] => Self::Suffix(suffix.to_vec()),
            [prefix @ .., b'*'] => Self::Prefix(prefix.to_vec()),
            _ => Self::Exact(name),
        }
    }
}

impl Claims {
    /// Gives `host` to `owner`.
    pub(super) fn claim(&mut self, host: &str, owner: Owner) {
        let claim = Claim::of(host);
        match &claim {
            Claim::Exact(name) => {
                enter(&mut self.exact, name, owner);
                dots(name).for_each(|dot| enter(&mut self.ends, &name[dot..], owner));
                dots(name).for_each(|dot| enter(&mut self.starts, &name[..=dot], owner));
            }
            Claim::Suffix(name) => {
                enter(&mut self.suffixes, name, owner);
                dots(name).for_each(|dot| enter(&mut self.ends, &name[dot..], owner));
                add(&mut self.any_suffix, owner);
            }
            Claim::Prefix(name) => {
                enter(&mut self.prefixes, name, owner);
                dots(name).for_each(|dot| enter(&mut self.starts, &name[..=dot], owner));
                add(&mut self.any_prefix, owner);
            }
        }
    }

    /// Another owner of a host that `host` would match too.
    pub(super) fn other_owner(&self, host: &str, owner: Owner) -> Option<Owner> {
        let other = |owners: Option<&Owners>| owners.and_then(|owners| owners.other_than(owner));
        match &Claim::of(host) {
            Claim::Exact(name) => other(self.exact.get(&**name)).or_else(|| {
                dots(name).find_map(|dot| {
                    other(self.suffixes.get(&name[dot..])).or_else(|| other(self.prefixes.get(&name[..=dot])))
                })
            }),
            Claim::Suffix(name) => other(self.ends.get(&**name))
                .or_else(|| dots(name).find_map(|dot| other(self.suffixes.get(&name[dot..]))))
                .or_else(|| other(self.any_prefix.as_ref())),
            Claim::Prefix(name) => other(self.starts.get(&**name))
                .or_else(|| dots(name).find_map(|dot| other(self.prefixes.get(&name[..=dot]))))
                .or_else(|| other(self.any_suffix.as_ref())),
        }
    }
}

impl Owners {
    fn other_than(&self, owner: Owner) -> Option<Owner> {
        if self.first == owner { self.second } else { Some(self.first) }
    }
}

fn enter(table: &mut Table, name: &[u8], owner: Owner) {
    let mut known = table.get(name).copied();
    add(&mut known, owner);
    if let Some(owners) = known {
        table.insert(name.into(), owners);
    }
}

fn add(owners: &mut Option<Owners>, owner: Owner) {
    match owners {
        None => *owners = Some(Owners { first: owner, second: None }),
        Some(known) if known.first != owner && known.second.is_none() => known.second = Some(owner),
        Some(_) => {}
    }
}

fn dots(name: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'.', name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether two owners may have these hosts beside each other, whichever comes first.
    #[track_caller]
    fn check(one: &str, other: &str, collide: bool) {
        for (first, second) in [(one, other), (other, one)] {
            let mut claims = Claims::default();
            claims.claim(first, Owner(1));
            let found = claims.other_owner(second, Owner(2));
            assert_eq!(found, collide.then_some(Owner(1)), "{second} beside {first}");
            assert_eq!(claims.other_owner(second, Owner(1)), None, "an owner does not collide with itself");
        }
    }

    #[test]
    fn hosts_collide_when_a_name_could_match_both() {
        check("a.test", "a.test", true);
        check("a.test", "A.test:8000", true);
        check("a.test:1", "a.test:2", true);
        check("a.test", "b.test", false);
        check("a.test", "*.test", true);
        check("a.b.test", "*.test", true);
        check("test", "*.test", false);
        check("a.test", "*.a.test", false);
        check("*.test", "*.a.test", true);
        check("*.b.test", "*.a.test", false);
        check("a.test", "a.*", true);
        check("a.test", "b.*", false);
        check("a.*", "a.b.*", true);
        check("a.*", "b.*", false);
        check("a.*", "*.test", true);
    }
}
