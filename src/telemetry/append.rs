//! A list that only grows, and that is read while it grows.

use std::sync::OnceLock;

/// Pushed to by any thread, read by any thread, without a lock that one could hold against the other. Meant for short
/// lists: a push walks to the end.
pub(super) struct AppendList<T> {
    first: Link<T>,
}

type Link<T> = OnceLock<Box<Node<T>>>;

struct Node<T> {
    item: T,
    next: Link<T>,
}

impl<T> AppendList<T> {
    /// An empty list; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// Puts an item at the end.
    pub(super) fn push(&self, item: T) {
        let mut node = Box::new(Node { item, next: OnceLock::new() });
        let mut link = &self.first;
        loop {
            if let Some(taken) = link.get() {
                link = &taken.next;
                continue;
            }
            match link.set(node) {
                Ok(()) => return,
                Err(back) => node = back,
            }
        }
    }

    /// The items in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let mut link = &self.first;
        std::iter::from_fn(move || {
            let node = link.get()?;
            link = &node.next;
            Some(&node.item)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_of_several_threads_are_all_kept_in_each_threads_order() {
        let list = AppendList::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let list = &list;
                scope.spawn(move || (0..100).for_each(|n| list.push((thread, n))));
            }
        });
        for thread in 0..4 {
            let own: Vec<i32> = list.iter().filter(|(t, _)| *t == thread).map(|(_, n)| *n).collect();
            assert_eq!(own, (0..100).collect::<Vec<_>>());
        }
    }
}
