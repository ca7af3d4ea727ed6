//! The gateway's own log, on standard error: one line a transition, never one a request.

use std::io::IsTerminal;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Changes the level of a log that is running.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogHandle {
    /// Sets the level: `error`, `warn`, `info`, `debug`, `trace`. Whether it is one, and was set.
    pub fn set_level(&self, level: &str) -> bool {
        filter(level).is_some_and(|filter| self.filter.reload(filter).is_ok())
    }
}

/// Starts the log.
///
/// # Errors
/// The level is not one, or the process has a log already (an embedding program's: it stays).
pub fn init(level: &str, json: bool) -> Result<LogHandle, String> {
    let filter =
        filter(level).ok_or_else(|| format!("log level `{level}` is none of error, warn, info, debug, trace"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|_| "the process has a log already".to_owned())?;
    Ok(LogHandle { filter: handle })
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
