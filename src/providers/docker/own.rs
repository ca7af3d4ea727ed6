//! Which container this process runs in.

/// Ids that may be our own, likeliest first.
pub(super) fn candidates() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    from_texts(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), &read("/etc/hostname"))
}

fn from_texts(mountinfo: &str, cgroup: &str, hostname: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mounted = mountinfo.lines().filter_map(of_mount);
    let grouped = cgroup.lines().filter_map(|line| line.split(['/', '-', '.']).find(|part| is_id(part)));
    // Docker names a container's host by its id's first twelve digits, unless told otherwise.
    let named = Some(hostname.trim()).filter(|name| name.len() == 12 && is_hex(name));
    for id in mounted.chain(grouped).chain(named) {
        if !found.iter().any(|known| known == id) && found.len() < CANDIDATES_MAX {
            found.push(id.to_owned());
        }
    }
    found
}

/// Engines mount these three files from a container's folder. Other mounts tell nothing: the engine's host sees every
/// container's.
fn of_mount(line: &str) -> Option<&str> {
    let mut fields = line.split(' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    let told = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].contains(&point);
    if told { root.split('/').find(|part| is_id(part)) } else { None }
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Requests to ask with at the most.
const CANDIDATES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_container_is_found_by_mounts_then_groups_then_the_hosts_name() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let check = |mountinfo: &str, cgroup: &str, hostname: &str, expected: &[&str]| {
            assert_eq!(from_texts(mountinfo, cgroup, hostname), expected);
        };
        let mount =
            format!("612 597 254:0 /var/lib/docker/containers/{a}/hostname /etc/hostname rw - ext4 /dev/vda rw");
        let on_host = format!("90 27 0:50 / /var/lib/docker/containers/{a}/mounts/shm rw - tmpfs shm rw");
        let podman = format!("1 2 0:1 /containers/overlay-containers/{a}/userdata/hosts /etc/hosts rw - tmpfs t rw");
        check(&mount, "", "", &[&a]);
        check(&podman, "", "", &[&a]);
        check(&on_host, "0::/", "build-machine\n", &[]);
        check("", &format!("12:pids:/docker/{b}\n0::/system.slice/docker-{b}.scope"), "", &[&b]);
        check(&mount, &format!("0::/docker/{b}"), "0123456789ab\n", &[&a, &b, "0123456789ab"]);
        check("", "", "0123456789AB\n", &[]);
        check("x", "y", "", &[]);
    }
}
