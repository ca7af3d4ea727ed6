//! A replica for tests: a small HTTP/1.1 server that says who answered and what arrived, so that a load generator can
//! tell a right answer from a wrong one. It shares no code with the gateway, so that a mistake in the gateway's codec cannot
//! hide in its tests. The same server runs in the test process and in a container.
//!
//! | path | answer |
//! |---|---|
//! | any | who answered, and what arrived |
//! | `?ms=300` on any path | the same, after so long |
//! | `/stream?ms=3000` | a chunk each tenth of a second, for so long |
//! | `/ws`, a `WebSocket` | a text frame each tenth of a second, until either side goes |
//! | `/sick`, `/well` | turns the health check off and on |
//! | `/health` | 200 while well, else 503 |
//! | `/bytes?n=5&seed=7` | so many bytes that [`generated`] gives for the seed |
//! | `/events?n=5&ms=100` | so many events, one after so long: an answer in chunks whose last field is a trailer |
//! | any, with `Upgrade` | 101, then every byte comes back |
//!
//! Over HTTP/2 with prior knowledge it speaks gRPC, by `h2`; the messages are bytes, and metadata say how they are answered:
//!
//! | call | answer |
//! |---|---|
//! | [`ECHO`] | the message, after `x-test-ms` |
//! | [`COUNT`] | `x-test-count` messages, `x-test-ms` before each: its number, the request's name and its message's [`checksum`] |
//!
//! With [`Options::record`] it notes every request that may not be carried out twice, before it answers.

mod grpc;
mod http;
mod open;
mod record;
mod server;
mod stream;

pub use grpc::{COUNT, ECHO, framed, messages};
pub use http::{checksum, generated};
pub use server::{Options, serve};
