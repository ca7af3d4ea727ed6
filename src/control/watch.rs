//! Whether the document's file changed: told by the kernel for its folder, so that a file that is replaced by rename is
//! seen too (editors; `ConfigMaps`, which swap a symbolic link), and looked at every two seconds for what no event tells
//! (network file systems, a folder that is itself replaced).

use super::handle::Handle;
use super::source::Origin;
use notify::{RecursiveMode, Watcher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Between two looks at a file of which no event was told.
const LOOK: Duration = Duration::from_secs(2);
/// From the first event to the look: a file that is being written is not read half.
const SETTLE: Duration = Duration::from_millis(20);

/// Applies the file each time that its text has changed. `seen`: the text that was applied at the start. Never ends.
pub(super) async fn follow(path: Arc<Path>, mut seen: Option<Arc<str>>, handle: Handle) {
    let origin = Origin::File(path.to_path_buf());
    let told = Arc::new(Notify::new());
    let _watcher = watch_folder(&origin.folder(), &told);
    loop {
        if tokio::time::timeout(LOOK, told.notified()).await.is_ok() {
            tokio::time::sleep(SETTLE).await;
        }
        let reading = origin.clone();
        let Ok(read) = tokio::task::spawn_blocking(move || reading.text()).await else { continue };
        // A file that is away for the moment is being replaced. HUP would say so.
        let Ok(text) = read else { continue };
        if seen.as_ref() == Some(&text) {
            continue;
        }
        seen = Some(Arc::clone(&text));
        tracing::info!(file = %path.display(), "the document has changed");
        // What is wrong with it was logged.
        drop(handle.say(Ok((super::Source::File, text))).await);
    }
}

fn watch_folder(folder: &Path, told: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let notify = Arc::clone(told);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            notify.notify_one();
        }
    })
    .ok()?;
    match watcher.watch(folder, RecursiveMode::NonRecursive) {
        Ok(()) => Some(watcher),
        Err(error) => {
            tracing::info!(folder = %folder.display(), %error, "no events for this folder: its file is looked at instead");
            None
        }
    }
}
