//! Keys of session tickets.

use crate::telemetry::clock;
use parking_lot::{Mutex, RwLock};
use rustls::Error;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::ProducesTickets;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 6 hours: new tickets are made with one set of keys.
const RENEWED: Duration = Duration::from_secs(6 * 3600);
/// 12 hours: a set's tickets are taken no longer than that.
const FORGOTTEN: Duration = Duration::from_secs(12 * 3600);

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
        let ticketer: Arc<dyn ProducesTickets> = Arc::new(Rotation::new()?);
        known.push(Keys { listener: listener.clone(), client_ca: client_ca.to_vec(), ticketer: ticketer.clone() });
        Ok(ticketer)
    }
}

/// Keys that are renewed by the monotonic clock. rustls renews by the wall clock: where that is set back, by a year say, its keys
/// would live for a year more, and with them what they could lay open.
#[derive(Debug)]
struct Rotation {
    sets: RwLock<Sets>,
}

#[derive(Debug)]
struct Sets {
    current: Set,
    previous: Option<Set>,
}

/// Two sets of rustls' own, which may be renewed earlier, and never matter for longer than this one.
#[derive(Debug)]
struct Set {
    keys: Arc<dyn ProducesTickets>,
    since: Instant,
}

impl Set {
    fn new(since: Instant) -> Result<Self, Error> {
        Ok(Self { keys: Ticketer::new()?, since })
    }

    fn is_younger(&self, age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < age
    }
}

impl Rotation {
    fn new() -> Result<Self, Error> {
        Ok(Self { sets: RwLock::new(Sets { current: Set::new(clock::now())?, previous: None }) })
    }

    /// Does it with the sets that hold at this moment. `None`, too, where no new keys can be had.
    fn with<T>(&self, now: Instant, use_them: impl FnOnce(&Sets) -> Option<T>) -> Option<T> {
        let sets = self.sets.read();
        if sets.current.is_younger(RENEWED, now) {
            return use_them(&sets);
        }
        drop(sets);
        let next = Set::new(now).ok()?;
        let mut sets = self.sets.write();
        // Another worker may have been faster.
        if !sets.current.is_younger(RENEWED, now) {
            sets.previous = Some(std::mem::replace(&mut sets.current, next));
        }
        use_them(&sets)
    }
}

impl ProducesTickets for Rotation {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.sets.read().current.keys.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.with(clock::now(), |sets| sets.current.keys.encrypt(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let now = clock::now();
        self.with(now, |sets| {
            let previous = sets.previous.as_ref().filter(|set| set.is_younger(FORGOTTEN, now));
            sets.current.keys.decrypt(cipher).or_else(|| previous?.keys.decrypt(cipher))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wall clock stands still here while hours go by, as one that is set back all the time.
    #[tokio::test(start_paused = true)]
    async fn ticket_keys_are_renewed_and_forgotten_in_time_whatever_the_wall_clock_says() {
        let keys = TicketKeys::default().of(&"https".into(), &[]).unwrap();
        let ticket = || keys.encrypt(b"a session").unwrap();
        let after = async |hours: u64| tokio::time::advance(Duration::from_secs(hours * 3600)).await;
        let known = |ticket: &[u8]| keys.decrypt(ticket).as_deref() == Some(b"a session".as_slice());
        let first = ticket();
        assert!(known(&first));
        after(7).await;
        let second = ticket();
        assert!(known(&first) && known(&second));
        after(5).await;
        assert!(!known(&first) && known(&second), "the first went out of date before it was the second's turn");
        after(12).await;
        assert!(!known(&second), "nobody came while it did");
    }
}
