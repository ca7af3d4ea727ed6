//! Whether the document's file changed: told by the kernel for the folders in which its path leads through a link or ends,
//! so that a file that is replaced by rename is seen too (editors; `ConfigMaps`, which swap a symbolic link), and looked at
//! every two seconds for what no event tells (network file systems, a folder that is itself replaced). What else happens in
//! those folders is nothing to us: an access log is written to a thousand times a second, and the kernel is not asked for
//! that at all (`IN_MODIFY`). A file that is written to and stays open is found by looking at it.

use super::ApplyError;
use super::handle::Handle;
use super::source::Origin;
use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks at a file of which no event was told.
const LOOK: Duration = Duration::from_secs(2);
/// From the first event to the look: a file that is being written is not read half.
const SETTLE: Duration = Duration::from_millis(20);
/// As many links as Linux follows.
const LINKS_MAX: usize = 40;
/// What is done to a file that is replaced or written anew.
const CHANGES: WatchMask = WatchMask::CLOSE_WRITE
    .union(WatchMask::CREATE)
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::ATTRIB);
/// Bytes of events that are read at once: fifteen of the longest.
const EVENTS: usize = 4096;

/// Applies the file each time that its text has changed. `seen`: the text that was applied at the start. Never ends.
pub(super) async fn follow(path: Arc<Path>, mut seen: Option<Arc<str>>, handle: Handle) {
    let mut watched = Watched::new(&path);
    loop {
        let is_told = tokio::time::timeout(LOOK, watched.changed()).await.is_ok();
        if is_told {
            watched.settled().await;
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
    names: BTreeSet<PathBuf>,
    /// `None`: the kernel tells nothing, for now.
    events: Option<EventStream<[u8; EVENTS]>>,
    folders: BTreeMap<PathBuf, WatchDescriptor>,
    stamp: Option<Stamp>,
    /// That it tells nothing was said.
    deaf: bool,
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
    fn new(path: &Path) -> Self {
        // Without a working folder nothing relative can be found either.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (names, folders) = (BTreeSet::new(), BTreeMap::new());
        let mut watched = Self { path, names, events: None, folders, stamp: None, deaf: false, unreadable: false };
        watched.follow_links();
        watched
    }

    /// Ready when something happened that concerns the file: the path that it happened to.
    async fn changed(&mut self) -> PathBuf {
        while let Some(events) = &mut self.events {
            match events.next().await {
                Some(Ok(event)) => {
                    if let Some(path) = concerned(&event, &self.folders, &self.names) {
                        return path;
                    }
                }
                ended => {
                    let ended = ended.and_then(Result::err);
                    self.tell_deaf(&ended.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
                    (self.events, self.folders) = (None, BTreeMap::new());
                }
            }
        }
        pending().await
    }

    /// After a moment, in which one look is enough for all that is told.
    async fn settled(&mut self) {
        tokio::time::sleep(SETTLE).await;
        while self.changed().now_or_never().is_some() {}
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

    fn tell_deaf(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.deaf, true) {
            tracing::info!(%error, "no events of files: the document is looked at instead");
        }
    }

    /// Watches where the path leads now.
    fn follow_links(&mut self) {
        self.names = names(&self.path);
        if self.events.is_none() {
            match Inotify::init().and_then(|events| events.into_event_stream([0; EVENTS])) {
                Ok(events) => (self.events, self.deaf) = (Some(events), false),
                // Too many of this user's processes watch files, most likely: tried again at the next look.
                Err(error) => self.tell_deaf(&error),
            }
        }
        let Some(events) = &self.events else { return };
        let mut watches = events.watches();
        // Added each time: a folder that took another's place is watched from then on, and one that is watched stays so.
        let watch = |folder: &Path| match watches.add(folder, CHANGES | WatchMask::ONLYDIR) {
            Ok(descriptor) => Some((folder.to_owned(), descriptor)),
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "no events for this folder: its file is looked at instead");
                None
            }
        };
        let folders: BTreeSet<&Path> = self.names.iter().filter_map(|name| name.parent()).collect();
        let now: BTreeMap<_, _> = folders.into_iter().filter_map(watch).collect();
        let before = std::mem::replace(&mut self.folders, now);
        for (folder, left) in before {
            if self.folders.values().all(|descriptor| *descriptor != left)
                && let Err(error) = watches.remove(left)
            {
                tracing::debug!(folder = %folder.display(), %error, "it was watched no longer");
            }
        }
    }
}

/// Which of the names an event is about, or which folder that is gone.
fn concerned(
    event: &EventOwned,
    folders: &BTreeMap<PathBuf, WatchDescriptor>,
    names: &BTreeSet<PathBuf>,
) -> Option<PathBuf> {
    if event.mask.contains(EventMask::Q_OVERFLOW) {
        // Events were lost, and may have been of any.
        return names.first().cloned();
    }
    let is_gone = event.mask.contains(EventMask::IGNORED);
    // One folder may be reached in two ways.
    let paths = folders.iter().filter(|(_, descriptor)| **descriptor == event.wd);
    let mut paths =
        paths.map(|(folder, _)| event.name.as_ref().map_or_else(|| folder.clone(), |name| folder.join(name)));
    paths.find(|path| is_gone || names.contains(path))
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
    use std::fs::{File, create_dir, remove_dir_all, rename, write};
    use std::io::{ErrorKind, Write};
    use std::os::unix::fs::symlink;

    /// Whether the change is told, or what was before it: a file of our own, which is told then, too, ends the waiting.
    async fn is_told(watched: &mut Watched, change: impl FnOnce()) -> bool {
        change();
        let end = tempfile::NamedTempFile::new_in(watched.path.parent().unwrap()).unwrap();
        watched.names.insert(end.path().to_owned());
        let mut told = false;
        loop {
            let path = tokio::time::timeout(Duration::from_secs(10), watched.changed()).await.unwrap();
            if path == end.path() {
                watched.names.remove(&path);
                return told;
            }
            told = true;
        }
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
        let mut watched = Watched::new(&at("plimsoll.yaml"));
        assert_eq!(watched.names, [at("..1/plimsoll.yaml"), at("..data"), at("plimsoll.yaml")].into());
        assert_eq!(watched.look(false).as_deref(), Some("one"));
        assert_eq!(watched.look(false), None, "nothing differs");

        let log = || {
            for line in 0..100 {
                write(at("access.log"), line.to_string()).unwrap();
                write(at("..1/access.log"), line.to_string()).unwrap();
            }
            rename(at("access.log"), at("access.log.1")).unwrap();
        };
        assert!(!is_told(&mut watched, log).await, "a log beside it");
        let swap = || {
            symlink("..2", at("..next")).unwrap();
            rename(at("..next"), at("..data")).unwrap();
        };
        assert!(is_told(&mut watched, swap).await, "a link that is swapped");
        assert_eq!(watched.look(true).as_deref(), Some("two"));
        assert!(!is_told(&mut watched, || write(at("..1/plimsoll.yaml"), "old").unwrap()).await, "the one before");
        assert!(is_told(&mut watched, || write(at("..2/plimsoll.yaml"), "new").unwrap()).await, "the file itself");
        assert_eq!(watched.look(true).as_deref(), Some("new"));
        let replace = || {
            write(at("edited"), "edited").unwrap();
            rename(at("edited"), at("plimsoll.yaml")).unwrap();
        };
        assert!(is_told(&mut watched, replace).await, "a file that is renamed over it");
        assert_eq!(watched.look(true).as_deref(), Some("edited"));
    }

    #[tokio::test]
    async fn a_log_that_is_written_to_beside_the_document_wakes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let mut log = File::create(folder.join("access.log")).unwrap();
        let mut watched = Watched::new(&folder.join("plimsoll.yaml"));
        for _ in 0..100 {
            log.write_all(b"line").unwrap();
        }
        let mut events = watched.events.take().unwrap().into_inotify();
        let mut buffer = [0; EVENTS];
        let read = events.read_events(&mut buffer).map(Iterator::count);
        assert_eq!(read.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    }

    #[tokio::test]
    async fn changes_that_come_together_are_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("plimsoll.yaml");
        let mut watched = Watched::new(&path);
        for turn in 0..40 {
            write(&path, turn.to_string()).unwrap();
        }
        tokio::time::timeout(Duration::from_secs(10), watched.changed()).await.unwrap();
        watched.settled().await;
        assert_eq!(watched.changed().now_or_never(), None);
        assert_eq!(watched.look(true).as_deref(), Some("39"));
    }

    #[tokio::test]
    async fn a_folder_that_takes_the_place_of_another_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let inner = folder.join("config");
        create_dir(&inner).unwrap();
        write(inner.join("plimsoll.yaml"), "one").unwrap();
        let mut watched = Watched::new(&inner.join("plimsoll.yaml"));
        assert_eq!(watched.look(true).as_deref(), Some("one"));
        remove_dir_all(&inner).unwrap();
        let told = tokio::time::timeout(Duration::from_secs(10), async { while watched.changed().await != inner {} });
        told.await.expect("its end is told");
        create_dir(&inner).unwrap();
        assert_eq!(watched.look(true), None);
        assert!(is_told(&mut watched, || write(inner.join("plimsoll.yaml"), "two").unwrap()).await);
        assert_eq!(watched.look(true).as_deref(), Some("two"));
    }
}
