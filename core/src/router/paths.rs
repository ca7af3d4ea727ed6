//! Within a group of one host: path → candidates.

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What a group's candidates are collected in. Candidates are numbered by rank, and added in that order.
#[derive(Debug, Default)]
pub(super) struct PathsBuilder {
    prefixes: BTreeMap<Box<[u8]>, Vec<u32>>,
    regexes: Vec<u32>,
    any: Vec<u32>,
}

/// The candidates of one group by path.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Sorted by length, longest first.
    prefixes: Box<[Prefix]>,
    /// Where there are many: prefix → its position in `prefixes`. Else they are tried one by one.
    table: Option<Table>,
    /// Candidates with regexes, by rank.
    pub(super) regexes: Box<[u32]>,
    /// Candidates of routes without paths, by rank.
    pub(super) any: Box<[u32]>,
    /// The rank of the first candidate of all.
    pub(super) first: u32,
}

#[derive(Debug)]
struct Table {
    by_prefix: FxHashMap<Box<[u8]>, u32>,
    /// Lengths that occur, descending.
    lengths: Box<[usize]>,
}

/// A prefix and its candidates.
#[derive(Debug)]
pub(super) struct Prefix {
    text: Box<[u8]>,
    /// By rank.
    pub(super) candidates: Box<[u32]>,
    /// The longest other prefix that this one begins with: where this one matches, that one does too.
    shorter: Option<u32>,
    /// The first rank of this prefix and all shorter ones.
    pub(super) first: u32,
}

/// Up to so many prefixes, comparing each one is quicker than hashing.
const LINEAR_MAX: usize = 8;

impl PathsBuilder {
    pub(super) fn add_prefix(&mut self, prefix: &[u8], candidate: u32) {
        let candidates = self.prefixes.entry(prefix.into()).or_default();
        if candidates.last() != Some(&candidate) {
            candidates.push(candidate);
        }
    }

    pub(super) fn add_regex(&mut self, candidate: u32) {
        if self.regexes.last() != Some(&candidate) {
            self.regexes.push(candidate);
        }
    }

    pub(super) fn add_any(&mut self, candidate: u32) {
        if self.any.last() != Some(&candidate) {
            self.any.push(candidate);
        }
    }

    pub(super) fn build(self) -> Paths {
        let prefixes = chain(self.prefixes);
        let table = (prefixes.len() > LINEAR_MAX).then(|| Table::build(&prefixes));
        let firsts = [self.regexes.first(), self.any.first(), prefixes.iter().map(|prefix| &prefix.first).min()];
        Paths {
            first: firsts.into_iter().flatten().min().copied().unwrap_or(u32::MAX),
            prefixes: prefixes.into(),
            table,
            regexes: self.regexes.into(),
            any: self.any.into(),
        }
    }
}

/// Links every prefix to the longest one that it begins with, and sorts them by length.
fn chain(sorted: BTreeMap<Box<[u8]>, Vec<u32>>) -> Vec<Prefix> {
    let mut order: Vec<u32> = (0..).take(sorted.len()).collect();
    let texts: Vec<&[u8]> = sorted.keys().map(|text| &**text).collect();
    order.sort_by_key(|index| std::cmp::Reverse(texts[*index as usize].len()));
    let mut position = vec![0; order.len()];
    for (place, index) in (0..).zip(&order) {
        position[*index as usize] = place;
    }
    // In text order, what a prefix begins with stands before it, with nothing but its own kind between.
    let mut shorter = vec![None; order.len()];
    let mut open: Vec<usize> = Vec::new();
    for index in 0..texts.len() {
        while open.last().is_some_and(|last| !texts[index].starts_with(texts[*last])) {
            open.pop();
        }
        shorter[index] = open.last().map(|last| position[*last]);
        open.push(index);
    }
    let mut prefixes: Vec<Prefix> = sorted
        .into_iter()
        .zip(shorter)
        .map(|((text, candidates), shorter)| Prefix {
            first: candidates.first().copied().unwrap_or(u32::MAX),
            text,
            candidates: candidates.into(),
            shorter,
        })
        .collect();
    prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.text.len()));
    for index in (0..prefixes.len()).rev() {
        if let Some(shorter) = prefixes[index].shorter {
            prefixes[index].first = prefixes[index].first.min(prefixes[shorter as usize].first);
        }
    }
    prefixes
}

impl Table {
    fn build(prefixes: &[Prefix]) -> Self {
        let mut lengths: Vec<usize> = prefixes.iter().map(|prefix| prefix.text.len()).collect();
        lengths.dedup();
        let by_prefix = (0..).zip(prefixes).map(|(index, prefix)| (prefix.text.clone(), index)).collect();
        Self { by_prefix, lengths: lengths.into() }
    }
}

impl Paths {
    /// The longest prefix of `path`.
    pub(super) fn longest(&self, path: &[u8]) -> Option<&Prefix> {
        let Some(table) = &self.table else {
            return self.prefixes.iter().find(|prefix| path.starts_with(&prefix.text));
        };
        let lengths = table.lengths.iter().filter(|length| **length <= path.len());
        let index = lengths.filter_map(|length| table.by_prefix.get(&path[..*length])).next()?;
        self.prefixes.get(*index as usize)
    }

    /// The next shorter prefix that matches wherever `prefix` does.
    pub(super) fn shorter(&self, prefix: &Prefix) -> Option<&Prefix> {
        self.prefixes.get(prefix.shorter? as usize)
    }
}

impl Prefix {
    /// Its length in bytes.
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }
}
