//! What Plimsoll decides, without touching the world.
//!
//! No sockets, no runtime, no clock reads and no randomness live here: `now` and seeds are arguments. That is why
//! everything in this crate can be fuzzed, simulated and counted instruction by instruction. Each module is a room;
//! ARCHITECTURE.md says which room may use which.

pub mod config;
pub mod discovery;
pub mod health;
pub mod limits;
pub mod model;
pub mod plan;
pub mod protocol;
pub mod router;
pub mod upstream;
