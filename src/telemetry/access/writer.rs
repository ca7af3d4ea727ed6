//! The thread that writes what workers have logged.

use super::line::LineWriter;
use super::record::AccessFormat;
use super::ring::Ring;
use parking_lot::{Condvar, Mutex};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// A worker's ring: some 3,000 lines, so 60,000 lines a second between two looks.
const RING_BYTES: usize = 1 << 20;
/// How often the rings are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of one write.
const BATCH_BYTES: usize = 256 << 10;
/// Between two tries on a pipe that takes no more for now (one that someone set non-blocking).
const RETRY: Duration = Duration::from_millis(10);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessSink {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to this file.
    File(PathBuf),
}

/// An opened sink.
struct Output {
    sink: AccessSink,
    stream: Box<dyn Write + Send>,
}

impl Output {
    fn open(sink: AccessSink) -> io::Result<Self> {
        let stream: Box<dyn Write + Send> = match &sink {
            AccessSink::Stdout => Box::new(io::stdout()),
            AccessSink::Stderr => Box::new(io::stderr()),
            AccessSink::File(path) => Box::new(File::options().create(true).append(true).open(path)?),
        };
        Ok(Self { sink, stream })
    }

    fn write(&mut self, mut bytes: &[u8], stop: &AtomicBool) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !stop.load(Ordering::Relaxed) => {
                    thread::sleep(RETRY);
                }
                Err(error) => return Err(error),
            }
        }
        self.stream.flush()
    }
}

/// The access log of the process.
pub(in crate::telemetry) struct AccessLog {
    shared: Arc<Shared>,
}

/// What workers, the writer and the control plane share.
pub(super) struct Shared {
    /// 0: off, 1: JSON, 2: combined.
    format: AtomicU8,
    nudged: AtomicBool,
    stop: AtomicBool,
    /// Lines that the writer could not write, and those dropped by workers that ended.
    lost: AtomicU64,
    rings: Mutex<Vec<Arc<Ring>>>,
    orders: Mutex<Orders>,
    ended: Condvar,
}

#[derive(Default)]
struct Orders {
    output: Option<Output>,
    reopen: bool,
    writer: Option<Thread>,
}

impl AccessLog {
    pub(in crate::telemetry) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                format: AtomicU8::new(0),
                nudged: AtomicBool::new(false),
                stop: AtomicBool::new(false),
                lost: AtomicU64::new(0),
                rings: Mutex::default(),
                orders: Mutex::default(),
                ended: Condvar::new(),
            }),
        }
    }

    /// A worker's end, with a ring of its own.
    pub(in crate::telemetry) fn worker(&self) -> LineWriter {
        let (ring, producer) = Ring::new(RING_BYTES);
        self.shared.rings.lock().push(ring);
        LineWriter::new(self.shared.clone(), producer)
    }

    pub(in crate::telemetry) fn set(&self, log: Option<(AccessSink, AccessFormat)>) -> io::Result<()> {
        let Some((sink, format)) = log else {
            self.shared.format.store(0, Ordering::Relaxed);
            return Ok(());
        };
        self.start(Output::open(sink)?)?;
        let format = match format {
            AccessFormat::Json => 1,
            AccessFormat::Combined => 2,
        };
        self.shared.format.store(format, Ordering::Relaxed);
        Ok(())
    }

    fn start(&self, output: Output) -> io::Result<()> {
        let mut orders = self.shared.orders.lock();
        if orders.writer.is_none() {
            let shared = self.shared.clone();
            let thread = thread::Builder::new().name("access-log".into()).spawn(move || shared.run())?;
            orders.writer = Some(thread.thread().clone());
        }
        orders.output = Some(output);
        Ok(())
    }

    pub(in crate::telemetry) fn reopen(&self) {
        self.shared.orders.lock().reopen = true;
        self.shared.nudge();
    }

    pub(in crate::telemetry) fn close(&self, timeout: Duration) -> bool {
        self.shared.stop.store(true, Ordering::Release);
        let mut orders = self.shared.orders.lock();
        if let Some(writer) = &orders.writer {
            writer.unpark();
        }
        self.shared.ended.wait_while_for(&mut orders, |orders| orders.writer.is_some(), timeout);
        orders.writer.is_none()
    }

    pub(in crate::telemetry) fn dropped(&self) -> u64 {
        let rings: u64 = self.shared.rings.lock().iter().map(|ring| ring.dropped()).sum();
        rings + self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

impl Shared {
    pub(super) fn format(&self) -> Option<AccessFormat> {
        match self.format.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(AccessFormat::Json),
            _ => Some(AccessFormat::Combined),
        }
    }

    /// Wakes the writer, once until it has looked. Workers come here only with a ring that is half full.
    #[cold]
    pub(super) fn nudge(&self) {
        if !self.nudged.load(Ordering::Relaxed) && !self.nudged.swap(true, Ordering::AcqRel) {
            // The lock is held by others only to store a pointer; a worker that finds it taken does without.
            if let Some(writer) = self.orders.try_lock().and_then(|orders| orders.writer.clone()) {
                writer.unpark();
            }
        }
    }

    fn run(&self) {
        let mut writer = Writer { output: None, batch: Vec::with_capacity(BATCH_BYTES + 4096), failing: false };
        loop {
            // Read before the rings, so that what was logged before the order to stop is written.
            let stop = self.stop.load(Ordering::Acquire);
            self.nudged.store(false, Ordering::Release);
            writer.follow(&mut self.orders.lock());
            while writer.write(self) {}
            if stop {
                self.orders.lock().writer = None;
                self.ended.notify_all();
                return;
            }
            self.forget_ended();
            thread::park_timeout(LOOK);
        }
    }

    /// Lets go of rings whose worker ended, once they are empty.
    fn forget_ended(&self) {
        self.rings.lock().retain_mut(|ring| {
            let ended = Arc::get_mut(ring).filter(|ring| ring.is_empty());
            if let Some(ring) = &ended {
                self.lost.fetch_add(ring.dropped(), Ordering::Relaxed);
            }
            ended.is_none()
        });
    }
}

/// The thread's own state.
struct Writer {
    output: Option<Output>,
    batch: Vec<u8>,
    failing: bool,
}

impl Writer {
    fn follow(&mut self, orders: &mut Orders) {
        if let Some(output) = orders.output.take() {
            self.output = Some(output);
        }
        if std::mem::take(&mut orders.reopen)
            && let Some(output) = &mut self.output
        {
            match Output::open(output.sink.clone()) {
                Ok(reopened) => *output = reopened,
                Err(error) => {
                    tracing::error!(sink = ?output.sink, %error, "access log cannot be reopened: the old file stays");
                }
            }
        }
    }

    /// Writes one batch of what the rings hold; whether there was any.
    fn write(&mut self, shared: &Shared) -> bool {
        self.batch.clear();
        let rings = shared.rings.lock().clone();
        let lines: u64 = rings.iter().map(|ring| ring.take(BATCH_BYTES, &mut self.batch)).sum();
        if lines == 0 {
            return false;
        }
        let result = self.output.as_mut().map_or(Ok(()), |output| output.write(&self.batch, &shared.stop));
        if result.is_err() {
            shared.lost.fetch_add(lines, Ordering::Relaxed);
        }
        if self.failing != result.is_err() {
            self.failing = !self.failing;
            match result {
                Ok(()) => tracing::info!("access log is written again"),
                Err(error) => tracing::error!(%error, "access log cannot be written: lines are dropped and counted"),
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
