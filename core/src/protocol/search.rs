//! Looking for a byte of some kind, sixteen at a time.

use wide::u8x16;

const WIDTH: usize = 16;

/// The place of the first byte from `at` on that `wanted` has a bit for, lowest first; the bytes' end if there is none. `at` is
/// not beyond that. `wanted` is given one chunk after the other; the last one begins with bytes of the one before, unless all
/// bytes together are fewer than a chunk.
#[inline(always)]
pub(super) fn find(bytes: &[u8], mut at: usize, mut wanted: impl FnMut(u8x16) -> u32) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>) {
        let found = wanted(u8x16::new(*chunk)) & 0xffff;
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += WIDTH;
    }
    // What is left, together with bytes before it that were looked at already.
    let left = bytes.len().saturating_sub(at);
    let found = match bytes.last_chunk::<WIDTH>() {
        Some(last) => wanted(u8x16::new(*last)) >> (WIDTH - left),
        None => wanted(u8x16::new(padded(bytes.get(at..).unwrap_or_default()))),
    };
    at + (found | 1 << left).trailing_zeros() as usize
}

/// Fewer than sixteen bytes, and zeros behind them.
#[inline(always)]
fn padded(bytes: &[u8]) -> [u8; WIDTH] {
    // The first bytes and the last ones, which overlap.
    let word = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u128::from(u64::from_le_bytes(*last)) << (8 * (bytes.len() - 8));
        u128::from(u64::from_le_bytes(*first)) | last
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
        (u64::from(u32::from_le_bytes(*first)) | last).into()
    } else {
        bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)).into()
    };
    word.to_le_bytes()
}

/// Which bytes are letters.
#[inline(always)]
pub(super) fn letters(chunk: u8x16) -> u8x16 {
    let from_a = (chunk | u8x16::splat(0x20)) - u8x16::splat(b'a');
    from_a.min(u8x16::splat(b'z' - b'a')).simd_eq(from_a)
}

/// Which bytes lie from `first` to `last`.
#[inline(always)]
pub(super) fn between(chunk: u8x16, first: u8, last: u8) -> u8x16 {
    let from_first = chunk - u8x16::splat(first);
    from_first.min(u8x16::splat(last - first)).simd_eq(from_first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_at_every_place_of_every_length_and_not_before_the_first_place() {
        let colon = |chunk: u8x16| chunk.simd_eq(u8x16::splat(b':')).to_bitmask();
        for length in 0..50 {
            for at in 0..=length {
                assert_eq!(find(&vec![b'a'; length], at, colon), length, "none in {length} from {at}");
                for place in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = b':';
                    let expected = if place < at { length } else { place };
                    assert_eq!(find(&bytes, at, colon), expected, "{place} of {length} from {at}");
                }
            }
        }
    }

    #[test]
    fn letters_and_ranges_are_what_they_are_one_by_one() {
        for byte in 0..=u8::MAX {
            let chunk = u8x16::splat(byte);
            assert_eq!(letters(chunk).to_bitmask() == 0xffff, byte.is_ascii_alphabetic(), "{byte:#x}");
            assert_eq!(between(chunk, b'-', b'9').to_bitmask() == 0xffff, (b'-'..=b'9').contains(&byte), "{byte:#x}");
        }
    }
}
