//! What a Docker engine's lists, inspects and events mean, without a socket: a model that events change at once, that
//! inspects make exact and that lists correct.
//!
//! The order of things (subscribe, list, inspect, replay) is the caller's; the model is right whatever order they come
//! in. An inspect or a list that was asked for before an event counts for nothing where the event speaks of the same
//! container. Events of an earlier life (older than `StartedAt`) count for nothing either. So after a list and the
//! inspects that it makes due, the model holds what the engine holds; a test with random orders shows it.
//!
//! What takes a replica out (`kill` by its stop signal, `die`, `pause`, a disconnect, a removal) works at the event;
//! what lets one in waits for an inspect. Deadlines are data: the model is asked for the next one, and told the time.
//!
//! Deliberately not here: what labels mean (that is [`labels`](super::labels)), and any knowledge of Swarm's API.

mod address;
mod container;
mod events;
mod facts;
mod lists;
mod model;
mod recent;
mod signal;
mod time;
mod wire;

#[cfg(test)]
mod tests;

pub use address::{Outlook, Vantage};
pub use model::{InspectTicket, Inspected, ListKind, ListTicket, Model, Settings, Urgency};
pub use wire::{
    Actor, Attachment, Binding, Config, Event, Health, Healthcheck, HostConfig, Inspect, ListItem, ListPort, Network,
    NetworkSettings, State, parse_event, parse_list,
};
