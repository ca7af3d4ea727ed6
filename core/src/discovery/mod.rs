//! From what a runtime says to entities and facts, without a socket: labels become routes, services and settings of
//! upstreams; a Docker engine's lists and events become facts.
//!
//! What is read here was written by other people and by other programs. Nothing in this room trusts it, panics on it or
//! keeps more of it than its bounds allow.

pub mod docker;
pub mod labels;
