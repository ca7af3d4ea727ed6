//! What may come out of the gateway for which bytes: cases of HTTP/1 as data (`cases/`) and of HTTP/2 by frames, run
//! against a whole gateway and a target that keeps every byte it gets. Each case runs as it stands and one byte at a time; seeded changes of the cases
//! look for what nobody wrote down.
//!
//! A file of cases is a theme. [`case`] says how one is written, [`strict`] is the second reader that judges what the
//! gateway sends.
#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test may stop, and says what it did")]

mod answers;
mod case;
mod client;
mod gateway;
mod http2;
mod log;
mod mutation;
mod pieces;
mod recorder;
mod requests;
mod strict;
