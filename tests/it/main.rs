//! Tests of the whole, over real sockets and processes. One binary, so that it links once.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod process;
