//! What a client's frames weigh, found in the bytes as they come by.

/// The preface is no frame (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// A frame's head (RFC 9113 §4.1): three bytes of length, one of kind, and what is of no interest here.
pub(super) const HEAD: usize = 9;

/// Kinds of frames (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Where in its frames a connection is.
pub(super) struct Frames {
    /// Bytes that are no frame's head.
    skip: usize,
    /// Bytes of a head that came, and what they say.
    head: usize,
    length: usize,
    kind: u8,
}

impl Frames {
    /// A connection of which nothing came yet.
    #[must_use]
    pub(super) fn new() -> Self {
        Self { skip: PREFACE, head: 0, length: 0, kind: 0 }
    }

    /// What the frames in these bytes weigh, by their heads: about so many times what it takes to look at an empty one.
    pub(super) fn weigh(&mut self, mut bytes: &[u8]) -> usize {
        let mut weight = 0;
        while let Some((&first, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            match self.head {
                0..3 => self.length = self.length << 8 | usize::from(first),
                3 => self.kind = first,
                _ => {}
            }
            self.head += 1;
            if self.head == HEAD {
                weight += self.weight();
                (self.skip, self.head, self.length) = (self.length, 0, 0);
            }
            bytes = rest;
        }
        weight
    }

    fn weight(&self) -> usize {
        match self.kind {
            DATA => 1 + self.length / 4096,
            // A request, which goes on from here; and each byte may stand for a field.
            HEADERS => 4 + self.length / 256,
            CONTINUATION => 1 + self.length / 256,
            _ => 1 + self.length / 1024,
        }
    }

    /// Bytes within which no more than so many frames begin.
    #[must_use]
    pub(super) fn room(&self, frames: usize) -> usize {
        self.skip.saturating_add(frames.saturating_mul(HEAD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_weighed_however_they_are_cut() {
        let head = |length: usize, kind| [&length.to_be_bytes()[5..], &[kind], &[9; 5]].concat();
        let frames = [
            (head(0, 4), 1),
            (head(2348, DATA), 1),
            (head(16384, DATA), 5),
            (head(60, HEADERS), 4),
            (head(16384, CONTINUATION), 65),
            (head(2, 255), 1),
        ];
        let mut bytes = vec![b'P'; PREFACE];
        for (head, _) in &frames {
            bytes.extend_from_slice(head);
            let length = usize::from_be_bytes([0, 0, 0, 0, 0, head[0], head[1], head[2]]);
            bytes.extend(std::iter::repeat_n(7, length));
        }
        let weight = frames.iter().map(|(_, weight)| weight).sum::<usize>();
        for size in [1, 2, 5, 9, 24, 1000, 100_000] {
            let mut reading = Frames::new();
            assert_eq!(bytes.chunks(size).map(|piece| reading.weigh(piece)).sum::<usize>(), weight, "{size} at a time");
            assert_eq!((reading.skip, reading.head), (0, 0));
        }
    }

    #[test]
    fn no_more_frames_begin_within_its_room() {
        let mut reading = Frames::new();
        assert_eq!(reading.room(2), PREFACE + 18);
        assert_eq!(reading.weigh(&[&[b'P'; PREFACE][..], &[0; 18]].concat()), 2);
        reading.weigh(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(reading.room(1), 253 + 9, "what is left of a frame comes on top");
    }
}
