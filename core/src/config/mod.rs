//! The document: what the user wrote, in Kong's declarative format, with the place of every key and value.

mod document;
mod gateway;

pub use document::*;
pub use gateway::*;
