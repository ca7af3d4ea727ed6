//! What goes on to the other side: one pass over a head, in which hop-by-hop fields fall away and the gateway's own are
//! added.
//!
//! Lines that stay are copied as they came, neighbours in one copy: they were checked when the head was read, so an
//! ordinary head is one to three copies. Sources: RFC 9110 §7.6, Kong 3.10 `kong/runloop/handler.lua` (its
//! `X-Forwarded-*`) and `kong/templates/nginx_kong.lua`.

mod added;
mod client;
mod request;
mod response;

pub use client::client_behind_proxies;
pub use request::{ForwardRequest, client_lines, each_request_field, write_request};
pub use response::{ForwardResponse, each_response_field, write_response};

#[cfg(test)]
mod tests;
