//! What a list does to the model: nothing but ask for inspects. Lists know too little to be believed alone.

use super::container::Container;
use super::model::{CONTAINERS_MAX, LATE_EVENT_MS, LATE_LOOK_MS, ListKind, ListTicket, Model, Urgency};
use super::wire::ListItem;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Model {
    /// Begins a list: the caller asks the engine for all containers, stopped ones too, after this.
    #[must_use]
    pub fn begin_list(&self, kind: ListKind) -> ListTicket {
        ListTicket { kind, asked_at: self.sequence }
    }

    /// Compares the list with what is known; what differs is to be inspected. `engine_ms`: the engine's clock when it listed,
    /// by which it tells when containers started, and which may be set; everything else is measured by `now_ms`, which is not.
    pub fn apply_list(&mut self, ticket: ListTicket, items: &[ListItem], now_ms: u64, engine_ms: u64) -> Urgency {
        let due_ms = if ticket.kind == ListKind::Gap { now_ms } else { now_ms + LATE_EVENT_MS };
        // One that runs may have the address of one that does not any more, and is to be known before that goes.
        let ended_due_ms = due_ms + LATE_LOOK_MS;
        let first = !std::mem::replace(&mut self.listed, true);
        let mut seen = BTreeSet::new();
        self.left_out = 0;
        for item in items {
            let id: Arc<str> = item.id.as_str().into();
            if id.is_empty() {
                continue;
            }
            seen.insert(Arc::clone(&id));
            if self.is_newer(&id, ticket.asked_at) {
                // Its event has asked for the inspect already.
                if ticket.kind == ListKind::Gap && self.is_wanted(&id) {
                    self.unconfirmed.insert(id);
                }
                continue;
            }
            let runs = ["running", "paused"].contains(&item.state.as_str());
            let suspect = match self.containers.get(&id) {
                Some(known) => known.differs(item, engine_ms.saturating_mul(1_000_000)),
                None if self.containers.len() >= CONTAINERS_MAX => {
                    self.left_out += 1;
                    continue;
                }
                None => {
                    self.containers.insert(Arc::clone(&id), Container::from_list(item));
                    runs
                }
            };
            let confirm = runs && ticket.kind == ListKind::Gap;
            if suspect || confirm {
                self.want(&id, if runs { due_ms } else { ended_due_ms }, !first);
            }
            if confirm {
                self.unconfirmed.insert(id);
            }
        }
        for id in self.unlisted(&seen, ticket.asked_at) {
            self.want(&id, ended_due_ms, true);
        }
        Urgency::Soon
    }

    /// Containers that are known, and that a list asked for then should have shown.
    fn unlisted(&self, seen: &BTreeSet<Arc<str>>, asked_at: u64) -> Vec<Arc<str>> {
        let missing = |(id, container): &(&Arc<str>, &Container)| {
            !seen.contains(*id) && !container.is_gone() && !self.is_newer(id, asked_at)
        };
        self.containers.iter().filter(missing).map(|(id, _)| Arc::clone(id)).collect()
    }
}
