//! How much one client may take: who counts as one, what its allowance is, and what is remembered of it.
//!
//! No clock and no lock is here: `now` is an argument, and a set of clients is a plain value, so that whoever shares sets
//! decides how. What is remembered is bounded by construction; there is nothing to be swept.

mod client;
mod rate;
mod set;

pub use client::ClientKey;
pub use rate::Rate;
pub use set::{ClientSet, Taken};

#[cfg(test)]
mod tests;
