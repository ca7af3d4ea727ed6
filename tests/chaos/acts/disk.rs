//! The access log has no room, or no reader. Requests go on; what is dropped is counted; then lines are written again.

use super::Scene;
use crate::noise;
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::exchange;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};

/// 30 s: for lines to be dropped, and for what waits to be written.
const DISK_MAX: Duration = Duration::from_secs(30);
/// Bytes: the least that a pipe can be made to hold.
const PIPE_MIN: usize = 4096;
/// Requests at a time whose lines are long.
const LONG_LINES: usize = 50;

impl Scene {
    pub(super) async fn fill_disk(&mut self, which: u8, pause_ms: u64) {
        match self.named.disk() {
            Some(disk) if which.is_multiple_of(2) => self.fill_small_disk(&disk, pause_ms).await,
            _ => {
                let dropped = self.dropped().await;
                self.log.turn(&self.gateway, Path::new("/dev/full"));
                self.until_dropped(dropped).await;
                sleep(Duration::from_millis(pause_ms)).await;
            }
        }
        self.log.turn_back(&self.gateway).await;
    }

    /// One that has room at first, and again later: a line may be torn where it ends.
    async fn fill_small_disk(&mut self, disk: &Path, pause_ms: u64) {
        self.torn_max += 1;
        let log = disk.join("access.log");
        self.log.turn(&self.gateway, &log);
        // The gateway alone sees that disk.
        let seen = |path: &Path| PathBuf::from(format!("/proc/{}/root{}", self.gateway.pid(), path.display()));
        let (log, rest) = (seen(&log), seen(&disk.join("rest")));
        let written = || std::fs::metadata(&log).map_or(0, |data| data.len());
        until(DISK_MAX, "lines on the small disk", async || written() > 0).await;
        let dropped = self.dropped().await;
        // It ends with the disk's last byte.
        File::create(&rest).and_then(|mut file| file.write_all(&[0; 1 << 20])).expect_err("the disk is small");
        self.until_dropped(dropped).await;
        sleep(Duration::from_millis(pause_ms)).await;
        let full = written();
        std::fs::remove_file(&rest).expect("it is there");
        until(DISK_MAX, "lines on the small disk again", async || written() > full).await;
        self.log.turn_back(&self.gateway).await;
        std::fs::copy(&log, self.log.file()).expect("what was written");
        std::fs::remove_file(&log).expect("it is there");
    }

    /// A pipe that somebody has open and does not read.
    pub(super) async fn leave_log_unread(&self, pause_ms: u64) {
        let pipe = self.log.pipe();
        let mut reader = pipe::OpenOptions::new().open_receiver(&pipe).expect("a pipe");
        rustix::pipe::fcntl_setpipe_size(&reader, PIPE_MIN).expect("Linux");
        let dropped = self.dropped().await;
        self.log.turn(&self.gateway, &pipe);
        // Each worker keeps a MiB of lines before it drops any.
        let path = format!("/{}", "a".repeat(7000));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", noise::HOST);
        until(DISK_MAX, "lines to be dropped", async || {
            for _ in 0..LONG_LINES {
                // Nobody counts these.
                drop(exchange(self.gateway.http, &request).await);
            }
            self.dropped().await > dropped
        })
        .await;
        sleep(Duration::from_millis(pause_ms)).await;
        let read = async {
            let mut lines = Vec::new();
            reader.readable().await?;
            reader.read_to_end(&mut lines).await?;
            std::fs::write(self.log.file(), lines)
        };
        let (read, ()) = tokio::join!(timeout(DISK_MAX, read), self.log.turn_back(&self.gateway));
        read.expect("it ends when the gateway writes elsewhere").expect("it is read");
    }

    async fn until_dropped(&self, before: f64) {
        until(DISK_MAX, "lines to be dropped", async || self.dropped().await > before).await;
    }
}
