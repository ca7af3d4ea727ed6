//! The order in which candidates are tried.

use super::Rules;
use std::cmp::Reverse;

/// A candidate's place in the total order: smaller is tried first. The order of the fields is the order of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    tier: u8,
    kinds: Reverse<u8>,
    plain_hosts: Reverse<bool>,
    headers: Reverse<usize>,
    regex: Reverse<bool>,
    regex_priority: Reverse<i64>,
    length: Reverse<usize>,
    age: u32,
}

/// Headers beyond this many do not raise a rank (Kong's `MAX_HEADER_COUNT`).
const HEADERS_MAX: usize = 255;

/// What a candidate's paths are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathKind {
    /// The route has no paths.
    Any,
    /// Prefixes of this length.
    Prefix(usize),
    /// Regexes.
    Regex,
}

impl Rank {
    pub(super) fn of(rules: &Rules, paths: PathKind, age: u32) -> Self {
        let kinds = [
            !rules.methods.is_empty(),
            !rules.hosts.is_empty(),
            !rules.headers.is_empty(),
            !rules.paths.is_empty(),
            !rules.snis.is_empty(),
        ];
        let plain = !rules.hosts.is_empty() && rules.hosts.iter().all(|host| !host.contains('*'));
        let regex = paths == PathKind::Regex;
        Self {
            tier: rules.tier,
            kinds: Reverse(kinds.into_iter().map(u8::from).sum()),
            plain_hosts: Reverse(plain),
            headers: Reverse(rules.headers.len().min(HEADERS_MAX)),
            regex: Reverse(regex),
            regex_priority: Reverse(if regex { rules.regex_priority } else { 0 }),
            length: Reverse(if let PathKind::Prefix(length) = paths { length } else { 0 }),
            age,
        }
    }

    /// Why `winner` is tried before `self`, in words.
    pub(super) fn why_after(&self, winner: &Self) -> String {
        if self.tier != winner.tier {
            "routes of the document go before those of labels".to_owned()
        } else if self.kinds != winner.kinds {
            format!("the winner has more kinds of rules ({} to {})", winner.kinds.0, self.kinds.0)
        } else if self.plain_hosts != winner.plain_hosts {
            "plain hosts go before wildcards and before none".to_owned()
        } else if self.headers != winner.headers {
            format!("the winner matches more headers ({} to {})", winner.headers.0, self.headers.0)
        } else if self.regex != winner.regex {
            "a regex path goes before a prefix".to_owned()
        } else if self.regex_priority != winner.regex_priority {
            format!("the winner's regex_priority is higher ({} to {})", winner.regex_priority.0, self.regex_priority.0)
        } else if self.length != winner.length {
            format!("a longer prefix wins ({} bytes to {})", winner.length.0, self.length.0)
        } else {
            "of equal rank, and the winner is older".to_owned()
        }
    }
}
