//! Where a head ends.

use crate::protocol::{HeadError, HeadLimits};
use std::ops::Range;

/// A head in the bytes that were searched: after the one empty line that may precede it, up to and with the empty line
/// that ends it.
pub type HeadRange = Range<usize>;

/// A search for the end of a head that goes on where it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    /// What lies before was looked at.
    at: usize,
}

impl HeadScan {
    /// A search from the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins anew, for the next head.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Where the head in `bytes` lies, or `None` while it is not whole: call again with the same bytes and more. Once
    /// found, the search is reset.
    ///
    /// # Errors
    /// For LF without CR, and for more than one leading empty line: RFC 9112 §2.2 allows both to be let pass, and
    /// requires that one empty line before a request is. (CR without LF is refused when the head is parsed.)
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<HeadRange>, HeadError> {
        let start = start(bytes);
        if start > 0 && bytes[start..].starts_with(b"\r\n") {
            return Err(HeadError::LeadingLines);
        }
        if start == 0 && bytes[..bytes.len().min(2)].contains(&b'\n') {
            return Err(HeadError::BareLf);
        }
        // Not the last byte: where a head is all there is, only that one is left to look at.
        self.at = skip_plain(&bytes[..bytes.len().saturating_sub(1)], self.at.max(2));
        while let Some(&byte) = bytes.get(self.at) {
            let end = self.at + 1;
            if byte == b'\n' {
                match bytes[start..self.at] {
                    [.., b'\n', b'\r'] => {
                        self.reset();
                        return Ok(Some(start..end));
                    }
                    [.., b'\r'] => {}
                    _ => return Err(HeadError::BareLf),
                }
            }
            self.at = end;
        }
        Ok(None)
    }

    /// Whether a head that is not whole after these bytes can still be within the limits.
    ///
    /// # Errors
    /// [`HeadError::RequestLineTooLong`] or [`HeadError::HeadersTooLarge`].
    pub fn check_limits(bytes: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
        let head = &bytes[start(bytes)..];
        let (line, headers) = match memchr::memchr(b'\n', &head[..head.len().min(limits.request_line + 2)]) {
            Some(end) => (end - 1, head.len() - end - 1),
            // A CR whose LF has not come does not count.
            None => (head.strip_suffix(b"\r").unwrap_or(head).len(), 0),
        };
        if line > limits.request_line {
            return Err(HeadError::RequestLineTooLong);
        }
        if headers > limits.headers { Err(HeadError::HeadersTooLarge) } else { Ok(()) }
    }
}

/// Where the head begins: one empty line may precede it.
fn start(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"\r\n") { 2 } else { 0 }
}

/// Skips bytes from `at`, which is at least 2, among which no head ends and no LF is bare; where it stops, the bytes
/// want a closer look.
///
/// It looks at 32 places at once, in loops that the compiler turns into vector code: lines are too short for a search
/// for each LF to pay.
#[inline]
fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    while bytes.len() >= at + BLOCK {
        if wants_a_look(bytes, at) {
            return at;
        }
        at += BLOCK;
    }
    // The rest is looked at together with what comes before it and was looked at already.
    let last = bytes.len().saturating_sub(BLOCK);
    if at > last && last >= 4 && !wants_a_look(bytes, last) { bytes.len().max(at) } else { at }
}

const BLOCK: usize = 32;

/// Whether one of the places `at..at + BLOCK` holds an LF that is bare or ends an empty line.
#[inline]
fn wants_a_look(bytes: &[u8], at: usize) -> bool {
    let Some(window) = bytes[at - 2..].first_chunk::<{ BLOCK + 2 }>() else { return true };
    let (before, previous, here) = (&window[..BLOCK], &window[1..=BLOCK], &window[2..]);
    let mut wants = false;
    for ((&here, &previous), &before) in here.iter().zip(previous).zip(before) {
        wants |= (here == b'\n') & ((previous != b'\r') | (before == b'\n'));
    }
    wants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Result<Option<HeadRange>, HeadError>) {
        let bytes = bytes.as_bytes();
        assert_eq!(HeadScan::new().find(bytes), expected, "{bytes:?} at once");
        let mut scan = HeadScan::new();
        let found = (0..=bytes.len()).map(|end| scan.find(&bytes[..end])).find(|found| *found != Ok(None));
        assert_eq!(found.unwrap_or(Ok(None)), expected, "{bytes:?} byte by byte");
    }

    #[test]
    fn a_head_ends_with_its_empty_line_however_it_arrives() {
        check("", Ok(None));
        check("GET / HTTP/1.1\r\n", Ok(None));
        check("GET / HTTP/1.1\r\n\r", Ok(None));
        check("GET / HTTP/1.1\r\n\r\n", Ok(Some(0..18)));
        check("a\r\nb: c\r\n\r\nbody\n", Ok(Some(0..11)));
        check("\r\na\r\n\r\n", Ok(Some(2..7)));
        check("\r\n", Ok(None));
    }

    #[test]
    fn line_ends_that_two_readers_could_read_differently_are_refused() {
        check("\n", Err(HeadError::BareLf));
        check("a\nb\r\n\r\n", Err(HeadError::BareLf));
        check("a\r\nb: c\n\r\n", Err(HeadError::BareLf));
        check("a\r\n\n", Err(HeadError::BareLf));
        check("\r\n\r\na\r\n\r\n", Err(HeadError::LeadingLines));
    }

    #[test]
    fn line_ends_are_seen_wherever_they_lie() {
        for length in 0..200 {
            let line = "x".repeat(length);
            check(&format!("{line}x\r\n\r\nmore"), Ok(Some(0..length + 5)));
            check(&format!("\r\n{line}x\r\na: b\r\n\r\n"), Ok(Some(2..length + 13)));
            check(&format!("{line}\nx"), Err(HeadError::BareLf));
            check(&format!("a\r\n{line}x\nx"), Err(HeadError::BareLf));
            check(&format!("a\r\n{line}x\r\n\n"), Err(HeadError::BareLf));
        }
    }

    #[test]
    fn a_head_that_cannot_fit_any_more_is_noticed_before_it_is_whole() {
        let limits = HeadLimits { request_line: 10, headers: 8, count: 9 };
        let check = |bytes: &str, expected| {
            assert_eq!(HeadScan::new().find(bytes.as_bytes()), Ok(None));
            assert_eq!(HeadScan::check_limits(bytes.as_bytes(), &limits), expected, "{bytes:?}");
        };
        check("0123456789", Ok(()));
        check("0123456789\r", Ok(()));
        check("\r\n0123456789", Ok(()));
        check("0123456789ab", Err(HeadError::RequestLineTooLong));
        check("0123456789\r\na: b\r\n", Ok(()));
        check("0123456789\r\na: bcd\r\n", Ok(()));
        check("0123456789\r\na: bcdef\r\n", Err(HeadError::HeadersTooLarge));
    }
}
