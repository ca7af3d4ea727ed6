//! Where frames of WebSocket end (RFC 6455 §5.2): enough to say good-bye between two of them.

/// A server's Close frame with 1001, "going away" (RFC 6455 §7.4.1).
pub const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];

/// The two bytes that each frame begins with, and the longest length behind them.
const HEAD_MAX: usize = 10;
const MASK_LENGTH: u64 = 4;

/// Follows a stream of frames, in whatever pieces it comes.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; HEAD_MAX],
    /// Bytes of `head` that are there.
    have: usize,
    /// Bytes that are left of the frame behind its head.
    left: u64,
}

impl Frames {
    /// Reads on: how many of `bytes` end with a whole frame; `None` where no frame ends in them.
    pub fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut last = None;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.left > 0 {
                let taken = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                self.left -= taken as u64;
                at += taken;
            } else {
                if let (Some(place), Some(byte)) = (self.head.get_mut(self.have), rest.first()) {
                    *place = *byte;
                }
                self.have += 1;
                at += 1;
                let Some(left) = self.behind_head() else { continue };
                (self.have, self.left) = (0, left);
            }
            if self.left == 0 {
                last = Some(at);
            }
        }
        last
    }

    /// Whether the last byte that was read ended a frame, or none has begun.
    #[must_use]
    pub const fn at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// How many bytes follow the head, once that is whole.
    fn behind_head(&self) -> Option<u64> {
        let (head, rest) = self.head.get(..self.have)?.split_at_checked(2)?;
        let second = *head.last()?;
        let mask = if second & 0x80 == 0 { 0 } else { MASK_LENGTH };
        let length = match second & 0x7F {
            126 => u64::from(u16::from_be_bytes(rest.try_into().ok()?)),
            127 => u64::from_be_bytes(rest.try_into().ok()?),
            short => u64::from(short),
        };
        Some(length.saturating_add(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(length: usize, mask: bool) -> Vec<u8> {
        let bit = if mask { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match length {
            0..126 => bytes.push(bit | u8::try_from(length).unwrap()),
            126..65536 => {
                bytes.push(bit | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(bit | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(if mask { vec![1; 4] } else { Vec::new() });
        bytes.extend(vec![0x88; length]);
        bytes
    }

    #[test]
    fn our_good_bye_is_one_whole_frame() {
        let mut frames = Frames::default();
        assert_eq!(frames.read(&GOING_AWAY), Some(4));
        assert!(frames.at_boundary());
    }

    #[test]
    fn a_length_that_nobody_can_send_is_no_boundary() {
        let mut frames = Frames::default();
        assert_eq!(frames.read(&[0x82, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0]), None);
        assert!(!frames.at_boundary());
    }

    proptest! {
        #[test]
        fn boundaries_are_found_however_the_bytes_come(
            sizes in prop::collection::vec((prop_oneof![0..130_usize, 65_500..65_600_usize], any::<bool>()), 1..6),
            piece in 1..70_000_usize,
        ) {
            let mut all = Vec::new();
            let mut ends = vec![];
            for (length, mask) in sizes {
                all.extend(frame(length, mask));
                ends.push(all.len());
            }
            let mut frames = Frames::default();
            let mut at = 0;
            for bytes in all.chunks(piece) {
                let end = at + bytes.len();
                let last = ends.iter().copied().filter(|boundary| (at + 1..=end).contains(boundary)).max();
                prop_assert_eq!(frames.read(bytes), last.map(|last| last - at));
                prop_assert_eq!(frames.at_boundary(), ends.contains(&end));
                at = end;
            }
        }
    }
}
