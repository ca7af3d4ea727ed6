//! Answers of HTTP/1.1 with a length, one at a time: all that the origin behind the proxies sends.

/// Reads one answer after the other.
#[derive(Default)]
pub(crate) struct Http1 {
    head: Vec<u8>,
    body_left: u64,
}

/// What bytes brought: answers that ended, by the stream that they are on (HTTP/1.1: 0), each right or not.
pub(crate) type Answers = Vec<(u32, bool)>;

impl Http1 {
    /// The bytes of a request. With `body_bytes` it is a POST.
    pub(crate) fn request(host: &str, path: &str, body_bytes: usize, fresh: bool) -> Vec<u8> {
        let method = if body_bytes > 0 { "POST" } else { "GET" };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        if body_bytes > 0 {
            head.push_str(&format!("Content-Length: {body_bytes}\r\n"));
        }
        if fresh {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + body_bytes, b'x');
        bytes
    }

    /// `Err`: not an answer that can be followed.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], answers: &mut Answers) -> Result<(), String> {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let taken = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(bytes.len());
                self.body_left -= taken as u64;
                bytes = &bytes[taken..];
                if self.body_left == 0 {
                    answers.push((0, true));
                }
                continue;
            }
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let from = before.saturating_sub(3);
            let Some(at) = self.head[from..].windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(()) };
            let end = from + at + 4;
            bytes = &bytes[end - before..];
            self.head.truncate(end);
            let length = length(&self.head);
            if !self.head.starts_with(b"HTTP/1.1 2") || length.is_none() {
                return Err(String::from_utf8_lossy(&self.head).into_owned());
            }
            self.head.clear();
            self.body_left = length.unwrap_or_default();
            if self.body_left == 0 {
                answers.push((0, true));
            }
        }
        Ok(())
    }
}

fn length(head: &[u8]) -> Option<u64> {
    let name = b"\r\ncontent-length:";
    let at = head.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name))?;
    let value = head[at + name.len()..].split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_wherever_they_are_cut() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        for at in 0..text.len() {
            let (mut http1, mut answers) = (Http1::default(), Answers::new());
            http1.feed(&text[..at], &mut answers).expect("an answer");
            http1.feed(&text[at..], &mut answers).expect("an answer");
            assert_eq!(answers, [(0, true), (0, true)], "cut at {at}");
        }
    }

    #[test]
    fn an_error_is_no_answer() {
        let text = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        assert!(Http1::default().feed(text, &mut Answers::new()).is_err());
    }
}
