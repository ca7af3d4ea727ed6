//! What replicas print, line by line into our log, bounded: a replica is never blocked by a full pipe, and never floods
//! the log.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// Bytes of a line that are shown; the rest is cut.
const LINE_MAX: usize = 4 << 10;
/// Lines a second of one stream of one replica; what is over is counted.
const LINES_PER_SECOND: u32 = 200;
/// Bytes of the last line that are kept for the message about a replica's end.
const LAST_WORDS_MAX: usize = 200;

/// The last line that a replica printed: most often the reason why it ended.
pub(super) type LastWords = Arc<Mutex<String>>;

/// Reads to the end, and hands line after line to `emit`.
pub(super) async fn forward(mut from: impl AsyncRead + Unpin, last: LastWords, mut emit: impl FnMut(&str)) {
    let mut lines = LineCutter::default();
    let mut budget = Budget { second: Instant::now(), left: LINES_PER_SECOND, dropped: 0 };
    let mut buffer = vec![0; 8 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        lines.push(buffer.get(..count).unwrap_or_default(), &mut |line| {
            remember(&last, line);
            budget.spend(line, &mut emit);
        });
    }
    lines.finish(&mut |line| {
        remember(&last, line);
        budget.spend(line, &mut emit);
    });
    budget.say_dropped(&mut emit);
}

fn remember(last: &LastWords, line: &str) {
    if !line.trim().is_empty() {
        let mut last = last.lock();
        last.clear();
        last.extend(line.trim().chars().take(LAST_WORDS_MAX));
    }
}

/// Cuts bytes into lines of bounded length, without control characters.
#[derive(Default)]
struct LineCutter {
    line: Vec<u8>,
}

impl LineCutter {
    fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_MAX.saturating_sub(self.line.len()).min(text.len());
            self.line.extend_from_slice(text.get(..room).unwrap_or_default());
            if ended {
                self.emit(emit);
            }
        }
    }

    fn finish(&mut self, emit: &mut impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.emit(emit);
        }
    }

    fn emit(&mut self, emit: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let shown: String =
            text.trim_end_matches('\r').chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
        emit(&shown);
        self.line.clear();
    }
}

/// Lines that may still be shown in this second.
struct Budget {
    second: Instant,
    left: u32,
    dropped: u64,
}

impl Budget {
    fn spend(&mut self, line: &str, emit: &mut impl FnMut(&str)) {
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.say_dropped(emit);
            (self.second, self.left) = (Instant::now(), LINES_PER_SECOND);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                emit(line);
            }
            None => self.dropped += 1,
        }
    }

    fn say_dropped(&mut self, emit: &mut impl FnMut(&str)) {
        if self.dropped > 0 {
            emit(&format!("({} more lines within a second, not shown)", self.dropped));
            self.dropped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn forwarded(input: &[u8]) -> (Vec<String>, String) {
        let (mut lines, last) = (Vec::new(), LastWords::default());
        forward(input, Arc::clone(&last), |line| lines.push(line.to_owned())).await;
        let last = last.lock().clone();
        (lines, last)
    }

    #[tokio::test(start_paused = true)]
    async fn lines_come_out_clean_and_the_last_one_is_remembered() {
        let (lines, last) = forwarded(b"one\r\n\x1b[31mtwo\nbind: in use\n\n  \nrest").await;
        assert_eq!(lines, ["one", " [31mtwo", "bind: in use", "", "  ", "rest"]);
        assert_eq!(last, "rest");
        assert_eq!(forwarded(b"reason\n\n").await.1, "reason");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_without_end_is_cut() {
        let (lines, last) = forwarded(&vec![b'a'; 1 << 20]).await;
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_MAX]);
        assert_eq!(last.len(), LAST_WORDS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_not_shown() {
        let (lines, _) = forwarded("x\n".repeat(1_000).as_bytes()).await;
        assert_eq!(lines.len(), LINES_PER_SECOND as usize + 1);
        assert_eq!(lines.last().unwrap(), "(800 more lines within a second, not shown)");
    }
}
