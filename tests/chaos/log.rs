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

/// 60 s: no request that counts takes as long; the least that a clock leaps by is more.
const LONG_MS: f64 = 60_000.0;

/// By service and status: lines.
pub(crate) type Lines = BTreeMap<(String, u16), u64>;

/// What was written in all.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) lines: Lines,
    /// Halves of lines.
    pub(crate) torn: u64,
    /// Of those services whose requests count: lines by which a request took longer than any does.
    pub(crate) long: u64,
}

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

    /// What was written to all files, where lines of these services count.
    pub(crate) fn written(&self, services: &[&str]) -> Written {
        let mut written = Written::default();
        for number in 1..=self.files.get() {
            let file = std::fs::read(self.folder.path().join(format!("lines.{number}"))).unwrap_or_default();
            for line in file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let Some((service, status, took_ms)) = read(line) else {
                    written.torn += 1;
                    continue;
                };
                written.long += u64::from(took_ms > LONG_MS && services.contains(&service.as_str()));
                *written.lines.entry((service, status)).or_default() += 1;
            }
        }
        written
    }
}

/// Of a line: service, status, and the longest of its spans in milliseconds.
fn read(line: &[u8]) -> Option<(String, u16, f64)> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let status = line.get("status")?.as_u64()?.try_into().ok()?;
    let spans = ["duration_ms", "upstream_ms", "held_ms"].into_iter().filter_map(|name| line.get(name)?.as_f64());
    let service = line.get("service")?.as_str().unwrap_or_default().to_owned();
    Some((service, status, spans.fold(0.0, f64::max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_place_by_service_and_status_and_half_a_line_has_none() {
        let check = |line: &str, expected: Option<(&str, u16, f64)>| {
            let expected = expected.map(|(service, status, took_ms)| (service.to_owned(), status, took_ms));
            assert_eq!(read(line.as_bytes()), expected, "{line}");
        };
        check(r#"{"path":"/","service":"web","status":200}"#, Some(("web", 200, 0.0)));
        check(r#"{"service":"web","status":200,"duration_ms":2.5,"upstream_ms":null}"#, Some(("web", 200, 2.5)));
        check(r#"{"path":"/","service":null,"status":404}"#, Some(("", 404, 0.0)));
        check(r#"{"path":"/","service":"we"#, None);
        check(r#"b","status":200}"#, None);
    }
}
