//! Over folders that look like the kernel's.

use super::*;
use procfs::FromBufRead;
use std::fs::{create_dir_all, write};
use tempfile::TempDir;

/// A folder in the place of `/sys/fs/cgroup`.
struct Fake(TempDir);

impl Fake {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path.trim_start_matches('/'));
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, text).unwrap();
    }

    fn v1(&self, group: &str, limit: &str, usage: &str, stat: &str) {
        self.write(&format!("{group}/memory.limit_in_bytes"), limit);
        self.write(&format!("{group}/memory.usage_in_bytes"), usage);
        self.write(&format!("{group}/memory.stat"), stat);
    }

    fn v2(&self, group: &str, limit: &str, usage: &str, stat: &str) {
        self.write(&format!("{group}/memory.max"), limit);
        self.write(&format!("{group}/memory.current"), usage);
        self.write(&format!("{group}/memory.stat"), stat);
    }

    /// The groups of a process whose `/proc/self` says this; `{}` in it is this folder.
    fn groups(&self, cgroup: &str, mountinfo: &str) -> Vec<Group> {
        let mountinfo = mountinfo.replace("{}", &self.0.path().display().to_string());
        let cgroups = ProcessCGroups::from_buf_read(cgroup.as_bytes()).unwrap();
        groups(&cgroups, &MountInfos::from_buf_read(mountinfo.as_bytes()).unwrap())
    }

    fn look(&self, cgroup: &str, mountinfo: &str) -> Option<Memory> {
        Groups(Some(self.groups(cgroup, mountinfo))).look()
    }
}

const UNIFIED: &str = "35 31 0:32 / {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const V1_STAT: &str = "cache 300\ninactive_file 1\ntotal_inactive_file 200\ntotal_active_file 100\ntotal_rss 650\n";
const V2_STAT: &str = "anon 650\nfile 300\nshmem 7\ninactive_file 200\nactive_file 100\ninactive_anon 9\n";

#[test]
fn a_container_with_a_namespace_of_its_own_sees_its_limit_at_the_mount() {
    let fake = Fake::new();
    fake.v2("", "1000\n", "950\n", V2_STAT);
    assert_eq!(fake.look("0::/\n", UNIFIED), Some(Memory { used: 650, limit: 1000 }));
}

#[test]
fn a_container_without_one_sees_its_group_through_the_root_of_the_mount() {
    let fake = Fake::new();
    fake.v1("memory", "1000\n", "950\n", V1_STAT);
    let mounts = "34 31 0:31 /docker/c0ffee {}/cpu ro - cgroup cgroup rw,cpu\n\
                  35 31 0:32 /docker/c0ffee {}/memory ro,nosuid master:9 - cgroup cgroup rw,memory\n";
    let expected = Some(Memory { used: 650, limit: 1000 });
    assert_eq!(fake.look("9:cpu:/docker/c0ffee\n4:memory:/docker/c0ffee\n0::/\n", mounts), expected);
    // The same container, as a process of another namespace is told of it.
    assert_eq!(fake.look("4:memory:/elsewhere/c0ffee\n", mounts), expected);
    assert_eq!(fake.look("4:memory:/../c0ffee\n", mounts), expected);
}

#[test]
fn pages_of_files_are_not_counted_since_the_kernel_takes_them_back() {
    let fake = Fake::new();
    fake.v2("", "1000", "1000", "inactive_file 10\nactive_file 900\nshmem 500\n");
    assert_eq!(fake.look("0::/", UNIFIED), Some(Memory { used: 90, limit: 1000 }));
    fake.v2("", "1000", "800", "inactive_file 700\nactive_file 700\n");
    assert_eq!(fake.look("0::/", UNIFIED), Some(Memory { used: 0, limit: 1000 }), "counts that do not fit together");
}

#[test]
fn of_the_groups_above_it_the_one_that_is_nearest_to_its_limit_counts() {
    let fake = Fake::new();
    fake.v2("system.slice/plimsoll.service", "1000", "600", "");
    fake.v2("system.slice", "10000", "7000", "");
    // The root has none of these files.
    let cgroup = "0::/system.slice/plimsoll.service\n";
    assert_eq!(fake.look(cgroup, UNIFIED), Some(Memory { used: 7000, limit: 10_000 }));
    fake.v2("system.slice/plimsoll.service", "1000", "800", "");
    assert_eq!(fake.look(cgroup, UNIFIED), Some(Memory { used: 800, limit: 1000 }));
    fake.v2("system.slice/plimsoll.service", "max", "800", "");
    assert_eq!(fake.look(cgroup, UNIFIED), Some(Memory { used: 7000, limit: 10_000 }));
    fake.v2("other.slice", "1000", "1000", "");
    assert_eq!(fake.look(cgroup, UNIFIED), Some(Memory { used: 7000, limit: 10_000 }), "another's limit");
}

#[test]
fn where_both_versions_are_mounted_the_one_with_the_memory_controller_counts() {
    let fake = Fake::new();
    fake.v1("memory/web", "1000", "500", V1_STAT);
    fake.v2("unified/web", "10", "10", "");
    let mounts = "35 31 0:32 / {}/memory rw - cgroup cgroup rw,memory\n\
                  41 31 0:38 / {}/unified rw - cgroup2 cgroup2 rw\n";
    assert_eq!(fake.look("4:memory:/web\n0::/web\n", mounts), Some(Memory { used: 200, limit: 1000 }));
}

#[test]
fn no_limit_in_either_version_is_none() {
    let fake = Fake::new();
    fake.v2("", "max\n", "950\n", V2_STAT);
    assert_eq!(fake.look("0::/\n", UNIFIED), None);
    let mounts = "35 31 0:32 / {} rw - cgroup cgroup rw,memory\n";
    for unlimited in ["9223372036854771712\n", "9223372036854710272\n"] {
        fake.v1("", unlimited, "950\n", V1_STAT);
        assert_eq!(fake.look("4:memory:/\n", mounts), None, "{unlimited}");
    }
}

#[test]
fn what_cannot_be_read_and_what_is_no_number_is_no_limit() {
    let fake = Fake::new();
    assert_eq!(fake.look("0::/", UNIFIED), None, "no files");
    for (limit, usage) in
        [("", "5"), ("-1", "5"), ("0", "5"), ("1e3", "5"), ("1000", ""), ("1000", "much"), ("1000", "-5")]
    {
        fake.v2("", limit, usage, V2_STAT);
        assert_eq!(fake.look("0::/", UNIFIED), None, "{limit:?} {usage:?}");
    }
    fake.v2("", "1000", "900", "\nactive_file\nactive_file x\ninactive_file 5 5\n\0\n");
    assert_eq!(fake.look("0::/", UNIFIED), Some(Memory { used: 900, limit: 1000 }), "a stat without sense");
    fs::remove_file(fake.0.path().join("memory.stat")).unwrap();
    assert_eq!(fake.look("0::/", UNIFIED), None, "no stat");
    // Nothing that could be a group's.
    assert_eq!(fake.groups("", UNIFIED), []);
    assert_eq!(fake.groups("9:cpu:/\n", UNIFIED), []);
    assert_eq!(fake.groups("0::/\n", "31 23 0:28 / {} rw - tmpfs tmpfs rw\n"), []);
}

#[test]
fn a_group_that_is_gone_is_found_anew() {
    let fake = Fake::new();
    fake.v2("old", "1000", "950", "");
    let mut groups = Groups(Some(fake.groups("0::/old\n", UNIFIED)));
    assert!(groups.look().is_some());
    fs::remove_dir_all(fake.0.path().join("old")).unwrap();
    assert_eq!(groups.look(), None);
    assert!(groups.0.is_none(), "looked for at the next look");
    // This machine's own, whatever it is.
    groups.look();
    assert!(groups.0.is_some());
}
