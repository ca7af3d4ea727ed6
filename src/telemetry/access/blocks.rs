//! Lines on their way from a worker to the writer, by whole blocks.
//!
//! A worker puts lines into a block that is its own alone, so that a line costs nothing but its bytes. It hands the block
//! over when it is nearly full, and once a tick; the writer gives it back when it is written. Both ways are bounded channels
//! of which no end ever waits. Blocks are handed over in their order: the writer sees a worker's lines as they were put.

use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

/// A block, bytes: some 150 lines. Longer lines are dropped; as a request's head has 60 KiB at the most, one is longer only
/// where it is full of what is escaped.
const BLOCK_BYTES: usize = 64 << 10;
/// From here on a block is nearly full: nearly any line still goes into what is left of one that is not.
const FULL_BYTES: usize = BLOCK_BYTES / 4 * 3;
/// Blocks of a worker, the one that it fills among them: a MiB. At 430 bytes a line 1,800 lines at the least, so 36,000 a
/// second between two looks of the writer; beyond that it is woken.
const BLOCKS: usize = 16;

/// A worker's end.
pub(super) struct Filler {
    block: Block,
    to_writer: SyncSender<Block>,
    written: Receiver<Block>,
    spare: Vec<Block>,
    /// Blocks that were handed over and are not back.
    waiting: usize,
    /// How many of them went before the last one that was not full, or are that one.
    early: usize,
}

/// The writer's end.
pub(super) struct Source {
    filled: Receiver<Block>,
    to_worker: SyncSender<Block>,
}

/// Room for lines, and how much of it they take. By default none: it is made when a line comes.
#[derive(Default)]
pub(super) struct Block {
    room: Box<[u8]>,
    used: usize,
}

/// What became of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are on their way.
    Kept,
    /// So they are, and the writer has much to do.
    Many,
    /// So many were dropped.
    Dropped(u64),
}

impl Block {
    /// Whole lines.
    pub(super) fn lines(&self) -> &[u8] {
        self.room.get(..self.used).unwrap_or_default()
    }
}

/// A worker's end and the writer's.
pub(super) fn blocks() -> (Filler, Source) {
    // Room for all of them: neither end finds a channel full.
    let (to_writer, filled) = sync_channel(BLOCKS);
    let (to_worker, written) = sync_channel(BLOCKS);
    let filler = Filler { block: Block::default(), to_writer, written, spare: Vec::new(), waiting: 0, early: 0 };
    (filler, Source { filled, to_worker })
}

impl Filler {
    /// Where the next line may be put, followed by [`Self::filled`]. Less than there may be: [`Self::put`] finds the rest.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.block.room.get_mut(self.block.used..).unwrap_or_default()
    }

    /// A line of so many bytes was put into the [`Self::room`].
    #[inline]
    pub(super) fn filled(&mut self, bytes: usize) -> Fate {
        self.block.used += bytes;
        if self.block.used < FULL_BYTES { Fate::Kept } else { self.hand_over() }
    }

    /// Puts a line, or drops it.
    pub(super) fn put(&mut self, line: &[u8]) -> Fate {
        let mut before = Fate::Kept;
        if self.room().len() < line.len() {
            before = self.hand_over();
            if self.block.room.is_empty() {
                self.block.room = vec![0; BLOCK_BYTES].into();
            }
        }
        let Some(room) = self.room().get_mut(..line.len()) else { return before.and(Fate::Dropped(1)) };
        room.copy_from_slice(line);
        before.and(self.filled(line.len()))
    }

    /// Once a tick: what there is goes to the writer, unless it still has what went there so the last time. Where it is stuck,
    /// blocks are filled before lines are dropped.
    pub(super) fn tick(&mut self) -> Fate {
        if self.block.used == 0 {
            return Fate::Kept;
        }
        self.take_back();
        if self.early > 0 {
            return Fate::Kept;
        }
        let fate = self.hand_over();
        if self.block.used == 0 {
            self.early = self.waiting;
        }
        fate
    }

    /// Gives the block to the writer, if there may be another one.
    #[cold]
    fn hand_over(&mut self) -> Fate {
        self.take_back();
        if self.block.used > 0 && self.waiting < BLOCKS - 1 {
            return self.send();
        }
        self.kept()
    }

    fn send(&mut self) -> Fate {
        let block = mem::replace(&mut self.block, self.spare.pop().unwrap_or_default());
        match self.to_writer.try_send(block) {
            Ok(()) => {
                self.waiting += 1;
                self.kept()
            }
            // The writer has ended.
            Err(TrySendError::Disconnected(block) | TrySendError::Full(block)) => {
                let lines = lines_in(block.lines());
                self.block = Block { used: 0, ..block };
                Fate::Dropped(lines)
            }
        }
    }

    fn kept(&self) -> Fate {
        if self.waiting > BLOCKS / 2 { Fate::Many } else { Fate::Kept }
    }

    fn take_back(&mut self) {
        while let Ok(block) = self.written.try_recv() {
            self.waiting -= 1;
            self.early = self.early.saturating_sub(1);
            self.spare.push(Block { used: 0, ..block });
        }
    }

    /// Gives all that there is to the writer; nothing follows.
    pub(super) fn end(&mut self) -> Fate {
        if self.block.used == 0 { Fate::Kept } else { self.send() }
    }
}

impl Fate {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Dropped(some), Self::Dropped(more)) => Self::Dropped(some + more),
            (Self::Dropped(_), _) | (Self::Many, Self::Kept | Self::Many) => self,
            (_, other) => other,
        }
    }
}

impl Source {
    /// Has the next block written, if there is one, and gives it back. `None`: the worker has ended, and all is written.
    pub(super) fn next(&self, write: impl FnOnce(&[u8])) -> Option<bool> {
        match self.filled.try_recv() {
            Ok(block) => {
                write(block.lines());
                // Of a worker that has ended, it goes.
                drop(self.to_worker.try_send(block));
                Some(true)
            }
            Err(TryRecvError::Empty) => Some(false),
            Err(TryRecvError::Disconnected) => None,
        }
    }
}

/// How many lines end in a text.
pub(super) fn lines_in(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the writer finds, all of it.
    fn read(source: &Source, text: &mut Vec<u8>) {
        while source.next(|lines| text.extend_from_slice(lines)) == Some(true) {}
    }

    fn dropped(fate: Fate) -> u64 {
        if let Fate::Dropped(lines) = fate { lines } else { 0 }
    }

    /// Puts a line the quick way where it goes, as a worker does.
    fn put(filler: &mut Filler, line: &[u8]) -> Fate {
        match filler.room().get_mut(..line.len()) {
            Some(room) => {
                room.copy_from_slice(line);
                filler.filled(line.len())
            }
            None => filler.put(line),
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order_while_both_ends_run() {
        let (mut filler, source) = blocks();
        let line = |n: usize| format!("{n}:{}\n", "x".repeat(n % 997));
        let sent = std::thread::spawn(move || {
            let mut sent = Vec::new();
            for n in 0..20_000 {
                if put(&mut filler, line(n).as_bytes()) == Fate::Dropped(1) {
                    std::thread::yield_now();
                } else {
                    sent.push(n);
                }
            }
            assert_eq!(dropped(filler.end()), 0);
            sent
        });
        let mut text = Vec::new();
        while source.next(|lines| text.extend_from_slice(lines)).is_some() {}
        let sent = sent.join().unwrap();
        let expected: String = sent.iter().map(|n| line(*n)).collect();
        assert!(String::from_utf8(text).unwrap() == expected, "lines were torn, lost or changed places");
    }

    #[test]
    fn a_mib_of_lines_waits_for_a_writer_that_is_stuck_and_what_follows_is_dropped_and_counted() {
        let (mut filler, source) = blocks();
        let line = [[b'x'; 429].as_slice(), b"\n"].concat();
        let (mut kept, mut many) = (0, 0);
        let first = loop {
            match put(&mut filler, &line) {
                Fate::Kept => {}
                Fate::Many => many += 1,
                Fate::Dropped(lines) => break lines,
            }
            // However often there is a tick: it must not take blocks up that are nearly empty.
            assert_eq!(dropped(filler.tick()), 0);
            kept += 1;
        };
        assert_eq!(first, 1);
        let bytes = kept * line.len();
        assert!((700 << 10..=1 << 20).contains(&bytes), "{bytes} bytes were kept");
        assert!(many > 0, "the writer is told");
        let mut text = Vec::new();
        read(&source, &mut text);
        assert_eq!(dropped(put(&mut filler, &line)), 0, "it has room again");
        filler.end();
        read(&source, &mut text);
        assert_eq!(lines_in(&text), kept as u64 + 1);
    }

    #[test]
    fn a_tick_hands_over_the_little_that_there_is_in_blocks_that_are_used_again() {
        let (mut filler, source) = blocks();
        assert_eq!(filler.tick(), Fate::Kept);
        let mut text = Vec::new();
        for expected in 1..100 {
            put(&mut filler, b"a line\n");
            read(&source, &mut text);
            assert_eq!(lines_in(&text), expected - 1, "it has not been handed over yet");
            filler.tick();
            read(&source, &mut text);
            assert_eq!(lines_in(&text), expected);
        }
        assert!(filler.spare.len() + filler.waiting < 3, "{} and {}", filler.spare.len(), filler.waiting);
    }

    #[test]
    fn a_line_longer_than_a_block_is_dropped_and_one_as_long_is_not() {
        let (mut filler, source) = blocks();
        put(&mut filler, b"before\n");
        assert_eq!(put(&mut filler, &vec![b'x'; BLOCK_BYTES + 1]), Fate::Dropped(1));
        let long = [vec![b'x'; BLOCK_BYTES - 1], b"\n".to_vec()].concat();
        assert_eq!(put(&mut filler, &long), Fate::Kept);
        put(&mut filler, b"after\n");
        filler.end();
        let mut text = Vec::new();
        read(&source, &mut text);
        assert!(text == [b"before\n", long.as_slice(), b"after\n"].concat());
    }

    #[test]
    fn lines_for_a_writer_that_has_ended_are_counted_as_dropped() {
        let (mut filler, source) = blocks();
        drop(source);
        (0..3).for_each(|_| assert_eq!(put(&mut filler, b"a line\n"), Fate::Kept));
        assert_eq!(filler.end(), Fate::Dropped(3));
    }

    proptest! {
        #[test]
        fn every_line_is_read_in_its_order_or_counted_whatever_the_two_do_when(
            acts in proptest::collection::vec((0..4_u8, 1..70_000_usize), 0..120)
        ) {
            let (mut filler, source) = blocks();
            let (mut text, mut expected, mut lost) = (Vec::new(), Vec::new(), 0);
            for (number, (act, length)) in acts.into_iter().enumerate() {
                match act {
                    0 => lost += dropped(filler.tick()),
                    1 => _ = source.next(|lines| text.extend_from_slice(lines)),
                    _ => {
                        let length = if act == 2 { length % 1000 } else { length };
                        let line = format!("{number} {}\n", "y".repeat(length));
                        let now = dropped(put(&mut filler, line.as_bytes()));
                        prop_assert!(now <= 1);
                        lost += now;
                        if now == 0 {
                            expected.extend_from_slice(line.as_bytes());
                        }
                    }
                }
                prop_assert!(filler.waiting + filler.spare.len() < BLOCKS);
            }
            lost += dropped(filler.end());
            drop(filler);
            while source.next(|lines| text.extend_from_slice(lines)).is_some() {}
            prop_assert!(text == expected, "torn, lost or out of order; {} dropped", lost);
        }
    }
}
