//! Hyper as the second reader of HTTP/1.
//!
//! Where two readers put the end of a message in different places, what one takes for a body is a request to the other: that is
//! smuggling. So hyper's server and client read what ours read, over bytes in memory and without a runtime, and may refuse it or
//! read the same. After a message comes a known one, which must be found where ours says that it begins.

mod body;
mod client;
mod server;
mod wire;

pub use body::body;
pub use client::{ANSWER, Answer, Read, answer};
pub use server::{End, Request, requests, says_the_same};
