//! Whether this process may end while another one goes on: not if what it runs in ends with it.

use rustix::process::getppid;

/// The first process namespace of a machine: `PROC_PID_INIT_INO` of Linux.
const FIRST: &str = "pid:[4026531836]";
/// Inits that go on when a child of theirs ends. Others that are process 1 of a container (tini, docker-init, dumb-init,
/// catatonit, a shell) end with it, or start it again (supervisord).
const INITS: [&str; 2] = ["systemd", "init"];
/// What starts a container's first process, from outside of it: `docker run --pid host` lets that be seen.
const RUNTIMES: [&str; 2] = ["containerd-shim", "conmon"];

/// What started this process, and in what. To be asked at its start: whom a parent leaves behind gets another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pid: u32,
    /// 0: a process outside of the namespace.
    parent: u32,
    /// What the parent calls itself, where that can be read.
    parent_name: Option<String>,
    /// Whether this is the machine's own process namespace, as far as can be seen.
    is_first: bool,
}

impl Place {
    /// Where this process is.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        let parent = getppid().map_or(0, |parent| parent.as_raw_nonzero().get().cast_unsigned());
        // Where `/proc` is of another namespace, its numbers are others.
        let is_ours = std::fs::read_link("/proc/self").is_ok_and(|own| own.as_os_str() == pid.to_string().as_str());
        let name = is_ours.then(|| std::fs::read_to_string(format!("/proc/{parent}/comm")).ok()).flatten();
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok().filter(|_| is_ours);
        Self {
            pid,
            parent,
            parent_name: name.map(|name| name.trim().to_owned()),
            is_first: namespace.is_some_and(|namespace| namespace.as_os_str() == FIRST),
        }
    }

    /// Why a process here cannot be replaced by another one; `None`: it can.
    pub(crate) fn refusal(&self) -> Option<String> {
        let name = self.parent_name.as_deref();
        let why = match (self.pid, self.parent) {
            (1, _) => "it is process 1 of its container or namespace, which ends with it".to_owned(),
            (_, 0) => "it was started as the first process of a container, which ends with it".to_owned(),
            _ if name.is_some_and(|name| RUNTIMES.iter().any(|runtime| name.starts_with(runtime))) => {
                format!(
                    "{} started it as the first process of a container, which ends with it",
                    name.unwrap_or_default()
                )
            }
            (_, 1) if !self.is_first && !name.is_some_and(|name| INITS.contains(&name)) => {
                let name = name.unwrap_or("an init");
                format!("process 1 of its container ({name}) started it, and ends with it or starts it again")
            }
            _ => return None,
        };
        Some(format!("{why}: replace the container, or run the gateway under a supervisor that outlives it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_container_ends_with_is_not_replaced() {
        let check = |place: &str, pid: u32, parent: (u32, Option<&str>), is_first: bool, refused: Option<&str>| {
            let (parent, parent_name) = (parent.0, parent.1.map(str::to_owned));
            let refusal = Place { pid, parent, parent_name, is_first }.refusal();
            assert_eq!(refusal.is_some(), refused.is_some(), "{place}: {refusal:?}");
            let says = |text: &str| refusal.as_ref().is_some_and(|refusal| refusal.contains(text));
            assert!(refused.is_none_or(says), "{place}: {refusal:?}");
        };
        check("docker run", 1, (0, None), false, Some("process 1"));
        check("docker run --init", 7, (1, Some("docker-init")), false, Some("docker-init"));
        check("podman run --init", 2, (1, Some("catatonit")), false, Some("catatonit"));
        check("tini, with /proc hidden", 7, (1, None), false, Some("an init"));
        check("a shell script as a container's entry", 7, (1, Some("sh")), false, Some("(sh)"));
        check("supervisord as a container's entry", 7, (1, Some("supervisord")), false, Some("starts it again"));
        check("Kubernetes, shareProcessNamespace", 12, (0, None), false, Some("first process"));
        check("docker run --pid host", 4242, (4200, Some("containerd-shim")), true, Some("containerd-shim"));
        check("podman run --pid host", 4242, (4200, Some("conmon")), true, Some("conmon"));
        check("a service of systemd", 4242, (1, Some("systemd")), true, None);
        check("a service of a user's systemd", 4242, (900, Some("systemd")), true, None);
        check("systemd in a container", 60, (1, Some("systemd")), false, None);
        check("a machine with another init", 4242, (1, Some("runit")), true, None);
        check("s6 in a container", 60, (20, Some("s6-supervise")), false, None);
        check("a shell", 4242, (4000, Some("bash")), true, None);
        check("a shell in a container", 42, (30, Some("bash")), false, None);
    }
}
