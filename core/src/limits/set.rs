//! What is remembered of clients, in sets of a few places each, as a processor's cache has them: a client has its place in
//! one set, found by a hash. So memory is fixed, a look takes the same time whoever attacks, and nobody has to tidy up.

use super::{ClientKey, Rate};
use std::time::Duration;

/// Places of a set: four lines of a cache. With as many clients as half the places, one set in three hundred is full.
const PLACES: usize = 16;

/// One set.
#[derive(Clone, Debug, Default)]
pub struct ClientSet {
    places: [Place; PLACES],
}

/// One client: free, or as good as free, once its allowance is whole.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    client: u64,
    whole_at_ns: u64,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When another one may come, where this one may not.
    pub verdict: Result<(), Duration>,
    /// Another client was forgotten for it, before its allowance was whole.
    pub forgot: bool,
}

impl ClientSet {
    /// Places of a set.
    pub const PLACES: usize = PLACES;

    /// Takes one request from the client's allowance. Where a client is new and every place is taken, it takes that of the
    /// client which has used least of its allowance: who takes much stays remembered, and whoever is forgotten has its
    /// allowance back a little early. Nobody is refused for want of a place.
    pub fn take(&mut self, client: ClientKey, rate: &Rate, now_ns: u64) -> Taken {
        let client = client.bits();
        let mut least = 0;
        for (index, place) in self.places.iter().enumerate() {
            // A place that was never used is whole since 0, whatever stands in it.
            if place.client == client && place.whole_at_ns > 0 {
                least = index;
                break;
            }
            if self.places.get(least).is_some_and(|other| place.whole_at_ns < other.whole_at_ns) {
                least = index;
            }
        }
        let Some(place) = self.places.get_mut(least) else { return Taken { verdict: Ok(()), forgot: false } };
        let known = place.client == client;
        let forgot = !known && place.whole_at_ns > now_ns;
        match rate.take(if known { place.whole_at_ns } else { 0 }, now_ns) {
            Ok(whole_at_ns) => {
                *place = Place { client, whole_at_ns };
                Taken { verdict: Ok(()), forgot }
            }
            // Only one that is known: a new one has its whole allowance.
            Err(wait_ns) => Taken { verdict: Err(Duration::from_nanos(wait_ns)), forgot: false },
        }
    }

    /// Clients whose allowance is not whole.
    #[must_use]
    pub fn remembered(&self, now_ns: u64) -> usize {
        self.places.iter().filter(|place| place.whole_at_ns > now_ns).count()
    }
}
