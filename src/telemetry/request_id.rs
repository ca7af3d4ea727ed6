//! Request ids: 32 hexadecimal digits, as Kong's.

/// A worker's source of ids. Not secret and not unpredictable: ids name requests in logs, they prove nothing.
#[derive(Debug)]
pub struct RequestIds {
    rng: fastrand::Rng,
}

impl RequestIds {
    /// Ids from a seed; workers need different ones.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed) }
    }

    /// The next id.
    pub fn next_id(&mut self) -> [u8; 32] {
        let mut id = [0; 32];
        let (upper, lower) = id.split_at_mut(16);
        upper.copy_from_slice(&hex(self.rng.u64(..)));
        lower.copy_from_slice(&hex(self.rng.u64(..)));
        id
    }
}

/// The digits of a number, least significant byte first.
fn hex(value: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 16];
    for (pair, byte) in out.chunks_exact_mut(2).zip(value.to_le_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_distinct_and_lower_case_hexadecimal() {
        let mut ids = RequestIds::new(1);
        let many: HashSet<[u8; 32]> = (0..10_000).map(|_| ids.next_id()).collect();
        assert_eq!(many.len(), 10_000);
        assert!(many.iter().flatten().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)));
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"efcdab8967452301");
    }
}
