//! Tests against a real container engine, each under steady open-loop load that accounts for every request. Where there
//! is no engine they say so in one line and pass; `PLIMSOLL_REQUIRE_DOCKER=1` makes that a failure.
//!
//! What they share (engine, sample image, load, gateway) lies in `tests/support`; a file here is one kind of change.

#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test may stop, and prints its figures")]

mod adapter;
mod engine_restart;
mod image;
mod memory;
mod networks;
mod one_replica;
mod phoenix;
mod scale;
mod socket;
mod whole_service;
