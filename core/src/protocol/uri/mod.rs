//! Paths as Kong sees them, and hosts.
//!
//! A request's path is normalised before it is matched, and escaped again when it is sent on. Kong's rules are kept to
//! the byte (`kong/tools/uri.lua`, `kong/router/utils.lua` of Kong 3.10), because routes that were written for it rely
//! on them.

mod host;
mod join;
mod normalise;

pub use host::split_host;
pub use join::join_path;
pub use normalise::{escape, is_plain, normalise_path};
