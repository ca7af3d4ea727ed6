//! The service manager, systemd or one that speaks as it does: the sockets that it gives, and what it is told.
//!
//! Both are asked for by the environment. Without `LISTEN_FDS` and `NOTIFY_SOCKET` nothing here does anything.

mod notify;
mod sockets;

pub(crate) use notify::{tell, tell_reloading, watchdog};
pub(crate) use sockets::{Assigned, Door, Wanted, assign, given};
