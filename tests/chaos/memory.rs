//! A cgroup of the test's own, in which the gateway's processes are, with what they start: its memory limit can be lowered under
//! them. Version 1 and 2; it wants root, and a hierarchy that can be written to. Without, nothing happens to memory.

use procfs::ProcessCGroups;
use procfs::process::{MountInfo, MountInfos, Process};
use std::ffi::OsString;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// 20 s: for ballast to be loaded, and for the last process to leave; on a busy machine.
const MOVED_MAX: Duration = Duration::from_secs(20);
/// Between two tries to remove the group.
const PAUSE: Duration = Duration::from_millis(20);

/// How a version of cgroups says it.
struct Version {
    limit: &'static str,
    unlimited: &'static str,
    usage: &'static str,
    /// Of `memory.stat`: what the kernel takes back at need.
    files: [&'static str; 2],
    /// Where `oom_kill` is counted.
    kills: &'static str,
}

static V1: Version = Version {
    limit: "memory.limit_in_bytes",
    unlimited: "-1",
    usage: "memory.usage_in_bytes",
    files: ["total_inactive_file", "total_active_file"],
    kills: "memory.oom_control",
};

static V2: Version = Version {
    limit: "memory.max",
    unlimited: "max",
    usage: "memory.current",
    files: ["inactive_file", "active_file"],
    kills: "memory.events",
};

/// The group, until it is dropped: by then all of its processes have ended or were killed.
pub(crate) struct Group {
    folder: PathBuf,
    version: &'static Version,
}

impl Group {
    /// Where there is none it is said in one line; where an engine is demanded the machine is to have cgroups, too.
    pub(crate) fn new() -> Option<Self> {
        match Self::make() {
            Ok(group) => Some(group),
            Err(error) => {
                let why = format!("no cgroup of the test's own ({error}): nothing happens to memory");
                assert!(std::env::var("PLIMSOLL_REQUIRE_DOCKER").as_deref() != Ok("1"), "{why}");
                eprintln!("{why}");
                None
            }
        }
    }

    fn make() -> Result<Self> {
        let own = Process::myself().map_err(Error::other)?;
        let (groups, mounts) = own.cgroups().and_then(|groups| Ok((groups, own.mountinfo()?))).map_err(Error::other)?;
        let none = || Error::other("no hierarchy has the memory controller");
        let (parent, version) = place(&groups, &mounts).ok_or_else(none)?;
        let folder = parent.join(format!("plimsoll-chaos-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let group = Self { folder, version };
        // In version 2 the one above says what a group has.
        group.limit(None)?;
        Ok(group)
    }

    /// What stands before a program that shall be in it.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let words = ["sh", "-c", "echo $$ > \"$0\" && exec \"$@\""];
        words.into_iter().map(OsString::from).chain([self.folder.join("cgroup.procs").into()]).collect()
    }

    /// Sets its limit, or takes it away.
    pub(crate) fn limit(&self, bytes: Option<u64>) -> Result<()> {
        let limit = bytes.map_or_else(|| self.version.unlimited.to_owned(), |bytes| bytes.to_string());
        std::fs::write(self.folder.join(self.version.limit), limit)
    }

    /// Bytes, without what the kernel takes back by itself.
    pub(crate) fn used(&self) -> u64 {
        let files: u64 = self.version.files.iter().map(|name| self.line("memory.stat", name)).sum();
        let usage: u64 = self.read(self.version.usage).trim().parse().expect("a number");
        usage.saturating_sub(files)
    }

    /// Processes of it that the kernel killed for want of memory.
    pub(crate) fn killed(&self) -> u64 {
        self.line(self.version.kills, "oom_kill")
    }

    /// Another process in it, which holds so much until it is unloaded.
    pub(crate) async fn ballast(&self, bytes: u64) -> Ballast {
        let words = self.words();
        let hold = format!("{{ head -c {bytes} /dev/zero; echo loaded >&2; cat; }} | tail -c {bytes} > /dev/null");
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["sh", "-c", &hold]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut shell = command.spawn().expect("a shell");
        let (mut said, mut word) = (shell.stderr.take().expect("it is piped"), [0; 7]);
        let read = timeout(MOVED_MAX, said.read_exact(&mut word)).await.expect("in time");
        assert!(read.is_ok() && word == *b"loaded\n", "{}", String::from_utf8_lossy(&word));
        Ballast { shell }
    }

    fn line(&self, file: &str, name: &str) -> u64 {
        let text = self.read(file);
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(have, _)| *have == name).and_then(|(_, value)| value.trim().parse().ok()).expect("it is there")
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).expect("ours")
    }
}

/// It goes when it is dropped, too, a little later.
pub(crate) struct Ballast {
    shell: Child,
}

impl Ballast {
    /// Waits until what it held is free: who measures next shall not take it for something else.
    pub(crate) async fn unload(mut self) {
        let ended = timeout(MOVED_MAX, self.shell.wait()).await.expect("in time").expect("it ran");
        assert!(ended.success(), "ballast was lost: {ended}");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let tries = MOVED_MAX.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            // Those that were killed may have some milliseconds to go.
            if std::fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        eprintln!("{} is not empty and stays", self.folder.display());
    }
}

/// Where a group can be made: below our own in version 1, so that what counts for us goes on counting; beside it in version 2,
/// where a group has either processes or groups.
fn place(groups: &ProcessCGroups, mounts: &MountInfos) -> Option<(PathBuf, &'static Version)> {
    let v1 = groups.0.iter().find(|group| group.controllers.iter().any(|name| name == "memory"));
    let v2 = groups.0.iter().find(|group| group.hierarchy == 0);
    let (group, version) = v1.map(|group| (group, &V1)).or_else(|| v2.map(|group| (group, &V2)))?;
    let fits = |mount: &&MountInfo| match v1 {
        Some(_) => mount.fs_type == "cgroup" && mount.super_options.contains_key("memory"),
        None => mount.fs_type == "cgroup2",
    };
    let mount = mounts.iter().find(fits)?;
    let inside = Path::new(&group.pathname).strip_prefix(&mount.root).unwrap_or_else(|_| Path::new(""));
    let inside = if v1.is_some() { inside } else { inside.parent().unwrap_or(inside) };
    Some((mount.mount_point.join(inside), version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use procfs::FromBufRead;

    #[test]
    fn a_group_is_made_below_our_own_in_version_1_and_beside_it_in_version_2() {
        let check = |groups: &str, mounts: &str, expected: Option<(&str, &str)>| {
            let groups = ProcessCGroups::from_buf_read(groups.as_bytes()).expect("the kernel's words");
            let mounts = MountInfos::from_buf_read(mounts.as_bytes()).expect("the kernel's words");
            let found = place(&groups, &mounts);
            let found = found.as_ref().map(|(folder, version)| (folder.to_str().expect("plain"), version.limit));
            assert_eq!(found, expected);
        };
        let v1 = "31 24 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  35 24 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let v2 = "35 24 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let inner = "35 24 0:32 /docker/c0ffee /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let (limit, max) = ("memory.limit_in_bytes", "memory.max");
        check("4:memory:/a/b\n0::/\n", v1, Some(("/sys/fs/cgroup/memory/a/b", limit)));
        check("4:memory:/docker/c0ffee\n", inner, Some(("/sys/fs/cgroup/memory/", limit)));
        check("0::/a/b.service\n", v2, Some(("/sys/fs/cgroup/a", max)));
        check("0::/\n", v2, Some(("/sys/fs/cgroup/", max)));
        check("0::/\n", v1, None);
    }
}
