//! What would become of a request, and why. Reads a snapshot as the data path does, and sends nothing.
//!
//! `plimsoll explain` and `GET /explain` both ask here, so that what people are told is what is served. The request is
//! written out and read by the codec that reads a client's, the route is found by the router that serves, path and Host
//! are made by the same rules.

mod explanation;
mod pool;
mod question;
mod reason;
mod text;

pub use explanation::{Asked, Candidate, Considered, Explanation, Forwarded, PoolView};
pub use question::{Question, QuestionError};
pub use reason::explain;
