//! What the router is compiled from.

use super::RouteIndex;
use std::fmt;
use std::sync::Arc;

/// The rules of one route. An empty list is no rule; of a list, any entry will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Exact (`a.b`), with a port (`a.b:8000`), `*.b` or `a.*`.
    pub hosts: Vec<Arc<str>>,
    /// A prefix (`/a`), or a regex anchored at its start (`~/a/\d+`).
    pub paths: Vec<Arc<str>>,
    /// In upper case, as requests have them.
    pub methods: Vec<Arc<str>>,
    /// All names must match. Values are compared without regard to case; one that begins with `~*` is a regex.
    pub headers: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Exact, `*.b` or `a.*`. Looked at over TLS alone.
    pub snis: Vec<Arc<str>>,
    /// Among regex paths, higher first.
    pub regex_priority: i64,
    /// Lower tiers are tried first: 0 the document's, 1 those of labels.
    pub tier: u8,
    /// A disabled route keeps its place and never matches.
    pub enabled: bool,
}

/// A rule that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterProblem {
    /// Whose rule it is.
    pub route: RouteIndex,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for RouterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
