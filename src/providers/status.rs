//! What metrics show of a provider while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of one provider, read by whoever renders metrics. They stand for nothing but themselves, so no order is needed.
#[derive(Debug, Default)]
pub struct ProviderStatus {
    up: AtomicBool,
    events_total: AtomicU64,
    corrections_total: AtomicU64,
    gaps_total: AtomicU64,
    failures_total: AtomicU64,
}

impl ProviderStatus {
    /// Whether its facts are fresh.
    #[must_use]
    pub fn up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Events received.
    #[must_use]
    pub fn events_total(&self) -> u64 {
        self.events_total.load(Ordering::Relaxed)
    }

    /// Changes that a list found and no event told: losses, or bugs.
    #[must_use]
    pub fn corrections_total(&self) -> u64 {
        self.corrections_total.load(Ordering::Relaxed)
    }

    /// Event streams that ended and were opened again.
    #[must_use]
    pub fn gaps_total(&self) -> u64 {
        self.gaps_total.load(Ordering::Relaxed)
    }

    /// Attempts to reach the runtime that failed.
    #[must_use]
    pub fn failures_total(&self) -> u64 {
        self.failures_total.load(Ordering::Relaxed)
    }

    pub(super) fn note_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    pub(super) fn note_counts(&self, events_total: u64, corrections_total: u64) {
        self.events_total.store(events_total, Ordering::Relaxed);
        self.corrections_total.store(corrections_total, Ordering::Relaxed);
    }

    pub(super) fn note_gap(&self) {
        self.gaps_total.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_failure(&self) {
        self.failures_total.fetch_add(1, Ordering::Relaxed);
    }
}
