//! What an event does to the model.

use super::container::{Container, Life, health_of};
use super::model::{LATE_EVENT_MS, LATE_LOOK_MS, Model, UNSIGNALLED_KILL_MS, Urgency};
use super::signal;
use super::wire::Event;
use crate::model::RuntimeHealth;
use std::sync::Arc;

impl Event {
    /// When it happened, nanoseconds since the Unix epoch by the engine's clock; 0: it does not say.
    #[must_use]
    pub fn at_ns(&self) -> u64 {
        if self.time_ns > 0 { self.time_ns } else { self.time_s.saturating_mul(1_000_000_000) }
    }

    /// Whether it is heard so long after it happened that what it tells may be over: what died may live again, at the same
    /// address. `wall_ms`: milliseconds since the Unix epoch, by our clock.
    #[must_use]
    pub fn is_late(&self, wall_ms: u64) -> bool {
        let at_ms = self.at_ns() / 1_000_000;
        at_ms > 0 && wall_ms.saturating_sub(at_ms) > LATE_EVENT_MS
    }
}

impl Model {
    /// Applies an event that is heard in time. One that was applied before changes nothing.
    pub fn apply_event(&mut self, event: &Event, now_ms: u64) -> Urgency {
        self.apply(event, now_ms, false)
    }

    /// Applies an event that [is late](Event::is_late). That something ended, was paused or was cut off is no reason then to give
    /// up what it has, since that may be with its next life. It gets nothing new until an inspect tells what is so.
    pub fn apply_late_event(&mut self, event: &Event, now_ms: u64) -> Urgency {
        self.apply(event, now_ms, true)
    }

    fn apply(&mut self, event: &Event, now_ms: u64, late: bool) -> Urgency {
        let time_ns = event.at_ns();
        if !self.recent.insert(time_ns, &event.actor.id, &event.action) {
            return Urgency::Unchanged;
        }
        self.events_total += 1;
        self.last_event_ns = self.last_event_ns.max(time_ns);
        match event.kind.as_str() {
            "container" => self.container_event(event, now_ms, late),
            "network" => self.network_event(event, now_ms, late),
            _ => Urgency::Unchanged,
        }
    }

    fn container_event(&mut self, event: &Event, now_ms: u64, late: bool) -> Urgency {
        let Some(id) = self.touch(&event.actor.id) else { return Urgency::Unchanged };
        let action = event.action.split(':').next().unwrap_or_default().trim();
        let attributes = &event.actor.attributes;
        let removed = ["destroy", "remove"].contains(&action);
        let ended = ["die", "died", "stop"].contains(&action);
        if late && (removed || ended || action == "pause") && self.containers.contains_key(&id) {
            return self.doubt(&id, event.at_ns(), now_ms);
        }
        if removed {
            return self.remove(&id, now_ms);
        }
        // What takes out is believed at once, what lets in is not: so each of these also asks for an inspect.
        let wait_ms = match action {
            "kill" if late => LATE_LOOK_MS,
            "kill" if !attributes.contains_key("signal") => UNSIGNALLED_KILL_MS,
            _ => 0,
        };
        if !ended || !self.containers.contains_key(&id) {
            self.want(&id, now_ms + wait_ms, false);
        }
        let Some(container) = self.containers.get_mut(&id) else { return Urgency::Unchanged };
        if event.at_ns() < container.started_ns || container.is_gone() {
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

    fn network_event(&mut self, event: &Event, now_ms: u64, late: bool) -> Urgency {
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
        let late = late && event.action == "disconnect";
        self.want(&id, if late { now_ms + LATE_LOOK_MS } else { now_ms }, false);
        let Some(container) = self.containers.get(&id) else { return Urgency::Unchanged };
        if event.action == "connect" || event.at_ns() < container.started_ns || container.life == Life::Stopped {
            return Urgency::Unchanged;
        }
        let used = self.view().reach(container).network;
        let cut = used.is_none_or(|used| network.is_empty() || used == network);
        if late {
            return if cut { self.doubt(&id, event.at_ns(), now_ms) } else { Urgency::Unchanged };
        }
        let Some(container) = self.containers.get_mut(&id) else { return Urgency::Unchanged };
        // A pool may reach it by another network than the chosen one.
        let left = container.detach(network, network_id);
        container.cut |= cut;
        if cut || left { Urgency::Now } else { Urgency::Unchanged }
    }

    /// A late word says that a container is out.
    fn doubt(&mut self, id: &Arc<str>, at_ns: u64, now_ms: u64) -> Urgency {
        // What has got its address meanwhile is told of in the same breath, and is to be known when it goes.
        self.want(id, now_ms + LATE_LOOK_MS, false);
        let told = |container: &mut Container| at_ns >= container.started_ns && container.doubt(now_ms);
        if self.containers.get_mut(id).is_some_and(told) { Urgency::Now } else { Urgency::Unchanged }
    }
}
