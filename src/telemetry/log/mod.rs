//! The gateway's own log, on standard error: one line a transition, never one a request.
//!
//! Lines go through a bounded queue to a thread that writes them: a standard error that nobody reads costs lines, which are
//! counted, and stops nobody. What a panic says goes there too.

mod panic;
mod queue;

use super::metric;
use super::render::{MetricsOut, float};
use parking_lot::Mutex;
use plimsoll_core::config::Log;
use queue::Queue;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// At the end of the process, a reader of standard error is waited for so long.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Between two tries on a pipe that takes no more for now (one that someone set non-blocking).
const RETRY: Duration = Duration::from_millis(10);

/// There is one standard error.
static QUEUE: Mutex<Option<Arc<Queue>>> = Mutex::new(None);

/// Changes a log that is running.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    queue: Arc<Queue>,
}

impl LogHandle {
    /// Sets the level: `error`, `warn`, `info`, `debug`, `trace`. Whether it is one, and was set.
    pub fn set_level(&self, level: &str) -> bool {
        filter(level).is_some_and(|filter| self.filter.reload(filter).is_ok())
    }

    /// Sets how many bytes of lines may wait for whoever reads standard error.
    pub fn set_queue(&self, bytes: u64) {
        self.queue.set_limit(limit(bytes));
    }

    /// What a scrape shows of it.
    pub(crate) fn collect(&self, out: &mut MetricsOut) {
        out.value(&metric::LOG_DROPPED, &[], float(self.queue.dropped()));
    }
}

/// From now on nothing that is said on standard error by this module waits for whoever reads it. [`init`] does this too.
///
/// # Errors
/// The thread cannot be started.
pub(crate) fn open() -> io::Result<()> {
    opened().map(drop)
}

fn opened() -> io::Result<Arc<Queue>> {
    let mut place = QUEUE.lock();
    if let Some(queue) = &*place {
        return Ok(Arc::clone(queue));
    }
    let queue = Queue::start(limit(Log::default().queue), Box::new(write), Box::new(tell))?;
    panic::report_to(&queue);
    *place = Some(Arc::clone(&queue));
    Ok(queue)
}

fn tell(lines: u64) {
    tracing::warn!(lines, "lines of this log were dropped: nobody read stderr, or it could not be written to");
}

fn limit(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// All at once, so that what the access log writes there comes before or after it.
fn write(mut bytes: &[u8]) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    while !bytes.is_empty() {
        match stderr.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says something outside of the log: why a command failed.
#[expect(clippy::print_stderr, reason = "where there is no log, nobody but a person waits")]
pub(crate) fn say(text: &str) {
    match &*QUEUE.lock() {
        Some(queue) => queue.push(text.as_bytes()),
        None => eprintln!("{text}"),
    }
}

/// Before the process ends: waits until all is written, but not for long.
pub(crate) fn finish() {
    let queue = QUEUE.lock().clone();
    if let Some(queue) = queue {
        // Whoever does not read will not miss it.
        let _all = queue.flush(LAST_WAIT);
    }
}

/// A line of the log: the formatter writes each at once.
struct Line(Arc<Queue>);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the log.
///
/// # Errors
/// The level is not one, its thread cannot be started, or the process has a log already (an embedding program's: it stays).
pub fn init(settings: &Log) -> Result<LogHandle, String> {
    let level = &*settings.level;
    let filter =
        filter(level).ok_or_else(|| format!("log level `{level}` is none of error, warn, info, debug, trace"))?;
    let queue = opened().map_err(|error| format!("the log cannot start: {error}"))?;
    queue.set_limit(limit(settings.queue));
    let (filter, handle) = reload::Layer::new(filter);
    let own = Arc::clone(&queue);
    let lines = fmt::layer().with_writer(move || Line(Arc::clone(&own)));
    let lines = if settings.json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|_| "the process has a log already".to_owned())?;
    Ok(LogHandle { filter: handle, queue })
}

/// Our own crates at the level; others only from warnings on, since their notes are about single connections. Those of HTTP/2
/// and TLS warn of what a client sends (a PING's answer that nobody asked for): it could fill the log.
fn filter(level: &str) -> Option<EnvFilter> {
    if !["error", "warn", "info", "debug", "trace"].contains(&level) {
        return None;
    }
    let others = if level == "error" { "error" } else { "warn" };
    EnvFilter::try_new(format!("{others},h2=error,rustls=error,plimsoll={level},plimsoll_core={level}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_fill_the_log_through_what_its_protocols_warn_of() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            let filter = filter(level).map(|filter| filter.to_string()).unwrap_or_default();
            assert!(filter.contains("h2=error") && filter.contains("rustls=error"), "{filter}");
        }
    }

    #[test]
    fn only_the_five_levels_are_levels() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            assert!(filter(level).is_some(), "{level}");
        }
        for level in ["", "INFO", "plimsoll=trace", "off"] {
            assert!(filter(level).is_none(), "{level}");
        }
    }
}
