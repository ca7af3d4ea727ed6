//! Container labels, a closed list of paths into the document.
//!
//! Labels are other people's input: who may start a container may write any label. So the tables here name every label
//! there is, a test walks them, and what is not in them is refused by name. No label reaches another project's upstream,
//! an address, a provider, a file, the environment, a certificate, a listener or the admin API, because no row does.
//! A container with a bad label is left out whole, and named: half of what its owner said could be worse than nothing.
//!
//! Deliberately not here: who owns a host, which replica's labels win, and what the document says. Those need more than
//! one container and are the plan's.

mod read;
mod route;
mod service;
mod table;
mod target;
mod upstream;
mod values;

#[cfg(test)]
mod tests;

pub use read::{LabelSettings, glob, network_label, read_labels};
pub use service::ServiceFields;
pub use table::{LabelDoc, documented_labels};
pub use upstream::ALGORITHMS;

use crate::config::{Protocol, Route, UpstreamSettings};
use std::sync::Arc;

/// What one container's labels say. Fields that no label set are `None` or the default.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The label's name for a route (empty for `plimsoll.route.…`), and the route, sorted by that name. Its `name` and
    /// `id` are `SERVICE.PROJECT` or `SERVICE.PROJECT/NAME`, its `service` is `SERVICE.PROJECT`.
    pub routes: Vec<(Arc<str>, Route)>,
    /// Of the service that the routes lead to.
    pub service: ServiceFields,
    /// Of the upstream that the replicas form, over the defaults.
    pub upstream: UpstreamSettings,
    /// Which of `upstream`'s fields labels set: `algorithm`, `healthchecks.active.http_path`, in label order.
    pub upstream_set: Vec<Arc<str>>,
    /// The container's port.
    pub port: Option<u16>,
    /// How the container is spoken to; wins over `service.protocol` for this container's service.
    pub scheme: Option<Protocol>,
    /// The target's weight.
    pub weight: u16,
    /// Which of the container's networks to use.
    pub network: Option<Arc<str>>,
}
