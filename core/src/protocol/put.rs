//! Text put together piece by piece.
//!
//! A `Vec` asks with every piece whether it has to grow. A head or a line of a log is some thirty pieces, whose length together
//! is known roughly beforehand: they go into [`Room`] that is there, and only what turns out longer goes the slow way.

/// Takes bytes, one piece after the other.
pub trait Put {
    /// Takes the next piece.
    fn put(&mut self, piece: &[u8]);
}

impl Put for Vec<u8> {
    #[inline(always)]
    fn put(&mut self, piece: &[u8]) {
        self.extend_from_slice(piece);
    }
}

/// Room for bytes.
#[derive(Debug)]
pub struct Room<'a> {
    left: &'a mut [u8],
    size: usize,
    fits: bool,
}

impl<'a> Room<'a> {
    /// All of `bytes`, in place of what they hold.
    #[inline(always)]
    #[must_use]
    pub fn new(bytes: &'a mut [u8]) -> Self {
        let size = bytes.len();
        Self { left: bytes, size, fits: true }
    }

    /// How many bytes were put; `None`: they did not fit.
    #[inline(always)]
    #[must_use]
    pub fn written(&self) -> Option<usize> {
        self.fits.then_some(self.size - self.left.len())
    }

    /// What is put does not fit from now on, nor did what was put before.
    #[inline(always)]
    pub fn refuse(&mut self) {
        self.left = &mut [];
        self.fits = false;
    }
}

impl Put for Room<'_> {
    #[inline(always)]
    fn put(&mut self, piece: &[u8]) {
        let left = std::mem::take(&mut self.left);
        match left.split_at_mut_checked(piece.len()) {
            Some((room, left)) => {
                copy(piece, room);
                self.left = left;
            }
            None => self.fits = false,
        }
    }
}

/// Copies to a place as long. Most pieces are short, and to call `memcpy` for them takes longer than to copy them.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    if from.len() > 16 {
        to.copy_from_slice(from);
    } else {
        let _none = ends::<8>(from, to) || ends::<4>(from, to) || ends::<2>(from, to) || ends::<1>(from, to);
    }
}

/// Copies the first `N` bytes and the last `N`, which may overlap; false, and nothing done, where there are fewer.
#[inline(always)]
fn ends<const N: usize>(from: &[u8], to: &mut [u8]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return false };
    if let Some(to) = to.first_chunk_mut::<N>() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut::<N>() {
        *to = *last;
    }
    true
}

/// A text that can be put more than once.
pub trait Text {
    /// Puts it there. Each time the same: where the room was too small, it is asked again.
    fn put_to(&self, out: &mut impl Put);
}

impl Text for &[u8] {
    #[inline(always)]
    fn put_to(&self, out: &mut impl Put) {
        out.put(self);
    }
}

/// Appends a text whose length is likely to be at most `bound`: so many bytes are zeroed first. A longer one is put twice.
#[inline(always)]
pub fn append(text: &impl Text, bound: usize, out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + bound, 0);
    let mut room = Room::new(out.get_mut(begin..).unwrap_or_default());
    text.put_to(&mut room);
    if let Some(written) = room.written() {
        out.truncate(begin + written);
    } else {
        out.truncate(begin);
        append_slowly(text, out);
    }
}

#[cold]
#[inline(never)]
fn append_slowly(text: &impl Text, out: &mut Vec<u8>) {
    text.put_to(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces<'a>(&'a [&'a [u8]]);

    impl Text for Pieces<'_> {
        fn put_to(&self, out: &mut impl Put) {
            self.0.iter().for_each(|piece| out.put(piece));
        }
    }

    #[test]
    fn pieces_of_every_length_arrive_whole_and_in_order_whether_there_is_room_or_not() {
        let bytes: Vec<u8> = (0..40).collect();
        for first in 0..40 {
            for second in 0..40 {
                let pieces = [&bytes[..first], b"", &bytes[..second]];
                let expected = [b"before".as_slice(), &pieces.concat()].concat();
                for bound in [first + second, first + second + 1, (first + second).saturating_sub(1), first, 0] {
                    let mut out = b"before".to_vec();
                    append(&Pieces(&pieces), bound, &mut out);
                    assert_eq!(out, expected, "{first} and {second} bytes in {bound}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_said_even_if_later_pieces_would() {
        let mut bytes = [0; 4];
        let mut room = Room::new(&mut bytes);
        room.put(b"ab");
        assert_eq!(room.written(), Some(2));
        room.put(b"cde");
        room.put(b"");
        assert_eq!(room.written(), None);
        let mut room = Room::new(&mut bytes);
        room.put(b"ab");
        room.refuse();
        room.put(b"");
        assert_eq!(room.written(), None);
    }
}
