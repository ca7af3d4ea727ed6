//! The tokens of a head, read in one pass that looks at sixteen bytes at a time.
//!
//! Places count from the head's first byte. What ends too early is [`Stop::Incomplete`]; all else that RFC 9112 does not
//! allow is an error at once: LF without CR, CR without LF, folded lines, space before a colon, control characters.

use crate::protocol::message::HEAD_BYTES_MAX;
use crate::protocol::search::{find, letters};
use crate::protocol::{HeadError, Version, syntax};
use wide::u8x16;

/// Why reading stopped before the head's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end first.
    Incomplete,
    /// It is no head.
    Error(HeadError),
}

impl From<HeadError> for Stop {
    fn from(error: HeadError) -> Self {
        Self::Error(error)
    }
}

/// A field line as places in the head.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Line {
    pub(in crate::protocol) start: usize,
    pub(in crate::protocol) name_end: usize,
    pub(in crate::protocol) value_start: usize,
    pub(in crate::protocol) value_end: usize,
    /// After its CRLF.
    pub(in crate::protocol) end: usize,
}

/// Reads a head from its first byte.
pub(super) struct Tokens<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Tokens<'a> {
    /// For bytes that begin with a head, and with how many bytes before it: one empty line may precede it (RFC 9112 §2.2).
    pub(super) fn new(bytes: &'a [u8]) -> Result<(Self, usize), Stop> {
        let before = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let bytes = bytes.get(before..).unwrap_or_default();
        match bytes {
            [] | [b'\r'] => Err(Stop::Incomplete),
            [b'\r', b'\n', ..] => Err(HeadError::LeadingLines.into()),
            _ => Ok((Self { bytes, at: 0 }, before)),
        }
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Incomplete)
    }

    /// What is wrong with the byte that comes next, where something else was wanted.
    #[cold]
    fn unexpected(&self, error: HeadError) -> Stop {
        match self.peek() {
            Err(stop) => stop,
            Ok(b'\n') => HeadError::BareLf.into(),
            Ok(_) => error.into(),
        }
    }

    fn take(&mut self, byte: u8, error: HeadError) -> Result<(), Stop> {
        if self.bytes.get(self.at) != Some(&byte) {
            return Err(self.unexpected(error));
        }
        self.at += 1;
        Ok(())
    }

    /// A method and the space after it; where it ends.
    pub(super) fn method(&mut self) -> Result<usize, Stop> {
        self.at = skip_token(self.bytes, self.at);
        let end = self.at;
        if end == 0 {
            return Err(self.unexpected(HeadError::StartLine));
        }
        self.take(b' ', HeadError::StartLine)?;
        Ok(end)
    }

    /// A request's target and the space after it; where it ends. Bytes that are not ASCII are let pass as UTF-8.
    pub(super) fn target(&mut self) -> Result<usize, Stop> {
        let start = self.at;
        self.at = skip_target(self.bytes, start);
        if self.bytes.get(self.at).is_some_and(|byte| !byte.is_ascii()) {
            self.skip_utf8(start)?;
        }
        let end = self.at;
        if end == start {
            return Err(self.unexpected(HeadError::StartLine));
        }
        self.take(b' ', HeadError::StartLine)?;
        Ok(end)
    }

    /// Goes on with a target in which there are bytes that are not ASCII.
    #[cold]
    fn skip_utf8(&mut self, start: usize) -> Result<(), Stop> {
        while self.bytes.get(self.at).is_some_and(|byte| !byte.is_ascii()) {
            self.at = skip_target(self.bytes, self.at + 1);
        }
        std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| HeadError::StartLine)?;
        Ok(())
    }

    /// The version and the end of the line.
    pub(super) fn request_version(&mut self) -> Result<Version, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let version = match rest.first_chunk::<10>() {
            Some(b"HTTP/1.1\r\n") => Version::Http11,
            Some(b"HTTP/1.0\r\n") => Version::Http10,
            _ => return Err(no_version(rest)),
        };
        self.at += 10;
        Ok(version)
    }

    /// `HTTP/1.1 200 OK` and the end of the line: the version and the status.
    pub(super) fn status_line(&mut self) -> Result<(Version, u16), Stop> {
        let version = match self.bytes.first_chunk::<9>() {
            Some(b"HTTP/1.1 ") => Version::Http11,
            Some(b"HTTP/1.0 ") => Version::Http10,
            _ => return Err(no_status_line(self.bytes)),
        };
        self.at = 9;
        let mut status = 0;
        for _ in 0..3 {
            let digit = self.peek()?;
            if !digit.is_ascii_digit() {
                return Err(self.unexpected(HeadError::StartLine));
            }
            status = status * 10 + u16::from(digit - b'0');
            self.at += 1;
        }
        // The phrase may be missing, and its space with it.
        if self.peek()? != b'\r' {
            self.take(b' ', HeadError::StartLine)?;
            self.at = skip_text(self.bytes, self.at);
        }
        self.take(b'\r', HeadError::StartLine)?;
        self.take(b'\n', HeadError::StartLine)?;
        Ok((version, status))
    }

    /// That every place up to here fits `u16`.
    #[inline]
    pub(super) fn in_bounds(&self) -> Result<(), Stop> {
        if self.at > HEAD_BYTES_MAX { Err(HeadError::HeadersTooLarge.into()) } else { Ok(()) }
    }

    /// The next field line, or `None` after the empty line that ends the head.
    #[inline(always)]
    pub(super) fn line(&mut self) -> Result<Option<Line>, Stop> {
        let bytes = self.bytes;
        let start = self.at;
        if bytes.get(start) == Some(&b'\r') {
            self.at += 1;
            self.take(b'\n', HeadError::FieldName)?;
            return self.in_bounds().map(|()| None);
        }
        let name_end = skip_token(bytes, start);
        self.at = name_end;
        if name_end == start {
            return Err(self.unexpected(HeadError::FieldName));
        }
        self.take(b':', HeadError::FieldName)?;
        let mut value_start = self.at;
        while let Some(b' ' | b'\t') = bytes.get(value_start) {
            value_start += 1;
        }
        self.at = skip_text(bytes, value_start);
        let mut value_end = self.at;
        self.take(b'\r', HeadError::FieldValue)?;
        self.take(b'\n', HeadError::FieldValue)?;
        while value_end > value_start && matches!(bytes.get(value_end - 1), Some(b' ' | b'\t')) {
            value_end -= 1;
        }
        self.in_bounds()?;
        Ok(Some(Line { start, name_end, value_start, value_end, end: self.at }))
    }
}

/// What is wrong with a request line that does not end in a version that is served: where all but the numbers fits, 505
/// says more than 400.
#[cold]
fn no_version(rest: &[u8]) -> Stop {
    let fits = |(place, byte): (usize, &u8)| match place {
        5 | 7 => byte.is_ascii_digit(),
        _ => b"HTTP/?.?\r\n".get(place) == Some(byte),
    };
    match rest.iter().take(10).enumerate().position(|byte| !fits(byte)) {
        Some(place) if rest.get(place) == Some(&b'\n') => HeadError::BareLf.into(),
        Some(_) => HeadError::StartLine.into(),
        None if rest.len() < 10 => Stop::Incomplete,
        None => HeadError::Version.into(),
    }
}

#[cold]
fn no_status_line(bytes: &[u8]) -> Stop {
    let begins = |line: &[u8]| bytes.len() < line.len() && line.starts_with(bytes);
    match bytes {
        _ if begins(b"HTTP/1.1 ") || begins(b"HTTP/1.0 ") => Stop::Incomplete,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', ..] => HeadError::StartLine.into(),
        [b'H', b'T', b'T', b'P', b'/', ..] => HeadError::Version.into(),
        _ => HeadError::StartLine.into(),
    }
}

/// The place of the first byte from `at` on that a target does not have: a space, a control character, DEL, or one that is not
/// ASCII.
#[inline(always)]
fn skip_target(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |chunk| {
        let low = chunk.min(u8x16::splat(b' ')).simd_eq(chunk);
        // Its own high bits are those of bytes that are not ASCII.
        (low | chunk.simd_eq(u8x16::splat(0x7f)) | chunk).to_bitmask()
    })
}

/// The place of the first byte from `at` on that no field value has: a control character other than TAB.
#[inline(always)]
fn skip_text(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = find(bytes, at, |chunk| {
            let control = chunk.min(u8x16::splat(0x1f)).simd_eq(chunk);
            (control | chunk.simd_eq(u8x16::splat(0x7f))).to_bitmask()
        });
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
}

/// The place of the first byte from `at` on that no token has. Of most names every byte is a letter or a hyphen.
#[inline(always)]
fn skip_token(bytes: &[u8], at: usize) -> usize {
    let mut at = find(bytes, at, |chunk| !(letters(chunk) | chunk.simd_eq(u8x16::splat(b'-'))).to_bitmask());
    while bytes.get(at).is_some_and(|&byte| syntax::is_token_byte(byte)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places that the wide loops find, for every byte at every place of every length.
    #[test]
    fn wide_steps_stop_where_single_ones_would() {
        let check = |skip: fn(&[u8], usize) -> usize, may: fn(u8) -> bool| {
            for length in 0..40 {
                for place in 0..length {
                    for byte in 0..=u8::MAX {
                        let mut bytes = vec![b'a'; length];
                        bytes[place] = byte;
                        let expected = if may(byte) { length } else { place };
                        assert_eq!(skip(&bytes, 0), expected, "{byte:#x} at {place} of {length}");
                    }
                }
            }
        };
        check(skip_target, |byte| byte > b' ' && byte < 0x7f);
        check(skip_text, |byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        check(skip_token, |byte| syntax::is_token(&[byte]));
    }

    #[test]
    fn two_bytes_that_stop_it_are_found_in_their_order() {
        for (first, second) in [(0x7f, 0), (0, 0x7f), (b'\r', b'\n'), (0x80, 0x1f), (0x1f, 0x80), (0xff, 0x7f)] {
            for gap in 0..18 {
                let mut bytes = vec![b'a', first];
                bytes.extend(vec![b'a'; gap]);
                bytes.push(second);
                bytes.extend([b'a'; 17]);
                let expected = bytes.iter().position(|&byte| !(byte == b'\t' || (byte >= b' ' && byte != 0x7f)));
                assert_eq!(Some(skip_text(&bytes, 0)), expected, "{bytes:?}");
                let expected = bytes.iter().position(|&byte| !syntax::is_token(&[byte]));
                assert_eq!(Some(skip_token(&bytes, 0)), expected, "{bytes:?}");
            }
        }
    }
}
