//! What a row of a label table is, and how a label finds its row.

use super::{route, service, target, upstream};

/// One label that may be said, below its section (`route`, `service`, …).
pub(super) struct Field<T> {
    /// Its path below the section. Where it ends in `.*`, the rest of the label's path is a key of the user's.
    pub(super) name: &'static str,
    /// One line for the reference.
    pub(super) doc: &'static str,
    /// A value that is accepted.
    pub(super) example: &'static str,
    /// Takes the user's key (empty unless the name ends in `.*`) and the value. The error ends the sentence that begins
    /// with the label's name.
    pub(super) set: fn(&mut T, &str, &str) -> Result<(), String>,
}

impl<T> Field<T> {
    /// The key of the user's if this row is the one for `path`; empty where the row takes none.
    fn matches<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.name.strip_suffix('*') {
            Some(stem) => path.strip_prefix(stem).filter(|key| !key.is_empty()),
            None => (self.name == path).then_some(""),
        }
    }
}

/// Sets what `path` names. `None`: there is no such row.
pub(super) fn set<T>(table: &[Field<T>], path: &str, value: &str, into: &mut T) -> Option<Result<(), String>> {
    table.iter().find_map(|field| field.matches(path).map(|key| (field.set)(into, key, value)))
}

/// A label as the reference shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelDoc {
    /// Without the prefix: `route.hosts`, `upstream.healthchecks.active.headers.*`.
    pub name: String,
    /// One line.
    pub doc: &'static str,
    /// A value that is accepted.
    pub example: &'static str,
}

/// Every label there is, in the order of the reference. `routes.NAME.FIELD` is `route.FIELD` with a name.
#[must_use]
pub fn documented_labels() -> Vec<LabelDoc> {
    let mut all = vec![
        LabelDoc { name: "enable".into(), doc: "Whether the container is exposed.", example: "true" },
        LabelDoc {
            name: "network".into(),
            doc: "Which of the container's networks to use, by its name in the runtime.",
            example: "shop_front",
        },
    ];
    push(&mut all, "target", target::FIELDS);
    push(&mut all, "route", route::FIELDS);
    push(&mut all, "service", service::FIELDS);
    push(&mut all, "upstream", upstream::FIELDS);
    all
}

fn push<T>(all: &mut Vec<LabelDoc>, section: &str, table: &[Field<T>]) {
    all.extend(table.iter().map(|field| LabelDoc {
        name: format!("{section}.{}", field.name),
        doc: field.doc,
        example: field.example,
    }));
}

/// The candidate that `word` is most likely a misspelling of.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A word longer than any label has no near miss, and distances cost its length squared.
    if word.len() > LONGEST_WORD {
        return None;
    }
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .map(|(_, candidate)| candidate)
}

/// Bytes. The longest label's path is 49.
const LONGEST_WORD: usize = 80;
