//! The task that reads events, and does nothing else.

use super::client::Client;
use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use plimsoll_core::discovery::docker::{Event, parse_event};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A stream of events under way.
pub(super) struct EventStream {
    /// `None` from it is the end, when what was read before is through.
    pub(super) events: mpsc::Receiver<Event>,
    answered: oneshot::Receiver<()>,
    reader: JoinHandle<String>,
}

impl EventStream {
    /// Subscribes to what matches `filters`, from `since` on.
    pub(super) fn open(client: Arc<Client>, since: String, filters: String) -> Self {
        let (sender, events) = mpsc::channel(QUEUED_MAX);
        let (answer, answered) = oneshot::channel();
        let reader = tokio::spawn(async move {
            match client.events(&since, &filters).await {
                Ok(body) => {
                    // Whoever waited for it may have gone on already.
                    answer.send(()).ok();
                    read(body, sender).await
                }
                Err(cause) => cause,
            }
        });
        Self { events, answered, reader }
    }

    /// Waits until the engine has answered, for a moment at the most: one that does not answer is still worth a list.
    ///
    /// # Errors
    /// Why there is no stream.
    pub(super) async fn wait_for_answer(&mut self) -> Result<(), String> {
        match tokio::time::timeout(ANSWER_PATIENCE, &mut self.answered).await {
            Ok(Err(_)) => Err(self.cause().await),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Why it ended; to be asked when `events` is through.
    pub(super) async fn cause(&mut self) -> String {
        (&mut self.reader).await.unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Reads to the end, and says why it was one.
async fn read(mut body: Incoming, sender: mpsc::Sender<Event>) -> String {
    let mut lines = Lines::default();
    loop {
        let data = match body.frame().await {
            None => return "the stream of events ended".to_owned(),
            Some(Err(error)) => return format!("the stream of events broke: {error}"),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        lines.push(&data);
        loop {
            let event = match lines.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => return format!("the stream of events holds garbage: {error}"),
            };
            match sender.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => return format!("more than {QUEUED_MAX} events at a time"),
                Err(mpsc::error::TrySendError::Closed(_)) => return "nobody reads".to_owned(),
            }
        }
    }
}

/// Events, one a line, out of pieces that end anywhere.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// Up to where there is no end of a line.
    searched: usize,
}

impl Lines {
    fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    fn next_event(&mut self) -> Result<Option<Event>, String> {
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'\n', unseen) else {
                self.searched = self.buffer.len();
                let whole = self.buffer.len() <= LINE_MAX;
                return if whole { Ok(None) } else { Err(format!("a line of more than {LINE_MAX} bytes")) };
            };
            let line = self.buffer.split_to(self.searched + at);
            self.buffer.advance(1);
            self.searched = 0;
            if line.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0x1e) {
                continue;
            }
            return parse_event(&line).map(Some);
        }
    }
}

/// An engine answers within milliseconds; a proxy that keeps the answer must not keep the list, too.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
/// Some seconds of the busiest engine. More at a time is a gap: the list that follows costs less than the queue.
const QUEUED_MAX: usize = 8192;
/// An event holds all labels of its container.
const LINE_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_wherever_the_pieces_end() {
        let line = |id: &str| format!("{{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{{\"ID\":\"{id}\"}}}}\n");
        let text = format!("{}\n\u{1e}{}\r\n{}", line("a"), line("b"), line("c"));
        for piece in 1..text.len() {
            let mut lines = Lines::default();
            let mut ids = Vec::new();
            for data in text.as_bytes().chunks(piece) {
                lines.push(data);
                while let Some(event) = lines.next_event().expect("events") {
                    ids.push(event.actor.id);
                }
            }
            assert_eq!(ids, ["a", "b", "c"], "pieces of {piece}");
        }
    }

    #[test]
    fn garbage_and_endless_lines_are_errors() {
        let check = |data: &[u8]| {
            let mut lines = Lines::default();
            lines.push(data);
            assert!(lines.next_event().is_err());
        };
        check(b"<html>\n");
        check(b"{\"Type\":\"container\"\n");
        check(&vec![b'x'; LINE_MAX + 1]);
        let mut lines = Lines::default();
        lines.push(b"\xff\xfe");
        assert!(lines.next_event().expect("no line yet").is_none());
    }
}
