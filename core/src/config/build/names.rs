//! Which names and ids are taken, and by which entity.

use crate::config::{Place, suggest, uuid};
use rustc_hash::FxHashMap;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Names {
    /// (kind, field, value) → where it was said first.
    taken: FxHashMap<(&'static str, &'static str, Arc<str>), Place>,
    /// (kind, name or id) → number.
    index: FxHashMap<(&'static str, Arc<str>), usize>,
}

impl Names {
    /// Takes the value; if it is taken already, says where.
    pub(super) fn claim(
        &mut self,
        kind: &'static str,
        field: &'static str,
        value: &Arc<str>,
        place: Place,
    ) -> Option<Place> {
        match self.taken.entry((kind, field, value.clone())) {
            std::collections::hash_map::Entry::Occupied(first) => Some(*first.get()),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(place);
                None
            }
        }
    }

    /// Whether the value is taken.
    pub(super) fn is_taken(&self, kind: &'static str, field: &'static str, value: &str) -> bool {
        self.taken.contains_key(&(kind, field, Arc::from(value)))
    }

    /// Makes the entity known under its name or id.
    pub(super) fn register(&mut self, kind: &'static str, key: &Arc<str>, index: usize) {
        self.index.entry((kind, key.clone())).or_insert(index);
    }

    /// As Kong, by name or by id, whichever way it is written.
    pub(super) fn index(&self, kind: &'static str, key: &Arc<str>) -> Option<usize> {
        // An id is one whichever way its letters are written.
        let key = if uuid::is_uuid(key) { key.to_ascii_lowercase().into() } else { key.clone() };
        self.index.get(&(kind, key)).copied()
    }

    /// The name that was probably meant.
    pub(super) fn nearest(&self, kind: &'static str, key: &str) -> Option<String> {
        let mut known: Vec<&str> = self.index.keys().filter(|(its, _)| *its == kind).map(|(_, name)| &**name).collect();
        known.sort_unstable();
        suggest::nearest(key, known.into_iter()).map(str::to_owned)
    }
}
