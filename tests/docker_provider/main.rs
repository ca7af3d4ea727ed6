//! The Docker provider against this machine's real engine. Without one the tests say so and pass; with
//! `PLIMSOLL_REQUIRE_DOCKER=1` they fail.
#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test may stop")]
#![expect(clippy::print_stdout, reason = "what was skipped, and how long things took")]

mod broken;
mod daemon;
mod endpoints;
mod lab;
mod life;
mod proxy;
mod watching;
