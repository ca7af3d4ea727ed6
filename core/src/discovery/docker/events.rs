//! What an event does to the model.

use super::container::{Life, health_of};
use super::model::{Model, UNSIGNALLED_KILL_MS, Urgency};
use super::signal;
use super::wire::Event;
use crate::model::RuntimeHealth;

impl Model {
    /// Applies an event. One that was applied before changes nothing.
    pub fn apply_event(&mut self, event: &Event, now_ms: u64) -> Urgency {
        let time_ns = if event.time_ns > 0 { event.time_ns } else { event.time_s.saturating_mul(1_000_000_000) };
        if !self.recent.insert(time_ns, &event.actor.id, &event.action) {
            return Urgency::Unchanged;
        }
        self.events_total += 1;
        self.last_event_ns = self.last_event_ns.max(time_ns);
        match event.kind.as_str() {
            "container" => self.container_event(event, time_ns, now_ms),
            "network" => self.network_event(event, time_ns, now_ms),
            _ => Urgency::Unchanged,
        }
    }

    fn container_event(&mut self, event: &Event, time_ns: u64, now_ms: u64) -> Urgency {
        let Some(id) = self.touch(&event.actor.id) else { return Urgency::Unchanged };
        let action = event.action.split(':').next().unwrap_or_default().trim();
        let attributes = &event.actor.attributes;
        if ["destroy", "remove"].contains(&action) {
            return self.remove(&id, now_ms);
        }
        // What takes out is believed at once, what lets in is not: so each of these also asks for an inspect.
        let wait_ms = if action == "kill" && !attributes.contains_key("signal") { UNSIGNALLED_KILL_MS } else { 0 };
        let ended = ["die", "died", "stop"].contains(&action);
        if !ended || !self.containers.contains_key(&id) {
            self.want(&id, now_ms + wait_ms, false);
        }
        let Some(container) = self.containers.get_mut(&id) else { return Urgency::Unchanged };
        if time_ns < container.started_ns || container.is_gone() {
            return Urgency::Unchanged;
        }
        match action {
            _ if ended => container.stop(),
            "pause" if container.life == Life::Running => container.life = Life::Paused,
            "unpause" if container.life == Life::Paused => container.life = Life::Running,
            "kill" => {
                let signal = attributes.get("signal").and_then(|signal| signal::number(signal));
                if !signal.is_some_and(|signal| container.kill(signal, now_ms)) {
                    return Urgency::Unchanged;
                }
            }
            "health_status" if container.inspected && container.life != Life::Stopped => {
                match health_of(event.action.split_once(':').map_or("", |(_, status)| status)) {
                    RuntimeHealth::None => return Urgency::Unchanged,
                    health => container.health = health,
                }
            }
            _ => return Urgency::Unchanged,
        }
        if action == "unpause" { Urgency::Soon } else { Urgency::Now }
    }

    fn network_event(&mut self, event: &Event, time_ns: u64, now_ms: u64) -> Urgency {
        if !["connect", "disconnect"].contains(&event.action.as_str()) {
            return Urgency::Unchanged;
        }
        let attributes = &event.actor.attributes;
        // Podman turns it round: the actor is the container, and the network is not always told.
        let inside = attributes.get("container").filter(|id| !id.is_empty());
        let (id, network_id) = match inside {
            Some(id) => (id.as_str(), event.actor.id.as_str()),
            None => (event.actor.id.as_str(), ""),
        };
        let network = if inside.is_some() { attributes.get("name") } else { attributes.get("network") };
        let network = network.map_or("", String::as_str);
        let Some(id) = self.touch(id) else { return Urgency::Unchanged };
        self.want(&id, now_ms, false);
        let Some(container) = self.containers.get(&id) else { return Urgency::Unchanged };
        if event.action == "connect" || time_ns < container.started_ns || container.life == Life::Stopped {
            return Urgency::Unchanged;
        }
        let used = self.view().reach(container).network;
        let cut = used.is_none_or(|used| network.is_empty() || used == network);
        let Some(container) = self.containers.get_mut(&id) else { return Urgency::Unchanged };
        // A pool may reach it by another network than the chosen one.
        let left = container.detach(network, network_id);
        container.cut |= cut;
        if cut || left { Urgency::Now } else { Urgency::Unchanged }
    }
}
