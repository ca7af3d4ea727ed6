//! What gateway and guard say to each other over their socket: single bytes down, short lines up.

use std::process::ExitStatus;

/// The gateway asks for TERM to the command's group.
pub(super) const TERMINATE: u8 = b'T';
/// The gateway asks for KILL to the command's group.
pub(super) const KILL: u8 = b'K';

/// What a guard reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The command runs.
    Started {
        /// Its process id, which is its group's too.
        pid: u32,
        /// When it started, in clock ticks since boot: with the pid, who it is.
        start_ticks: u64,
    },
    /// It could not be started at all.
    Failed(String),
    /// It ended, and nothing of its group is left.
    Ended(Ending),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// Its guard was killed; nobody knows.
    Unknown,
}

impl Ending {
    /// From what the kernel says.
    pub(super) fn of(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => f.write_str("ended together with its guard"),
        }
    }
}

impl Report {
    /// One line, with its newline.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Started { pid, start_ticks } => format!("started {pid} {start_ticks}\n"),
            Self::Failed(why) => format!("failed {}\n", why.replace('\n', " ")),
            Self::Ended(Ending::Status(code)) => format!("status {code}\n"),
            Self::Ended(Ending::Signal(signal)) => format!("signal {signal}\n"),
            Self::Ended(Ending::Unknown) => "unknown\n".to_owned(),
        }
    }

    /// Reads a line, without its newline. `None`: not one of ours.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "started" => {
                let (pid, start_ticks) = rest.split_once(' ')?;
                Self::Started { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? }
            }
            "failed" => Self::Failed(rest.to_owned()),
            "status" => Self::Ended(Ending::Status(rest.parse().ok()?)),
            "signal" => Self::Ended(Ending::Signal(rest.parse().ok()?)),
            "unknown" => Self::Ended(Ending::Unknown),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guard_says_is_what_the_gateway_reads() {
        for report in [
            Report::Started { pid: 4_000_000, start_ticks: u64::MAX },
            Report::Failed("no such file".to_owned()),
            Report::Ended(Ending::Status(3)),
            Report::Ended(Ending::Signal(9)),
            Report::Ended(Ending::Unknown),
        ] {
            assert_eq!(Report::parse(report.line().trim_end()), Some(report));
        }
        for line in ["", "started", "started 1", "started x 2", "status", "what 1"] {
            assert_eq!(Report::parse(line), None, "{line:?}");
        }
    }
}
