//! Heads of requests and responses, kept as they came.
//!
//! A head is one run of bytes and its fields as spans into it, in their order, with the names that matter classified
//! once. Adding appends bytes, removing is a mark; nothing is moved, and both vectors are reused by the next request.
//! Whoever reads or changes a head does so through its methods, so that its layout can stay a matter of speed.

mod request;
mod response;
mod store;

pub use request::RequestHead;
pub use response::ResponseHead;
pub(super) use store::{Span, Store};
