//! Connections that are closed before anything is served on them: each is counted by its reason; of each reason there is one
//! line in the log a minute at the most.

use super::worker::Worker;
use crate::snapshot::Listener;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Microseconds between two lines of one reason.
const QUIET_US: u64 = 60_000_000;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `limits.connections`, or no descriptors are left.
    Full,
    /// `limits.connections_per_client`.
    PerClient,
    /// Where the PROXY protocol is spoken, whoever is no trusted proxy.
    ProxyUntrusted,
    /// A trusted proxy sent no header.
    ProxyMissing,
    /// A trusted proxy sent what is no header, or ended in the middle of it.
    ProxyMalformed(&'static str),
    /// A trusted proxy sent no header in time.
    ProxyTimedOut,
}

const REASONS: usize = 6;

impl Refusal {
    /// Number, `reason` of the metric, and what the log says.
    fn row(self) -> (usize, &'static str, &'static str) {
        match self {
            Self::Full => (0, "full", "as many are open as limits.connections or file descriptors allow"),
            Self::PerClient => (1, "per_client", "the client has as many as limits.connections_per_client allows"),
            Self::ProxyUntrusted => {
                (2, "proxy_untrusted", "the listener takes the PROXY protocol, and this is none of trusted_proxies")
            }
            Self::ProxyMissing => (3, "proxy_missing", "it does not begin with a PROXY header"),
            Self::ProxyMalformed(why) => (4, "proxy_malformed", why),
            Self::ProxyTimedOut => (5, "proxy_timeout", "no whole PROXY header came within timeouts.client_header"),
        }
    }
}

/// When each reason was told last.
#[derive(Default)]
pub(crate) struct Refusals([Told; REASONS]);

#[derive(Default)]
struct Told {
    /// Microseconds at which there may be the next line.
    next_us: AtomicU64,
    /// Refusals since the last line.
    silent: AtomicU64,
}

impl Told {
    /// Whether this one is to be told, and how many were not.
    fn may(&self, now_us: u64) -> Option<u64> {
        let next = self.next_us.load(Ordering::Relaxed);
        let first = now_us >= next
            && self.next_us.compare_exchange(next, now_us + QUIET_US, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first {
            return Some(self.silent.swap(0, Ordering::Relaxed));
        }
        self.silent.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Worker {
    /// Counts a connection that is closed, and tells of it now and then.
    pub(crate) fn refuse(&self, listener: &Listener, from: IpAddr, refusal: Refusal) {
        let (index, label, why) = refusal.row();
        self.telemetry.connection_refused(listener.series.id(), label);
        let now_us = self.now().micros();
        if let Some(more) = self.shared.refusals.0.get(index).and_then(|told| told.may(now_us)) {
            tracing::warn!(
                listener = %listener.name, client = %from.to_canonical(), reason = label, not_told = more,
                "a client's connection was closed: {why}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_reason_there_is_one_line_a_minute_and_it_says_how_many_there_were_none_of() {
        let told = Told::default();
        assert_eq!(told.may(5), Some(0));
        assert_eq!(told.may(6), None);
        assert_eq!(told.may(QUIET_US + 4), None);
        assert_eq!(told.may(QUIET_US + 5), Some(2));
        assert_eq!(told.may(QUIET_US + 6), None);
    }

    #[test]
    fn each_reason_has_a_number_of_its_own() {
        use Refusal::*;
        let all = [Full, PerClient, ProxyUntrusted, ProxyMissing, ProxyMalformed("why"), ProxyTimedOut];
        let numbers: Vec<usize> = all.iter().map(|refusal| refusal.row().0).collect();
        assert_eq!(numbers, (0..REASONS).collect::<Vec<_>>());
    }
}
