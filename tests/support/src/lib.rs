//! What the whole-gateway tests share. Nothing here knows how the gateway works inside: it is reached by its sockets, its
//! admin API and its metrics, as a user reaches it.
//!
//! A test may stop at any surprise, so this crate panics freely.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]
#![expect(clippy::print_stderr, reason = "what a test run prints is read by people")]

pub mod client;
pub mod deployed;
pub mod docker;
pub mod gateway;
pub mod load;
pub mod metrics;
pub mod names;
pub mod target;
pub mod tls;
pub mod wait;
pub mod wire;
