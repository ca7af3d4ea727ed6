//! Whole-gateway tests: the binary with real sockets on loopback, no container engine. One binary, so that it is linked
//! once. What they share lies in `tests/support`; a file here is one subject.
#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test may stop, and says what it skips")]

mod cli;
mod clients;
mod descriptors;
mod disk;
mod engine;
mod explain;
mod floods;
mod gateway;
mod handover;
mod idle;
mod large;
mod log;
mod managed;
mod names;
mod process;
mod proxy_protocol;
mod reloads;
mod secrets;
