//! The rules of HTTP as pure functions: what a head means, how long its body is, and what goes on to the other side.
//!
//! HTTP/1 is read by push parsers of our own ([`h1`]), and as strictly as RFC 9112 allows: two
//! readers that understand one message differently are how requests are smuggled, so whatever could be read in two
//! ways is refused. A head keeps the bytes it came with, and its fields as spans into them ([`head`]); forwarding
//! ([`forward`]) copies lines that stay in runs, and heads of HTTP/2 become the same thing at the edge.
//!
//! Deliberately not here: sockets, buffers' lifetimes, time, HTTP/2's frames (`h2`'s), and a map of headers.

pub mod answer;
mod error;
pub mod forward;
pub mod grpc;
pub mod h1;
pub mod head;
mod known;
mod message;
mod method;
mod proxy_header;
pub mod put;
mod search;
pub mod status;
pub mod syntax;
pub mod uri;
pub mod websocket;

pub use error::{BodyError, HeadError};
pub use head::{RequestHead, ResponseHead};
pub use known::Known;
pub use message::{BodyLength, HEAD_BYTES_MAX, HEAD_FIELDS_MAX, HeadLimits, Version};
pub use method::Method;
pub use proxy_header::{Announced, PROXY_HEADER_MAX, ProxyHeader, ProxyHeaderError, parse_proxy_header};
