//! Why a request takes its route and no other. Tests every candidate one after the other, and shares no search with
//! [`Router::route`]: each is a check on the other.

use super::candidate::{Candidate, CandidatePaths};
use super::rank::Rank;
use super::{Ask, RouteIndex, Router, hosts};
use std::collections::BTreeMap;

/// What becomes of one route for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which route.
    pub route: RouteIndex,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// Whether a route wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Wins {
        /// Bytes of the path that it matched.
        matched: usize,
    },
    /// It does not.
    Loses {
        /// The reason, in words.
        why: String,
    },
}

/// A route's candidate that came nearest.
struct Standing<'a> {
    candidate: &'a Candidate,
    /// Rules that do not hold. Empty: it matches.
    failures: Vec<String>,
    matched: usize,
}

impl Router {
    /// The routes in the order in which they are tried, and why each one loses. Of more than `limit` routes, the winner and
    /// those that come nearest to matching are told.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>, limit: usize) -> Vec<Verdict> {
        let mut by_route: BTreeMap<RouteIndex, (usize, Standing<'_>)> = BTreeMap::new();
        for (place, candidate) in self.candidates.iter().enumerate() {
            let standing = Standing::of(candidate, ask);
            match by_route.get(&candidate.route) {
                Some((_, known)) if known.failures.len() <= standing.failures.len() => {}
                _ => drop(by_route.insert(candidate.route, (place, standing))),
            }
        }
        let mut standings: Vec<(usize, Standing<'_>)> = by_route.into_values().collect();
        standings.sort_by_key(|(place, standing)| (standing.failures.len(), *place));
        standings.truncate(limit);
        let winner = standings.first().filter(|(_, first)| first.failures.is_empty());
        let winner = winner.map(|(_, first)| (first.candidate.route, first.candidate.rank));
        standings.sort_by_key(|(place, _)| *place);
        standings.into_iter().map(|(_, standing)| standing.verdict(winner)).collect()
    }
}

impl<'a> Standing<'a> {
    fn of(candidate: &'a Candidate, ask: &Ask<'_>) -> Self {
        let mut failures = Vec::new();
        let (name, port) = hosts::split_port(ask.host);
        let port_matches = |wanted: Option<u16>| wanted.is_none_or(|wanted| wanted == port.unwrap_or(ask.port));
        let host_matches = |(pattern, wanted): &(hosts::Pattern, Option<u16>)| {
            name.len() <= hosts::NAME_BYTES_MAX && pattern.matches(name) && port_matches(*wanted)
        };
        if !candidate.hosts.is_empty() && !candidate.hosts.iter().any(host_matches) {
            failures.push(format!("host {} does not match", String::from_utf8_lossy(ask.host)));
        }
        failures.extend(candidate.conditions.failures(ask));
        let matched = candidate.paths.matched(ask.path);
        if matched.is_none() {
            failures.push(candidate.paths.why_not());
        }
        Self { candidate, failures, matched: matched.unwrap_or(0) }
    }

    fn verdict(self, winner: Option<(RouteIndex, Rank)>) -> Verdict {
        let route = self.candidate.route;
        let outcome = match winner {
            Some((wins, _)) if wins == route => Outcome::Wins { matched: self.matched },
            Some((_, rank)) if self.failures.is_empty() => Outcome::Loses { why: self.candidate.rank.why_after(&rank) },
            _ => Outcome::Loses { why: self.failures.join(", ") },
        };
        Verdict { route, outcome }
    }
}

impl CandidatePaths {
    fn why_not(&self) -> String {
        match self {
            Self::Any => String::new(),
            Self::Prefixes(prefixes) if prefixes.len() == 1 => format!("path {} is no prefix", prefixes[0]),
            Self::Prefixes(prefixes) => format!("none of the paths {} is a prefix", prefixes.join(", ")),
            // The anchor that was put around the pattern is not the user's.
            Self::Regexes(regexes) => {
                let patterns: Vec<&str> = regexes
                    .iter()
                    .map(|regex| regex.as_str())
                    .map(|text| text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(')')).unwrap_or(text))
                    .collect();
                format!("regex {} does not match", patterns.join(", "))
            }
        }
    }
}
