//! Waiting for a condition with a deadline, in place of sleeping and hoping.

use std::time::Duration;
use tokio::time::Instant;

/// 10 ms: between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` gives something, and gives it. Panics after `limit`, saying what was waited for.
pub async fn eventually<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until `holds` says true. Panics after `limit`, saying what was waited for.
pub async fn until(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(limit, what, async || holds().await.then_some(())).await;
}

/// Milliseconds since the Unix epoch: the clock that container events are stamped with.
#[must_use]
pub fn wall_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
    u64::try_from(since.as_millis()).expect("fits for some million years")
}
