//! Outcomes of requests and probes → whether a target is well.
//!
//! Kong's counters, as lua-resty-healthcheck has them (`lib/resty/healthcheck.lua`, `incr_counter`): four small counters
//! and one state a target, shared by active and passive checks, in one atomic word. A success wipes the failures out and
//! a failure the successes, but one kind of failure leaves the other kinds alone; a rule with the limit 0 is off, and
//! its reports change nothing at all. Whether a report does anything is decided by pure functions ([`step`]); the word is
//! touched only by those that do, so that a target without trouble costs one load an attempt.
//!
//! Not here: who probes and when, and what a verdict does to a target's causes (`upstream`).

mod cell;
mod counters;
mod rules;
mod sync;

pub use cell::HealthCell;
pub use counters::{Checker, Counters, Verdict, step};
pub use rules::{CheckRules, Outcome, StatusSet};

#[cfg(test)]
mod tests;
