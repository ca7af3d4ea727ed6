//! What clients have taken of `limits.requests_per_client`, shared by all workers. Fixed in memory, and made when it is first
//! needed: who has no such limit pays for none.

use parking_lot::Mutex;
use plimsoll_core::limits::{ClientKey, ClientSet, Rate};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sets of sixteen clients each, as a power of two: 131,072 places, 2 MiB. A place is taken while its client's allowance is
/// not whole (with 100 a second and a burst of 200, two seconds at the most after its last request).
const SETS_BITS: u32 = 13;

/// All of it.
pub(crate) struct Clients {
    sets: OnceLock<Box<[Mutex<ClientSet>]>>,
    /// Keyed: which clients share a set cannot be worked out from outside.
    hash: RandomState,
    forgotten: AtomicU64,
}

impl Default for Clients {
    fn default() -> Self {
        Self { sets: OnceLock::new(), hash: RandomState::new(), forgotten: AtomicU64::new(0) }
    }
}

impl Clients {
    /// Takes one request from the client's allowance. The lock that it takes for a moment is one of thousands.
    ///
    /// # Errors
    /// It is used up; when there is one again.
    pub(crate) fn take(&self, client: ClientKey, rate: &Rate, now_ns: u64) -> Result<(), Duration> {
        let sets = self.sets.get_or_init(|| (0..1 << SETS_BITS).map(|_| Mutex::default()).collect());
        let index = self.hash.hash_one(client.bits()) >> (u64::BITS - SETS_BITS);
        let Some(set) = usize::try_from(index).ok().and_then(|index| sets.get(index)) else { return Ok(()) };
        let taken = set.lock().take(client, rate, now_ns);
        if taken.forgot {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        taken.verdict
    }

    /// Clients whose allowance is not whole, and how many were forgotten before theirs was; `None`: there was no limit yet.
    pub(crate) fn counts(&self, now_ns: u64) -> Option<(usize, u64)> {
        let remembered = self.sets.get()?.iter().map(|set| set.lock().remembered(now_ns)).sum();
        Some((remembered, self.forgotten.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn as_many_clients_as_half_the_places_are_remembered_and_a_crowd_costs_no_more_memory() {
        let (clients, rate) = (Clients::default(), Rate::new(1, Duration::from_secs(1), 1));
        assert_eq!(clients.counts(SECOND), None, "nothing is kept before there is a limit");
        let take = |n: u32| clients.take(IpAddr::from(n.to_be_bytes()).into(), &rate, SECOND);
        let half = 1 << (SETS_BITS + 3);
        for n in 0..half {
            assert_eq!(take(n), Ok(()));
        }
        let over = (0..half).filter(|n| take(*n).is_err()).count();
        assert!(over * 100 > half as usize * 98, "{over} of {half} are remembered");
        for n in half..half * 6 {
            let _anyhow = take(n);
        }
        let (remembered, forgotten) = clients.counts(SECOND).unwrap();
        assert!(remembered <= 1 << (SETS_BITS + 4) && forgotten > 0, "{remembered}, {forgotten}");
        assert_eq!(clients.counts(3 * SECOND).unwrap().0, 0);
    }
}
