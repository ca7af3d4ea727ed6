//! What is wrong with a certificate or a listener's TLS.

use plimsoll_core::config::{Certificate, Listener, Place};
use std::fmt;

/// One mistake, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProblem {
    /// Where its owner stands in the document; 0:0 where it stands nowhere.
    pub place: Place,
    /// ``certificate `id` (shop.example)`` or ``listener `https` ``.
    pub subject: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl TlsProblem {
    pub(super) fn certificate(certificate: &Certificate, message: impl Into<String>) -> Self {
        let mut subject = format!("certificate `{}`", certificate.id);
        if !certificate.snis.is_empty() {
            subject.push_str(&format!(" ({})", certificate.snis.join(", ")));
        }
        Self { place: certificate.place, subject, message: message.into() }
    }

    pub(super) fn listener(listener: &Listener, message: impl Into<String>) -> Self {
        Self { place: Place::default(), subject: format!("listener `{}`", listener.name), message: message.into() }
    }
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

impl std::error::Error for TlsProblem {}
