//! Settings of the process that a new document may change: logs, the limit of connections. What it may not, since threads
//! and series exist already, is said.

use super::error::ApplyError;
use super::limits;
use crate::proxy::worker::Shared;
use crate::telemetry::log::LogHandle;
use crate::telemetry::{AccessFormat, AccessSink, Telemetry};
use plimsoll_core::config::{AccessLog, AccessLogFormat, AdminAddress, Gateway, LogPath};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What was applied.
pub(super) struct Settings {
    /// The log, if it is ours to change.
    log: Option<LogHandle>,
    level: Arc<str>,
    access_log: Option<AccessLog>,
    /// What the process was started with.
    started: Gateway,
}

impl Settings {
    pub(super) fn new(started: Gateway, log: Option<LogHandle>) -> Self {
        Self { log, level: Arc::clone(&started.log.level), access_log: None, started }
    }

    /// Applies what differs.
    ///
    /// # Errors
    /// The access log cannot be opened: then nothing changed.
    pub(super) fn apply(
        &mut self,
        gateway: &Gateway,
        folder: &Path,
        shared: &Shared,
        is_said: bool,
    ) -> Result<(), ApplyError> {
        if gateway.access_log != self.access_log {
            set_access_log(gateway.access_log.as_ref(), folder, &shared.telemetry)?;
            self.access_log.clone_from(&gateway.access_log);
        }
        let (connections, descriptors) = match gateway.limits.connections {
            Some(written) => (written, u32::MAX),
            None => limits::connections(),
        };
        shared.max_connections.store(connections, Ordering::Relaxed);
        shared.max_descriptors.store(descriptors, Ordering::Relaxed);
        if gateway.log.level != self.level
            && let Some(log) = &self.log
        {
            log.set_level(&gateway.log.level);
            self.level = Arc::clone(&gateway.log.level);
        }
        if let Some(log) = &self.log {
            log.set_queue(gateway.log.queue);
        }
        if is_said {
            self.tell_fixed(gateway);
        }
        Ok(())
    }

    /// Says which changes take effect with the next start.
    fn tell_fixed(&self, gateway: &Gateway) {
        let started = &self.started;
        let fixed = [
            ("workers", started.workers != gateway.workers),
            ("cpu_affinity", started.cpu_affinity != gateway.cpu_affinity),
            ("metrics", started.metrics != gateway.metrics),
            ("log.format", started.log.json != gateway.log.json),
            ("admin", door(started) != door(gateway)),
            ("status", started.status != gateway.status),
        ];
        let changed: Vec<&str> = fixed.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
        if !changed.is_empty() {
            tracing::warn!("gateway settings that take effect at the next start: {}", changed.join(", "));
        }
    }
}

/// What of the admin API is settled at the start. What `POST /config` may say follows every document.
fn door(gateway: &Gateway) -> Option<(&AdminAddress, Option<&Arc<str>>)> {
    gateway.admin.as_ref().map(|admin| (&admin.address, admin.token_file.as_ref()))
}

fn set_access_log(log: Option<&AccessLog>, folder: &Path, telemetry: &Telemetry) -> Result<(), ApplyError> {
    let log = log.map(|log| {
        let sink = match &log.path {
            LogPath::Stdout => AccessSink::Stdout,
            LogPath::Stderr => AccessSink::Stderr,
            LogPath::File(path) => AccessSink::File(folder.join(&**path)),
        };
        let format = match log.format {
            AccessLogFormat::Json => AccessFormat::Json,
            AccessLogFormat::Combined => AccessFormat::Combined,
        };
        (sink, format)
    });
    telemetry.set_access_log(log).map_err(|error| ApplyError::AccessLog(Arc::new(error)))
}
