//! The memory limit of the process's cgroup, and what is used of it: version 1 and 2 (kernel: `cgroup-v1/memory.rst`,
//! `cgroup-v2.rst`). Groups above it that can be seen count, too: the kernel kills at whichever limit is reached first.

use procfs::process::{MountInfo, MountInfos, Process};
use procfs::{ProcResult, ProcessCGroups};
use std::cmp::Ordering;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Version 1 has no word for "no limit", but the largest number of whole pages: 2^63 less one page. Nobody has 4 EiB.
const NO_LIMIT: u64 = 1 << 62;

/// Bytes of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// In use, without what the kernel takes back by itself before it kills: pages of files.
    pub(super) used: u64,
    /// Allowed.
    pub(super) limit: u64,
}

impl Memory {
    /// By how much of the limit is used.
    fn fullness(&self, other: &Self) -> Ordering {
        let share = |this: &Self, other: &Self| u128::from(this.used) * u128::from(other.limit);
        share(self, other).cmp(&share(other, self))
    }
}

/// How a version of cgroups says it.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    file_system: &'static str,
    /// The word in a mount's options, where each controller has a hierarchy of its own.
    controller: Option<&'static str>,
    limit: &'static str,
    usage: &'static str,
    /// Lines of `memory.stat` with what the kernel takes back at need. Kubernetes' working set takes off the inactive pages
    /// alone; but those of files that are read often are as clean, and a cache may be nine tenths of them: a build or a log
    /// that is read beside the gateway would have it shed while nothing is wrong.
    reclaimable: [&'static str; 2],
}

static V1: Version = Version {
    file_system: "cgroup",
    controller: Some("memory"),
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: ["total_inactive_file", "total_active_file"],
};

static V2: Version = Version {
    file_system: "cgroup2",
    controller: None,
    limit: "memory.max",
    usage: "memory.current",
    reclaimable: ["inactive_file", "active_file"],
};

/// The process's group and those above it.
#[derive(Debug, Default)]
pub(super) struct Groups(Option<Vec<Group>>);

impl Groups {
    /// The group that is nearest to its limit; `None` where none has one that can be read.
    pub(super) fn look(&mut self) -> Option<Memory> {
        let groups = self.0.get_or_insert_with(|| {
            find().unwrap_or_else(|error| {
                tracing::debug!(%error, "the process's cgroup cannot be found: its memory limit is not heeded");
                Vec::new()
            })
        });
        // Moved to another one: found anew at the next look.
        if groups.first().is_some_and(|own| !own.folder.exists()) {
            self.0 = None;
            return None;
        }
        groups.iter().filter_map(Group::memory).max_by(Memory::fullness)
    }
}

fn find() -> ProcResult<Vec<Group>> {
    let own = Process::myself()?;
    Ok(groups(&own.cgroups()?, &own.mountinfo()?))
}

/// The process's group first.
fn groups(of: &ProcessCGroups, mounts: &MountInfos) -> Vec<Group> {
    let v1 = of.0.iter().find(|group| group.controllers.iter().any(|name| name == "memory"));
    let v2 = of.0.iter().find(|group| group.hierarchy == 0 && group.controllers.is_empty());
    let Some((group, version)) = v1.map(|group| (group, &V1)).or_else(|| v2.map(|group| (group, &V2))) else {
        return Vec::new();
    };
    let fits = |mount: &&MountInfo| {
        mount.fs_type == version.file_system
            && version.controller.is_none_or(|name| mount.super_options.contains_key(name))
    };
    let (mut seen, mut beside) = (None::<(&MountInfo, PathBuf)>, None);
    for mount in mounts.iter().filter(fits) {
        match inside(&group.pathname, &mount.root) {
            // The one that shows least is this process's own.
            Some(path) if seen.as_ref().is_none_or(|(seen, _)| seen.root.len() <= mount.root.len()) => {
                seen = Some((mount, path));
            }
            Some(_) => {}
            // Another namespace's words. What is mounted here is what this process is meant to see.
            None => beside = Some((mount, PathBuf::new())),
        }
    }
    let Some((mount, path)) = seen.or(beside) else { return Vec::new() };
    path.ancestors().map(|path| Group { folder: mount.mount_point.join(path), version }).collect()
}

/// Where a group lies under a mount of its hierarchy from `root` on; `None` where it does not.
fn inside(group: &str, root: &str) -> Option<PathBuf> {
    let path = Path::new(group).strip_prefix(root).ok()?;
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| path.to_owned())
}

/// A group's folder.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    folder: PathBuf,
    version: &'static Version,
}

impl Group {
    /// `None`: there is no limit, or something cannot be read.
    fn memory(&self) -> Option<Memory> {
        let limit = self.number(self.version.limit).filter(|limit| (1..NO_LIMIT).contains(limit))?;
        let usage = self.number(self.version.usage)?;
        let stat = fs::read_to_string(self.folder.join("memory.stat")).ok()?;
        let reclaimable = stat.lines().filter_map(|line| line.split_once(' '));
        let reclaimable = reclaimable.filter(|(name, _)| self.version.reclaimable.contains(name));
        let reclaimable = reclaimable.filter_map(|(_, bytes)| bytes.trim().parse().ok()).fold(0, u64::saturating_add);
        // Read one after the other, so that less may be used than can be taken back.
        Some(Memory { used: usage.saturating_sub(reclaimable), limit })
    }

    /// `None` for `max`, too.
    fn number(&self, file: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests;
