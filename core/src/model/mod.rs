//! Plain data that every room shares: who an upstream and a target are, what state a target is in and why, and what a
//! provider says exists. Nothing here decides anything.

mod facts;
mod identity;
mod moment;
mod state;

pub use facts::{Facts, Freshness, Phase, Problem, Replica, RuntimeHealth, Way};
pub use identity::{TargetId, UpstreamId};
pub use moment::Moment;
pub use state::{Cause, Causes, TargetState};
