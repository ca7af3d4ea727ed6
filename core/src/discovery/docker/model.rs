//! All containers of one engine, and what is still to be asked of it.

use super::address::{Outlook, Vantage, View};
use super::container::{Container, Life};
use super::facts::{is_aside, may_serve};
use super::recent::Recent;
use super::wire::{Inspect, Network};
use crate::config::DockerHealth;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How an engine's containers are understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// From where the gateway looks.
    pub outlook: Outlook,
    /// The document's preferred network.
    pub network: Option<Arc<str>>,
    /// Prefix of labels: `PREFIX.network` is read here, `PREFIX.enable` says whose troubles are told.
    pub label_prefix: Arc<str>,
    /// Whether containers without `enable` are exposed.
    pub exposed_by_default: bool,
    /// What HEALTHCHECK decides.
    pub health: DockerHealth,
    /// How long a removed container stays in the facts.
    pub grace_ms: u64,
    /// How long a request is held for a replica: a HEALTHCHECK that first runs later is a problem.
    pub hold_ms: u64,
}

/// How soon a change must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nothing changed.
    Unchanged,
    /// More may follow: a few milliseconds of waiting save work.
    Soon,
    /// A replica may not be used any more.
    Now,
}

/// Why a list was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// After a connect: events may be missing, so everything that runs is inspected.
    Gap,
    /// By the clock: what differs is inspected, a moment later, since its event may be on the way.
    Periodic,
}

/// A list that was asked for; what it says of containers that events spoke of since then is out of date.
#[derive(Clone, Copy, Debug)]
pub struct ListTicket {
    pub(super) kind: ListKind,
    pub(super) asked_at: u64,
}

/// An inspect that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectTicket {
    /// Of this container.
    pub id: Arc<str>,
    asked_at: u64,
}

/// What came of an inspect.
#[derive(Clone, Debug)]
pub enum Inspected {
    /// The container.
    Found(Box<Inspect>),
    /// There is none (404).
    Missing,
    /// The engine did not say; in words.
    Failed(String),
}

/// What is known of one engine's containers.
#[derive(Debug)]
pub struct Model {
    pub(super) settings: Settings,
    pub(super) network_label: String,
    pub(super) containers: BTreeMap<Arc<str>, Container>,
    pub(super) networks: BTreeMap<String, Network>,
    wants: BTreeMap<Arc<str>, Want>,
    in_flight: BTreeSet<Arc<str>>,
    /// Counts events; a container's last one in `touched`.
    pub(super) sequence: u64,
    touched: BTreeMap<Arc<str>, u64>,
    pub(super) recent: Recent,
    pub(super) listed: bool,
    /// Containers of the last list after a gap that are not inspected yet.
    pub(super) unconfirmed: BTreeSet<Arc<str>>,
    pub(super) left_out: usize,
    pub(super) last_event_ns: u64,
    pub(super) events_total: u64,
    corrections_total: u64,
}

/// An inspect that is to be asked for.
#[derive(Clone, Copy, Debug)]
struct Want {
    due_ms: u64,
    /// A list, not an event, is the reason: a change that it brings is a correction.
    by_list: bool,
}

impl Model {
    /// A model that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            network_label: format!("{}.network", settings.label_prefix),
            settings,
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            wants: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            sequence: 0,
            touched: BTreeMap::new(),
            recent: Recent::default(),
            listed: false,
            unconfirmed: BTreeSet::new(),
            left_out: 0,
            last_event_ns: 0,
            events_total: 0,
            corrections_total: 0,
        }
    }

    /// Whether this is from where it looks.
    #[must_use]
    pub fn looks_from(&self, outlook: &Outlook) -> bool {
        self.settings.outlook == *outlook
    }

    /// From where it looks from now on.
    pub fn look_from(&mut self, outlook: Outlook) {
        if self.settings.outlook != outlook {
            self.settings.outlook = outlook;
            self.settle_all();
        }
    }

    /// Whether a list and the inspects that it asked for are through.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.listed && self.unconfirmed.is_empty()
    }

    /// Whether a list made containers suspect that are not looked at yet.
    #[must_use]
    pub fn has_suspects(&self) -> bool {
        self.wants.values().any(|want| want.by_list)
    }

    /// The engine's time of the newest event, nanoseconds since the Unix epoch; 0 before the first.
    #[must_use]
    pub fn last_event_ns(&self) -> u64 {
        self.last_event_ns
    }

    /// Events applied.
    #[must_use]
    pub fn events_total(&self) -> u64 {
        self.events_total
    }

    /// What lists found that no event had told.
    #[must_use]
    pub fn corrections_total(&self) -> u64 {
        self.corrections_total
    }

    /// Takes the engine's networks: which are internal, and of which kind they are.
    pub fn apply_networks(&mut self, networks: Vec<Network>) -> Urgency {
        let networks = networks.into_iter().map(|network| (network.id.clone(), network)).collect();
        if self.networks == networks {
            return Urgency::Unchanged;
        }
        self.networks = networks;
        Urgency::Soon
    }

    /// Inspects to ask for now, `count_max` at the most together with those under way.
    pub fn due_inspects(&mut self, count_max: usize, now_ms: u64) -> Vec<InspectTicket> {
        let room = count_max.saturating_sub(self.in_flight.len());
        let due = |(id, want): &(&Arc<str>, &Want)| want.due_ms <= now_ms && !self.in_flight.contains(*id);
        let ids: Vec<Arc<str>> = self.wants.iter().filter(due).map(|(id, _)| Arc::clone(id)).take(room).collect();
        self.in_flight.extend(ids.iter().cloned());
        ids.into_iter().map(|id| InspectTicket { id, asked_at: self.sequence }).collect()
    }

    /// Gives up the inspects under way: their connection is gone. They are due again.
    pub fn abandon_inspects(&mut self) {
        self.in_flight.clear();
    }

    /// Takes what came of an inspect. If an event spoke of the container meanwhile, it is asked for again.
    pub fn apply_inspect(&mut self, ticket: &InspectTicket, inspected: Inspected, now_ms: u64) -> Urgency {
        let id = &ticket.id;
        if !self.in_flight.remove(id) {
            return Urgency::Unchanged;
        }
        if self.is_newer(id, ticket.asked_at) {
            return Urgency::Unchanged;
        }
        let by_list = self.wants.remove(id).is_some_and(|want| want.by_list);
        self.unconfirmed.remove(id);
        let before = self.replica(id);
        match inspected {
            Inspected::Missing => {
                self.remove(id, now_ms);
            }
            Inspected::Failed(error) => {
                self.want(id, now_ms + INSPECT_RETRY_MS, by_list);
                if let Some(container) = self.containers.get_mut(id) {
                    container.trouble = Some(error);
                }
            }
            Inspected::Found(inspect) => {
                let container = self.containers.entry(Arc::clone(id)).or_insert_with(Container::unknown);
                container.absorb(&inspect, now_ms);
                self.settle(id);
            }
        }
        let after = self.replica(id);
        if before == after {
            return Urgency::Unchanged;
        }
        self.corrections_total += u64::from(by_list);
        let (Some(before), Some(after)) = (before, after) else { return Urgency::Soon };
        let moved = before.address != after.address || before.networks != after.networks;
        let out = !may_serve(&after) || before.incarnation != after.incarnation || moved;
        if may_serve(&before) && out { Urgency::Now } else { Urgency::Soon }
    }

    /// Lets time pass: drains that were not obeyed end, removed containers are forgotten.
    pub fn tick(&mut self, now_ms: u64) -> Urgency {
        let over = |container: &Container| container.drain_until_ms.is_some_and(|until_ms| until_ms <= now_ms);
        let ids: Vec<Arc<str>> =
            self.containers.iter().filter(|(_, one)| over(one)).map(|(id, _)| Arc::clone(id)).collect();
        for id in ids {
            // The drain ends only on the engine's word that it still runs.
            if !self.wants.contains_key(&id) {
                self.want(&id, now_ms, false);
            }
        }
        let before = self.containers.len();
        let grace_ms = self.settings.grace_ms;
        self.containers.retain(|_, container| match container.life {
            Life::Gone { since_ms } => now_ms.saturating_sub(since_ms) < grace_ms,
            _ => true,
        });
        if self.containers.len() == before {
            return Urgency::Unchanged;
        }
        Urgency::Soon
    }

    /// When [`due_inspects`](Self::due_inspects) or [`tick`](Self::tick) next has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let wants = self.wants.iter().filter(|(id, _)| !self.in_flight.contains(*id)).map(|(_, want)| want.due_ms);
        let of = |(id, container): (&Arc<str>, &Container)| match container.life {
            Life::Gone { since_ms } => Some(since_ms.saturating_add(self.settings.grace_ms)),
            _ => container.drain_until_ms.filter(|_| !self.wants.contains_key(id)),
        };
        wants.chain(self.containers.iter().filter_map(of)).min()
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            outlook: &self.settings.outlook,
            preferred: self.settings.network.as_deref(),
            network_label: &self.network_label,
            networks: &self.networks,
            containers: &self.containers,
        }
    }

    /// Notes that an event spoke of a container; `None` if it names none.
    pub(super) fn touch(&mut self, id: &str) -> Option<Arc<str>> {
        let id: Arc<str> = match self.containers.get_key_value(id) {
            Some((known, _)) => Arc::clone(known),
            None if id.is_empty() => return None,
            None => id.into(),
        };
        if self.touched.len() > self.containers.len() + STRANGERS_MAX {
            self.touched.retain(|id, _| self.containers.contains_key(id) || self.in_flight.contains(id));
        }
        self.sequence += 1;
        self.touched.insert(Arc::clone(&id), self.sequence);
        Some(id)
    }

    pub(super) fn is_newer(&self, id: &str, asked_at: u64) -> bool {
        self.touched.get(id).is_some_and(|sequence| *sequence > asked_at)
    }

    pub(super) fn is_wanted(&self, id: &str) -> bool {
        self.wants.contains_key(id)
    }

    /// An event's wish comes before a list's, and the earlier before the later.
    pub(super) fn want(&mut self, id: &Arc<str>, due_ms: u64, by_list: bool) {
        let want = self.wants.entry(Arc::clone(id)).or_insert(Want { due_ms, by_list });
        want.due_ms = want.due_ms.min(due_ms);
        want.by_list &= by_list;
    }

    pub(super) fn remove(&mut self, id: &Arc<str>, now_ms: u64) -> Urgency {
        self.wants.remove(id);
        self.unconfirmed.remove(id);
        let Some(container) = self.containers.get(id) else { return Urgency::Unchanged };
        if container.is_gone() {
            return Urgency::Unchanged;
        }
        if is_aside(container) {
            self.containers.remove(id);
            return Urgency::Unchanged;
        }
        // One that is gone is enough to keep a service's route.
        let group = self.group(container);
        let older: Vec<Arc<str>> = self
            .containers
            .iter()
            .filter(|(_, other)| other.is_gone() && self.group(other) == group)
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for id in older {
            self.containers.remove(&id);
        }
        if let Some(container) = self.containers.get_mut(id) {
            container.life = Life::Gone { since_ms: now_ms };
        }
        Urgency::Now
    }

    /// Remembers where a container is reached, for when it is not any more.
    fn settle(&mut self, id: &Arc<str>) {
        // Where all others are reached depends on the gateway's own container.
        if matches!(&self.settings.outlook.vantage, Vantage::Container(own) if own == id) {
            self.settle_all();
        } else {
            self.settle_one(id);
        }
    }

    fn settle_all(&mut self) {
        let ids: Vec<Arc<str>> = self.containers.keys().cloned().collect();
        for id in ids {
            self.settle_one(&id);
        }
    }

    fn settle_one(&mut self, id: &Arc<str>) {
        let address = self.containers.get(id).and_then(|container| self.view().reach(container).address);
        if let Some(container) = self.containers.get_mut(id)
            && container.life != Life::Stopped
            && address.is_some()
        {
            container.last_address = address;
        }
    }
}

/// Containers of one engine, removed ones included.
pub(super) const CONTAINERS_MAX: usize = 20_000;
/// Containers that events spoke of and that are not known: one-offs that came and went.
const STRANGERS_MAX: usize = 1024;
/// Podman's `kill` does not tell the signal, and comes before its effect.
pub(super) const UNSIGNALLED_KILL_MS: u64 = 50;
/// Podman's events come up to 250 ms late.
pub(super) const LATE_EVENT_MS: u64 = 300;
/// From a late word that something ended to the look at it: long enough to hear what has come since.
pub(super) const LATE_LOOK_MS: u64 = 100;
/// Between two tries to inspect a container.
const INSPECT_RETRY_MS: u64 = 1_000;
