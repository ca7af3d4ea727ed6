//! Workers over real sockets, with a snapshot made by hand: what the data path does, without a control plane.

mod bodies;
mod fixture;
mod http2;
mod plain;
mod trouble;
