//! Workers over real sockets, with a snapshot made by hand: what the data path does, without a control plane.

#![expect(
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "what is measured is real time, and bodies are small"
)]

mod announced;
mod bodies;
mod calls;
mod crowds;
mod fixture;
mod goaway;
mod hedging;
mod http2;
mod overload;
mod plain;
mod slow;
mod streams;
mod trouble;
mod tunnels;
