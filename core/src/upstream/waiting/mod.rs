//! Requests that wait: because nothing can be picked (the *hold*), and how they are let go; or because all targets are full
//! (the line, `line.rs`).
//!
//! **No wake-up is lost.** Who waits enters the queue, then looks at the pool once more; who changes the pool, or a
//! target's causes, does so, then looks whether anybody waits. A sequentially consistent fence stands between the two steps
//! of each, so at least one of them sees the other. `tests/loom.rs` goes through every interleaving of this.
//!
//! **Paced.** A replica that has just come up has a listen queue of 5 to 511 places; a thousand requests at once overflow
//! it. The first round is 16 a replica, and each answer lets two more go (TCP's slow start, and for its reason).
//!
//! **Handed over.** A waiter is given its turn, it does not race for it; one that is dropped with its turn unused passes it
//! on. The one with the earliest deadline goes first; where a turn comes from a worker, that worker's own first, since the
//! connection to the target is warm there, unless another's deadline is 100 ms earlier.

mod changes;
mod line;
mod next_change;
mod pace;
mod queue;
mod slot;
mod waiter;

pub(super) use changes::Changes;
pub(super) use line::{InLineFor, Took};
pub use next_change::NextChange;
pub(super) use pace::Room;
pub use queue::Shed;
pub(super) use queue::Waiters;
pub use slot::{SlotOver, SlotWaiter};
pub use waiter::{WaitOver, Waiter};

#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod tests;
