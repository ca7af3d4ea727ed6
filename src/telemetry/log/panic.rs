//! What a panic says. The standard way writes it to standard error at once, and so waits for whoever reads that.

use super::queue::Queue;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A panic may be the process's last word: one in a destructor ends it at once. A worker waits no longer for it to be written.
const WAIT: Duration = Duration::from_millis(50);

/// From now on panics are told of through the queue: by a line of the log, where there is one.
pub(super) fn report_to(queue: &Arc<Queue>) {
    let queue = Arc::clone(queue);
    std::panic::set_hook(Box::new(move |info| {
        let text = told(info);
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{text}");
        } else {
            queue.push(text.as_bytes());
        }
        // Best effort.
        let _written = queue.flush(WAIT);
    }));
}

fn told(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name");
    let at = info.location().map(|location| format!(" at {location}")).unwrap_or_default();
    let text = format!("thread {name} panicked{at}: {}", info.payload_as_str().unwrap_or("(no text)"));
    // As the standard way does: where RUST_BACKTRACE asks for it.
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured { format!("{text}\n{trace}") } else { text }
}
