//! Keys of session tickets.

use parking_lot::Mutex;
use rustls::Error;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::ProducesTickets;
use std::sync::Arc;

/// Ticket keys of the process. They hang on what a session stands for: the listener and the CAs that its clients were
/// verified with. rustls resumes by suite and SNI alone, so keys that outlived a change of CAs would let clients in that
/// were removed; keys that did not outlive other reloads would cost every client a full handshake. Each set of keys is
/// renewed every six hours, and forgotten after twelve.
#[derive(Debug, Default)]
pub struct TicketKeys {
    known: Mutex<Vec<Keys>>,
}

#[derive(Debug)]
struct Keys {
    listener: Arc<str>,
    client_ca: Vec<CertificateDer<'static>>,
    ticketer: Arc<dyn ProducesTickets>,
}

impl TicketKeys {
    /// The keys of a listener whose clients are verified with these CAs (none: not verified).
    pub(super) fn of(
        &self,
        listener: &Arc<str>,
        client_ca: &[CertificateDer<'static>],
    ) -> Result<Arc<dyn ProducesTickets>, Error> {
        let mut known = self.known.lock();
        if let Some(keys) = known.iter().find(|keys| keys.listener == *listener && keys.client_ca == client_ca) {
            return Ok(keys.ticketer.clone());
        }
        // Only those stay that a configuration still uses, here or in a snapshot that is being retired.
        known.retain(|keys| Arc::strong_count(&keys.ticketer) > 1);
        let ticketer = Ticketer::new()?;
        known.push(Keys { listener: listener.clone(), client_ca: client_ca.to_vec(), ticketer: ticketer.clone() });
        Ok(ticketer)
    }
}
