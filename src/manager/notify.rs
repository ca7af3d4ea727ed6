//! What the service manager is told: `sd_notify`'s lines.

use sd_notify::NotifyState;
use std::time::Duration;

/// A manager that does not read its socket holds nobody up for longer.
const TELLS: Duration = Duration::from_secs(2);

/// Tells lines such as `READY=1`. What cannot be told is logged: a manager that hears nothing ends the service in the end.
pub(crate) async fn tell(lines: String) {
    let sending = tokio::task::spawn_blocking(move || sd_notify::notify(&[NotifyState::Custom(&lines)]));
    match tokio::time::timeout(TELLS, sending).await {
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the service manager (NOTIFY_SOCKET) cannot be told"),
        Err(_) => tracing::warn!("the service manager (NOTIFY_SOCKET) does not listen"),
        Ok(_) => {}
    }
}

/// Tells that a reload begins; who does ends it with `READY=1`.
pub(crate) async fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(format!("{}\n{now}", NotifyState::Reloading)).await,
        Err(error) => tracing::warn!(%error, "no clock to tell the service manager of a reload by"),
    }
}

/// How often the service manager wants to hear that we live.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}
