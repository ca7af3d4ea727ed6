//! The thread that writes what workers have logged.

use super::blocks::{Source, blocks, lines_in};
use super::line::LineWriter;
use super::record::AccessFormat;
use parking_lot::{Condvar, Mutex};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often it is looked for blocks. With a worker's tick of 100 ms, a line is written at the latest 150 ms after its request.
const LOOK: Duration = Duration::from_millis(50);
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
    /// Whether what was written last is a part of a line.
    torn: bool,
}

impl Output {
    fn open(sink: AccessSink) -> io::Result<Self> {
        let stream: Box<dyn Write + Send> = match &sink {
            AccessSink::Stdout => Box::new(io::stdout()),
            AccessSink::Stderr => Box::new(io::stderr()),
            AccessSink::File(path) => Box::new(File::options().create(true).append(true).open(path)?),
        };
        Ok(Self::new(sink, stream))
    }

    fn new(sink: AccessSink, stream: Box<dyn Write + Send>) -> Self {
        Self { sink, stream, torn: false }
    }

    /// Writes lines; what could not be written is left of them. The rest of a torn line is not written later: the next one
    /// begins on a line of its own.
    fn write(&mut self, lines: &mut &[u8], stop: &AtomicBool) -> io::Result<()> {
        if self.torn {
            self.write_all(&mut b"\n".as_slice(), stop)?;
            self.torn = false;
        }
        let all = *lines;
        let result = self.write_all(lines, stop);
        let written = all.len() - lines.len();
        self.torn = all.get(..written).and_then(<[u8]>::last).is_some_and(|byte| *byte != b'\n');
        result.and_then(|()| self.stream.flush().inspect_err(|_| *lines = all))
    }

    fn write_all(&mut self, bytes: &mut &[u8], stop: &AtomicBool) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => *bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !stop.load(Ordering::Relaxed) => {
                    thread::sleep(RETRY);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
    /// Lines that workers dropped, and those that could not be written.
    lost: AtomicU64,
    /// Of workers that the writer has not met yet.
    sources: Mutex<Vec<Source>>,
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
                sources: Mutex::default(),
                orders: Mutex::default(),
                ended: Condvar::new(),
            }),
        }
    }

    /// A worker's end, with blocks of its own.
    pub(in crate::telemetry) fn worker(&self) -> LineWriter {
        let (filler, source) = blocks();
        self.shared.sources.lock().push(source);
        LineWriter::new(self.shared.clone(), filler)
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
        self.shared.lost.load(Ordering::Relaxed)
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

    /// Counts lines that were dropped, since the writer is slow, and wakes it.
    #[cold]
    pub(super) fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
        self.nudge();
    }

    /// Wakes the writer, once until it has looked. Workers come here only when more than half of their blocks wait for it.
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
        let mut writer = Writer::default();
        loop {
            // Read before the blocks, so that what was handed over before the order to stop is written.
            let stop = self.stop.load(Ordering::Acquire);
            self.nudged.store(false, Ordering::Release);
            writer.follow(&mut self.orders.lock());
            while writer.write(self) {}
            if stop {
                self.orders.lock().writer = None;
                self.ended.notify_all();
                return;
            }
            thread::park_timeout(LOOK);
        }
    }
}

/// The thread's own state.
#[derive(Default)]
struct Writer {
    sources: Vec<Source>,
    output: Option<Output>,
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

    /// Writes a block of each worker that has one; whether there was any. Workers that ended are forgotten.
    fn write(&mut self, shared: &Shared) -> bool {
        let Self { sources, output, failing } = self;
        sources.append(&mut shared.sources.lock());
        let mut any = false;
        sources.retain(|source| {
            let found = source.next(|lines| put(lines, output, failing, shared));
            any |= found == Some(true);
            found.is_some()
        });
        any
    }
}

/// Writes whole lines, and counts those that cannot be.
fn put(mut lines: &[u8], output: &mut Option<Output>, failing: &mut bool, shared: &Shared) {
    let result = output.as_mut().map_or(Ok(()), |output| output.write(&mut lines, &shared.stop));
    if result.is_err() {
        shared.lost.fetch_add(lines_in(lines), Ordering::Relaxed);
    }
    if *failing != result.is_err() {
        *failing = !*failing;
        match result {
            Ok(()) => tracing::info!("access log is written again"),
            Err(error) => tracing::error!(%error, "access log cannot be written: lines are dropped and counted"),
        }
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
