//! Plimsoll: a Layer-7 load balancer and API gateway for replicated web containers.
//!
//! This crate does: sockets, runtimes, files, processes. What can be decided without touching the world is decided in
//! `plimsoll_core`. Each module is a room; ARCHITECTURE.md says which room may use which.

pub mod admin;
pub mod cli;
pub mod compile;
pub mod connect;
pub mod control;
pub mod dns;
mod handover;
mod manager;
pub mod probe;
pub mod providers;
pub mod proxy;
pub mod server;
pub mod snapshot;
pub mod telemetry;
pub mod tls;
