//! Lines on their way to standard error, and the thread that writes them.
//!
//! Whoever reads standard error may stop doing so, and then a write takes for ever. Only this thread writes, so only this
//! thread waits: all others put their line into the queue, or drop and count it where the queue is full. When there is room
//! again, a line says how many are missing.
//!
//! Not `tracing-appender`: its queue is bounded by lines, whatever their length, and says nothing of those it dropped.

use parking_lot::{Condvar, Mutex};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes of one write, but for a line that is longer.
const BATCH_BYTES: usize = 64 << 10;

/// Writes all of a batch: whole lines.
pub(super) type Sink = Box<dyn FnMut(&[u8]) -> io::Result<()> + Send>;
/// Says how many lines are missing, by a line.
pub(super) type Tell = Box<dyn Fn(u64) + Send>;

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
    /// Bytes that may wait, besides the batch that is being written. A line that is longer waits alone.
    limit: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whole lines.
    lines: VecDeque<u8>,
    /// Whether a batch of them is being written.
    writing: bool,
    /// Lines that were dropped, of which no line tells yet.
    missing: u64,
}

thread_local! {
    /// Whether this thread is the one that writes: what it logs itself is let in, or it would tell of the loss of its own lines.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

impl Queue {
    /// A queue with its thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(limit: usize, sink: Sink, tell: Tell) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            limit: AtomicUsize::new(limit),
            dropped: AtomicU64::new(0),
        });
        let own = Arc::clone(&queue);
        thread::Builder::new().name("log".into()).spawn(move || own.run(sink, &tell))?;
        Ok(queue)
    }

    /// Bounds it anew. What waits already goes on waiting.
    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Lines that were dropped up to now.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Puts a line in, or drops it. Never waits for whoever reads.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        let fits = waiting.lines.len().saturating_add(line.len()) <= self.limit.load(Ordering::Relaxed);
        if !fits && !waiting.lines.is_empty() && !WRITES.get() {
            waiting.missing += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.lines.extend(line);
        if !line.ends_with(b"\n") {
            waiting.lines.push_back(b'\n');
        }
        self.filled.notify_one();
    }

    /// Waits until all is written, so long at the most. Whether it is.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        self.emptied.wait_while_for(&mut waiting, |waiting| !waiting.is_empty(), timeout);
        waiting.is_empty()
    }

    fn run(&self, mut sink: Sink, tell: &Tell) {
        WRITES.set(true);
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        loop {
            self.take(&mut batch);
            let missing = match sink(&batch) {
                Ok(()) => std::mem::take(&mut self.waiting.lock().missing),
                Err(_) => self.lost(&batch),
            };
            if missing > 0 {
                tell(missing);
            }
            let mut waiting = self.waiting.lock();
            waiting.writing = false;
            if waiting.is_empty() {
                waiting.lines.shrink_to(BATCH_BYTES);
                self.emptied.notify_all();
            }
        }
    }

    /// Takes the next batch out, when there is one.
    fn take(&self, batch: &mut Vec<u8>) {
        batch.clear();
        let mut waiting = self.waiting.lock();
        self.filled.wait_while(&mut waiting, |waiting| waiting.lines.is_empty());
        let most = waiting.lines.len().min(BATCH_BYTES);
        // Whole lines: the access log may write to standard error, too.
        let is_end = |byte: &u8| *byte == b'\n';
        let end = match waiting.lines.range(..most).rposition(is_end) {
            Some(at) => at + 1,
            None => waiting.lines.iter().position(is_end).map_or(most, |at| at + 1),
        };
        batch.extend(waiting.lines.drain(..end));
        waiting.writing = true;
    }

    /// A batch could not be written. That is told of once something can be: not now.
    fn lost(&self, batch: &[u8]) -> u64 {
        let lines = memchr::memchr_iter(b'\n', batch).count() as u64;
        self.waiting.lock().missing += lines;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        0
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && !self.writing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(20);

    /// A queue whose reader takes a batch when it is told to; with what it has read.
    struct Bench {
        queue: Arc<Queue>,
        reads: mpsc::Sender<io::Result<()>>,
        read: Arc<Mutex<String>>,
    }

    fn bench(limit: usize) -> Bench {
        let (reads, may) = mpsc::channel::<io::Result<()>>();
        let read = Arc::new(Mutex::new(String::new()));
        let (own, told) = (Arc::clone(&read), Arc::new(std::sync::OnceLock::<Arc<Queue>>::new()));
        let sink: Sink = Box::new(move |batch| {
            may.recv().unwrap_or(Ok(()))?;
            own.lock().push_str(std::str::from_utf8(batch).expect("text"));
            Ok(())
        });
        let into = Arc::clone(&told);
        let tell: Tell = Box::new(move |missing| {
            into.get().expect("it is there").push(format!("{missing} missing").as_bytes());
        });
        let queue = Queue::start(limit, sink, tell).expect("a thread");
        told.set(Arc::clone(&queue)).expect("once");
        Bench { queue, reads, read }
    }

    /// Waits until the first line is with the thread, which is stuck with it.
    fn stuck(bench: &Bench) {
        bench.queue.push(b"first\n");
        while !bench.queue.waiting.lock().writing {
            thread::yield_now();
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let Bench { queue, reads, read } = bench(1 << 20);
        drop(reads);
        let long = "x".repeat(BATCH_BYTES * 2);
        let lines: Vec<String> =
            (0..10_000).map(|n| n.to_string()).chain([long.clone(), "short".to_owned(), long]).collect();
        for line in &lines {
            queue.push(line.as_bytes());
        }
        assert!(queue.flush(LONG));
        assert!(read.lock().lines().eq(lines.iter()));
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_is_told_how_many_when_it_reads_again() {
        let bench = bench(20);
        stuck(&bench);
        for line in ["second", "third", "fourth", "fifth"] {
            bench.queue.push(format!("{line}\n").as_bytes());
        }
        assert_eq!(bench.queue.dropped(), 1, "20 bytes wait; there is no room for the last line");
        assert!(!bench.queue.flush(Duration::from_millis(10)), "a stuck reader is not waited for without end");
        drop(bench.reads);
        assert!(bench.queue.flush(LONG));
        assert_eq!(*bench.read.lock(), "first\nsecond\nthird\nfourth\n1 missing\n");
    }

    #[test]
    fn a_line_longer_than_the_limit_waits_alone() {
        let bench = bench(4);
        stuck(&bench);
        bench.queue.push(b"longer than four\n");
        bench.queue.push(b"x\n");
        drop(bench.reads);
        assert!(bench.queue.flush(LONG));
        assert_eq!(*bench.read.lock(), "first\nlonger than four\n1 missing\n");
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_of_once_something_can_be() {
        let bench = bench(1 << 10);
        bench.reads.send(Err(io::ErrorKind::StorageFull.into())).expect("it waits");
        bench.queue.push(b"one\ntwo\n");
        assert!(bench.queue.flush(LONG));
        assert_eq!((bench.queue.dropped(), bench.read.lock().as_str()), (2, ""));
        drop(bench.reads);
        bench.queue.push(b"three\n");
        assert!(bench.queue.flush(LONG));
        assert_eq!(*bench.read.lock(), "three\n2 missing\n");
    }
}
