//! The process as Linux sees it, under the names that Prometheus' own clients use.

use super::metric;
use super::render::{MetricsOut, float};
use std::fs;

/// `USER_HZ`, in which `/proc` counts time: 100 on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds `process_*`; leaves out what cannot be read.
pub(super) fn gather(out: &mut MetricsOut) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        out.value(&metric::PROCESS_CPU, &[], stat.cpu_ticks / TICKS_PER_SECOND);
        out.value(&metric::PROCESS_THREADS, &[], stat.threads);
        out.value(&metric::PROCESS_VIRTUAL_MEMORY, &[], stat.virtual_bytes);
        if let Some(boot) = boot_time() {
            out.value(&metric::PROCESS_START_TIME, &[], boot + stat.start_ticks / TICKS_PER_SECOND);
        }
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
        out.value(&metric::PROCESS_RESIDENT_MEMORY, &[], bytes);
    }
    if let Ok(folder) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder's.
        out.value(&metric::PROCESS_OPEN_FDS, &[], float((folder.count() as u64).saturating_sub(1)));
    }
    if let Some(max) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        out.value(&metric::PROCESS_MAX_FDS, &[], float(max));
    }
}

/// Fields of `/proc/self/stat` (`proc_pid_stat(5)`).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
}

impl Stat {
    /// The second field is the command in parentheses, and may hold spaces and parentheses itself.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Numbered as in the manual, where the field after the command is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
        })
    }
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 12345 4096000 200";
        let expected = Stat { cpu_ticks: 200.0, threads: 3.0, start_ticks: 12_345.0, virtual_bytes: 4_096_000.0 };
        assert_eq!(Stat::parse(text), Some(expected));
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }
}
