//! Certificates and trust, both ways.
//!
//! Towards clients: the document's certificates are loaded and checked once a snapshot, a listener picks among them by
//! SNI, and its ticket keys live as long as what they stand for (who may connect) is unchanged. Towards targets: one
//! configuration for each way in which a target is trusted and spoken to, shared by all.
//!
//! One crypto provider, aws-lc-rs, named where a configuration is built and never installed for the process: an
//! embedding program may have its own.

mod certificate;
mod index;
mod listener;
mod problem;
mod target;
mod tickets;

pub use certificate::Certificates;
pub use index::CertIndex;
pub use listener::server_config;
pub use problem::TlsProblem;
pub use target::{TargetProfile, TargetTls, Trust, server_name};
pub use tickets::TicketKeys;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::{Arc, LazyLock};

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    PROVIDER.clone()
}

#[cfg(test)]
mod tests;
