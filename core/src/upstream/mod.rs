//! Targets, the pools they form, and how a request gets one of them.
//!
//! A [`Target`] is one replica and lives as long as anything refers to it; a [`Pool`] is an immutable list of targets with
//! a balancer built over those that may be picked; an [`Upstream`] is the identity that pools come and go under. `pick`
//! reads a target's causes each time, so that a drain mark works at once; the pool is rebuilt a few milliseconds later, so
//! that shares are exact over those that are left.
//!
//! Nothing here takes a lock or allocates to pick a target. The one mutex of an upstream guards requests that wait because
//! there is nothing to pick, another those that wait for a slot (`waiting/`); each is taken only by those and by whoever lets
//! them go.
//!
//! Not here: who sets causes and rebuilds pools (the control plane), sockets, idle connections.

mod acquire;
pub mod balance;
mod hedging;
mod identity;
mod idle_limit;
mod inflight;
mod latency;
mod outlier;
mod pool;
mod retry_budget;
mod settle;
mod slots;
mod slow_start;
mod sync;
mod target;
mod ticks;
mod waiting;

pub use acquire::Acquired;
pub use balance::{Algorithm, Ask, BALANCERS, Balancer, Members, Pick, TargetIndex, WorkerRng, balancer};
pub use hedging::{HedgeLimits, Hedging};
pub use identity::{Signal, Upstream};
pub use idle_limit::IdleLimit;
pub use inflight::InFlight;
pub use outlier::{EjectedBy, OutlierChange, OutlierRules, Outliers};
pub use pool::{Member, Pool, PoolOptions, StateCounts, Usable, WaitLimits};
pub use retry_budget::{RetryBudget, RetryLimits};
pub use target::Target;
pub use waiting::{NextChange, Shed, SlotOver, SlotWaiter, WaitOver, Waiter};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod retry_budget_tests;
#[cfg(test)]
mod tests;
