//! What is ranked and tried: a route with one group of its paths.

use super::conditions::{self, Conditions};
use super::hosts::Pattern;
use super::paths::PathsBuilder;
use super::rank::{PathKind, Rank};
use super::{RouteIndex, Rules};
use regex::bytes::Regex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One route with its regexes, or with those of its prefixes that have one length, or without paths.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) rank: Rank,
    pub(super) route: RouteIndex,
    pub(super) hosts: Arc<[(Pattern, Option<u16>)]>,
    pub(super) conditions: Arc<Conditions>,
    pub(super) paths: CandidatePaths,
}

#[derive(Debug)]
pub(super) enum CandidatePaths {
    Any,
    Prefixes(Box<[Arc<str>]>),
    Regexes(Box<[Regex]>),
}

impl Candidate {
    /// A route's candidates.
    ///
    /// # Errors
    /// Every rule that makes no sense, in words.
    pub(super) fn compile(index: u32, rules: &Rules) -> Result<Vec<Self>, Vec<String>> {
        let mut problems = Vec::new();
        let conditions = Conditions::compile(rules).map_err(|more| problems.extend(more)).ok();
        let hosts: Arc<[_]> = rules
            .hosts
            .iter()
            .filter_map(|host| {
                Pattern::parse(host).map_err(|error| problems.push(format!("host {host}: {error}"))).ok()
            })
            .collect();
        let mut by_kind: BTreeMap<PathKind, CandidatePaths> = BTreeMap::new();
        match split_paths(rules) {
            Ok(kinds) => by_kind = kinds,
            Err(more) => problems.extend(more),
        }
        let Some(conditions) = conditions.filter(|_| problems.is_empty()) else { return Err(problems) };
        let conditions = Arc::new(conditions);
        let candidate = |(kind, paths)| Self {
            rank: Rank::of(rules, kind, index),
            route: RouteIndex(index),
            hosts: Arc::clone(&hosts),
            conditions: Arc::clone(&conditions),
            paths,
        };
        Ok(by_kind.into_iter().map(candidate).collect())
    }

    /// Enters it under its paths.
    pub(super) fn add_to(&self, group: &mut PathsBuilder, rank: u32) {
        match &self.paths {
            CandidatePaths::Any => group.add_any(rank),
            CandidatePaths::Prefixes(prefixes) => {
                for prefix in prefixes {
                    group.add_prefix(prefix.as_bytes(), rank);
                }
            }
            CandidatePaths::Regexes(_) => group.add_regex(rank),
        }
    }
}

impl CandidatePaths {
    /// Bytes at the start of `path` that match; of several regexes the first counts.
    pub(super) fn matched(&self, path: &[u8]) -> Option<usize> {
        match self {
            Self::Any => Some(0),
            Self::Prefixes(prefixes) => {
                prefixes.iter().find(|prefix| path.starts_with(prefix.as_bytes())).map(|prefix| prefix.len())
            }
            Self::Regexes(regexes) => regexes.iter().find_map(|regex| regex.find(path)).map(|found| found.end()),
        }
    }
}

/// Kong's `split_routes_and_services_by_path`: regexes together, prefixes by length.
fn split_paths(rules: &Rules) -> Result<BTreeMap<PathKind, CandidatePaths>, Vec<String>> {
    if rules.paths.is_empty() {
        return Ok(BTreeMap::from([(PathKind::Any, CandidatePaths::Any)]));
    }
    let mut problems = Vec::new();
    let mut regexes = Vec::new();
    let mut prefixes: BTreeMap<usize, Vec<Arc<str>>> = BTreeMap::new();
    for path in &rules.paths {
        let Some(pattern) = path.strip_prefix('~') else {
            prefixes.entry(path.len()).or_default().push(Arc::clone(path));
            continue;
        };
        // First by itself: `a)(b` must not become well-formed by what is put around it.
        let anchored = format!("^(?:{pattern})");
        match conditions::regex(pattern, false).and_then(|_| conditions::regex(&anchored, false)) {
            Ok(regex) => regexes.push(regex),
            Err(error) => problems.push(format!("path {path}: {error}")),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let prefixes = prefixes
        .into_iter()
        .map(|(length, prefixes)| (PathKind::Prefix(length), CandidatePaths::Prefixes(prefixes.into())));
    let regexes = (!regexes.is_empty()).then(|| (PathKind::Regex, CandidatePaths::Regexes(regexes.into())));
    Ok(prefixes.chain(regexes).collect())
}
