//! What `/proc` knows of a process.

use std::fs;

/// When process `pid` started, in clock ticks since boot (proc(5), `stat`, field 22). `None`: there is none such.
pub(super) fn start_ticks(pid: u32) -> Option<u64> {
    parse_start_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The children of this process, its own and those that it adopted as a reaper of orphans.
/// Empty where the kernel does not tell (`CONFIG_PROC_CHILDREN`).
pub(super) fn children() -> Vec<u32> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The second field is the program's name in parentheses and may hold anything, `)` and spaces too.
fn parse_start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_any_program_name() {
        let rest = "S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 812345 9 9";
        for name in ["web", "a b", "x) S 1 (y", ")"] {
            assert_eq!(parse_start_ticks(&format!("7 ({name}) {rest}")), Some(812_345), "{name}");
        }
        assert_eq!(parse_start_ticks("7 (web) S 1"), None);
        assert!(start_ticks(std::process::id()).is_some());
    }
}
