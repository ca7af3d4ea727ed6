//! Whether the document's file changed: told by the kernel for the folders in which its path leads through a link or ends,
//! so that a file that is replaced by rename is seen too (editors; `ConfigMaps`, which swap a symbolic link), and looked at
//! every two seconds for what no event tells (network file systems, a folder that is itself replaced). What else happens in
//! those folders is nothing to us: an access log is written to a thousand times a second.

use super::ApplyError;
use super::handle::Handle;
use super::source::Origin;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;

/// Between two looks at a file of which no event was told.
const LOOK: Duration = Duration::from_secs(2);
/// From the first event to the look: a file that is being written is not read half.
const SETTLE: Duration = Duration::from_millis(20);
/// As many links as Linux follows.
const LINKS_MAX: usize = 40;

/// Applies the file each time that its text has changed. `seen`: the text that was applied at the start. Never ends.
pub(super) async fn follow(path: Arc<Path>, mut seen: Option<Arc<str>>, handle: Handle) {
    let told = Arc::new(Notify::new());
    let mut watched = Watched::new(&path, Arc::clone(&told));
    loop {
        let is_told = tokio::time::timeout(LOOK, told.notified()).await.is_ok();
        if is_told {
            tokio::time::sleep(SETTLE).await;
        }
        let looking = tokio::task::spawn_blocking(move || {
            let text = watched.look(is_told);
            (watched, text)
        });
        let Ok((back, text)) = looking.await else { return };
        watched = back;
        let Some(text) = text.filter(|text| seen.as_ref() != Some(text)) else { continue };
        seen = Some(Arc::clone(&text));
        tracing::info!(file = %path.display(), "the document has changed");
        // What is wrong with it was logged.
        if matches!(handle.say(Ok((super::Source::File, text))).await, Err(ApplyError::HandingOver)) {
            // Looked at again, in case that nobody takes over; and by who does.
            (seen, watched.stamp) = (None, None);
            while handle.common.handing.frozen.load(Ordering::Acquire) {
                tokio::time::sleep(LOOK).await;
            }
        } else {
            handle.common.seen.lock().clone_from(&seen);
        }
    }
}

/// A file, and what its path leads through.
struct Watched {
    path: PathBuf,
    /// Changes of these are told.
    names: Arc<Mutex<BTreeSet<PathBuf>>>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    stamp: Option<Stamp>,
    /// It could not be read, and that was said.
    unreadable: bool,
}

/// What differs when a file does, unless it was written twice within the file system's time.
#[derive(PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (data.dev(), data.ino()),
            length: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }
}

impl Watched {
    fn new(path: &Path, told: Arc<Notify>) -> Self {
        // Without a working folder nothing relative can be found either.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let names = Arc::<Mutex<BTreeSet<PathBuf>>>::default();
        let watcher = watcher(Arc::clone(&names), told);
        let mut watched = Self { path, names, watcher, folders: BTreeSet::new(), stamp: None, unreadable: false };
        watched.follow_links();
        watched
    }

    /// The text, if somebody told of a change or the file looks like another one. A file that is away for the moment is
    /// being replaced; HUP would say so.
    fn look(&mut self, is_told: bool) -> Option<Arc<str>> {
        self.follow_links();
        let stamp = Stamp::of(&self.path);
        if !is_told && stamp == self.stamp {
            return None;
        }
        match Origin::File(self.path.clone()).text() {
            Ok(text) => {
                self.stamp = stamp;
                self.unreadable = false;
                Some(text)
            }
            Err(error) => {
                // Away for a moment, it is being replaced. Whatever it is, it is tried again at the next look.
                if !std::mem::replace(&mut self.unreadable, true) && stamp.is_some() {
                    tracing::warn!(file = %self.path.display(), %error, "the document cannot be read; will go on trying");
                }
                None
            }
        }
    }

    /// Watches where the path leads now.
    fn follow_links(&mut self) {
        let names = names(&self.path);
        let folders: BTreeSet<PathBuf> = names.iter().filter_map(|name| name.parent()).map(Path::to_owned).collect();
        *self.names.lock() = names;
        let Some(watcher) = &mut self.watcher else { return };
        for left in self.folders.difference(&folders) {
            if let Err(error) = watcher.unwatch(left) {
                tracing::debug!(folder = %left.display(), %error, "it was watched no longer");
            }
        }
        let watch = |folder: &PathBuf| match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "no events for this folder: its file is looked at instead");
                false
            }
        };
        // One that failed is tried again at the next look.
        let (stay, new): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
            folders.into_iter().partition(|folder| self.folders.contains(folder));
        self.folders = stay;
        self.folders.extend(new.into_iter().filter(watch));
    }
}

fn watcher(names: Arc<Mutex<BTreeSet<PathBuf>>>, told: Arc<Notify>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| concerns(&event, &names.lock())) {
            told.notify_one();
        }
    };
    notify::recommended_watcher(tell)
        .inspect_err(|error| tracing::info!(%error, "no events of files: the document is looked at instead"))
        .ok()
}

fn concerns(event: &notify::Event, names: &BTreeSet<PathBuf>) -> bool {
    // Events that were lost may have been ours.
    event.need_rescan() || (!event.kind.is_access() && event.paths.iter().any(|path| names.contains(path)))
}

/// The links that a path leads through, and the file at its end: their parents are no links.
fn names(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut at = PathBuf::from("/");
    let mut ahead = parts(path);
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(part);
        let Ok(target) = std::fs::read_link(&at) else { continue };
        if found.len() >= LINKS_MAX {
            break;
        }
        found.insert(at.clone());
        if target.is_absolute() {
            at = PathBuf::from("/");
        } else {
            at.pop();
        }
        let mut through = parts(&target);
        through.append(&mut ahead);
        ahead = through;
    }
    found.insert(at);
    found
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, rename, write};
    use std::os::unix::fs::symlink;

    /// Whether events have come, up to this moment: a change of our own, of which one must be told, ends the waiting.
    async fn is_told(watched: &Watched, told: &Notify, change: impl FnOnce()) -> bool {
        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        let names = Arc::clone(&watched.names);
        let done = Arc::new(Notify::new());
        let end = watched.path.with_file_name("end");
        let (last, is_done) = (end.clone(), Arc::clone(&done));
        let mut beside = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let event = event.unwrap();
            *count.lock() += usize::from(concerns(&event, &names.lock()));
            if event.paths.contains(&last) {
                is_done.notify_one();
            }
        })
        .unwrap();
        for folder in &watched.folders {
            beside.watch(folder, RecursiveMode::NonRecursive).unwrap();
        }
        change();
        write(&end, "").unwrap();
        tokio::time::timeout(Duration::from_secs(10), done.notified()).await.unwrap();
        let concerned = *seen.lock() > 0;
        if concerned {
            tokio::time::timeout(Duration::from_secs(10), told.notified()).await.unwrap();
        }
        concerned
    }

    #[tokio::test]
    async fn only_what_happens_to_the_document_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let at = |name: &str| folder.join(name);
        for (data, text) in [("..1", "one"), ("..2", "two")] {
            create_dir(at(data)).unwrap();
            write(at(data).join("plimsoll.yaml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/plimsoll.yaml", at("plimsoll.yaml")).unwrap();
        let told = Arc::new(Notify::new());
        let mut watched = Watched::new(&at("plimsoll.yaml"), Arc::clone(&told));
        assert_eq!(*watched.names.lock(), [at("..1/plimsoll.yaml"), at("..data"), at("plimsoll.yaml")].into());
        assert_eq!(watched.look(false).as_deref(), Some("one"));
        assert_eq!(watched.look(false), None, "nothing differs");

        let log = || {
            for line in 0..100 {
                write(at("access.log"), line.to_string()).unwrap();
                write(at("..1/access.log"), line.to_string()).unwrap();
            }
            rename(at("access.log"), at("access.log.1")).unwrap();
        };
        assert!(!is_told(&watched, &told, log).await, "a log beside it");
        let swap = || {
            symlink("..2", at("..next")).unwrap();
            rename(at("..next"), at("..data")).unwrap();
        };
        assert!(is_told(&watched, &told, swap).await, "a link that is swapped");
        assert_eq!(watched.look(true).as_deref(), Some("two"));
        assert!(!is_told(&watched, &told, || write(at("..1/plimsoll.yaml"), "old").unwrap()).await, "the one before");
        assert!(is_told(&watched, &told, || write(at("..2/plimsoll.yaml"), "new").unwrap()).await, "the file itself");
        assert_eq!(watched.look(true).as_deref(), Some("new"));
        let replace = || {
            write(at("edited"), "edited").unwrap();
            rename(at("edited"), at("plimsoll.yaml")).unwrap();
        };
        assert!(is_told(&watched, &told, replace).await, "a file that is renamed over it");
        assert_eq!(watched.look(true).as_deref(), Some("edited"));
    }
}
