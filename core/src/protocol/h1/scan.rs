//! Where a head ends.

use crate::protocol::{HeadError, HeadLimits};
use std::ops::Range;

/// A head in the bytes that were searched: after the one empty line that may precede it, up to and with the empty line
/// that ends it.
pub type HeadRange = Range<usize>;

/// A search for the end of a head that goes on where it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    /// Where the head begins: 0, or 2 after an empty line.
    start: usize,
    /// Where the current line begins.
    line: usize,
    /// Where the first line ended (just past its CRLF); 0 until then.
    first_line_end: usize,
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
    /// For LF without CR, CR without LF, and more than one leading empty line. RFC 9112 §2.2 allows the first and the
    /// last of them to be let pass, and requires that an empty line before a request is.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<HeadRange>, HeadError> {
        while let Some(found) = memchr::memchr2(b'\r', b'\n', &bytes[self.at..]) {
            let end = self.at + found;
            if bytes[end] == b'\n' {
                return Err(HeadError::BareLf);
            }
            match bytes.get(end + 1) {
                Some(b'\n') => {}
                Some(_) => return Err(HeadError::LoneCr),
                None => {
                    self.at = end;
                    return Ok(None);
                }
            }
            let next = end + 2;
            if end > self.line {
                if self.first_line_end == 0 {
                    self.first_line_end = next;
                }
            } else if self.first_line_end > 0 {
                let range = self.start..next;
                self.reset();
                return Ok(Some(range));
            } else if self.start > 0 {
                return Err(HeadError::LeadingLines);
            } else {
                self.start = next;
            }
            self.line = next;
            self.at = next;
        }
        self.at = bytes.len();
        Ok(None)
    }

    /// Whether a head that is not whole after `received` bytes can still be within the limits.
    ///
    /// # Errors
    /// [`HeadError::RequestLineTooLong`] or [`HeadError::HeadersTooLarge`].
    pub fn check_limits(&self, received: usize, limits: &HeadLimits) -> Result<(), HeadError> {
        if self.first_line_end == 0 {
            // One more for a CR whose LF has not come.
            if received.saturating_sub(self.start) > limits.request_line + 1 {
                return Err(HeadError::RequestLineTooLong);
            }
        } else if received.saturating_sub(self.first_line_end) > limits.headers {
            return Err(HeadError::HeadersTooLarge);
        }
        Ok(())
    }
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
        check("a\rb\r\n\r\n", Err(HeadError::LoneCr));
        check("a\r\r\n\r\n", Err(HeadError::LoneCr));
        check("\r\n\r\na\r\n\r\n", Err(HeadError::LeadingLines));
    }

    #[test]
    fn a_head_that_cannot_fit_any_more_is_noticed_before_it_is_whole() {
        let limits = HeadLimits { request_line: 10, headers: 8, count: 9 };
        let check = |bytes: &str, expected| {
            let mut scan = HeadScan::new();
            assert_eq!(scan.find(bytes.as_bytes()), Ok(None));
            assert_eq!(scan.check_limits(bytes.len(), &limits), expected, "{bytes:?}");
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
