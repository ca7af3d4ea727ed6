//! The router: candidates indexed by host and path, and the search.

use super::candidate::Candidate;
use super::hosts::Hosts;
use super::paths::{Paths, PathsBuilder};
use super::{Ask, Match, RouteIndex, RouterProblem, Rules};

/// Compiled rules. Immutable.
#[derive(Debug)]
pub struct Router {
    /// By rank: a candidate's position is its rank.
    pub(super) candidates: Box<[Candidate]>,
    hosts: Hosts,
    groups: Box<[Paths]>,
    /// Candidates of routes without hosts.
    hostless: Paths,
}

impl Router {
    /// Compiles rules; a route's index is its position in `rules`.
    ///
    /// # Errors
    /// Every rule that makes no sense: regexes that do not parse or are too large, wildcards in the middle of a name.
    pub fn compile(rules: &[Rules]) -> Result<Self, Vec<RouterProblem>> {
        let mut candidates = Vec::with_capacity(rules.len());
        let mut problems = Vec::new();
        for (index, rules) in (0..).zip(rules) {
            match Candidate::compile(index, rules) {
                Ok(more) if rules.enabled => candidates.extend(more),
                Ok(_) => {}
                Err(messages) => {
                    let route = RouteIndex(index);
                    problems.extend(messages.into_iter().map(|message| RouterProblem { route, message }));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        candidates.sort_by_key(|candidate| candidate.rank);
        Ok(Self::index(candidates))
    }

    fn index(candidates: Vec<Candidate>) -> Self {
        let mut hosts = Hosts::default();
        let mut groups: Vec<PathsBuilder> = Vec::new();
        let mut hostless = PathsBuilder::default();
        for (rank, candidate) in (0..).zip(&candidates) {
            if candidate.hosts.is_empty() {
                candidate.add_to(&mut hostless, rank);
            }
            for (pattern, port) in &*candidate.hosts {
                let group = hosts.group(pattern.clone(), *port, || {
                    groups.push(PathsBuilder::default());
                    u32::try_from(groups.len() - 1).unwrap_or(u32::MAX)
                });
                candidate.add_to(&mut groups[group as usize], rank);
            }
        }
        let groups = groups.into_iter().map(PathsBuilder::build).collect();
        Self { candidates: candidates.into(), hosts, groups, hostless: hostless.build() }
    }

    /// The route that a request takes. Allocates nothing.
    #[must_use]
    pub fn route(&self, ask: &Ask<'_>) -> Option<Match> {
        let mut best = Best { rank: u32::MAX, matched: 0 };
        self.hosts.each_group(ask.host, ask.port, |group| self.search(&self.groups[group as usize], ask, &mut best));
        self.search(&self.hostless, ask, &mut best);
        let candidate = self.candidates.get(best.rank as usize)?;
        Some(Match { route: candidate.route, matched: best.matched })
    }

    /// Lowers `best` to the group's first candidate that matches, if that ranks before it.
    fn search(&self, group: &Paths, ask: &Ask<'_>, best: &mut Best) {
        if group.first >= best.rank {
            return;
        }
        let mut next = group.longest(ask.path);
        while let Some(prefix) = next.filter(|prefix| prefix.first < best.rank) {
            if let Some(rank) = self.first_that_holds(&prefix.candidates, ask, best.rank) {
                *best = Best { rank, matched: prefix.length() };
            }
            next = group.shorter(prefix);
        }
        if let Some(rank) = self.first_that_holds(&group.any, ask, best.rank) {
            *best = Best { rank, matched: 0 };
        }
        for rank in group.regexes.iter().copied().take_while(|rank| *rank < best.rank) {
            let candidate = &self.candidates[rank as usize];
            if candidate.conditions.hold(ask)
                && let Some(matched) = candidate.paths.matched(ask.path)
            {
                *best = Best { rank, matched };
                return;
            }
        }
    }

    fn first_that_holds(&self, ranks: &[u32], ask: &Ask<'_>, before: u32) -> Option<u32> {
        let mut ranks = ranks.iter().copied().take_while(|rank| *rank < before);
        ranks.find(|rank| self.candidates[*rank as usize].conditions.hold(ask))
    }
}

/// The best candidate so far, and what of the path it matched.
struct Best {
    rank: u32,
    matched: usize,
}
