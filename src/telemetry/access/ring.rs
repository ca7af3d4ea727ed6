//! A bounded ring of lines between one worker and the writer.
//!
//! Made of words rather than bytes, so that a copy is one relaxed store for eight bytes and needs no `unsafe`. A line is
//! a word with its length, then its bytes padded to whole words.

use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const WORD: usize = 8;

/// The ring itself; positions only rise and wrap by the mask.
pub(super) struct Ring {
    words: Box<[AtomicU64]>,
    /// Where the worker writes next.
    head: CachePadded<AtomicUsize>,
    /// Where the writer reads next.
    tail: CachePadded<AtomicUsize>,
    /// Lines that did not fit; written by the worker alone.
    dropped: AtomicU64,
}

/// The worker's end.
pub(super) struct Producer {
    ring: Arc<Ring>,
    /// The tail as last seen: looked at again only when the ring seems full.
    seen_tail: Cell<usize>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It is in the ring.
    Kept,
    /// It is in the ring, which is more than half full.
    HalfFull,
    /// It did not fit.
    Dropped,
}

impl Ring {
    /// A ring of `bytes`, rounded up to a power of two, and its worker's end.
    pub(super) fn new(bytes: usize) -> (Arc<Self>, Producer) {
        let words = bytes.div_ceil(WORD).next_power_of_two();
        let ring = Arc::new(Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            head: CachePadded::default(),
            tail: CachePadded::default(),
            dropped: AtomicU64::new(0),
        });
        (ring.clone(), Producer { ring, seen_tail: Cell::new(0) })
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire) == self.tail.load(Ordering::Relaxed)
    }

    /// Takes lines until `out` holds `limit` bytes or none is left. Only for the one writer. The number of lines.
    pub(super) fn take(&self, limit: usize, out: &mut Vec<u8>) -> u64 {
        let head = self.head.load(Ordering::Acquire);
        let mut tail = self.tail.load(Ordering::Relaxed);
        let mut lines = 0;
        while tail != head && out.len() < limit {
            let length = usize::try_from(self.words[self.index(tail)].load(Ordering::Relaxed)).unwrap_or(0);
            let words = length.div_ceil(WORD);
            let begin = out.len();
            out.resize(begin + words * WORD, 0);
            let start = self.index(tail.wrapping_add(1));
            let before_wrap = words.min(self.words.len() - start);
            let (first, second) = out[begin..].split_at_mut(before_wrap * WORD);
            copy_out(&self.words[start..], first);
            copy_out(&self.words, second);
            out.truncate(begin + length);
            tail = tail.wrapping_add(1 + words);
            lines += 1;
        }
        self.tail.store(tail, Ordering::Release);
        lines
    }

    fn index(&self, position: usize) -> usize {
        position & (self.words.len() - 1)
    }
}

impl Producer {
    /// Puts a whole line into the ring, or nothing.
    pub(super) fn push(&self, line: &[u8]) -> Pushed {
        let ring = &*self.ring;
        let capacity = ring.words.len();
        let head = ring.head.load(Ordering::Relaxed);
        let needed = 1 + line.len().div_ceil(WORD);
        let mut used = head.wrapping_sub(self.seen_tail.get()) + needed;
        if used > capacity / 2 {
            self.seen_tail.set(ring.tail.load(Ordering::Acquire));
            used = head.wrapping_sub(self.seen_tail.get()) + needed;
            if used > capacity {
                ring.dropped.store(ring.dropped() + 1, Ordering::Relaxed);
                return Pushed::Dropped;
            }
        }
        ring.words[ring.index(head)].store(line.len() as u64, Ordering::Relaxed);
        let start = ring.index(head.wrapping_add(1));
        let before_wrap = (capacity - start) * WORD;
        if line.len() <= before_wrap {
            copy_in(line, &ring.words[start..]);
        } else {
            let (first, second) = line.split_at(before_wrap);
            copy_in(first, &ring.words[start..]);
            copy_in(second, &ring.words);
        }
        ring.head.store(head.wrapping_add(needed), Ordering::Release);
        if used > capacity / 2 { Pushed::HalfFull } else { Pushed::Kept }
    }
}

fn copy_out(words: &[AtomicU64], bytes: &mut [u8]) {
    let (whole, _) = bytes.as_chunks_mut::<WORD>();
    for (bytes, word) in whole.iter_mut().zip(words) {
        *bytes = word.load(Ordering::Relaxed).to_le_bytes();
    }
}

fn copy_in(bytes: &[u8], words: &[AtomicU64]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
    if !rest.is_empty() {
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()].store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_and_in_order_while_both_ends_run() {
        let (ring, producer) = Ring::new(1024);
        let line = |n: usize| format!("{n}:{}\n", "x".repeat(n % 97));
        let sent = std::thread::spawn(move || {
            let mut sent = Vec::new();
            for n in 0..20_000 {
                if producer.push(line(n).as_bytes()) == Pushed::Dropped {
                    std::thread::yield_now();
                } else {
                    sent.push(n);
                }
            }
            sent
        });
        let (mut text, mut lines) = (Vec::new(), 0);
        while !(sent.is_finished() && ring.is_empty()) {
            lines += ring.take(usize::MAX, &mut text);
        }
        let sent = sent.join().unwrap();
        let expected: String = sent.iter().map(|n| line(*n)).collect();
        assert!(String::from_utf8(text).unwrap() == expected, "lines were torn or lost");
        assert_eq!((lines, lines + ring.dropped()), (sent.len() as u64, 20_000));
    }

    #[test]
    fn a_full_ring_drops_and_counts_and_takes_lines_again_once_it_was_read() {
        let (ring, producer) = Ring::new(64); // eight words; a line of eight bytes takes two
        let pushed: Vec<Pushed> = (0..5).map(|_| producer.push(b"1234567\n")).collect();
        assert_eq!(pushed, [Pushed::Kept, Pushed::Kept, Pushed::HalfFull, Pushed::HalfFull, Pushed::Dropped]);
        let mut out = Vec::new();
        assert_eq!((ring.take(1, &mut out), ring.dropped()), (1, 1));
        assert_eq!(producer.push(b"7654321\n"), Pushed::HalfFull);
        assert_eq!(producer.push(&[b'x'; 64]), Pushed::Dropped);
    }
}
