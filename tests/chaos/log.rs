//! The gateway's access log: a second set of books, which goes on over all its processes. Its path is a link, so that where
//! lines go can be changed under the gateway, which USR1 tells it.

use plimsoll_test_support::gateway::Gateway;
use plimsoll_test_support::wait::until;
use rustix::process::Signal;
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// 15 s: for the gateway to look at its log again.
const REOPEN_MAX: Duration = Duration::from_secs(15);

/// By service and status: lines.
pub(crate) type Lines = BTreeMap<(String, u16), u64>;

/// The files that it was written to.
pub(crate) struct AccessLog {
    folder: TempDir,
    files: Cell<u32>,
}

impl AccessLog {
    pub(crate) fn new() -> Self {
        let log = Self { folder: tempfile::tempdir().expect("a folder"), files: Cell::new(0) };
        log.link(&log.file());
        log
    }

    /// What the document has.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    /// The name of another file, whose lines are counted in the end.
    pub(crate) fn file(&self) -> PathBuf {
        self.files.set(self.files.get() + 1);
        self.folder.path().join(format!("lines.{}", self.files.get()))
    }

    /// Lines go there when the gateway opens its log the next time.
    fn link(&self, to: &Path) {
        let new = self.folder.path().join("new");
        std::os::unix::fs::symlink(to, &new).expect("a link");
        std::fs::rename(new, self.path()).expect("it is put in place");
    }

    /// Has the gateway write elsewhere.
    pub(crate) fn turn(&self, gateway: &Gateway, to: &Path) {
        self.link(to);
        gateway.signal(Signal::USR1);
    }

    /// Has the gateway write to a file of ours again, and waits until it does: all that came before is where it was to go.
    pub(crate) async fn turn_back(&self, gateway: &Gateway) {
        let file = self.file();
        self.turn(gateway, &file);
        until(REOPEN_MAX, "the access log to be opened again", async || file.exists()).await;
    }

    /// A named pipe.
    pub(crate) fn pipe(&self) -> PathBuf {
        let pipe = self.folder.path().join(format!("pipe.{}", self.files.get()));
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
        pipe
    }

    /// What was written in all, and how many lines were torn.
    pub(crate) fn lines(&self) -> (Lines, u64) {
        let (mut lines, mut torn) = (Lines::new(), 0);
        for number in 1..=self.files.get() {
            let file = std::fs::read(self.folder.path().join(format!("lines.{number}"))).unwrap_or_default();
            for line in file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                match place(line) {
                    Some(place) => *lines.entry(place).or_default() += 1,
                    None => torn += 1,
                }
            }
        }
        (lines, torn)
    }
}

/// Of a line: service and status.
fn place(line: &[u8]) -> Option<(String, u16)> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let status = line.get("status")?.as_u64()?.try_into().ok()?;
    Some((line.get("service")?.as_str().unwrap_or_default().to_owned(), status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_place_by_service_and_status_and_half_a_line_has_none() {
        let check = |line: &str, expected: Option<(&str, u16)>| {
            let expected = expected.map(|(service, status)| (service.to_owned(), status));
            assert_eq!(place(line.as_bytes()), expected, "{line}");
        };
        check(r#"{"path":"/","service":"web","status":200}"#, Some(("web", 200)));
        check(r#"{"path":"/","service":null,"status":404}"#, Some(("", 404)));
        check(r#"{"path":"/","service":"we"#, None);
        check(r#"b","status":200}"#, None);
    }
}
