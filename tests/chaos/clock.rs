//! The wall clock as the gateway's processes see it, which can be set while they run: libfaketime stands between them and the
//! system's. The monotonic clock stays true. Replicas see the system's clock.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where systems keep libraries; in a folder of an architecture or not.
const LIBRARIES: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// Where the library leaves what processes share of it, under a process's id. Of one that is killed it stays there.
const SHARED: &str = "/dev/shm";

/// The clock.
pub(crate) struct WallClock {
    library: PathBuf,
    /// With a file that says how far it is off.
    folder: TempDir,
}

impl WallClock {
    /// One that is right.
    pub(crate) fn new() -> Self {
        let library = libraries().into_iter().next();
        let library = library.expect("no libfaketimeMT.so.1: on Debian, `apt-get install faketime`");
        let clock = Self { library, folder: tempfile::tempdir().expect("a folder") };
        clock.set(0);
        clock
    }

    /// What stands before a program that shall see it, and hands it on to what it starts.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["env".into()];
        for (name, value) in [("LD_PRELOAD", &self.library), ("FAKETIME_TIMESTAMP_FILE", &self.file())] {
            words.push(format!("{name}={}", value.display()).into());
        }
        // Read again each time; times of files are as they are.
        let more = ["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"];
        words.extend(more.map(OsString::from));
        words
    }

    /// Sets it, by so many seconds from what is right.
    pub(crate) fn set(&self, ahead_s: i64) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("{ahead_s:+}\n")).expect("ours");
        std::fs::rename(new, self.file()).expect("ours");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(SHARED).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let pid = ["faketime_shm_", "sem.faketime_sem_"].iter().find_map(|prefix| name.strip_prefix(prefix));
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                // Another test may be at it, too.
                std::fs::remove_file(entry.path()).ok();
            }
        }
    }
}

/// Those that there are, of this architecture first.
fn libraries() -> Vec<PathBuf> {
    let folders = |root: &str| std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = LIBRARIES.iter().flat_map(|root| folders(root).chain([PathBuf::from(root)]));
    let mut found: Vec<_> = all.map(|folder| folder.join(LIBRARY)).filter(|path| path.exists()).collect();
    found.sort_by_key(|path| !path.to_string_lossy().contains(std::env::consts::ARCH));
    found
}
