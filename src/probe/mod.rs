//! Probes: active checks as Kong's, and whether a replica that its runtime started, or that refused a connection, answers.
//!
//! One small task a target, kept as long as the target is in the pool, so that a reload disturbs no interval and no
//! counter. A task looks at the target's causes and does one of three things: nothing (it is draining, paused, cut off or
//! gone: a probe of an address that nobody has leaves a failed neighbour entry in the host's table, and the next replica
//! there then answers a second late); readiness, at once and then every 1, 2, 4 … 100 ms, until it answers; or the active
//! check, whenever its interval is over.
//!
//! Causes that belong to the prober: it sets `active` (through the target's counters), and clears `active`, `refused` and,
//! where the runtime has no check of its own, `starting`.
//!
//! Not here: what a verdict does to a pool (the control plane hears of it through [`Upstream::changed`]), and gRPC's health
//! protocol: checks of type `grpc` and `grpcs` ask whether the target accepts a connection.
//!
//! [`Upstream::changed`]: plimsoll_core::upstream::Upstream::changed

mod attempt;
mod checks;
mod job;
mod prober;

pub use checks::check_rules;
pub use prober::{ProbeOptions, Prober};

#[cfg(test)]
mod tests;
