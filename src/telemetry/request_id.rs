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

/// The digits of a number. Eight at a time: every nibble in a byte of its own, then what makes it a digit added to all.
fn hex(value: u64) -> [u8; 16] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let eight = |half: u64| {
        let pairs = (half | half << 16) & 0x0000_ffff_0000_ffff;
        let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
        let nibbles = (bytes | bytes << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        let letters = ((nibbles + 6 * ONES) >> 4) & ONES;
        nibbles + u64::from(b'0') * ONES + letters * u64::from(b'a' - b'9' - 1)
    };
    let mut out = [0; 16];
    let (upper, lower) = out.split_at_mut(8);
    upper.copy_from_slice(&eight(value >> 32).to_be_bytes());
    lower.copy_from_slice(&eight(value & 0xffff_ffff).to_be_bytes());
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
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"0123456789abcdef");
    }
}
