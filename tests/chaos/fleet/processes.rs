//! Local processes, and the signals that reach them.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// They are known by the files that they keep their record in: `NAME.PID.SINCE`.
pub(crate) struct Processes {
    pub(crate) record: PathBuf,
}

impl Processes {
    /// The names of those that live.
    pub(crate) fn living(&self) -> Vec<String> {
        let names: BTreeSet<_> = self.lives().into_iter().map(|(name, _)| name).collect();
        names.into_iter().collect()
    }

    /// Sends some a signal.
    pub(crate) fn signal(&self, names: &[String], signal: Signal) {
        for (_, pid) in self.lives().into_iter().filter(|(name, _)| names.contains(name)) {
            // It may have ended meanwhile.
            kill_process(Pid::from_raw(pid).expect("a process"), signal).ok();
        }
    }

    /// Those that live, by name and id.
    pub(crate) fn lives(&self) -> BTreeSet<(String, i32)> {
        let records = std::fs::read_dir(&self.record).expect("the record's folder").flatten();
        let lives = records.filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let mut parts = file.rsplitn(3, '.').skip(1);
            let pid: i32 = parts.next()?.parse().ok()?;
            let name = parts.next()?.to_owned();
            self.is_ours(pid).then_some((name, pid))
        });
        lives.collect()
    }

    /// Whether the process with this id is one of ours still: it carries our folder in its environment.
    fn is_ours(&self, pid: i32) -> bool {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let wanted = format!("{}={}", crate::replica::RECORD, self.record.display());
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    }
}
