//! The admin API: what people and programs ask of a running gateway, and the little that they may tell it.
//!
//! [`Doors::open`] binds what the document's `gateway.admin` and `gateway.status` name; [`Doors::serve`] answers there until it
//! is dropped. One file a group of endpoints, and one row an endpoint in `routes`. Who may ask at all is decided in
//! `access`, before any endpoint is looked for. It runs on the control plane's runtime, and never makes a worker wait.

mod access;
mod answer;
mod config;
mod doors;
mod entities;
mod explain;
mod health;
mod limits;
mod metrics;
mod providers;
mod routes;
mod seats;
mod secret;
mod serve;
mod status;

pub use doors::{Doors, OpenError, Served};
pub use routes::{ENDPOINTS, Endpoint};
pub(crate) use secret::Token;

#[cfg(test)]
mod tests;
